/* The system calls whose latency is compared, one side each:
 *   post ID · wait ID              a System V semaphore
 *   call ID TEXT · serve ID        a request as a message, `cat`, and its output as a message
 *   send PID VALUE · lines COUNT   a queued signal; prints its own pid, then a line for each value
 *   write PATH TEXT · read PATH    a line through a FIFO that stays open */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

struct message {
    long type;
    int from;
    char data[4096];
};

static int semaphore(int set, int delta)
{
    struct sembuf operation = {0, delta, 0};
    return semop(set, &operation, 1) != 0;
}

static int call(int queue, const char *text)
{
    struct message message = {1, getpid(), ""};
    size_t length = strlen(text);
    memcpy(message.data, text, length);
    if (msgsnd(queue, &message, sizeof message.from + length, 0))
        return 1;
    ssize_t size = msgrcv(queue, &message, sizeof message - sizeof message.type, getpid(), 0);
    size -= sizeof message.from;
    return size < 0 || write(1, message.data, size) != size;
}

/* Passes the request to `cat`, and replies with its output. */
static int reply(int queue, struct message *message, size_t length)
{
    int in[2], out[2], status;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        return 1;
    pid_t child = vfork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/bin/cat", "cat", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    if (write(in[1], message->data, length) != (ssize_t)length)
        return 1;
    close(in[1]);
    ssize_t size = 0, came;
    while ((came = read(out[0], message->data + size, sizeof message->data - size)) > 0)
        size += came;
    close(out[0]);
    if (waitpid(child, &status, 0) != child || status)
        return 1;
    message->type = message->from;
    return msgsnd(queue, message, sizeof message->from + size, 0) != 0;
}

static int serve(int queue)
{
    struct message message;
    ssize_t size;
    while ((size = msgrcv(queue, &message, sizeof message - sizeof message.type, 1, 0)) >= 0)
        if (reply(queue, &message, size - sizeof message.from))
            return 1;
    return 0;
}

static int lines(int count)
{
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    dprintf(1, "%d\n", getpid());
    while (count-- > 0)
        if (sigwaitinfo(&set, &info) < 0 || dprintf(1, "%d\n", info.si_value.sival_int) < 0)
            return 1;
    return 0;
}

static int flow(int from, int to)
{
    char data[4096];
    ssize_t size;
    while ((size = read(from, data, sizeof data)) > 0)
        if (write(to, data, size) != size)
            return 1;
    return size < 0;
}

int main(int count, char **words)
{
    if (count < 3)
        return 2;
    const char *verb = words[1], *target = words[2], *text = count > 3 ? words[3] : "";
    if (!strcmp(verb, "post"))
        return semaphore(atoi(target), 1);
    if (!strcmp(verb, "wait"))
        return semaphore(atoi(target), -1);
    if (!strcmp(verb, "call"))
        return call(atoi(target), text);
    if (!strcmp(verb, "serve"))
        return serve(atoi(target));
    if (!strcmp(verb, "send"))
        return sigqueue(atoi(target), SIGRTMIN, (union sigval){.sival_int = atoi(text)}) != 0;
    if (!strcmp(verb, "lines"))
        return lines(atoi(target));
    if (!strcmp(verb, "read"))
        return flow(open(target, O_RDWR), 1);
    if (!strcmp(verb, "write"))
        return dprintf(open(target, O_WRONLY), "%s\n", text) < 0;
    return 2;
}
