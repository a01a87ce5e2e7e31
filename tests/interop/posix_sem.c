/* Creates and uses POSIX named semaphores like any other program. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int creates = !strcmp(argv[1], "create") && argc == 4;
    sem_t *sem = creates ? sem_open(argv[2], O_CREAT | O_EXCL, 0600, (unsigned)atoi(argv[3])) : sem_open(argv[2], 0);
    int value = 0;
    if (sem == SEM_FAILED || (!strcmp(argv[1], "post") && sem_post(sem)) ||
        (!strcmp(argv[1], "wait") && sem_wait(sem)) || (!strcmp(argv[1], "get") && sem_getvalue(sem, &value))) {
        perror(argv[1]);
        return 1;
    }
    return !strcmp(argv[1], "get") ? !printf("%d\n", value) : 0;
}
