/* An echo server and a client: blocking, and non-blocking with select and with epoll.
 *   echo serve MODE PATH   echoes one connection
 *   echo ask MODE PATH     sends standard input, half-closes, and prints the reply
 *   echo copy MODE -       echoes standard input to standard output */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BLOCK, SELECT, EPOLL } mode;

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* Waits until fd is readable or writable. */
static void await(int fd, int writes)
{
    if (mode == SELECT) {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        check(select(fd + 1, writes ? NULL : &set, writes ? &set : NULL, NULL, NULL) == 1, "select");
    } else {
        int epoll = epoll_create1(0);
        struct epoll_event event = {.events = writes ? EPOLLOUT : EPOLLIN};
        check(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
        check(epoll_wait(epoll, &event, 1, -1) == 1, "epoll_wait");
        close(epoll);
    }
}

static ssize_t take(int fd, char *bytes, size_t size)
{
    for (;;) {
        ssize_t count = read(fd, bytes, size);
        if (count >= 0)
            return count;
        check(errno == EAGAIN, "read");
        await(fd, 0);
    }
}

static void put(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t count = write(fd, bytes, size);
        if (count < 0) {
            check(errno == EAGAIN, "write");
            await(fd, 1);
            continue;
        }
        bytes += count;
        size -= count;
    }
}

static void copy(int from, int to)
{
    static char bytes[65536];
    ssize_t count;
    while ((count = take(from, bytes, sizeof bytes)) > 0)
        put(to, bytes, count);
}

static void set_mode(int fd)
{
    if (mode != BLOCK)
        check(!fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
}

int main(int argc, char **argv)
{
    check(argc == 4, "usage");
    mode = !strcmp(argv[2], "block") ? BLOCK : !strcmp(argv[2], "select") ? SELECT : EPOLL;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, argv[3], sizeof address.sun_path - 1);
    if (!strcmp(argv[1], "copy")) {
        copy(0, 1);
        return 0;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (!strcmp(argv[1], "serve")) {
        unlink(argv[3]);
        check(!bind(fd, (struct sockaddr *)&address, sizeof address) && !listen(fd, 8), "listen");
        int peer = accept(fd, NULL, NULL);
        check(peer >= 0, "accept");
        unlink(argv[3]);
        set_mode(peer);
        copy(peer, peer);
        return 0;
    }
    check(!connect(fd, (struct sockaddr *)&address, sizeof address), "connect");
    if (fork() == 0) {
        set_mode(fd);
        copy(0, fd);
        shutdown(fd, SHUT_WR);
        return 0;
    }
    set_mode(fd);
    copy(fd, 1);
    return 0;
}
