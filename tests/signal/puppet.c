/* Processes in the states that the tests of `signal` need. Each exits by itself after a while, even if a test fails. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void nap(long micros) {
    struct timespec t = {0, micros * 1000};
    nanosleep(&t, NULL);
}

/* A child that has exited, and is reaped at EOF of standard input. */
static int zombie(void) {
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    printf("%d\n", child);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {}
    return waitpid(child, NULL, 0) != child;
}

static void *report_ready(void *unused) {
    (void)unused;
    printf("%ld\n", (long)syscall(SYS_gettid));
    fflush(stdout);
    pause();
    return NULL;
}

/* A second thread, whose id is printed. */
static int thread(void) {
    pthread_t id;
    pthread_create(&id, NULL, report_ready, NULL);
    pthread_join(id, NULL);
    return 0;
}

/* Only a second thread is left. */
static int headless(void) {
    pthread_t id;
    pthread_create(&id, NULL, report_ready, NULL);
    pthread_exit(NULL);
}

/* Sends `count` real-time signals with values from `first` on, and waits if the queue is full. */
static int queue(pid_t to, int first, int count) {
    for (int at = 0; at < count; at++) {
        union sigval value = {.sival_int = first + at};
        double start = now();
        while (sigqueue(to, SIGRTMIN + 1, value) != 0) {
            if (errno != EAGAIN || now() - start > 50)
                return 1;
            nap(200);
        }
    }
    return 0;
}

/* Blocks a signal, has it pending, and waits. */
static int pending(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, exit);
    kill(getpid(), SIGUSR1);
    printf("ready\n");
    fflush(stdout);
    pause();
    return 0;
}

/* Prints the signal and the value that came with it. */
static int receive(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("ready\n");
    fflush(stdout);
    siginfo_t info;
    int got = sigwaitinfo(&set, &info);
    printf("%d %d %d %d\n", got, info.si_code, info.si_int, (int)info.si_pid);
    return 0;
}

/* Ignores TERM, in a session of its own, and forks until `end`: each parent exits, and some sleepers stay. */
static void runner(double end) {
    int sleepers = 0;
    setsid();
    while (now() < end) {
        pid_t child = fork();
        if (child > 0)
            _exit(0);
        if (child == 0 && sleepers++ < 5 && fork() == 0) {
            alarm(20);
            pause();
            _exit(0);
        }
        nap(500);
    }
    alarm(20);
    pause();
    _exit(0);
}

/* Double forks, leaves its session, ignores TERM, keeps forking for a while; the first process exits soon. */
static int monster(int millis) {
    double end = now() + millis / 1000.0;
    signal(SIGTERM, SIG_IGN);
    for (int at = 0; at < 3; at++) {
        if (fork() == 0) {
            if (fork() != 0)
                _exit(0);
            runner(end);
        }
    }
    while (now() < end / 2 + (end - millis / 1000.0) / 2)
        nap(1000);
    return 7;
}

static void fork_and_pause(int signal) {
    (void)signal;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        pause();
        _exit(0);
    }
    char line[20];
    int length = snprintf(line, sizeof line, "%d\n", child);
    if (write(1, line, length) != length)
        _exit(1);
}

/* Forks one child whenever it is continued, and prints its pid. */
static int continued(void) {
    signal(SIGCONT, fork_and_pause);
    printf("ready\n");
    fflush(stdout);
    for (;;)
        pause();
}

/* `count` orphans, each of which exits at once. */
static int orphans(int count) {
    for (int at = 0; at < count; at++) {
        pid_t child = fork();
        if (child < 0)
            return 1;
        if (child == 0) {
            if (fork() == 0)
                _exit(0);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    return 0;
}

/* Has the pid of an exited process reused by another, and prints it: in a pid namespace of its own. */
static int reuse(pid_t wanted) {
    FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");
    if (!file || fprintf(file, "%d", wanted - 1) < 0 || fclose(file) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        close(1);
        alarm(20);
        pause();
        _exit(0);
    }
    printf("%d\n", child);
    return child != wanted;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    alarm(60);
    if (!strcmp(what, "zombie"))
        return zombie();
    if (!strcmp(what, "thread"))
        return thread();
    if (!strcmp(what, "headless"))
        return headless();
    if (!strcmp(what, "queue"))
        return queue(number, atoi(argv[3]), atoi(argv[4]));
    if (!strcmp(what, "pending"))
        return pending();
    if (!strcmp(what, "receive"))
        return receive();
    if (!strcmp(what, "monster"))
        return monster(number);
    if (!strcmp(what, "orphans"))
        return orphans(number);
    if (!strcmp(what, "continued"))
        return continued();
    if (!strcmp(what, "reuse"))
        return reuse(number);
    if (!strcmp(what, "alarm")) {
        /* The timer survives the exec. */
        struct itimerval timer = {{0, 0}, {0, 300000}};
        setitimer(ITIMER_REAL, &timer, NULL);
        execvp(argv[2], argv + 2);
    }
    if (!strcmp(what, "ignorant")) {
        signal(SIGCHLD, SIG_IGN);
        execvp(argv[2], argv + 2);
    }
    if (!strcmp(what, "plain")) {
        /* The C library's own signals have their default action, which its posix_spawn takes from them. */
        long action[8] = {0};
        syscall(SYS_rt_sigaction, 32, action, NULL, 8);
        syscall(SYS_rt_sigaction, 33, action, NULL, 8);
        execvp(argv[2], argv + 2);
    }
    return 99;
}
