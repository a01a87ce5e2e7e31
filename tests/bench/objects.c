/* objects QUEUES SETS SEGMENTS: creates this many private objects. */
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    for (int n = atoi(argv[1]); n > 0; n--)
        if (msgget(IPC_PRIVATE, 0600) < 0)
            return 1;
    for (int n = atoi(argv[2]); n > 0; n--)
        if (semget(IPC_PRIVATE, 1, 0600) < 0)
            return 1;
    for (int n = atoi(argv[3]); n > 0; n--)
        if (shmget(IPC_PRIVATE, 4096, 0600) < 0)
            return 1;
    return 0;
}
