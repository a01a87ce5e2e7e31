/* post [-i INDEX] [-b DELTA] NAME: the System V call of `ipcbox sem post`, with only getopt_long and the hash of the name. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>

int main(int argc, char **argv)
{
    static const struct option options[] = {{"index", 1, 0, 'i'}, {"by", 1, 0, 'b'}, {0}};
    int option, index = 0, by = 1;

    while ((option = getopt_long(argc, argv, "i:b:", options, 0)) != -1)
        switch (option) {
        case 'i':
            index = atoi(optarg);
            break;
        case 'b':
            by = atoi(optarg);
            break;
        default:
            return 2;
        }
    if (optind != argc - 1)
        return 2;
    unsigned key = 0x811c9dc5;
    for (char *at = argv[optind]; *at; at++)
        key = (key ^ (unsigned char)*at) * 0x01000193;
    int set = semget(key, 0, 0);
    struct sembuf operation = {index, by, 0};
    if (set < 0 || semop(set, &operation, 1)) {
        perror(argv[optind]);
        return 1;
    }
    return 0;
}
