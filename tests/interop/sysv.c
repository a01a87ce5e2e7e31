/* Creates and uses System V objects like any other program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

/* The key of a name, as documented: the 32-bit FNV-1a hash of its bytes, or 1 instead of 0. */
static key_t name_key(const char *name)
{
    unsigned hash = 0x811c9dc5;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x01000193;
    return (key_t)(hash ? hash : 1);
}

static key_t key_of(const char *word)
{
    if (!strncmp(word, "ftok:", 5))
        return ftok(word + 5, 1);
    if (!strncmp(word, "0x", 2))
        return (key_t)strtoul(word, NULL, 16);
    return name_key(word);
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (!strcmp(verb, "create") && argc == 4)
        return semget(key_of(argv[2]), atoi(argv[3]), IPC_CREAT | IPC_EXCL | 0600) < 0 ? fail(verb) : 0;
    if (!strcmp(verb, "op") && argc == 5) {
        struct sembuf op = { (unsigned short)atoi(argv[3]), (short)atoi(argv[4]), 0 };
        return semop(semget(key_of(argv[2]), 0, 0), &op, 1) < 0 ? fail(verb) : 0;
    }
    if (!strcmp(verb, "get") && argc == 4) {
        int value = semctl(semget(key_of(argv[2]), 0, 0), atoi(argv[3]), GETVAL);
        return value < 0 ? fail(verb) : !printf("%d\n", value);
    }
    if (!strcmp(verb, "set") && argc == 5)
        return semctl(semget(key_of(argv[2]), 0, 0), atoi(argv[3]), SETVAL, atoi(argv[4])) < 0 ? fail(verb) : 0;
    if (!strcmp(verb, "queues") && argc == 3) {
        for (int n = atoi(argv[2]); n > 0; n--)
            printf("%d\n", msgget(IPC_PRIVATE, 0600));
        return 0;
    }
    if (!strcmp(verb, "rmqueues")) {
        for (int n = 2; n < argc; n++)
            if (msgctl(atoi(argv[n]), IPC_RMID, NULL) < 0)
                return fail(verb);
        return 0;
    }
    fprintf(stderr, "unknown verb %s\n", verb);
    return 2;
}
