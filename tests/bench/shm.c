/* A minimal loop: copies a descriptor into a segment, or a segment to a descriptor. */
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int id = atoi(argv[2]);
    struct shmid_ds stat;
    if (argc != 3 || shmctl(id, IPC_STAT, &stat))
        return 1;
    int writes = argv[1][0] == 'w';
    char *start = shmat(id, 0, writes ? 0 : SHM_RDONLY);
    if (start == (char *) -1)
        return 1;
    for (size_t done = 0; done < stat.shm_segsz;) {
        size_t left = stat.shm_segsz - done;
        size_t step = left < 1 << 30 ? left : 1 << 30;
        ssize_t moved = writes ? read(0, start + done, step) : write(1, start + done, step);
        if (moved <= 0)
            return 1;
        done += moved;
    }
    return 0;
}
