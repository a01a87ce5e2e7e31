/* The state that a line has left: one line for each object and file. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *state;

static void hex(const unsigned char *data, size_t length) {
    for (size_t at = 0; at < length && at < 512; at++)
        fprintf(state, "%02x", data[at]);
}

static int print_file(const char *path, const struct stat *stat, int kind, struct FTW *at) {
    (void)kind;
    /* The file of names may lack one: no call fails because of it. */
    if (at->level == 0 || strstr(path, "/.ipcbox-names."))
        return 0;
    fprintf(state, "%s %o %d %d %ld ", path, stat->st_mode, stat->st_uid, stat->st_gid, S_ISDIR(stat->st_mode) ? 0 : (long)stat->st_size);
    unsigned char data[512];
    int fd = S_ISREG(stat->st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t length = fd < 0 ? 0 : read(fd, data, sizeof data);
    hex(data, length < 0 ? 0 : length);
    if (fd >= 0)
        close(fd);
    fprintf(state, "\n");
    return 0;
}

static void print_owner(const char *kind, const struct ipc_perm *perm) {
    fprintf(state, "%s %08x %o %d %d ", kind, perm->__key, perm->mode, perm->uid, perm->gid);
}

/* Prints every object on a line, or removes them all if `away` is set. */
static void objects(int away) {
    struct semid_ds sem;
    struct msqid_ds msg;
    struct shmid_ds shm;
    unsigned short values[1024];
    for (int at = 0, id, last = semctl(0, 0, SEM_INFO, &sem); at <= last; at++) {
        if ((id = semctl(at, 0, SEM_STAT, &sem)) < 0)
            continue;
        if (away) {
            semctl(id, 0, IPC_RMID);
            continue;
        }
        print_owner("sem", &sem.sem_perm);
        for (unsigned i = 0; semctl(id, 0, GETALL, values) == 0 && i < sem.sem_nsems; i++)
            fprintf(state, "%d,", values[i]);
        fprintf(state, "\n");
    }
    for (int at = 0, id, last = msgctl(0, MSG_INFO, &msg); at <= last; at++) {
        if ((id = msgctl(at, MSG_STAT, &msg)) < 0)
            continue;
        if (away) {
            msgctl(id, IPC_RMID, NULL);
            continue;
        }
        print_owner("msg", &msg.msg_perm);
        fprintf(state, "%lu", msg.msg_qbytes);
        struct { long type; unsigned char data[8192]; } one;
        for (unsigned i = 0; i < msg.msg_qnum; i++) {
            ssize_t length = msgrcv(id, &one, sizeof one.data, i, MSG_COPY | IPC_NOWAIT);
            fprintf(state, " %ld:", one.type);
            hex(one.data, length < 0 ? 0 : length);
        }
        fprintf(state, "\n");
    }
    for (int at = 0, id, last = shmctl(0, SHM_INFO, &shm); at <= last; at++) {
        if ((id = shmctl(at, SHM_STAT, &shm)) < 0)
            continue;
        if (away) {
            shmctl(id, IPC_RMID, NULL);
            continue;
        }
        print_owner("shm", &shm.shm_perm);
        fprintf(state, "%zu ", shm.shm_segsz);
        unsigned char *data = shmat(id, NULL, SHM_RDONLY);
        if (data != (void *)-1) {
            hex(data, shm.shm_segsz);
            shmdt(data);
        }
        fprintf(state, "\n");
    }
}

static int drop_file(const char *path, const struct stat *stat, int kind, struct FTW *at) {
    (void)stat, (void)kind;
    return at->level > 0 && remove(path) != 0;
}

static void each_file(int (*act)(const char *, const struct stat *, int, struct FTW *)) {
    const char *places[] = {"/dev/shm", "../queues", "."};
    for (int at = 0; at < 3; at++)
        nftw(places[at], act, 8, FTW_PHYS | FTW_DEPTH);
}

static void report_state(void) {
    char *text;
    size_t length;
    state = open_memstream(&text, &length);
    objects(0);
    each_file(print_file);
    fclose(state);
    printf("state %zu\n", length);
    fwrite(text, 1, length, stdout);
    printf("\n");
    free(text);
}
