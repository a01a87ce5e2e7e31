/* flow write N: writes N MiB (NK: N KiB) to standard output by vmsplice(2), without a copy.
 * flow read N: reads standard input, and fails unless it has this size. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

static char block[1 << 20];

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    char *unit;
    long long left = strtoll(argv[2], &unit, 10);
    left <<= *unit == 'K' ? 10 : 20;
    if (argv[1][0] == 'r') {
        ssize_t count;
        while ((count = read(0, block, sizeof block)) > 0)
            left -= count;
        return count < 0 || left != 0;
    }
    for (size_t at = 0; at < sizeof block; at++)
        block[at] = at;
    while (left > 0) {
        struct iovec piece = {block, left < (long long)sizeof block ? left : (long long)sizeof block};
        ssize_t count = vmsplice(1, &piece, 1, 0);
        if (count < 0) {
            perror("vmsplice");
            return 1;
        }
        left -= count;
    }
    return 0;
}
