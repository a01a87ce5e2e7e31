//! What does not fit, and what cannot be written.

use std::fs;

use super::{BOTH, messages};
use crate::support::{World, eventually, skip};

/// A number of the kernel's.
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
fn a_message_that_is_too_long_is_refused_with_its_limit() {
    let world = World::new();
    let most = usize::try_from(setting("kernel/msgmax")).unwrap();
    world.call("msgq create @q").ok();
    let long = vec![b'x'; most + 1];
    let told = format!("{} bytes are too long: kernel.msgmax is {most} (EINVAL)", most + 1);
    world.call("msgq send @q").input(long.clone()).fails(1, &told);
    let mut lines = b"a\nb\n".to_vec();
    lines.extend(&long);
    lines.extend(b"\nc\n");
    world
        .call("msgq send @q --lines")
        .input(lines.clone())
        .fails(1, &format!("line 3: {told}; 2 messages were sent before"));
    world.call("msgq recv @q --drain").stdout("a\nb\n").ok();
    world.call("msgq send @q").input(&long[1..]).ok();
    assert_eq!(world.call("msgq recv @q --raw").output().stdout.len(), most);
    world.call("msgq create /@q --message-size 8 --max-messages 4").ok();
    let told = "9 bytes are too long: the queue's message size is 8 (EMSGSIZE)";
    world.call("msgq send /@q 123456789").fails(1, told);
    world.call("msgq send /@q a 123456789").fails(1, &format!("message 2: {told}; 1 message"));
    world.call("msgq send /@q 12345678").ok();
    world.call("msgq recv /@q --drain").stdout("a\n12345678\n").ok();
    // Far more than is ever kept in memory.
    let huge = vec![b'x'; 10 << 20];
    world.call("msgq send @q --lines").input(huge).fails(1, "line 1: 10485760 bytes are too long");
}

#[test]
fn a_message_that_would_never_fit_is_not_waited_for() {
    let world = World::new();
    world.call("msgq create @q --max-bytes 4").ok();
    world.call("msgq send @q 12345").fails(1, "5 bytes never fit: the queue's limit is 4");
    world.call("msgq send @q 1234").ok();
    world.call("msgq send @q 12345 -w 60").fails(1, "5 bytes never fit");
}

#[test]
fn limits_of_the_kernel_are_named() {
    let world = World::new();
    let most = setting("kernel/msgmnb");
    if can_exceed() {
        skip("in part: CAP_SYS_RESOURCE is there, nothing is too much");
    } else {
        let told = format!("{} bytes are more than kernel.msgmnb, {most}", most + 1);
        let size = most + 1;
        world.call(&format!("msgq create @q --max-bytes {size}")).fails(5, &told);
        // What could not be made as asked was not left behind.
        world.call("msgq stat @q").fails(3, "ENOENT");
        world.call("msgq create @q").ok();
        world.call(&format!("msgq set @q --max-bytes {size}")).fails(5, &told);
        let (messages, size) = (setting("fs/mqueue/msg_max"), setting("fs/mqueue/msgsize_max"));
        world
            .call(&format!("msgq create /@q --max-messages {}", messages + 1))
            .fails(1, &format!("{} messages are more than fs.mqueue.msg_max, {messages} (EINVAL)", messages + 1));
        world
            .call(&format!("msgq create /@q --message-size {}", size + 1))
            .fails(1, &format!("{} bytes are more than fs.mqueue.msgsize_max, {size} (EINVAL)", size + 1));
    }
    world.call("msgq create /@q --max-messages 18446744073709551615").fails(1, "EINVAL");
}

#[test]
fn memory_for_posix_queues_is_limited_by_ulimit() {
    let world = World::new();
    let call = |line: &str| {
        let line = line.replace('@', "$NAME-");
        world.shell(&format!("exec prlimit --msgqueue=4096 -- ipcbox {line}"))
    };
    call("msgq create /@q").fails(1, "RLIMIT_MSGQUEUE is 4096 bytes (EMFILE)");
    call("msgq send /@q x --create").fails(1, "EMFILE");
}

#[test]
fn as_many_queues_as_may_be_is_told() {
    let world = World::new();
    if !world.is_own() {
        return skip("it wants an IPC namespace of its own");
    }
    // The settings of the namespace that the test is in.
    if fs::write("/proc/sys/kernel/msgmni", "0").is_err() || setting("kernel/msgmni") != 0 {
        return skip("kernel.msgmni cannot be set");
    }
    world.call("msgq create @q").fails(1, "as many message queues as may be, 0 (ENOSPC)");
    if fs::write("/proc/sys/fs/mqueue/queues_max", "0").is_ok() && !can_exceed() {
        world.call("msgq create /@q").fails(1, "as many POSIX queues as may be, 0 (ENOSPC)");
    }
}

#[test]
fn a_closed_output_ends_follow_as_any_filter() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let line = format!("ipcbox msgq recv {} --follow | head -n 1", target.replace('@', "$NAME-"));
        let pipeline = world.shell(&line).start();
        let is_waited_on = || !world.call(&format!("msgq stat {target} --waiters")).ok().is_empty();
        eventually("the receiver waits", is_waited_on);
        world.call(&format!("msgq send {target} one")).ok();
        eventually("head ends", || {
            // Each message after the first finds nobody to read it.
            world.call(&format!("msgq send {target} more -n")).output();
            !is_waited_on()
        });
        let end = pipeline.end();
        assert_eq!(end.stdout, b"one\n");
        assert!(end.stderr.is_empty(), "{}", String::from_utf8_lossy(&end.stderr));
    }
}

#[test]
fn a_full_disk_is_told_with_what_was_lost() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq send {target} --create")).args(["precious", "next"]).ok();
        let line = format!("ipcbox msgq recv {} --drain >/dev/full", target.replace('@', "$NAME-"));
        world.shell(&line).fails(
            1,
            "cannot write to standard output: no space left on device (ENOSPC); the message that was taken, of 8 bytes, is lost",
        );
        assert_eq!(messages(&world, target), 1);
    }
}

#[test]
fn a_closed_standard_input_or_output_is_told() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-q --create <&-").fails(1, "cannot read standard input");
    world.call("msgq send @q x --create").ok();
    world.shell("ipcbox msgq recv $NAME-q >&-").fails(1, "cannot write to standard output");
}
