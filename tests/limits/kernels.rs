//! Older or smaller kernels, and containers that forbid calls. A seccomp filter denies a call with ENOSYS, like a
//! kernel without it, or with EPERM, like a container.

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::signal::Signal;

use super::judge;
use super::verbs::VERBS;
use crate::support::Where::{self, Always, Has, Is};
use crate::support::{World, code, deny};

/// Calls that a kernel may lack or a container may forbid.
const CALLS: &[(c_long, Where)] = &[
    (libc::SYS_pidfd_open, Always),
    (libc::SYS_pidfd_send_signal, Always),
    (libc::SYS_pidfd_getfd, Always),
    (libc::SYS_close_range, Always),
    (libc::SYS_fsopen, Always),
    (libc::SYS_unshare, Always),
    (libc::SYS_memfd_create, Always),
    (libc::SYS_clone3, Always),
    (libc::SYS_statx, Always),
    (libc::SYS_name_to_handle_at, Always),
    (libc::SYS_process_vm_readv, Always),
    (libc::SYS_timer_create, Always),
    (libc::SYS_inotify_init1, Always),
    (libc::SYS_splice, Always),
    (libc::SYS_tee, Always),
    (libc::SYS_vmsplice, Always),
    (libc::SYS_fallocate, Always),
    (libc::SYS_semget, Always),
    (libc::SYS_semtimedop, Always),
    (libc::SYS_semctl, Is(2, SEM_STAT_ANY)),
    (libc::SYS_shmget, Always),
    (libc::SYS_shmat, Always),
    (libc::SYS_shmctl, Is(1, SHM_STAT_ANY)),
    (libc::SYS_msgget, Always),
    (libc::SYS_msgrcv, Always),
    (libc::SYS_msgrcv, Has(4, MSG_COPY)),
    (libc::SYS_msgctl, Is(1, MSG_STAT_ANY)),
    (libc::SYS_mq_open, Always),
    (libc::SYS_mq_timedreceive, Always),
    (libc::SYS_mknodat, Always),
    (libc::SYS_fcntl, Is(1, libc::F_SETPIPE_SZ as u32)),
    (libc::SYS_ioctl, Is(1, PIDFD_GET_INFO)),
];

const SEM_STAT_ANY: u32 = 20;
const SHM_STAT_ANY: u32 = 15;
const MSG_STAT_ANY: u32 = 13;
const MSG_COPY: u32 = 0o40000;
/// `_IOWR(0xFF, 11, struct pidfd_info)` of 64 bytes.
const PIDFD_GET_INFO: u32 = 0xc040_ff0b;

/// The outcome on a kernel that lacks a call: the set-up, the command, the denied call, the status, and words of the
/// message.
const OLD: &[(&str, &str, c_long, Where, i32, &str)] = &[
    ("", "sem hold @h PID --lock -q", libc::SYS_pidfd_open, Always, 1, "needs Linux 5.3"),
    ("", "signal send 0 PID", libc::SYS_pidfd_open, Always, 1, "needs Linux 5.3"),
    ("", "signal send 0 PID", libc::SYS_pidfd_send_signal, Always, 1, "needs Linux 5.1"),
    ("", "signal join PID -n", libc::SYS_pidfd_open, Always, 1, "needs Linux 5.3"),
    ("", "signal run --max-time 5 -- true", libc::SYS_pidfd_open, Always, 0, ""),
    ("", "signal run --kill-tree -- true", libc::SYS_pidfd_open, Always, 125, "needs Linux 5.3"),
    ("", "signal stat PID", libc::SYS_pidfd_open, Always, 1, "needs Linux 5.3"),
    ("", "sem hold @h PID --lock -q", libc::SYS_close_range, Always, 0, ""),
    ("", "pipe run -- true ::: true", libc::SYS_close_range, Always, 0, ""),
    ("msgq send @q x --create", "msgq serve @q -c 1 -- true", libc::SYS_clone3, Always, 0, ""),
    ("", "sem run @s --slots 1 -- true", libc::SYS_pidfd_open, Always, 0, ""),
    ("", "signal run -- true", libc::SYS_pidfd_open, Always, 0, ""),
    (
        "msgq send @q x --create",
        "msgq peek @q",
        libc::SYS_msgrcv,
        Has(4, MSG_COPY),
        1,
        "this kernel cannot copy a message",
    ),
    ("msgq create /@q", "msgq stat", libc::SYS_fsopen, Always, 0, ""),
    ("sem create @a", "sem stat", libc::SYS_semctl, Is(2, SEM_STAT_ANY), 0, ""),
    ("shm create @a --size 1", "shm stat", libc::SYS_shmctl, Is(1, SHM_STAT_ANY), 0, ""),
    ("msgq create @a", "msgq stat", libc::SYS_msgctl, Is(1, MSG_STAT_ANY), 0, ""),
    ("shm create @m --size 4", "shm wait @m 0", libc::SYS_timer_create, Always, 0, ""),
    ("msgq send @q x --create", "msgq recv @q -w 5", libc::SYS_timer_create, Always, 0, ""),
    ("msgq send /@q x --create", "msgq recv /@q -w 5", libc::SYS_timer_create, Always, 0, ""),
    ("sem create /@a --value 1", "sem wait /@a -w 5", libc::SYS_timer_create, Always, 0, ""),
    ("msgq create @q", "msgq recv @q -w 0.1", libc::SYS_timer_create, Always, 124, "after 100ms"),
    ("fifo create f", "fifo read f -w 0.1", libc::SYS_timer_create, Always, 124, "after 100ms"),
];

#[test]
fn missing_call_is_replaced_or_named() {
    check(OLD, Errno::ENOSYS);
}

fn check(table: &[(&str, &str, c_long, Where, i32, &str)], errno: Errno) {
    let pid = std::process::id().to_string();
    for (setup, call, number, place, status, words) in table {
        let world = World::new();
        for call in setup.split("; ").filter(|call| !call.is_empty()) {
            world.call(&call.replace("PID", &pid)).ok();
        }
        let (number, place) = (*number, *place);
        let output =
            world.call(&call.replace("PID", &pid)).input("x").before(move || deny(number, place, errno)).output();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code(output.status), *status, "{call}: {stderr}");
        assert!(stderr.contains(words), "{call}: {stderr}");
    }
}

/// The outcome if the call fails with EPERM, as in older container runtimes.
const FORBIDDEN: &[(&str, &str, c_long, Where, i32, &str)] = &[
    ("", "sem hold @h PID --lock -q", libc::SYS_close_range, Always, 0, ""),
    ("", "sem hold @h PID --lock -q", libc::SYS_pidfd_open, Always, 5, PIDFD_OPEN),
    ("", "signal send 0 PID", libc::SYS_pidfd_open, Always, 5, PIDFD_OPEN),
    ("", "signal send 0 PID", libc::SYS_pidfd_send_signal, Always, 5, SEND_SIGNAL),
    ("", "signal send 0 PID --tree", libc::SYS_pidfd_send_signal, Always, 2, "itself is in it"),
    ("", "signal send 0 PID --group", libc::SYS_pidfd_send_signal, Always, 5, SEND_SIGNAL),
    ("", "signal join PID -n", libc::SYS_pidfd_open, Always, 5, PIDFD_OPEN),
    ("", "signal run --max-time 5 -- true", libc::SYS_pidfd_open, Always, 0, ""),
    ("", "signal run --kill-tree -- true", libc::SYS_pidfd_open, Always, 125, PIDFD_OPEN),
    ("", "signal stat PID", libc::SYS_pidfd_open, Always, 5, PIDFD_OPEN),
    ("", "signal run --kill-tree -- true", libc::SYS_pidfd_send_signal, Always, 0, ""),
    ("", "pipe run -- true ::: true", libc::SYS_close_range, Always, 0, ""),
    ("msgq send @q x --create", "msgq serve @q -c 1 -- cat", libc::SYS_memfd_create, Always, 0, ""),
    ("", "shm memfd -- true", libc::SYS_memfd_create, Always, 125, "forbids memfd_create (EPERM)"),
    ("msgq send @q x --create", "msgq peek @q", libc::SYS_msgrcv, Has(4, MSG_COPY), 5, "forbids msgrcv (EPERM)"),
    ("", "pipe meter", libc::SYS_splice, Always, 0, ""),
    ("", "pipe tee -o out", libc::SYS_splice, Always, 0, ""),
    ("", "shm write /@m --create", libc::SYS_splice, Always, 0, ""),
    ("", "shm write /@m --create --replace", libc::SYS_memfd_create, Always, 0, ""),
    ("sem hold @h PID --lock", "sem hold @h PID --release", libc::SYS_pidfd_send_signal, Always, 5, SEND_SIGNAL),
    ("shm write /@m x --create", "shm read /@m", libc::SYS_sendfile, Always, 0, ""),
    ("msgq create /@q", "msgq stat", libc::SYS_fsopen, Always, 0, ""),
    ("msgq send @q x --create", "msgq recv @q -w 5", libc::SYS_timer_create, Always, 0, ""),
];

const PIDFD_OPEN: &str = "a seccomp filter forbids pidfd_open (EPERM)";
const SEND_SIGNAL: &str = "a seccomp filter forbids pidfd_send_signal (EPERM)";

#[test]
fn forbidden_call_is_replaced_or_named() {
    check(FORBIDDEN, Errno::EPERM);
}

/// Signals reach children by kill(2) or by pidfd_send_signal(2) if the other is missing or forbidden.
#[test]
fn command_is_signalled_by_either_call() {
    let calls = [
        (libc::SYS_pidfd_send_signal, Errno::ENOSYS),
        (libc::SYS_pidfd_send_signal, Errno::EPERM),
        (libc::SYS_kill, Errno::EPERM),
    ];
    for (call, errno) in calls {
        let denied = move || deny(call, Always, errno);
        let world = World::new();
        let run = world.call("signal run --reap -- sleep 100").before(denied).start();
        let run = run.blocked_in(libc::SYS_ppoll);
        run.signal(Signal::SIGTERM);
        assert_eq!(run.code(), 143, "{call} {errno}");
        let script = "sleep 100 >&- & echo $!; setsid sh -c 'sleep 100 >&- & echo $!' & wait $!; exit 3";
        let stderr = world.call("signal run --kill-tree -- sh -c").arg(script).before(denied).status(3);
        let is_left = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains("(sleep)") && !stat.contains(") Z ")
        };
        assert_eq!(stderr.lines().count(), 2, "{stderr}");
        assert!(!stderr.lines().any(is_left), "{stderr}");
    }
}

/// Without IPCBOX_FULL, one in this many pairs of call and verb is run.
const SAMPLE: usize = 12;

#[test]
fn verb_without_a_call_works_or_names_it() {
    let step = if std::env::var_os("IPCBOX_FULL").is_some() { 1 } else { SAMPLE };
    let pid = std::process::id().to_string();
    let mut table = Vec::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (n, (number, place)) in CALLS.iter().enumerate() {
        let (number, place) = (*number, *place);
        for (setup, call) in VERBS.iter().skip(n % step).step_by(step) {
            for errno in [Errno::ENOSYS, Errno::EPERM] {
                let world = World::new();
                for call in setup.split("; ").filter(|call| !call.is_empty()) {
                    world.call(call).ok();
                }
                count += 1;
                let words = call.replace("PID", &pid);
                let filtered = world.call(&words).input("x").before(move || deny(number, place, errno));
                let output = filtered.output();
                match judge(call, &output) {
                    Ok(outcome) if outcome == "works" => {}
                    Ok(outcome) => {
                        table.push(format!("{number} {place:?} | {errno:?} | {call} | {outcome}"));
                    }
                    Err(why) => wrong.push(format!("{number} {place:?} {errno:?}: {call}: {why}")),
                }
            }
        }
    }
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/denied.txt"), table.join("\n")).unwrap();
    println!("{count} cases");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
