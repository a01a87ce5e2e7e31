//! `msgq send`, `recv` and `peek`.

use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::{BOTH, messages};
use crate::support::{Child, World, eventually, holds, lines};

/// Returns the system call in which a receiver, or a sender, blocks.
const fn blocks(target: &str, receives: bool) -> i64 {
    match (target.as_bytes()[0], receives) {
        (b'/', true) => libc::SYS_mq_timedreceive,
        (b'/', false) => libc::SYS_mq_timedsend,
        (_, true) => libc::SYS_msgrcv,
        (_, false) => libc::SYS_msgsnd,
    }
}

#[test]
fn arguments_are_messages() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq send {target} --create")).arg("a b").arg("").arg("--").arg("-x").ok();
        world.call(&format!("msgq recv {target} -c 3")).stdout("a b\n\n-x\n").ok();
        world.call(&format!("msgq recv {target} -n")).fails(124, "the queue is empty\n");
    }
}

#[test]
fn input_is_one_message_or_one_per_record() {
    let world = World::new();
    for target in BOTH {
        let send = |options: &str, input: &[u8]| {
            world.call(&format!("msgq send {target} --create {options}")).input(input).ok();
            let all = world.call(&format!("msgq recv {target} --drain -J")).ok();
            let data = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["data"].clone();
            all.lines().map(|line| data(line).as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(send("", b"a\nb\n"), ["a\nb\n"]);
        assert_eq!(send("", b""), [""]);
        assert_eq!(send("--lines", b"a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(send("--lines", b"a\nb"), ["a", "b"]);
        assert_eq!(send("--lines", b""), [""; 0]);
        assert_eq!(send("--lines", b"\n"), [""]);
        assert_eq!(send("-0", b"a\nb\0\0c"), ["a\nb", "", "c"]);
    }
    world.call("msgq send @q --lines x").fails(2, "cannot be used together");
    world.call("msgq send @q --lines -0").fails(2, "cannot be used together");
}

#[test]
fn every_byte_passes_unchanged() {
    let world = World::new();
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    for target in BOTH {
        world.call(&format!("msgq send {target} --create")).input(bytes.clone()).ok();
        let got = world.call(&format!("msgq recv {target} --raw")).output();
        assert_eq!(got.stdout, bytes);
        world.call(&format!("msgq send {target}")).input(b"\xff\0\n".as_slice()).ok();
        let line = world.call(&format!("msgq recv {target} -J")).ok();
        assert!(line.contains("\"length\":3,\"data_base64\":\"/wAK\""), "{line}");
    }
}

#[test]
fn every_format_prints_the_message() {
    let world = World::new();
    let shape = |options: &str, text: &str| {
        world.call("msgq send @q -t 7 --create").input("a\0b").ok();
        let got = world.call(&format!("msgq recv @q {options}")).output();
        assert_eq!(String::from_utf8(got.stdout).unwrap(), text, "{options}");
    };
    shape("", "a\0b\n");
    shape("--raw", "a\0b");
    shape("-0", "a\0b\0");
    shape("--text", "a\n");
    shape("-J", "{\"type\":7,\"length\":3,\"data\":\"a\\u0000b\"}\n");
    shape("--format %t-%l-%d%%%n", "7-3-a\0b%\n");
    world.call("msgq send /@q x --priority 9 --create").ok();
    world.call("msgq recv /@q --format %p:%d").stdout("9:x").ok();
    world.call("msgq send /@q x --priority 32767").ok();
    world.call("msgq recv /@q -J").stdout("{\"priority\":32767,\"length\":1,\"data\":\"x\"}\n").ok();
    world
        .call("msgq recv @q --format %x")
        .fails(2, "expected a format that contains only %t, %p, %l, %d, %n and %%, not '%x'");
    world.call("msgq recv @q --format %p").fails(2, "use %t, the type");
    world.call("msgq recv /@q --format %t").fails(2, "%p is the priority");
    world.call("msgq recv @q --raw -J").fails(2, "cannot be used together");
}

#[test]
fn types_are_chosen_as_by_msgrcv() {
    let world = World::new();
    let fill = || {
        for (kind, text) in [(5, "five"), (2, "two"), (9, "nine"), (2, "zwei")] {
            world.call(&format!("msgq send @q {text} -t {kind} --create")).ok();
        }
    };
    for (options, texts) in [
        ("-t 0 -c 4", "five two nine zwei"),
        ("-t 9", "nine"),
        ("-t 2 --drain", "two zwei"),
        ("-t -5 --drain", "two zwei five"),
        ("--except 2 --drain", "five nine"),
        ("-t -9223372036854775808", "two"),
    ] {
        fill();
        let got = world.call(&format!("msgq recv @q {options}")).ok();
        assert_eq!(got.split_whitespace().collect::<Vec<_>>().join(" "), texts, "{options}");
        world.call("msgq recv @q --drain").ok();
    }
    world.call("msgq send @q x -t 4611686018427387903").ok();
    world.call("msgq recv @q --format %t").stdout("4611686018427387903").ok();
    for kind in ["0", "-1", "4611686018427387904", "x", "99999999999999999999"] {
        world.call(&format!("msgq send @q x -t {kind}")).fails(2, "expected a type from 1 to 4611686018427387903");
    }
    world.call("msgq recv @q --except 0").fails(2, "expected a type from 1 to");
    for kind in ["x", "99999999999999999999", "1.5"] {
        let expected = "expected a type from 0 to 9223372036854775807, or -N for any type up to N";
        world.call(&format!("msgq recv @q -t {kind}")).fails(2, expected);
        world.call(&format!("msgq serve @q -t {kind} -- true")).fails(2, expected);
    }
    world.call("msgq recv @q --except 1 -t 1").fails(2, "cannot be used together");
    world.call("msgq recv /@q -t 1").fails(2, "no types");
    world.call("msgq send /@q x -t 1").fails(2, "priorities instead of types");
    world.call("msgq send @q x --priority 1").fails(2, "types instead of priorities");
    world.call("msgq send /@q x --priority 32768").fails(2, "expected a priority from 0 to 32767");
}

#[test]
fn highest_priority_is_received_first() {
    let world = World::new();
    for (priority, text) in [(0, "a"), (5, "b"), (5, "c"), (32766, "d")] {
        world.call(&format!("msgq send /@q {text} --priority {priority} --create")).ok();
    }
    world.call("msgq recv /@q --drain").stdout("d\nb\nc\na\n").ok();
}

#[test]
fn until_stops_after_its_text() {
    let world = World::new();
    for target in BOTH {
        let send = format!("msgq send {target} --create");
        world.call(&send).args(["hello", "quit\n", "more"]).ok();
        world.call(&format!("msgq recv {target} --until quit --raw")).stdout("helloquit\n").ok();
        world.call(&send).input("quit\0rest of a buffer").ok();
        world.call(&format!("msgq recv {target} --until quit --text")).stdout("more\nquit\n").ok();
        // It works together with --count and --drain.
        world.call(&send).args(["a", "quit", "b"]).ok();
        world.call(&format!("msgq recv {target} --until quit -c 3")).stdout("a\nquit\n").ok();
        world.call(&format!("msgq recv {target} --until quit --drain")).stdout("b\n").ok();
    }
}

#[test]
fn peek_changes_nothing() {
    let world = World::new();
    world.call("msgq create @q").ok();
    world.call("msgq peek @q").fails(3, "the queue is empty (ENOMSG)");
    world.call("msgq peek @q --all").stdout("").ok();
    world.call("msgq send @q one -t 3").ok();
    world.call("msgq send @q two -t 4").ok();
    let before = world.call("msgq stat @q -J").ok();
    world.call("msgq peek @q").stdout("one\n").ok();
    world.call("msgq peek @q --index 1").stdout("two\n").ok();
    world
        .call("msgq peek @q --all -J")
        .stdout("{\"type\":3,\"length\":3,\"data\":\"one\"}\n{\"type\":4,\"length\":3,\"data\":\"two\"}\n")
        .ok();
    world.call("msgq peek @q --index 2").fails(3, "there is no message 2, only 0 to 1");
    world.call("msgq peek @q --index -1").fails(2, "expected a number from 0 to");
    world.call("msgq peek @q --all --index 1").fails(2, "cannot be used together");
    assert_eq!(world.call("msgq stat @q -J").ok(), before);
    world.call("msgq create /@q").ok();
    world.call("msgq peek /@q").fails(2, "the kernel cannot show the messages of a POSIX queue");
}

#[test]
fn receiver_waits_for_message_and_sender_for_room() {
    let world = World::new();
    world.call("msgq create @q --max-bytes 4").ok();
    world.call("msgq create /@q --max-messages 1 --message-size 4").ok();
    for target in BOTH {
        let receiver = world.call(&format!("msgq recv {target} -w 60")).start();
        let receiver = receiver.blocked_in(blocks(target, true));
        world.call(&format!("msgq send {target} late")).ok();
        assert_eq!(lines(&receiver.end().stdout), ["late"]);
        world.call(&format!("msgq send {target} full")).ok();
        let sender = world.call(&format!("msgq send {target} next -w 60")).start();
        let sender = sender.blocked_in(blocks(target, false));
        world.call(&format!("msgq recv {target}")).stdout("full\n").ok();
        assert_eq!(sender.code(), 0);
        world.call(&format!("msgq recv {target}")).stdout("next\n").ok();
    }
}

#[test]
fn removal_of_queue_ends_sender() {
    let world = World::new();
    world.call("msgq create @q --max-bytes 4").ok();
    let line = "printf '1234\\n5678\\n' | ipcbox msgq send $NAME-q --lines";
    let sender = world.shell(line).start();
    eventually("the sender waits", || !world.call("msgq stat @q --waiters").ok().is_empty());
    world.call("msgq rm --force @q").ok();
    let end = sender.end();
    assert_eq!(end.status.code(), Some(3));
    let stderr = String::from_utf8(end.stderr).unwrap();
    let words = "line 2: removed by another process (EIDRM); 1 message was sent before the failure\nhint: ";
    assert!(stderr.contains(words), "{stderr}");
}

#[test]
fn timeout_names_the_state_of_the_queue() {
    let world = World::new();
    world.call("msgq create @q --max-bytes 4").ok();
    world.call("msgq create /@q --max-messages 1 --message-size 4").ok();
    for target in BOTH {
        let call = |line: &str| world.call(&format!("msgq {}", line.replace("TARGET", target)));
        let start = Instant::now();
        call("recv TARGET -w 120ms").fails(124, ": no message received after 120ms\n");
        assert!(start.elapsed() >= Duration::from_millis(120));
        call("recv TARGET -n -E 9").fails(9, ": the queue is empty\n");
        call("recv TARGET -n -E 0").ok();
        call("send TARGET full").ok();
        let content = if target.starts_with('/') { "1 of 1 messages" } else { "4 of 4 bytes, 1 message" };
        call("send TARGET more -w 50ms").fails(124, &format!(": still full after 50ms: {content}\n"));
        call("send TARGET more -n").fails(124, &format!(": the queue is full: {content}\n"));
        call("recv TARGET -c 3 -w 50ms").stdout("full\n").fails(124, "1 of 3 messages received after 50ms");
        call("send TARGET one two three -n").fails(124, "message 2: the queue is full: ");
        call("recv TARGET --follow -w 50ms").fails(124, "no message received after 50ms");
        assert_eq!(messages(&world, target), 0);
    }
}

#[test]
fn timeout_of_follow_counts_from_last_message() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let follower = world.call(&format!("msgq recv {target} --follow -w 400ms")).start();
        // Longer in all than the timeout.
        for n in 0..4 {
            let follower_still = holds(|| true);
            assert!(follower_still);
            world.call(&format!("msgq send {target} {n}")).ok();
        }
        let end = follower.end();
        assert_eq!(lines(&end.stdout), ["0", "1", "2", "3"]);
        assert_eq!(end.status.code(), Some(124));
    }
}

#[test]
fn ignored_hangup_and_alarm_stay_ignored() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let line = format!("trap '' HUP ALRM; exec ipcbox msgq recv {} -w 60", target.replace('@', "$NAME-"));
        let receiver = world.shell(&line).start().blocked_in(blocks(target, true));
        receiver.signal(Signal::SIGHUP);
        let file = format!("/proc/{}/syscall", receiver.pid());
        assert!(holds(|| std::fs::exists(&file).unwrap()));
        world.call(&format!("msgq send {target} x")).ok();
        assert_eq!(receiver.code(), 0);
        let line = format!("trap '' ALRM; exec ipcbox msgq recv {} -w 50ms", target.replace('@', "$NAME-"));
        world.shell(&line).fails(124, "after 50ms");
    }
}

#[test]
fn taken_message_is_written_before_a_signal_ends() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        // The pipe is full: the message is taken and not written when the signal comes.
        let fill = "head -c 65536 /dev/zero >&3";
        let line = format!(
            "mkfifo p{n}; exec 3<>p{n}; {fill}; exec ipcbox msgq recv {t} --follow >&3",
            n = u8::from(target.starts_with('/')),
            t = target.replace('@', "$NAME-"),
        );
        let receiver = world.shell(&line).start().blocked_in(blocks(target, true));
        world.call(&format!("msgq send {target} precious")).ok();
        let receiver = receiver.blocked_in(libc::SYS_write);
        let pipe = std::fs::File::open(format!("/proc/{}/fd/3", receiver.pid())).unwrap();
        receiver.signal(Signal::SIGTERM);
        let receiver = receiver.blocked_in(libc::SYS_write);
        let mut got = vec![0; 65536 + 9];
        std::io::Read::read_exact(&mut &pipe, &mut got).unwrap();
        assert_eq!(&got[65536..], b"precious\n");
        assert_eq!(receiver.code(), 143);
    }
}

/// Opens a full pipe as descriptor 3.
const FULL: &str = "mkfifo full; exec 3<>full; head -c 65536 /dev/zero >&3";

#[test]
fn second_signal_ends_a_blocked_write() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-q x --create").ok();
    let server = world.call("msgq serve @calls --create -- echo").start();
    for line in ["recv $NAME-q", "call $NAME-calls x"] {
        let line = format!("rm -f full; {FULL}; exec ipcbox msgq {line} -w 60 >&3");
        let stuck = world.shell(&line).start().blocked_in(libc::SYS_write);
        ends_by_the_second(stuck);
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
    // The collected output of a job.
    world.shell("ipcbox msgq send $NAME-q x").ok();
    let line = format!("rm -f full; {FULL}; exec ipcbox msgq serve $NAME-q -j 2 -- echo >&3");
    let stuck = world.shell(&line).start().blocked_in(libc::SYS_write);
    ends_by_the_second(stuck);
}

/// Checks that the second signal ends it. Signals that come together count as one.
fn ends_by_the_second(mut stuck: Child) {
    stuck.signal(Signal::SIGTERM);
    assert!(holds(|| stuck.runs()));
    eventually("a second signal ends it", || {
        stuck.signal(Signal::SIGTERM);
        !stuck.runs()
    });
    assert_eq!(stuck.code(), 143);
}
