//! Limits of queues and of the kernel, and output that cannot be written.

use std::fs;

use super::{BOTH, messages};
use crate::support::{World, eventually, skip};

/// Returns a setting of the kernel.
fn setting(path: &str) -> u64 {
    fs::read_to_string(format!("/proc/sys/{path}")).unwrap().trim().parse().unwrap()
}

fn can_exceed() -> bool {
    // CAP_SYS_RESOURCE is the 24th of the effective ones.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & 1 << 24 != 0
}

#[test]
fn too_long_message_is_refused_with_the_limit() {
    let world = World::new();
    let most = usize::try_from(setting("kernel/msgmax")).unwrap();
    world.call("msgq create @q").ok();
    let long = vec![b'x'; most + 1];
    let words = format!("{} bytes exceed kernel.msgmax, which is {most} (EINVAL)", most + 1);
    let hinted = format!("{words}\nhint: sysctl -w kernel.msgmax={}\n", most + 1);
    world.call("msgq send @q").input(long.clone()).fails(1, &hinted);
    let mut lines = b"a\nb\n".to_vec();
    lines.extend(&long);
    lines.extend(b"\nc\n");
    world
        .call("msgq send @q --lines")
        .input(lines.clone())
        .fails(1, &format!("line 3: {words}; 2 messages were sent before the failure"));
    world.call("msgq recv @q --drain").stdout("a\nb\n").ok();
    world.call("msgq send @q").input(&long[1..]).ok();
    assert_eq!(world.call("msgq recv @q --raw").output().stdout.len(), most);
    world.call("msgq create /@q --message-size 8 --max-messages 4").ok();
    let words = "9 bytes exceed the queue's limit of 8 (EMSGSIZE)";
    world.call("msgq send /@q 123456789").fails(1, words);
    world.call("msgq send /@q a 123456789").fails(1, &format!("message 2: {words}; 1 message"));
    world.call("msgq send /@q 12345678").ok();
    world.call("msgq recv /@q --drain").stdout("a\n12345678\n").ok();
    // More than the call may keep in memory.
    let huge = vec![b'x'; 10 << 20];
    world.call("msgq send @q --lines").input(huge).fails(1, "line 1: 10485760 bytes exceed");
}

#[test]
fn message_larger_than_the_queue_fails_at_once() {
    let world = World::new();
    world.call("msgq create @q --max-bytes 4").ok();
    world
        .call("msgq send @q 12345")
        .fails(1, "5 bytes exceed the queue's limit of 4 (EMSGSIZE)\nhint: ipcbox msgq set");
    world.call("msgq send @q 1234").ok();
    world.call("msgq send @q 12345 -w 60").fails(1, "5 bytes exceed");
}

#[test]
fn kernel_limits_are_named() {
    let world = World::new();
    let most = setting("kernel/msgmnb");
    if can_exceed() {
        skip("in part: with CAP_SYS_RESOURCE there is no limit");
    } else {
        let words = format!("{} bytes exceed kernel.msgmnb, which is {most} (EPERM)", most + 1);
        let size = most + 1;
        world.call(&format!("msgq create @q --max-bytes {size}")).fails(5, &words);
        // The queue that could not get its limit is gone.
        world.call("msgq stat @q").fails(3, "ENOENT");
        world.call("msgq create @q").ok();
        world.call(&format!("msgq set @q --max-bytes {size}")).fails(5, &words);
        let (messages, size) = (setting("fs/mqueue/msg_max"), setting("fs/mqueue/msgsize_max"));
        world
            .call(&format!("msgq create /@q --max-messages {}", messages + 1))
            .fails(1, &format!("{} messages exceed fs.mqueue.msg_max, which is {messages} (EINVAL)", messages + 1));
        world.call(&format!("msgq create /@q --message-size {}", size + 1)).fails(
            1,
            &format!("messages of {} bytes exceed fs.mqueue.msgsize_max, which is {size} (EINVAL)", size + 1),
        );
    }
    world.call("msgq create /@q --max-messages 18446744073709551615").fails(1, "EINVAL");
}

#[test]
fn ulimit_q_limits_posix_queues() {
    let world = World::new();
    let call = |line: &str| {
        let line = line.replace('@', "$NAME-");
        world.shell(&format!("exec prlimit --msgqueue=4096 -- ipcbox {line}"))
    };
    call("msgq create /@q").fails(1, "would exceed RLIMIT_MSGQUEUE, which is 4096 bytes (EMFILE)");
    call("msgq send /@q x --create").fails(1, "EMFILE");
}

#[test]
fn limit_of_queues_is_named() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    // The settings are those of the namespace of this thread.
    if fs::write("/proc/sys/kernel/msgmni", "0").is_err() || setting("kernel/msgmni") != 0 {
        return skip("kernel.msgmni cannot be set");
    }
    let words = "the system's limit of 0 message queues is reached (ENOSPC)\nhint: sysctl -w kernel.msgmni=128\n";
    world.call("msgq create @q").fails(1, words);
    if fs::write("/proc/sys/fs/mqueue/queues_max", "0").is_ok() && !can_exceed() {
        world.call("msgq create /@q").fails(1, "the system's limit of 0 POSIX queues is reached (ENOSPC)");
    }
}

#[test]
fn closed_output_ends_follow_by_sigpipe() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let line = format!("ipcbox msgq recv {} --follow | head -n 1", target.replace('@', "$NAME-"));
        let pipeline = world.shell(&line).start();
        let is_waited_on = || !world.call(&format!("msgq stat {target} --waiters")).ok().is_empty();
        eventually("the receiver waits", is_waited_on);
        world.call(&format!("msgq send {target} one")).ok();
        eventually("the receiver exits", || {
            // The first message is printed; a later one finds the pipe closed.
            world.call(&format!("msgq send {target} more -n")).output();
            !is_waited_on()
        });
        let end = pipeline.end();
        assert_eq!(end.stdout, b"one\n");
        assert!(end.stderr.is_empty(), "{}", String::from_utf8_lossy(&end.stderr));
    }
}

#[test]
fn full_disk_reports_the_lost_message() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq send {target} --create")).args(["precious", "next"]).ok();
        let line = format!("ipcbox msgq recv {} --drain >/dev/full", target.replace('@', "$NAME-"));
        world.shell(&line).fails(
            1,
            "cannot write to standard output: no space left on device (ENOSPC); 1 message of 8 bytes was received, but is lost",
        );
        assert_eq!(messages(&world, target), 1);
    }
}

#[test]
fn closed_standard_input_or_output_is_an_error() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-q --create <&-").fails(1, "cannot read standard input");
    world.call("msgq send @q x --create").ok();
    world.shell("ipcbox msgq recv $NAME-q >&-").fails(1, "cannot write to standard output");
}
