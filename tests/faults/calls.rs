//! The system calls of ipcbox, and the errnos that their manual pages list.

use nix::errno::Errno::{self, *};
use nix::libc::{self, c_long};

pub type Call = (c_long, &'static str, &'static [Errno]);

/// Opening a file, open(2).
const OPEN: &[Errno] = &[
    EACCES,
    EBUSY,
    EDQUOT,
    EEXIST,
    EFBIG,
    EINTR,
    EINVAL,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
    ETXTBSY,
];
const STAT: &[Errno] = &[EACCES, EBADF, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR];
const ACCESS: &[Errno] = &[EACCES, EBADF, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM, EROFS];
const READ: &[Errno] = &[EAGAIN, EBADF, EINTR, EINVAL, EIO, EISDIR];
const WRITE: &[Errno] = &[EAGAIN, EBADF, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, EPERM, EPIPE];
const POLL: &[Errno] = &[EINTR, EINVAL, ENOMEM];
const MOVE: &[Errno] = &[EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, EPIPE];
const FORK: &[Errno] = &[EAGAIN, ENOMEM, ENOSYS];
const MAP: &[Errno] = &[EACCES, EAGAIN, EBADF, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM];
const DUP: &[Errno] = &[EBADF, EBUSY, EINTR, EINVAL, EMFILE];
const PIPE: &[Errno] = &[EINVAL, EMFILE, ENFILE];
const UNLINK: &[Errno] = &[EACCES, EBUSY, EIO, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM, EROFS];
const CHANGE: &[Errno] = &[EACCES, EBADF, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM, EROFS];

/// Creating a file: mknod(2), mkdir(2).
const MAKE: &[Errno] = &[
    EACCES,
    EBADF,
    EDQUOT,
    EEXIST,
    EINVAL,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    EPERM,
    EROFS,
];
/// Naming a file: link(2), rename(2).
const NAME: &[Errno] = &[
    EACCES,
    EBADF,
    EBUSY,
    EDQUOT,
    EEXIST,
    EINVAL,
    EIO,
    EISDIR,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    EPERM,
    EROFS,
    EXDEV,
];

pub const CALLS: &[Call] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", POLL),
    (libc::SYS_ppoll, "ppoll", POLL),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", OPEN),
    (libc::SYS_openat, "openat", OPEN),
    (libc::SYS_read, "read", READ),
    (libc::SYS_write, "write", WRITE),
    (libc::SYS_pread64, "pread64", &[EAGAIN, EBADF, EINTR, EINVAL, EIO, EISDIR, ENXIO, EOVERFLOW, ESPIPE]),
    (
        libc::SYS_pwrite64,
        "pwrite64",
        &[EAGAIN, EBADF, EDQUOT, EFBIG, EINTR, EINVAL, EIO, ENOSPC, ENXIO, EPERM, EPIPE, ESPIPE],
    ),
    (libc::SYS_close, "close", &[EBADF, EDQUOT, EINTR, EIO, ENOSPC]),
    (libc::SYS_close_range, "close_range", &[EINVAL, EMFILE, ENOMEM, ENOSYS]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "stat", STAT),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "lstat", STAT),
    (libc::SYS_fstat, "fstat", STAT),
    (libc::SYS_fgetxattr, "fgetxattr", STAT),
    (libc::SYS_newfstatat, "newfstatat", STAT),
    (libc::SYS_statx, "statx", &[EACCES, EBADF, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOSYS, ENOTDIR]),
    (libc::SYS_name_to_handle_at, "name_to_handle_at", &[EBADF, EINVAL, ENOSYS, ENOTDIR, EOPNOTSUPP, EOVERFLOW, EPERM]),
    (
        libc::SYS_statfs,
        "statfs",
        &[EACCES, EINTR, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOSYS, ENOTDIR, EOVERFLOW],
    ),
    (libc::SYS_fstatfs, "fstatfs", &[EBADF, EINTR, EIO, ENOMEM, ENOSYS, EOVERFLOW]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, "access", ACCESS),
    (libc::SYS_faccessat, "faccessat", ACCESS),
    (libc::SYS_faccessat2, "faccessat2", ACCESS),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_readlink, "readlink", &[EACCES, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR]),
    (libc::SYS_readlinkat, "readlinkat", &[EACCES, EBADF, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR]),
    (libc::SYS_lseek, "lseek", &[EBADF, EINVAL, ENXIO, EOVERFLOW, ESPIPE]),
    (libc::SYS_getdents64, "getdents64", &[EBADF, EINVAL, ENOENT, ENOTDIR]),
    (libc::SYS_chdir, "chdir", &[EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR]),
    (libc::SYS_fchdir, "fchdir", &[EACCES, EBADF, ENOTDIR]),
    (libc::SYS_getcwd, "getcwd", &[EACCES, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, ERANGE]),
    (libc::SYS_ioctl, "ioctl", &[EBADF, EINVAL, ENOTTY]),
    (libc::SYS_fcntl, "fcntl", &[EBUSY, EINVAL, EMFILE, EPERM]),
    (libc::SYS_flock, "flock", &[EAGAIN, EBADF, EINTR, EINVAL, ENOLCK]),
    (libc::SYS_fsync, "fsync", &[EBADF, EDQUOT, EINTR, EINVAL, EIO, ENOSPC, EROFS]),
    (libc::SYS_ftruncate, "ftruncate", &[EACCES, EBADF, EFBIG, EINTR, EINVAL, EIO, EPERM, EROFS, ETXTBSY]),
    (
        libc::SYS_fallocate,
        "fallocate",
        &[EBADF, EFBIG, EINTR, EINVAL, EIO, ENODEV, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, ESPIPE, ETXTBSY],
    ),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "chmod", CHANGE),
    (libc::SYS_fchmod, "fchmod", CHANGE),
    (libc::SYS_fchmodat, "fchmodat", CHANGE),
    (libc::SYS_fchown, "fchown", CHANGE),
    (libc::SYS_fchownat, "fchownat", CHANGE),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", UNLINK),
    (libc::SYS_unlinkat, "unlinkat", UNLINK),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link", NAME),
    (libc::SYS_linkat, "linkat", NAME),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename", NAME),
    (libc::SYS_renameat, "renameat", NAME),
    (libc::SYS_renameat2, "renameat2", NAME),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, "mknod", MAKE),
    (libc::SYS_mknodat, "mknodat", MAKE),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir", MAKE),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_dup2, "dup2", DUP),
    (libc::SYS_dup3, "dup3", DUP),
    (libc::SYS_dup, "dup", DUP),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pipe, "pipe", PIPE),
    (libc::SYS_pipe2, "pipe2", PIPE),
    (libc::SYS_splice, "splice", &[EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, EPIPE, ESPIPE]),
    // EAGAIN is an answer here: a reader without input waits for more.
    (libc::SYS_tee, "tee", &[EBADF, EINTR, EINVAL, ENOMEM, EPIPE]),
    (libc::SYS_vmsplice, "vmsplice", MOVE),
    (libc::SYS_sendfile, "sendfile", &[EAGAIN, EBADF, EINVAL, EIO, ENOMEM, EOVERFLOW, ESPIPE, EPIPE]),
    (
        libc::SYS_copy_file_range,
        "copy_file_range",
        &[EBADF, EFBIG, EINVAL, EIO, EISDIR, ENOMEM, ENOSPC, EOPNOTSUPP, EOVERFLOW, EPERM, ETXTBSY, EXDEV],
    ),
    (libc::SYS_mmap, "mmap", MAP),
    (libc::SYS_mremap, "mremap", &[EAGAIN, EINVAL, ENOMEM]),
    (libc::SYS_munmap, "munmap", &[EINVAL, ENOMEM]),
    (libc::SYS_mprotect, "mprotect", &[EACCES, EINVAL, ENOMEM]),
    (libc::SYS_madvise, "madvise", &[EACCES, EAGAIN, EBADF, EINVAL, EIO, ENOMEM, EPERM]),
    (libc::SYS_brk, "brk", &[ENOMEM]),
    (libc::SYS_mlock, "mlock", &[EAGAIN, EINVAL, ENOMEM, EPERM]),
    (libc::SYS_socket, "socket", &[EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT]),
    (libc::SYS_socketpair, "socketpair", &[EAFNOSUPPORT, EMFILE, ENFILE, ENOMEM, EOPNOTSUPP, EPROTONOSUPPORT]),
    (
        libc::SYS_connect,
        "connect",
        &[EACCES, EAGAIN, ECONNREFUSED, EINTR, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM, EPROTOTYPE],
    ),
    (libc::SYS_bind, "bind", &[EACCES, EADDRINUSE, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EROFS]),
    (libc::SYS_listen, "listen", &[EADDRINUSE, EBADF, EOPNOTSUPP]),
    (
        libc::SYS_accept4,
        "accept4",
        &[EAGAIN, ECONNABORTED, EINTR, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO],
    ),
    (libc::SYS_recvmsg, "recvmsg", &[EAGAIN, EINTR, EINVAL, ENOMEM]),
    // ENOTCONN is no failure: the connection is lost, which the next read reports.
    (libc::SYS_sendmsg, "sendmsg", &[EAGAIN, EINTR, EINVAL, ENOBUFS, ENOMEM, EPIPE, ETOOMANYREFS]),
    (libc::SYS_shutdown, "shutdown", &[EBADF, EINVAL]),
    (libc::SYS_getsockname, "getsockname", &[EBADF, EINVAL, ENOBUFS]),
    (libc::SYS_getpeername, "getpeername", &[EBADF, EINVAL, ENOBUFS, ENOTCONN]),
    (libc::SYS_getsockopt, "getsockopt", &[EBADF, EINVAL, ENOPROTOOPT]),
    (libc::SYS_setsockopt, "setsockopt", &[EBADF, EDOM, EINVAL, ENOMEM, ENOPROTOOPT]),
    (libc::SYS_sendto, "sendto", &[EACCES, EAGAIN, EINTR, EINVAL, ENOBUFS, ENOMEM, EPERM]),
    (libc::SYS_recvfrom, "recvfrom", &[EAGAIN, EINTR, EINVAL, ENOMEM]),
    (libc::SYS_memfd_create, "memfd_create", &[EINVAL, EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS]),
    // No caller asks it not to block, and only then is EAGAIN possible.
    (libc::SYS_getrandom, "getrandom", &[EINTR, EINVAL, ENOSYS]),
    (libc::SYS_semget, "semget", &[EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, ENOSYS]),
    (libc::SYS_semctl, "semctl", &[EACCES, EIDRM, EINVAL, EPERM, ERANGE]),
    (libc::SYS_semop, "semop", &[E2BIG, EACCES, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ERANGE]),
    (libc::SYS_semtimedop, "semtimedop", &[E2BIG, EACCES, EFBIG, EIDRM, EINTR, EINVAL, ENOMEM, ERANGE]),
    (libc::SYS_msgget, "msgget", &[EACCES, EEXIST, ENOENT, ENOMEM, ENOSPC, ENOSYS]),
    (libc::SYS_msgctl, "msgctl", &[EACCES, EIDRM, EINVAL, EPERM]),
    (libc::SYS_msgsnd, "msgsnd", &[EACCES, EAGAIN, EIDRM, EINTR, EINVAL, ENOMEM]),
    (libc::SYS_msgrcv, "msgrcv", &[E2BIG, EACCES, EAGAIN, EIDRM, EINTR, EINVAL, ENOMSG, ENOSYS]),
    (libc::SYS_shmget, "shmget", &[EACCES, EEXIST, EINVAL, ENFILE, ENOENT, ENOMEM, ENOSPC, EPERM, ENOSYS]),
    (libc::SYS_shmctl, "shmctl", &[EACCES, EIDRM, EINVAL, ENOMEM, EOVERFLOW, EPERM]),
    (libc::SYS_shmat, "shmat", &[EACCES, EIDRM, EINVAL, ENOMEM]),
    (libc::SYS_shmdt, "shmdt", &[EINVAL]),
    (
        libc::SYS_mq_open,
        "mq_open",
        &[EACCES, EEXIST, EINVAL, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM, ENOSPC, ENOSYS],
    ),
    (libc::SYS_mq_unlink, "mq_unlink", &[EACCES, ENAMETOOLONG, ENOENT]),
    (libc::SYS_mq_timedsend, "mq_timedsend", &[EAGAIN, EBADF, EINTR, EINVAL, EMSGSIZE, ETIMEDOUT]),
    (libc::SYS_mq_timedreceive, "mq_timedreceive", &[EAGAIN, EBADF, EINTR, EINVAL, EMSGSIZE, ETIMEDOUT]),
    (libc::SYS_mq_getsetattr, "mq_getsetattr", &[EBADF, EINVAL]),
    (libc::SYS_futex, "futex", &[EAGAIN, EINTR, EINVAL, ETIMEDOUT]),
    (libc::SYS_rt_sigaction, "rt_sigaction", &[EINVAL]),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", &[EAGAIN, EINTR, EINVAL]),
    (libc::SYS_rt_sigqueueinfo, "rt_sigqueueinfo", &[EAGAIN, EINVAL, EPERM, ESRCH]),
    (libc::SYS_rt_sigpending, "rt_sigpending", &[EINVAL]),
    (libc::SYS_signalfd4, "signalfd4", &[EBADF, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM]),
    (libc::SYS_kill, "kill", &[EINVAL, EPERM, ESRCH]),
    (libc::SYS_tgkill, "tgkill", &[EAGAIN, EINVAL, EPERM, ESRCH]),
    (libc::SYS_tkill, "tkill", &[EAGAIN, EINVAL, EPERM, ESRCH]),
    (libc::SYS_pidfd_open, "pidfd_open", &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, ESRCH]),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal", &[EBADF, EINVAL, ENOSYS, EPERM, ESRCH]),
    (libc::SYS_pidfd_getfd, "pidfd_getfd", &[EBADF, EINVAL, EMFILE, ENFILE, ENOSYS, EPERM, ESRCH]),
    (libc::SYS_fsopen, "fsopen", &[EBUSY, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, EPERM]),
    (
        libc::SYS_fsconfig,
        "fsconfig",
        &[EACCES, EBADF, EBUSY, EINVAL, EMFILE, ENODEV, ENOTBLK, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM],
    ),
    (libc::SYS_fsmount, "fsmount", &[EBUSY, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, EPERM]),
    (libc::SYS_timer_create, "timer_create", &[EAGAIN, EINVAL, ENOMEM, EPERM]),
    (libc::SYS_timer_settime, "timer_settime", &[EINVAL]),
    (libc::SYS_timerfd_create, "timerfd_create", &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM]),
    (libc::SYS_timerfd_settime, "timerfd_settime", &[EBADF, ECANCELED, EINVAL]),
    // The standard library asserts that its times are valid.
    (libc::SYS_clock_nanosleep, "clock_nanosleep", &[EINTR]),
    (libc::SYS_nanosleep, "nanosleep", &[EINTR, EINVAL]),
    (libc::SYS_inotify_init1, "inotify_init1", &[EINVAL, EMFILE, ENFILE, ENOMEM]),
    (
        libc::SYS_inotify_add_watch,
        "inotify_add_watch",
        &[EACCES, EBADF, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOTDIR],
    ),
    (libc::SYS_epoll_create1, "epoll_create1", &[EINVAL, EMFILE, ENFILE, ENOMEM]),
    (libc::SYS_epoll_ctl, "epoll_ctl", &[EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM]),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", &[EBADF, EINTR, EINVAL]),
    (libc::SYS_epoll_pwait, "epoll_pwait", &[EBADF, EINTR, EINVAL]),
    (libc::SYS_clone, "clone", FORK),
    (libc::SYS_clone3, "clone3", FORK),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_fork, "fork", FORK),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_vfork, "vfork", FORK),
    (
        libc::SYS_execve,
        "execve",
        &[
            E2BIG,
            EACCES,
            EAGAIN,
            EINVAL,
            EIO,
            EISDIR,
            ELIBBAD,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENOENT,
            ENOEXEC,
            ENOMEM,
            ENOTDIR,
            EPERM,
            ETXTBSY,
        ],
    ),
    (libc::SYS_wait4, "wait4", &[ECHILD, EINTR, EINVAL]),
    (libc::SYS_waitid, "waitid", &[ECHILD, EINTR, EINVAL]),
    (libc::SYS_setpgid, "setpgid", &[EACCES, EINVAL, EPERM, ESRCH]),
    (libc::SYS_setsid, "setsid", &[EPERM]),
    (libc::SYS_prctl, "prctl", &[EINVAL, EPERM]),
    (libc::SYS_prlimit64, "prlimit64", &[EINVAL, EPERM, ESRCH]),
    (libc::SYS_unshare, "unshare", &[EINVAL, ENOMEM, ENOSPC, EPERM, EUSERS]),
    (libc::SYS_setns, "setns", &[EBADF, EINVAL, ENOMEM, EPERM, ESRCH]),
    (libc::SYS_process_vm_readv, "process_vm_readv", &[EINVAL, ENOMEM, EPERM, ESRCH]),
    (libc::SYS_sched_getaffinity, "sched_getaffinity", &[EINVAL, ESRCH]),
];

/// Calls that move bytes, possibly fewer than requested.
pub const MOVES: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_vmsplice,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_getrandom,
];

/// Calls that cannot fail, or that need no disturbance.
pub const SURE: &[c_long] = &[
    libc::SYS_exit_group,
    libc::SYS_exit,
    libc::SYS_rt_sigprocmask,
    libc::SYS_getpid,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_getpgrp,
    libc::SYS_getpgid,
    libc::SYS_getppid,
    libc::SYS_getsid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_umask,
    libc::SYS_set_robust_list,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_restart_syscall,
];
