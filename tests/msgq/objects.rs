//! `msgq create`, `stat`, `set` and `rm`.

use nix::libc;
use serde_json::Value;

use super::{BOTH, messages};
use crate::support::{World, skip};

fn json(world: &World, words: &str) -> Vec<Value> {
    let text = world.call(words).ok();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn create_prints_the_id_or_the_name() {
    let world = World::new();
    let id = world.call("msgq create @q --max-bytes 4K").ok();
    let id = id.trim();
    world.call("msgq create @q").stdout(format!("{id}\n")).ok();
    world.call(&format!("msgq send {id} x")).ok();
    world.call("msgq recv @q").stdout("x\n").ok();
    let name = world.posix("q");
    world.call("msgq create /@q --max-messages 3 --message-size 16").stdout(format!("{name}\n")).ok();
    world.call("msgq create /@q --max-messages 3").stdout(format!("{name}\n")).ok();
    let private = world.call("msgq create private").ok();
    world.call(&format!("msgq send {} x", private.trim())).ok();
    world.call(&format!("msgq rm {}", private.trim())).ok();
}

#[test]
fn create_completes_what_a_killed_one_began() {
    let world = World::new();
    let create = "msgq create @q --max-bytes 1000 -m 640";
    // The execute bits mark a queue without its limit.
    world.call("msgq create @q -m 751").ok();
    world.call(create).ok();
    let shown = || world.call("msgq stat @q --columns max_bytes,mode --no-header").ok();
    assert_eq!(shown().split_whitespace().collect::<Vec<_>>(), ["1000", "0640"]);
    world.call("msgq rm @q").ok();
    // A queue that was used is complete.
    world.call("msgq create @q -m 751").ok();
    world.call("msgq send @q x").ok();
    world.call(create).fails(4, "not 1000");
    assert!(shown().ends_with("0751\n"));
}

#[test]
fn lowered_kernel_limits_are_named() {
    let world = World::new();
    let set = "echo $1 >/proc/sys/kernel/msgmnb && echo $2 >/proc/sys/kernel/msgmax";
    let set = |bytes: u32, message: u32| {
        let both = [bytes, message].map(|limit| limit.to_string());
        let call = world.program("/bin/sh").args(["-c", set, "sh"]).args(both);
        call.output().status.success()
    };
    let Some(user) = world.stranger().filter(|_| world.is_own() && set(20000, 10000)) else {
        return skip("the kernel limits cannot be set");
    };
    world.call("msgq create @q").user(user).ok();
    world.call("msgq send @q").input(vec![b'x'; 500]).ok();
    assert!(set(10000, 499));
    let words = "20000 bytes exceed kernel.msgmnb, which is 10000 (EPERM)";
    world.call("msgq set @q -m 660").user(user).fails(5, words);
    world
        .call("msgq peek @q")
        .fails(1, "the message is larger than kernel.msgmax, which is 499, and cannot be copied (E2BIG)");
    world.call("msgq recv @q").stdout("x".repeat(500) + "\n").ok();
}

#[test]
fn limit_of_the_other_family_is_refused() {
    let world = World::new();
    world.call("msgq create @q --max-messages 3").fails(2, "--max-bytes");
    world.call("msgq create /@q --max-bytes 3").fails(2, "--max-messages");
    world.call("msgq create @q --max-bytes 0").fails(2, "expected a size of at least 1 byte");
    world.call("msgq create /@q --message-size 0").fails(2, "expected a size of at least 1 byte");
    world.call("msgq create /@q --max-messages 0").fails(2, "expected a number of at least 1");
    world.call("msgq set /@q --max-bytes 3").fails(2, "fixed when it is created");
    world.call("msgq set @q").fails(2, "there is nothing to change");
    world.call("msgq send private x").fails(2, "valid only with the verb create");
}

#[test]
fn stat_shows_what_the_kernel_keeps() {
    let world = World::new();
    world.call("msgq create @q -m 640 --max-bytes 4096").ok();
    let [empty] = &json(&world, "msgq stat @q -J")[..] else { panic!() };
    assert_eq!((&empty["send_time"], &empty["last_send_pid"]), (&Value::Null, &Value::Null));
    world.call("msgq send @q abc defg").ok();
    world.call("msgq recv @q").ok();
    let [stat] = &json(&world, "msgq stat @q -J")[..] else { panic!() };
    for (key, value) in [("messages", 1), ("bytes", 4), ("max_bytes", 4096)] {
        assert_eq!(stat[key], value, "{stat}");
    }
    for (key, text) in [("kind", "msg"), ("family", "sysv"), ("mode", "0640")] {
        assert_eq!(stat[key], text, "{stat}");
    }
    assert_eq!(stat["name"], world.name("q"));
    for key in ["last_send_pid", "last_receive_pid", "id", "uid", "gid"] {
        assert!(stat[key].is_number(), "{key}: {stat}");
    }
    for key in ["send_time", "receive_time", "change_time", "owner", "group", "key"] {
        assert!(stat[key].is_string(), "{key}: {stat}");
    }
    world.call("msgq create /@q --max-messages 3 --message-size 16").ok();
    world.call("msgq send /@q abc de").ok();
    let [stat] = &json(&world, "msgq stat /@q -J")[..] else { panic!() };
    for (key, value) in [("messages", 2), ("bytes", 5), ("max_messages", 3), ("message_size", 16)] {
        assert_eq!(stat[key], value, "{stat}");
    }
    assert_eq!(stat["family"], "posix");
    // One target has a line per field, several are a table.
    let one = world.call("msgq stat @q").ok();
    assert!(one.contains("\nMAX_BYTES         4096\n"), "{one}");
    let two = world.call("msgq stat @q /@q --columns name,messages,max_bytes").ok();
    assert_eq!(two.lines().count(), 3, "{two}");
    world.call("msgq stat @q /@nope -J").status(3);
}

#[test]
fn stat_without_target_lists_both_families() {
    let world = World::new();
    if !world.is_own() {
        return skip("it wants an IPC namespace of its own");
    }
    world.call("msgq stat").stdout("").ok();
    world.call("msgq stat -J").stdout("").ok();
    world.call("msgq create @q").ok();
    world.call("msgq create /@q").ok();
    let all = json(&world, "msgq stat -J");
    let families: Vec<&Value> = all.iter().map(|stat| &stat["family"]).collect();
    assert_eq!(families, ["sysv", "posix"]);
    assert_eq!(all[1]["name"], world.posix("q"));
}

#[test]
fn stat_lists_the_waiters() {
    let world = World::new();
    world.call("msgq create @q --max-bytes 4").ok();
    let seven = world.call("msgq recv @q -t -7").start().blocked_in(libc::SYS_msgrcv);
    let any = world.call("msgq recv @q --except 3").start().blocked_in(libc::SYS_msgrcv);
    world.call("msgq create /@q --max-messages 1 --message-size 8").ok();
    world.call("msgq send /@q x").ok();
    let full = world.call("msgq send /@q y").start().blocked_in(libc::SYS_mq_timedsend);
    let who = |target: &str| json(&world, &format!("msgq stat {target} --waiters -J"));
    let receivers = who("@q");
    let find = |pid: i32| receivers.iter().find(|who| who["pid"] == pid).unwrap();
    assert_eq!((&find(seven.pid())["type"], &find(seven.pid())["role"]), (&(-7).into(), &"receiver".into()));
    assert_eq!(find(any.pid())["except"], 3);
    assert!(find(any.pid()).get("type").is_none());
    let [sender] = &who("/@q")[..] else { panic!() };
    assert_eq!((&sender["pid"], &sender["role"]), (&full.pid().into(), &"sender".into()));
    assert!(sender["command"].as_str().unwrap().contains("msgq send"));
    // Without --force both are kept.
    world.call("msgq rm @q").fails(1, &format!("{}", seven.pid()));
    world.call("msgq rm /@q").fails(1, "waited on by");
    world.call("msgq rm --force @q /@q").ok();
    let output = seven.end();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("removed by another process (EIDRM)\nhint: "), "{stderr}");
    assert_eq!(any.code(), 3);
}

#[test]
fn waiter_in_another_namespace_is_not_listed() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs IPC namespaces of its own");
    }
    // The first queue of each namespace has the same id.
    let id = world.call("msgq create @q").ok();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let elsewhere = World::new();
            assert_eq!(elsewhere.call("msgq create @q").ok(), id);
            elsewhere.call("msgq recv @q").start().blocked_in(libc::SYS_msgrcv)
        });
        let waiter = other.join().unwrap();
        world.call("msgq stat @q --waiters").stdout("").ok();
        world.call("msgq rm @q").ok();
        drop(waiter);
    });
}

#[test]
fn set_changes_limit_mode_and_owner() {
    let world = World::new();
    world.call("msgq set @q --max-bytes -1").fails(2, "--max-bytes: expected a size");
    world.call("msgq create @q").ok();
    world.call("msgq set @q --max-bytes 1K -m 600").ok();
    let [stat] = &json(&world, "msgq stat @q -J")[..] else { panic!() };
    assert_eq!((&stat["max_bytes"], &stat["mode"]), (&1024.into(), &"0600".into()));
    world.call("msgq create /@q").ok();
    world.call("msgq set /@q -m 640").ok();
    let [stat] = &json(&world, "msgq stat /@q -J")[..] else { panic!() };
    assert_eq!(stat["mode"], "0640");
    let Some(user) = world.stranger() else { return };
    for target in BOTH {
        world.call(&format!("msgq set {target} --owner {user}:{user}")).ok();
        let [stat] = &json(&world, &format!("msgq stat {target} -J"))[..] else { panic!() };
        assert_eq!((&stat["uid"], &stat["gid"]), (&user.into(), &user.into()), "{stat}");
    }
}

#[test]
fn rm_of_missing_queue_fails_with_3() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        world.call(&format!("msgq rm {target}")).ok();
        world.call(&format!("msgq rm {target}")).fails(3, "no such message queue (ENOENT)");
        world.call(&format!("msgq rm --missing-ok {target}")).ok();
        for verb in ["send TARGET x", "recv TARGET", "stat TARGET", "set TARGET -m 600"] {
            let line = verb.replace("TARGET", target);
            world.call(&format!("msgq {line}")).fails(3, "no such message queue");
        }
    }
    world.call("msgq create @a").ok();
    world.call("msgq rm @nope @a").fails(3, "ENOENT");
    world.call("msgq recv @a -n").status(3);
    world.call("msgq rm 2147483647").fails(3, "no such message queue (EINVAL)");
    world.call("msgq rm --missing-ok 2147483647").ok();
}

#[test]
fn id_of_another_kind_is_named() {
    let world = World::new();
    let id = world.call("sem create private").ok();
    let id = id.trim();
    if world.call(&format!("msgq stat {id}")).output().status.success() {
        return skip("a queue has the same id");
    }
    world.call(&format!("msgq send {id} x")).fails(3, "is the id of a semaphore set");
    world.call(&format!("msgq recv {id}")).fails(3, "is the id of a semaphore set");
    world.call(&format!("sem rm {id}")).ok();
}

#[test]
fn queue_of_another_user_is_refused() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    for target in BOTH {
        world.call(&format!("msgq create {target} -m 600")).ok();
        for verb in ["send TARGET x", "recv TARGET -n"] {
            let line = verb.replace("TARGET", target);
            world.call(&format!("msgq {line}")).user(user).fails(5, "EACCES");
        }
    }
    world.call("msgq send @q x").user(user).fails(5, "permission denied; owned by root");
    world.call("msgq rm @q").user(user).fails(5, "owned by root (EPERM)");
    world.call("msgq rm /@q").user(user).fails(5, "EACCES");
    world.call("msgq set @q -m 666").user(user).fails(5, "owned by root (EPERM)");
    // A queue that another user created first is not used.
    for (target, mine) in [("@s", "@t"), ("/@s", "/@t")] {
        world.call(&format!("msgq create {target} -m 666")).user(user).ok();
        for line in [format!("create {target}"), format!("send {target} x --create")] {
            world.call(&format!("msgq {line}")).fails(5, &format!("owned by uid {user}"));
            world.call(&format!("msgq {line} --foreign")).ok();
        }
        assert_eq!(messages(&world, target), 1);
        world.call(&format!("msgq create {mine} -m 666")).ok();
        world.call(&format!("msgq send {mine} x --create")).user(user).ok();
    }
}

#[test]
fn send_and_recv_need_one_permission_each() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    for target in BOTH {
        world.call(&format!("msgq create {target} -m 622")).ok();
        world.call(&format!("msgq send {target} hello")).user(user).ok();
        world.call(&format!("msgq recv {target} -n")).user(user).fails(5, "EACCES");
        world.call(&format!("msgq set {target} -m 644")).ok();
        world.call(&format!("msgq send {target} x")).user(user).fails(5, "EACCES");
        world.call(&format!("msgq recv {target}")).user(user).stdout("hello\n").ok();
    }
}

#[test]
fn queue_removed_at_open_is_created_again() {
    let world = World::new();
    let name = world.name("q");
    world.call("msgq create @q --max-bytes 100").ok();
    for words in [&["send", "--create", &name, "x"][..], &["create", "--max-bytes", "100", &name]] {
        let Some(call) = world.injected("msgctl:error=EINVAL:when=1") else { return };
        call.arg("msgq").args(words).status(0);
    }
    world.call("msgq recv @q --drain").stdout("x\n").ok();
}

#[test]
fn failed_change_of_owner_changes_nothing() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let own = |line: &str| world.call(line).user(stranger);
    own("msgq create /@q").ok();
    own("msgq set /@q -m 640 --owner root").fails(5, "only a privileged user can change the owner (EPERM)");
    own("msgq stat /@q --no-header --columns mode").stdout("0600\n").ok();
}
