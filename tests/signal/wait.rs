use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::getuid;

use super::{Puppet, field, puppet};
use crate::support::{BINARY, Call, Child, World, eventually, lines, signal};

/// Waits until the process blocks this signal, and so cannot miss it.
fn blocks(child: Child, bit: i32) -> Child {
    let file = format!("/proc/{}/status", child.pid());
    eventually("the signal is blocked", || {
        let status = std::fs::read_to_string(&file).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t"));
        mask.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() >> (bit - 1) & 1 == 1)
    });
    child
}

#[test]
fn signal_has_name_and_sender() {
    let world = World::new();
    let wait = blocks(world.call("signal wait USR1,rtmin+3 HUP -c 3").start(), 10);
    for which in ["SIGHUP", "usr1", "37"] {
        world.call(&format!("signal send {which} {}", wait.pid())).ok();
    }
    // Of several pending signals the lowest number comes first.
    let mut printed = lines(&wait.end().stdout);
    printed.sort();
    assert_eq!(printed, ["HUP", "RTMIN+3", "USR1"]);
    let wait = blocks(world.call("signal wait USR1 -J").start(), 10);
    let sender = world.call(&format!("signal send USR1 {} --value -7", wait.pid())).start();
    let pid = sender.pid();
    assert_eq!(sender.code(), 0);
    let line = lines(&wait.end().stdout).remove(0);
    for (key, value) in
        [("number", 10), ("sender_pid", pid), ("sender_uid", getuid().as_raw().cast_signed()), ("value", -7)]
    {
        assert_eq!(field(&line, key), value, "{line}");
    }
    assert_eq!((field(&line, "signal"), field(&line, "code")), ("USR1".into(), "queue".into()));
    let wait = blocks(world.call("signal wait TERM --columns code,value,signal").start(), 15);
    signal(wait.pid(), Signal::SIGTERM);
    assert_eq!(lines(&wait.end().stdout), ["user  -  TERM"]);
}

#[test]
fn sender_has_a_command_but_not_the_kernel() {
    let world = World::new();
    let wait = blocks(world.call("signal wait USR1 -J").start(), 10);
    let script = format!("kill -USR1 {}; echo sent; read x", wait.pid());
    let shell = Puppet::shell(&script);
    let line = lines(&wait.end().stdout).remove(0);
    assert_eq!(field(&line, "sender_pid"), shell.pid());
    assert!(field(&line, "sender_command").as_str().unwrap().contains("/bin/sh -c"), "{line}");
    let Some(puppet) = puppet() else { return };
    let line = Call::new(puppet).args(["alarm", BINARY, "signal", "wait", "ALRM", "-J"]).ok();
    assert_eq!(field(&line, "code"), "kernel");
    assert!(field(&line, "sender_pid").is_null() && field(&line, "value").is_null(), "{line}");
}

#[test]
fn ready_is_written_once_signals_are_blocked() {
    let world = World::new();
    // The signal is sent as soon as the pid is known, a hundred times each way.
    let script = "
        mkfifo f
        n=0
        while [ $n -lt 100 ]; do
            ipcbox signal wait USR1 --ready f >out & read pid <f; kill -USR1 $pid; wait $!
            [ $(cat out) = USR1 ]
            ipcbox signal wait USR1 --ready f -w 60 >out & pid=$(cat f); kill -USR1 $pid; wait $!
            [ $(cat out) = USR1 ]
            n=$((n+1))
        done
        pid=$(ipcbox signal wait USR1 --ready /dev/fd/3 3>&1 >out & )
        kill -USR1 $pid
        ipcbox signal join $pid -w 60 >&2 || :
        until [ -s out ]; do :; done
        [ $(cat out) = USR1 ]
        ipcbox signal wait USR1 --ready new >out & until [ -s new ]; do :; done; kill -USR1 $(cat new); wait $!
        echo old text >new
        ipcbox signal wait USR1 --ready new >out & until [ $(wc -w <new) = 1 ]; do :; done; kill -USR1 $(cat new); wait $!
        [ $(cat new) = $! ]
        ipcbox signal wait USR1 --ready /dev/stdout -n 2>err >message || echo late >>message
        [ $(wc -w <message) = 2 ]
        grep -q 'no signal arrived' err
    ";
    let output = world.shell(script).output();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wait_for_a_reader_can_be_interrupted() {
    let world = World::new();
    world.shell("mkfifo f").ok();
    for (limit, call) in [("", libc::SYS_openat), ("-w 60", libc::SYS_clock_nanosleep)] {
        for end in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let words = format!("signal wait TERM,INT,HUP --ready f {limit}");
            let wait = world.call(&words).start().blocked_in(call);
            wait.signal(end);
            assert_eq!(wait.code(), 128 + end as i32);
        }
    }
}

#[test]
fn unusable_ready_file_is_reported() {
    let world = World::new();
    world.shell("mkfifo f; ln -s f link").ok();
    for (words, code, printed) in [
        ("--ready f -w 0.05", 124, "cannot write the pid to f: no reader opened the file after 50ms"),
        ("--ready f -n", 124, "no reader opened the file"),
        ("--ready /dev/fd/77", 1, "EBADF"),
        ("--ready no/such", 3, "ENOENT"),
        ("--ready link -n", 1, "symbolic links are not followed (ELOOP)"),
        ("--ready /", 1, "EISDIR"),
    ] {
        world.call(&format!("signal wait USR1 {words}")).fails(code, printed);
    }
}

#[test]
fn timeout_limits_the_wait() {
    let world = World::new();
    world.call("signal wait USR1 -w 0.1").fails(124, "cannot wait for USR1: no signal arrived after 100ms");
    world.call("signal wait USR1,USR2 -n").fails(124, "cannot wait for USR1,USR2: no signal arrived");
    world.call("signal wait USR1 -n -E 9").fails(9, "no signal arrived");
    let wait = blocks(world.call("signal wait USR1 -c 3 -w 2").start().blocked_in(libc::SYS_ppoll), 10);
    signal(wait.pid(), Signal::SIGUSR1);
    let output = wait.end();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "USR1\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("1 of 3 signals arrived after 2s"));
    // Other signals act as usual.
    for end in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let wait = world.call("signal wait USR1").start().blocked_in(libc::SYS_ppoll);
        wait.signal(end);
        assert_eq!(wait.code(), 128 + end as i32);
    }
    let wait = world.call("signal wait USR1").start().blocked_in(libc::SYS_ppoll);
    wait.signal(Signal::SIGSTOP);
    wait.signal(Signal::SIGCONT);
    let mut wait = wait.blocked_in(libc::SYS_ppoll);
    assert!(wait.runs());
    wait.signal(Signal::SIGUSR1);
    assert_eq!(wait.code(), 0);
}

#[test]
fn inherited_ignored_signal_is_taken() {
    let world = World::new();
    let script = "trap '' INT; ipcbox signal wait INT --ready p >out & until [ -s p ]; do :; done; kill -INT $!; wait $!; cat out";
    world.shell(script).stdout("INT\n").ok();
}

#[test]
fn signal_that_cannot_be_awaited_is_refused() {
    let world = World::new();
    for (words, printed) in [
        ("", "SIG is missing"),
        ("4711", "signal join 4711"),
        ("65", "signal join 65"),
        ("0", "1 to 64"),
        ("32", "SIGCANCEL"),
        ("KILL", "no process can catch, block or ignore KILL"),
        ("STOP", "no process can catch"),
        ("USR1,TREM", "did you mean 'TERM'"),
        ("USR1 -c 0", "expected a number of at least 1, not '0'"),
        ("USR1 -c x", "expected a number of at least 1, not 'x'"),
        ("USR1 --columns pid", "choose from signal,number"),
    ] {
        world.call(&format!("signal wait {words}")).fails(2, printed);
    }
}

#[test]
fn queued_signals_arrive_once_and_in_order() {
    const SENDERS: i32 = 4;
    const EACH: i32 = 5000;
    let world = World::new();
    let Some(puppet) = puppet() else { return };
    let mut call = Command::new(BINARY);
    call.args(["signal", "wait", "RTMIN+1", "-c", "20000", "-J"]);
    let out = world.dir().join("out");
    call.stdin(Stdio::null()).stdout(std::fs::File::create(&out).unwrap());
    let limit = || nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_SIGPENDING, 1000, 1000);
    // SAFETY: a plain system call between fork and exec.
    #[allow(unsafe_code)]
    let mut wait = unsafe { call.pre_exec(move || limit().map_err(Into::into)) }.spawn().unwrap();
    let pid = wait.id().cast_signed();
    eventually("the signal is blocked", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.starts_with("SigBlk:\t0000000400000000"))
    });
    let senders: Vec<_> = (0..SENDERS)
        .map(|n| {
            let words = ["queue", &pid.to_string(), &(n * EACH).to_string(), &EACH.to_string()].map(str::to_owned);
            Command::new(puppet).args(words).spawn().unwrap()
        })
        .collect();
    let pids: Vec<u32> = senders.iter().map(std::process::Child::id).collect();
    for mut sender in senders {
        assert!(sender.wait().unwrap().success());
    }
    assert!(wait.wait().unwrap().success());
    let mut seen: HashMap<u64, Vec<i64>> = HashMap::new();
    for line in std::fs::read_to_string(&out).unwrap().lines() {
        let value = field(line, "value").as_i64().unwrap();
        seen.entry(field(line, "sender_pid").as_u64().unwrap()).or_default().push(value);
    }
    for (n, pid) in (0..).zip(pids) {
        let first = n * i64::from(EACH);
        let all: Vec<i64> = (first..first + i64::from(EACH)).collect();
        assert_eq!(seen.remove(&u64::from(pid)), Some(all), "sender {n}");
    }
    assert!(seen.is_empty());
}
