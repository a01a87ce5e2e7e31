/* The minimal transfer of a file through a FIFO: `fifo write PATH` splices standard input into it, `fifo read PATH` splices
   it to standard output. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int writes = argc == 3 && !strcmp(argv[1], "write");
    int fd = argc == 3 ? open(argv[2], writes ? O_WRONLY : O_RDONLY) : -1;
    ssize_t moved;

    if (fd < 0)
        return 2;
    while ((moved = splice(writes ? 0 : fd, 0, writes ? fd : 1, 0, 1 << 30, SPLICE_F_MOVE)) > 0)
        ;
    return moved < 0;
}
