/* A minimal pair: one or several processes send each line of a file as a message, and one receives them and checks the
 * number of bytes. `msgq sysv FILE COUNT [SENDERS]` and `msgq posix FILE COUNT [SENDERS]`. */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct message {
    long type;
    char data[8192];
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

int main(int count, char **words) {
    if (count < 4) return 2;
    int senders = count > 4 ? atoi(words[4]) : 1;
    int posix = strcmp(words[1], "posix") == 0;
    long wanted = atol(words[3]);
    int file = open(words[2], O_RDONLY);
    struct stat stat;
    if (file < 0 || fstat(file, &stat) < 0) fail(words[2]);
    char *text = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (text == MAP_FAILED) fail("mmap");
    char name[64];
    snprintf(name, sizeof name, "/bench-c-%d", getpid());
    mqd_t mq = posix ? mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL) : -1;
    int id = posix ? -1 : msgget(IPC_PRIVATE, 0600);
    if (mq < 0 && id < 0) fail("queue");
    if (posix) mq_unlink(name);
    for (int sender = 0; sender < senders; sender++) {
        if (fork() != 0) continue;
        struct message message = {.type = 1};
        char *end = text + stat.st_size;
        for (char *line = text; line < end;) {
            char *stop = memchr(line, '\n', end - line);
            size_t length = stop - line;
            if (posix) {
                if (mq_send(mq, line, length, 0) < 0) fail("mq_send");
            } else {
                memcpy(message.data, line, length);
                if (msgsnd(id, &message, length, 0) < 0) fail("msgsnd");
            }
            line = stop + 1;
        }
        _exit(0);
    }
    struct message message;
    long bytes = 0;
    for (long n = 0; n < wanted; n++) {
        ssize_t length = posix ? mq_receive(mq, message.data, sizeof message.data, NULL)
                               : msgrcv(id, &message, sizeof message.data, 0, 0);
        if (length < 0) fail("receive");
        bytes += length + 1;
    }
    int status, bad = 0;
    while (wait(&status) > 0) bad |= status;
    if (!posix) msgctl(id, IPC_RMID, NULL);
    if (bad || bytes != stat.st_size * senders) {
        fprintf(stderr, "%ld bytes of %d times %ld\n", bytes, senders, (long)stat.st_size);
        return 1;
    }
    return 0;
}
