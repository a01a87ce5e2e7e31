/* Runs a command of ipcbox repeatedly, each time disturbing one of its system calls, and reports the outcome.
 *
 *     fault BINARY LEAVES SETUP COMMAND AFTER <requests >reports
 *
 * This is process 1 of a pid namespace. It has its own IPC namespace, /dev/shm, queues in ../queues and working directory,
 * so anything there that the setup did not create was left behind. SETUP, COMMAND and AFTER are scripts for sh; COMMAND
 * ends with `exec ipcbox ...`. LEAVES is 1 if ipcbox may leave a process when it succeeds.
 *
 * A request is a line `WHAT PROCESS CALL NTH NUMBER`. It disturbs the NTH call (from 0) of system call CALL after the start
 * of main in process PROCESS of ipcbox (0 is the first, the others by birth):
 *     none     disturbs nothing, and reports every call
 *     before   does not run the command at all
 *     fail     the call is not made and returns errno NUMBER. close(2) is made, as in the kernel; brk(2) returns the old break
 *     short    the call is made for one byte, if it can be partial
 *     kill     SIGKILL kills the process before the call (NUMBER 0) or after it (1)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>
#include <linux/ptrace.h>
#include "state.h"

enum { MOST = 64, TICKS = 250, LIMIT = 60 };

static int leaves;
static struct stat binary;

static struct {
    char what[8];
    int process, call, nth, number;
} request;
/* Whether the disturbance is done, or not wanted any more. */
static int did;
/* The process that was killed by it, until it is reaped. */
static pid_t killed;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(99);
}

/* A process of ipcbox. */
static struct tracee {
    pid_t pid;
    int is_ipcbox; /* the first process runs ipcbox later, all others from birth */
    int begun;     /* main has started */
    int disturbs;  /* it is in the disturbed call */
    long saved;    /* the argument that was changed */
    int seen[512];
} tracees[MOST];
static int count;

static struct tracee *find(pid_t pid) {
    for (int at = 0; at < count; at++)
        if (tracees[at].pid == pid)
            return &tracees[at];
    return NULL;
}

static struct tracee *born(pid_t pid) {
    struct tracee *known = find(pid);
    if (known || count == MOST)
        return known;
    struct tracee *new = &tracees[count++];
    memset(new, 0, sizeof *new);
    new->pid = pid;
    new->begun = new != tracees;
    new->is_ipcbox = new->begun;
    return new;
}

/* The registers of a system call. */
#if defined __x86_64__
typedef struct user_regs_struct registers;
#define RESULT(r) ((r).rax)
static unsigned long long *argument(registers *r, int at) {
    unsigned long long *all[] = {&r->rdi, &r->rsi, &r->rdx, &r->r10, &r->r8, &r->r9};
    return all[at];
}
static void skip(pid_t pid, registers *r) {
    (void)pid;
    r->orig_rax = -1;
}
#elif defined __aarch64__
typedef struct user_regs_struct registers;
#define RESULT(r) ((r).regs[0])
static unsigned long long *argument(registers *r, int at) { return &r->regs[at]; }
static void skip(pid_t pid, registers *r) {
    (void)r;
    int none = -1;
    struct iovec data = {&none, sizeof none};
    ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &data);
}
#else
#error "only x86-64 and 64-bit ARM"
#endif

static void get(pid_t pid, registers *r) {
    struct iovec data = {r, sizeof *r};
    ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &data);
}

static void set(pid_t pid, registers *r) {
    struct iovec data = {r, sizeof *r};
    ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &data);
}

/* Returns the index of the length argument of a call, -1 if it has none. */
static int length_of(long call) {
    switch (call) {
    case SYS_read: case SYS_write: case SYS_pread64: case SYS_pwrite64: case SYS_readv: case SYS_writev: case SYS_tee: case SYS_vmsplice:
        return 2;
    case SYS_sendfile:
        return 3;
    case SYS_splice: case SYS_copy_file_range:
        return 4;
    case SYS_getrandom:
        return 1;
    default:
        return -1;
    }
}

/* Returns whether a descriptor returns only whole records: signalfd(2), inotify(7). */
static int gives_records(pid_t pid, int fd) {
    char path[64], what[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    ssize_t length = readlink(path, what, sizeof what);
    return length > 0 && strncmp(what, "anon_inode:", 11) == 0;
}

static void kill_it(pid_t pid) {
    killed = pid;
    kill(pid, SIGKILL);
}

/* Handles the entry or exit of a system call. */
static void at_call(struct tracee *it) {
    struct ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, it->pid, sizeof info, &info) <= 0)
        return;
    int process = it - tracees;
    registers r;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        long call = info.entry.nr;
#ifdef SYS_poll
        it->begun |= call == SYS_poll;
#endif
        it->begun |= call == SYS_ppoll;
        if (!it->begun || call < 0 || call >= 512)
            return;
        /* Only waits of futex(2): waking cannot fail. */
        int operation = info.entry.args[1] & FUTEX_CMD_MASK;
        if (call == SYS_futex && operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
            return;
        int nth = it->seen[call]++;
        if (!strcmp(request.what, "none")) {
            if (!did)
                printf("call %d %ld\n", process, call);
            return;
        }
        if (did || process != request.process || call != request.call || nth != request.nth)
            return;
        if (!strcmp(request.what, "short") && gives_records(it->pid, info.entry.args[0]))
            return;
        did = it->disturbs = 1;
        printf("did %u\n", (unsigned)info.entry.args[0]);
        get(it->pid, &r);
        if (!strcmp(request.what, "kill") && request.number == 0)
            kill_it(it->pid);
        if (!strcmp(request.what, "fail") && call == SYS_brk) {
            it->saved = *argument(&r, 0);
            *argument(&r, 0) = 0;
            set(it->pid, &r);
        } else if (!strcmp(request.what, "fail") && call != SYS_close) {
            skip(it->pid, &r);
            set(it->pid, &r);
        }
        if (!strcmp(request.what, "short")) {
            it->saved = *argument(&r, length_of(call));
            *argument(&r, length_of(call)) = it->saved > 0;
            set(it->pid, &r);
        }
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && it->disturbs) {
        it->disturbs = 0;
        if (!strcmp(request.what, "kill"))
            kill_it(it->pid);
        get(it->pid, &r);
        if (!strcmp(request.what, "fail") && request.call == SYS_brk)
            *argument(&r, 0) = it->saved;
        else if (!strcmp(request.what, "fail"))
            RESULT(r) = -request.number;
        if (!strcmp(request.what, "short"))
            *argument(&r, length_of(request.call)) = it->saved;
        set(it->pid, &r);
    }
}

/* Returns whether a process runs ipcbox. */
static int is_ipcbox(pid_t pid) {
    char path[32];
    struct stat it;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    return stat(path, &it) == 0 && it.st_ino == binary.st_ino && it.st_dev == binary.st_dev;
}

#define OPTIONS (PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC)

/* Handles the stop of a traced process. */
static void stopped(pid_t pid, int status) {
    struct tracee *it = born(pid);
    int signal = WSTOPSIG(status), event = status >> 16, pass = 0;
    if (!it) {
        kill(pid, SIGKILL);
        return;
    }
    if (event == PTRACE_EVENT_EXEC) {
        if (it->is_ipcbox) {
            ptrace(PTRACE_DETACH, pid, 0, 0);
            it->pid = -1;
            return;
        }
        it->is_ipcbox = is_ipcbox(pid);
        if (it->is_ipcbox)
            ptrace(PTRACE_SETOPTIONS, pid, 0, OPTIONS | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
        unsigned long child;
        ptrace(PTRACE_GETEVENTMSG, pid, 0, &child);
        born(child);
    } else if (event == PTRACE_EVENT_STOP) {
        if (signal != SIGTRAP) {
            ptrace(PTRACE_LISTEN, pid, 0, 0);
            return;
        }
    } else if (signal == (SIGTRAP | 0x80)) {
        at_call(it);
    } else {
        pass = signal;
    }
    ptrace(it->is_ipcbox ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, pass);
}

/* Starts a script, which waits for a byte from `go`. */
static pid_t launch(const char *script, int out, int err, int go) {
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid)
        return pid;
    char byte;
    if (go >= 0 && read(go, &byte, 1) != 1)
        _exit(99);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(out < 0 ? null : out, 1);
    dup2(err < 0 ? null : err, 2);
    close(null);
    execl("/bin/sh", "sh", "-euc", script, NULL);
    _exit(99);
}

static int is_peer[1 << 16];

/* Counts the processes that were not there before. With `mark`, remembers those that are there now. */
static int others(int mark) {
    int found = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        int pid = atoi(entry->d_name) & 0xffff;
        if (mark)
            is_peer[pid] = mark;
        found += pid > 1 && is_peer[pid] != 1;
    }
    closedir(proc);
    return found;
}

/* The last count of them while waiting. Processes that were there before can start more later. */
static int left;

static int shell_status(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Waits for a script, and with `all` for everything it started. Returns its status, -1 if it did not exit. */
static int await(pid_t main, int all) {
    /* Interrupts the wait every 20 ms. Only interrupted waits count: a machine that stands still for seconds is no hang. */
    struct itimerval tick = {{0, 20000}, {0, 20000}}, none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &tick, NULL);
    double end = now() + LIMIT;
    int ticks = TICKS;
    int result = -1;
    left = 0;
    while (result < 0 || killed || (all && !(leaves && result == 0) && (left = others(0)) > 0)) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == ECHILD)
            pause();
        if ((pid < 0 && --ticks <= 0) || now() >= end)
            break;
        /* Does not wait long for a process that may be left. */
        if (pid == main && leaves && ticks > TICKS / 25)
            ticks = TICKS / 25;
        if (pid > 0 && WIFSTOPPED(status)) {
            stopped(pid, status);
            continue;
        }
        if (pid == killed)
            killed = 0;
        if (pid == main)
            result = shell_status(status);
    }
    setitimer(ITIMER_REAL, &none, NULL);
    return result;
}

/* Copies the content of a pipe to the report. */
static void report(const char *title, int fd) {
    static char text[1 << 20];
    size_t length = 0;
    for (ssize_t got; (got = read(fd, text + length, sizeof text - length)) > 0;)
        length += got;
    printf("%s %zu\n", title, length);
    fwrite(text, 1, length, stdout);
    printf("\n");
}

static void handle(char **scripts) {
    int out[2], err[2], go[2], rest[2];
    if (pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) | pipe2(go, O_CLOEXEC) | pipe2(rest, O_CLOEXEC))
        die("pipe2");
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    fcntl(rest[0], F_SETFL, O_NONBLOCK);
    memset(is_peer, 0, sizeof is_peer);
    if (await(launch(scripts[0], -1, 2, -1), 0) != 0)
        die("the setup");
    others(1);
    count = did = killed = 0;
    if (strcmp(request.what, "before")) {
        pid_t main = launch(scripts[1], out[1], err[1], go[0]);
        born(main);
        if (ptrace(PTRACE_SEIZE, main, 0, OPTIONS) != 0)
            die("ptrace");
        if (write(go[1], "", 1) != 1)
            die("write");
        int status = await(main, 1);
        /* Zombies do not count as left. */
        siginfo_t ended;
        while (ended.si_pid = 0, waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | __WALL) == 0 && ended.si_pid) {}
        printf("status %d\nleft %d\n", status, leaves ? others(0) : left);
    }
    did = 1;
    report_state();
    report("out", out[0]);
    report("err", err[0]);
    int after = await(launch(scripts[2], rest[1], rest[1], -1), 0);
    printf("after %d\n", after);
    report("rest", rest[0]);
    printf("end\n");
    fflush(stdout);
    int all[] = {out[0], out[1], err[0], err[1], go[0], go[1], rest[0], rest[1]};
    for (int at = 0; at < 8; at++)
        close(all[at]);
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR) {}
    objects(1);
    each_file(drop_file);
}

static void nothing(int signal) { (void)signal; }

int main(int argc, char **argv) {
    if (argc != 6 || getpid() != 1 || stat(argv[1], &binary) != 0)
        return 99;
    leaves = atoi(argv[2]);
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, NULL);
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%7s %d %d %d %d", request.what, &request.process, &request.call, &request.nth, &request.number) != 5)
            return 99;
        handle(argv + 3);
    }
    return 0;
}
