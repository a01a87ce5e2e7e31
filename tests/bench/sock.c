/* The peers of `ipcbox sock` at one address: a path with a slash, or a port of 127.0.0.1 (0: a free one). A server
 * prints its address in a line as soon as it listens.
 * sock sink ADDRESS N: accepts one connection, discards N bytes up to EOF by splice(2), and fails at any other number.
 * sock echo ADDRESS: accepts one connection, and sends back what it gets until EOF, by splice(2).
 * sock push ADDRESS: sends standard input by splice(2).
 * sock answer: prints "ok\n".
 * sock many ADDRESS N P: makes N connections, at most P at once, reads each to EOF, and fails unless each gives "ok\n". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static union {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_in in;
} address;
static socklen_t length;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int created(const char *text)
{
    if (strchr(text, '/')) {
        address.un.sun_family = AF_UNIX;
        strncpy(address.un.sun_path, text, sizeof address.un.sun_path - 1);
        length = sizeof address.un;
    } else {
        address.in.sin_family = AF_INET;
        address.in.sin_port = htons(atoi(text));
        address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        length = sizeof address.in;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        fail("socket");
    return fd;
}

static int connected(const char *text)
{
    int fd = created(text);
    if (connect(fd, &address.any, length) < 0)
        fail("connect");
    return fd;
}

static int accepted(const char *text)
{
    int one = 1, listener = created(text);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, &address.any, length) < 0 || listen(listener, 16) < 0)
        fail("bind");
    if (address.any.sa_family == AF_INET && getsockname(listener, &address.any, &length) == 0)
        printf("%d\n", ntohs(address.in.sin_port));
    else
        puts(text);
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        fail("accept");
    return fd;
}

/* Moves everything through a pipe, and returns the number of bytes. */
static long long moved(int from, int to)
{
    int relay[2];
    long long total = 0;
    ssize_t count;
    if (pipe(relay) < 0 || fcntl(relay[0], F_SETPIPE_SZ, 1 << 20) < 0)
        fail("pipe");
    while ((count = splice(from, NULL, relay[1], NULL, 1 << 20, SPLICE_F_MOVE)) > 0) {
        total += count;
        while (count > 0) {
            ssize_t part = splice(relay[0], NULL, to, NULL, count, SPLICE_F_MOVE);
            if (part <= 0)
                fail("splice to");
            count -= part;
        }
    }
    if (count < 0)
        fail("splice from");
    return total;
}

static void many(const char *text, int left, int most)
{
    struct pollfd open[64];
    char seen[64][8];
    int lengths[64], count = 0;
    while (left > 0 || count > 0) {
        while (left > 0 && count < most) {
            open[count] = (struct pollfd){connected(text), POLLIN, 0};
            lengths[count++] = 0;
            left--;
        }
        if (poll(open, count, -1) < 0)
            fail("poll");
        for (int at = count - 1; at >= 0; at--) {
            if (!open[at].revents)
                continue;
            ssize_t got = read(open[at].fd, seen[at] + lengths[at], sizeof seen[at] - lengths[at]);
            if (got < 0)
                fail("read");
            lengths[at] += got;
            if (got > 0)
                continue;
            if (lengths[at] != 3 || memcmp(seen[at], "ok\n", 3)) {
                fprintf(stderr, "%d bytes of a reply\n", lengths[at]);
                exit(1);
            }
            close(open[at].fd);
            count--;
            open[at] = open[count];
            lengths[at] = lengths[count];
            memcpy(seen[at], seen[count], sizeof seen[at]);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "answer"))
        return write(1, "ok\n", 3) != 3;
    if (argc < 3)
        return 2;
    if (!strcmp(argv[1], "sink")) {
        int null = open("/dev/null", O_WRONLY);
        return moved(accepted(argv[2]), null) != atoll(argv[3]);
    } else if (!strcmp(argv[1], "echo")) {
        int fd = accepted(argv[2]);
        moved(fd, fd);
    } else if (!strcmp(argv[1], "push")) {
        moved(0, connected(argv[2]));
    } else {
        many(argv[2], atoi(argv[3]), atoi(argv[4]));
    }
    return 0;
}
