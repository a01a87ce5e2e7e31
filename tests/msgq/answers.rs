//! `msgq call` and `msgq serve`.

use std::fs;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::{BOTH, messages};
use crate::support::{Call, Child, World, code, eventually, lines};

pub const fn receives(target: &str) -> i64 {
    if target.as_bytes()[0] == b'/' { libc::SYS_mq_timedreceive } else { libc::SYS_msgrcv }
}

fn serve(world: &World, target: &str, options: &str, script: &str) -> Child {
    let call = world.call(&format!("msgq serve {target} {options} --create --"));
    call.args(["/bin/sh", "-euc", script, "sh", "{}"]).start().blocked_in(receives(target))
}

/// Waits until `count` messages are in the queue.
fn asked(world: &World, target: &str, count: u64) {
    eventually("the request is sent", || messages(world, target) == count);
}

#[test]
fn call_gets_reply_and_status() {
    let world = World::new();
    for target in BOTH {
        let server = serve(&world, target, "", "printf 'got %s' \"$(cat)\"; test $IPCBOX_LENGTH = ${#1}; exit 7");
        world.call(&format!("msgq call {target} hello")).stdout("got hello").stderr("").status(7);
        world.call(&format!("msgq call {target}")).input("from input").stdout("got from input").stderr("").status(7);
        world.call(&format!("msgq call {target} --")).arg("-x").stdout("got -x").stderr("").status(7);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.code(), 0);
        assert_eq!(messages(&world, target), 0);
    }
}

#[test]
fn reply_has_any_size_and_any_byte() {
    let world = World::new();
    for target in BOTH {
        let server = serve(&world, target, "-j 3", "head -c $1 /dev/zero; printf '\\377\\n'");
        for size in [0, 65_526, 65_527, 3_000_000] {
            let reply = world.call(&format!("msgq call {target} {size}")).output();
            assert_eq!(reply.status.code(), Some(0));
            assert_eq!(reply.stdout.len(), size + 2);
            assert!(reply.stdout.ends_with(b"\xff\n"));
        }
        server.signal(Signal::SIGTERM);
        assert_eq!(server.code(), 0);
    }
}

#[test]
fn slow_caller_delays_no_other_call() {
    let world = World::new();
    let server = serve(&world, "@q", "", ": >ran$1; head -c $1 /dev/zero");
    let line = "ipcbox msgq call $NAME-q 1000000 | { until test -e go; do sleep 0.01; done; wc -c; }";
    let slow = world.shell(line).start();
    eventually("the job has run", || world.dir().join("ran1000000").exists());
    world.call("msgq call @q 10").ok();
    // The server delivers the reply before it exits.
    server.signal(Signal::SIGTERM);
    fs::write(world.dir().join("go"), "").unwrap();
    assert_eq!(slow.end().stdout, b"1000000\n");
    assert_eq!(server.code(), 0);
}

/// A signal during the first write of a reply must not cut off the rest.
#[test]
fn long_reply_survives_a_signal_to_the_server() {
    const SIZE: usize = 1 << 20;
    let world = World::new();
    let Some(server) = world.injected("write:signal=SIGCHLD") else { return };
    let (queue, size) = (world.name("q"), SIZE.to_string());
    let words = ["msgq", "serve", &queue, "--create", "-j", "2", "--", "head", "-c", &size, "/dev/zero"];
    let server = server.args(words).start();
    eventually("the queue is created", || world.call("msgq stat @q").output().status.success());
    assert_eq!(world.call("msgq call @q x -w 60s").ok().len(), SIZE);
    server.signal(Signal::SIGTERM);
    server.end();
}

#[test]
fn failed_call_exits_with_125() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq call {target} x")).fails(125, "no such message queue (ENOENT)");
        world.call(&format!("msgq call {target} x y")).fails(125, "unexpected argument");
    }
    let most: usize = fs::read_to_string("/proc/sys/kernel/msgmax").unwrap().trim().parse().unwrap();
    world.call("msgq create @q").ok();
    world.call("msgq call @q").input(vec![b'x'; most]).fails(125, "bytes exceed kernel.msgmax, which is");
    world.call("msgq call @q").input(vec![b'x'; most * 2]).fails(125, "bytes exceed kernel.msgmax, which is");
    world.call("msgq create /@q --message-size 8").ok();
    world.call("msgq call /@q x").fails(125, "exceed the queue's limit of 8 (EMSGSIZE)");
    world.call("msgq send @q").input(vec![b'x'; 1000]).ok();
    world.call("msgq set @q --max-bytes 1K").ok();
    world.call("msgq call @q x -n").fails(124, "the queue is full: 1000 of 1024 bytes, 1 message\n");
    // A request that can never fit fails at once.
    world.call("msgq set @q --max-bytes 10").ok();
    for line in ["msgq call @q x", "msgq call @q x -w 60"] {
        world.call(line).fails(125, "exceed the queue's limit of 10 (EMSGSIZE); ");
    }
}

#[test]
fn call_without_server_withdraws_its_request() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let start = Instant::now();
        world
            .call(&format!("msgq call {target} x -w 120ms"))
            .fails(124, "no server has taken the request after 120ms\n");
        assert!(start.elapsed() >= Duration::from_millis(120));
        world.call(&format!("msgq call {target} x -n -E 9")).fails(9, "no server has taken the request\n");
        for (which, status) in
            [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGKILL, 137)]
        {
            let before = messages(&world, target);
            let caller = world.call(&format!("msgq call {target} x")).start();
            asked(&world, target, before + 1);
            let waits = if target.starts_with('/') { libc::SYS_ppoll } else { libc::SYS_msgrcv };
            let caller = caller.blocked_in(waits);
            caller.signal(which);
            assert_eq!(caller.code(), status);
            let left = messages(&world, target) - before;
            // A POSIX queue cannot be searched by type, and a killed caller withdraws nothing.
            let stays = target.starts_with('/') || which == Signal::SIGKILL;
            assert_eq!(left, u64::from(stays), "{target} {which}");
        }
        // No server runs a request whose caller is gone.
        let ran = world.call(&format!("msgq serve {target} --drain -- /bin/echo run")).stdout("");
        ran.ok();
        assert_eq!(messages(&world, target), 0);
    }
}

#[test]
fn death_of_server_ends_call_with_125() {
    let world = World::new();
    for target in BOTH {
        let server = serve(&world, target, "", "echo $$ >pid.new; mv pid.new pid; exec sleep 60");
        let caller = world.call(&format!("msgq call {target} x")).start();
        eventually("the job runs", || world.dir().join("pid").exists());
        let pid: i32 = fs::read_to_string(world.dir().join("pid")).unwrap().trim().parse().unwrap();
        server.signal(Signal::SIGKILL);
        let end = caller.end();
        assert_eq!(end.status.code(), Some(125));
        let stderr = String::from_utf8(end.stderr).unwrap();
        assert!(stderr.contains("the server exited before it replied"), "{stderr}");
        // CMD outlives its server, and has no descriptor of the caller's.
        let descriptors = |pid| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        let plain = Call::new("/bin/sleep").arg("60").start();
        let plain = plain.blocked_in(libc::SYS_clock_nanosleep);
        eventually("it sleeps", || {
            let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
            call.starts_with(&format!("{} ", libc::SYS_clock_nanosleep))
        });
        assert_eq!(descriptors(pid), descriptors(plain.pid()));
        crate::support::signal(pid, Signal::SIGKILL);
        fs::remove_file(world.dir().join("pid")).unwrap();
    }
}

#[test]
fn timeout_ends_call_while_cmd_runs_on() {
    let world = World::new();
    for target in BOTH {
        let script = "echo >began; until test -e go; do sleep 0.01; done; echo >finished; rm go";
        let server = serve(&world, target, "", script);
        world.call(&format!("msgq call {target} x -w 200ms")).fails(124, "after 200ms");
        fs::write(world.dir().join("go"), "").unwrap();
        let began = world.dir().join("began").exists();
        if began {
            eventually("CMD has finished", || world.dir().join("finished").exists());
        }
        server.signal(Signal::SIGTERM);
        assert_eq!(server.code(), 0);
        for name in ["began", "finished", "go"] {
            let _ = fs::remove_file(world.dir().join(name));
        }
    }
}

#[test]
fn forged_frame_with_plain_type_is_plain() {
    let world = World::new();
    for target in BOTH {
        let frame = "ipcbox-call-1 1 0 1\npayload";
        world.call(&format!("msgq send {target} --create")).args(["plain", frame]).ok();
        world.call(&format!("msgq serve {target} --drain -- cat")).stdout(format!("plain{frame}")).ok();
    }
    world.call("msgq send /@q --priority 32767 plain").ok();
    world.call("msgq serve /@q --drain -- cat").stdout("plain").ok();
    world.call("msgq send /@q --priority 32767").arg("ipcbox-call-1 1 0 1\n").fails(1, "as a call");
    world.call("msgq send /@q --priority 32766").arg("ipcbox-call-1 1 0 1\n").ok();
}

#[test]
fn one_server_takes_messages_and_calls() {
    let world = World::new();
    for target in BOTH {
        let server = serve(&world, target, "-c 3", "echo \"$1\"; test \"$1\" != bad");
        world.call(&format!("msgq send {target} sent --create")).ok();
        world.call(&format!("msgq call {target} called")).stdout("called\n").ok();
        world.call(&format!("msgq call {target} bad")).stdout("bad\n").stderr("").status(1);
        let end = server.end();
        assert_eq!(lines(&end.stdout), ["sent"]);
        assert_eq!(end.status.code(), Some(1));
    }
}

#[test]
fn call_with_nul_for_an_argument_gets_126() {
    let world = World::new();
    let server = serve(&world, "@q", "", "echo run");
    world.call("msgq call @q").input("a\0b").stdout("").stderr("").status(126);
    server.signal(Signal::SIGTERM);
    let end = server.end();
    assert!(String::from_utf8(end.stderr).unwrap().contains("contains a NUL byte, and cannot be an argument"));
}

#[test]
fn call_of_another_user_is_dropped_with_warning() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    for target in BOTH {
        world.call(&format!("msgq create {target} -m 666")).ok();
        let server = world.call(&format!("msgq serve {target} -- cat")).user(user).start();
        let server = server.blocked_in(receives(target));
        world.call(&format!("msgq call {target} x -w 300ms")).fails(124, "no server has taken");
        server.signal(Signal::SIGTERM);
        let end = server.end();
        assert_eq!(code(end.status), 0);
        assert!(end.stdout.is_empty());
        let stderr = String::from_utf8(end.stderr).unwrap();
        assert!(stderr.contains("it belongs to another user or pid namespace (EACCES)"), "{stderr}");
    }
}

#[test]
fn removal_of_queue_ends_server() {
    let world = World::new();
    let server = serve(&world, "@q", "", "");
    world.call("msgq rm @q").fails(1, "waited on");
    world.call("msgq rm @q --force").ok();
    assert_eq!(server.code(), 3);
}

#[test]
fn hundred_calls_get_their_own_replies() {
    let world = World::new();
    for target in BOTH {
        let server = serve(&world, target, "-j 8", "echo reply to $1; exit $1");
        let descriptors = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
        let before = descriptors();
        let call = |n: usize| world.call(&format!("msgq call {target} {n} -w 60"));
        let callers: Vec<Child> = (0..100).map(|n| Call::start(call(n))).collect();
        for (n, caller) in callers.into_iter().enumerate() {
            let end = caller.end();
            assert_eq!(lines(&end.stdout), [format!("reply to {n}")]);
            assert_eq!(end.status.code(), i32::try_from(n).ok());
        }
        eventually("the descriptors of the calls are closed", || descriptors() == before);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.code(), 0);
        assert_eq!(messages(&world, target), 0);
    }
}

#[test]
fn killed_server_fails_only_the_calls_it_took() {
    let world = World::new();
    for target in BOTH {
        let dir = world.dir().join(if target.starts_with('/') { "posix" } else { "sysv" });
        fs::create_dir(&dir).unwrap();
        // Calls up to 49 are answered, the others run until the file exists.
        let script = format!(
            "exec 2>/dev/null; cd {}; if [ $1 -ge 50 ]; then : >work$1; until test -e go; do sleep 0.02; done; fi; echo reply to $1",
            dir.display()
        );
        let server = serve(&world, target, "-j 8", &script);
        // The last ten time out.
        let limit = |n: usize| if n < 90 { 50 } else { 2 };
        let call = |n: usize| world.call(&format!("msgq call {target} {n} -w {}", limit(n))).start();
        let first: Vec<Child> = (0..50).map(call).collect();
        for (n, caller) in first.into_iter().enumerate() {
            assert_eq!(lines(&caller.end().stdout), [format!("reply to {n}")]);
        }
        let rest: Vec<(usize, Child)> = (50..100).map(|n| (n, call(n))).collect();
        let working = || fs::read_dir(&dir).unwrap().count();
        eventually("eight jobs run", || working() == 8);
        server.signal(Signal::SIGKILL);
        assert_eq!(server.code(), 137);
        let is_at_work = |n: usize| dir.join(format!("work{n}")).exists();
        let (at_work, waiting): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(n, _)| is_at_work(*n) && *n < 90);
        for (n, caller) in at_work {
            assert_eq!(caller.end().status.code(), Some(125), "{n}");
        }
        let (short, long): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(n, _)| *n >= 90);
        for (n, caller) in short {
            // The killed server may have been running it.
            let expected = if is_at_work(n) { [124, 125] } else { [124, 124] };
            assert!(expected.contains(&code(caller.end().status)), "{n}");
        }
        // The next server answers the others.
        let next = serve(&world, target, "-j 8", "echo reply to $1");
        for (n, caller) in long {
            let end = caller.end();
            let stderr = String::from_utf8_lossy(&end.stderr);
            assert_eq!(lines(&end.stdout), [format!("reply to {n}")], "{stderr}");
        }
        fs::write(dir.join("go"), "").unwrap();
        next.signal(Signal::SIGTERM);
        assert_eq!(next.code(), 0);
        assert_eq!(messages(&world, target), 0);
    }
}
