/* A minimal meter: standard input to standard output by splice(2), with the pipe capacities that ipcbox uses. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(void)
{
    if (fcntl(0, F_SETPIPE_SZ, 1 << 20) < 0 || fcntl(1, F_SETPIPE_SZ, 1 << 20) < 0) {
        perror("F_SETPIPE_SZ");
        return 1;
    }
    ssize_t moved;
    while ((moved = splice(0, NULL, 1, NULL, 1 << 30, SPLICE_F_MOVE)) > 0)
        ;
    if (moved < 0)
        perror("splice");
    return moved < 0;
}
