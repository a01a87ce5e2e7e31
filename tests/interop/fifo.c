/* A plain reader and writer of a FIFO: `fifo read PATH` copies to standard output until EOF, `fifo write PATH N` writes
   N numbered blocks of 1024 bytes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char block[1025];

    if (argc == 3 && !strcmp(argv[1], "read")) {
        int fd = open(argv[2], O_RDONLY);
        ssize_t got;

        while ((got = read(fd, block, 1024)) > 0)
            if (write(1, block, (size_t)got) != got)
                return 1;
        return got < 0;
    }
    if (argc == 4 && !strcmp(argv[1], "write")) {
        int fd = open(argv[2], O_WRONLY);
        int count = atoi(argv[3]);

        for (int n = 0; n < count; n++) {
            snprintf(block, sizeof block, "%01023d\n", n);
            if (write(fd, block, 1024) != 1024)
                return 1;
        }
        return 0;
    }
    return 2;
}
