//! Invalid input of `sem`: a clear message, the right status, and no effect.

use std::fs;

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{World, skip};

#[test]
fn value_out_of_range_is_refused() {
    let world = World::new();
    world.call("sem create @a --value 1,1").ok();
    world.call("sem create @m --value 32767").ok();
    for (line, code, words) in [
        ("sem create @x --value 32768", 2, "a System V semaphore has a value of at most 32767, not 32768"),
        ("sem create @x --value -1", 2, "--value: expected a value from 0 to 32767 (POSIX: 2147483647), not '-1'"),
        ("sem create @x --value 1,two", 2, "--value: expected a value from 0 to 32767 (POSIX: 2147483647), not 'two'"),
        ("sem create @x --value 1,2 --nsems 3", 2, "2 values given for 3 semaphores"),
        ("sem create @x --nsems 0", 2, "--nsems: expected a number from 1 to 32767, not '0'"),
        ("sem create @x --slots 0", 2, "--slots: expected a number from 1 to 32767, not '0'"),
        ("sem create @x --slots 2 --value 1", 2, "cannot be used together"),
        ("sem create /@x --value 2147483648", 2, "(POSIX: 2147483647), not '2147483648'"),
        ("sem create @x -m 0999", 2, "--mode: expected permission bits"),
        ("sem set @a 32768", 2, "VALUE: expected a value from 0 to 32767, not '32768'"),
        ("sem set @a -1", 2, "expected a value from 0 to 32767, not '-1'"),
        ("sem set @a 2=1", 2, "the set has 2 semaphores, numbered 0 to 1"),
        ("sem set @a 1..9=1", 2, "the set has 2 semaphores, numbered 0 to 1"),
        ("sem set @a 1..0=1", 2, "a range that starts with its lower number"),
        ("sem set @a --owner nosuchuser", 2, "no user 'nosuchuser'"),
        ("sem post @m", 1, "the value would be outside the range from 0 to 32767 (ERANGE)"),
        ("sem post @a --by 0", 2, "--by: expected a number from 1 to 32767, not '0'"),
        ("sem post @a --by -1", 2, "--by: expected a number from 1 to 32767, not '-1'"),
        ("sem wait @a --by 32768", 2, "--by: expected a number from 1 to 32767, not '32768'"),
        ("sem post @a -i 2", 2, "the set has 2 semaphores, numbered 0 to 1 (EFBIG)"),
        ("sem get @m -i 1", 2, "the set has one semaphore, number 0 (EFBIG)"),
        ("sem wait @a -i -1", 2, "--index: expected an index from 0 to 65535, not '-1'"),
        ("sem op @a 2:+1", 2, "the set has 2 semaphores, numbered 0 to 1 (EFBIG)"),
        ("sem op @a 0:+32768", 2, "expected a number from -32767 to 32767, not '0:+32768'"),
        ("sem op @a 0", 2, "an operation is INDEX:DELTA, for example 0:-1"),
        ("sem op @m 0:+1", 1, "(ERANGE)"),
        ("sem op @a 0:+1 cmd", 2, "not 'cmd'"),
        ("sem get /@p -i 1", 2, "a POSIX semaphore is not a set\n"),
        ("sem post /@p --by 2", 2, "a POSIX semaphore can change only by 1\n"),
        ("sem set /@p 1", 2, "the kernel cannot set a POSIX semaphore\n"),
        ("sem set /@p -m 666", 2, "those of its file, /dev/shm/sem.NAME\n"),
        ("sem get @a -i 70000", 2, "expected an index from 0 to 65535"),
        ("sem wait @a -w 1y", 2, "'y' has no fixed length"),
        ("sem wait @a -w -1", 2, "--timeout: expected a duration"),
        ("sem wait @a -E 256", 2, "--timeout-status: expected an exit status from 0 to 255"),
        ("sem wait @a -E -1", 2, "expected an exit status from 0 to 255"),
        ("sem run @x --slots 0 -- true", 125, "--slots: expected a number from 1 to 32767, not '0'"),
        ("sem run @x --slots -2 -- true", 125, "--slots: expected a number from 1 to 32767, not '-2'"),
        ("sem run @x --slots 40000 -- true", 125, "--slots: expected a number from 1 to 32767, not '40000'"),
        ("sem run @x --slots 2 --take 3 -- true", 125, "--take 3 can never succeed: there are only 2 slots\n"),
        ("sem run @x --slots 1 --take 2 -- true", 125, "--take 2 can never succeed: there is only 1 slot\n"),
        ("sem run @x --slots 2 --take 0 -- true", 125, "--take: expected a number from 1 to 32767, not '0'"),
        ("sem barrier @x 0", 2, "N: expected a number from 1 to 32767, not '0'"),
        ("sem barrier @x -1", 2, "N: expected a number from 1 to 32767, not '-1'"),
        ("sem hold @x 0 --slots 1", 2, "PID: expected a process id, not '0'"),
        ("sem hold @x -1 --slots 1", 2, "PID: expected a process id, not '-1'"),
        ("sem hold @x 1 --shared", 2, "--lock"),
        ("sem hold @x 1 --lock --slots 2", 2, "cannot be used together"),
    ] {
        world.call(line).fails(code, words);
    }
    world.call("sem get @a --all").stdout("1 1\n").ok();
    world.call("sem get @x").fails(3, "no such semaphore set");
}

#[test]
fn path_as_target_hints_the_call_with_a_name() {
    let world = World::new();
    for (line, hint) in [
        ("sem barrier feature/foo 2", "ipcbox sem barrier foo 2"),
        ("sem get ./lock", "ipcbox sem get lock"),
        ("shm create /a/b --size 8", "ipcbox shm create b --size 8"),
        ("msgq create ~/queue", "ipcbox msgq create queue"),
    ] {
        world.call(line).fails(2, &format!("hint: {hint}\n"));
    }
}

#[test]
fn more_slots_than_exist_fail_at_once() {
    let world = World::new();
    world.call("sem create @s --slots 2").ok();
    world.call("sem run @s --take 3 -- true").fails(125, "--take 3 can never succeed: there are only 2 slots");
    let pid = std::process::id();
    world.call(&format!("sem hold @s {pid} --take 3")).fails(1, "--take 3 can never succeed: there are only 2 slots");
}

#[test]
fn missing_or_not_executable_command_is_126_or_127() {
    let world = World::new();
    world.file("plain", "#!/bin/sh\n");
    world.script("badint", "#!/nonexistent/sh\n");
    world.script("noint", "echo hello\n");
    for verb in ["run @s --slots 1", "lock @l", "op @o 0:0"] {
        world.call("sem create @o").ok();
        for (command, code, words) in [
            ("nosuchcommand", 127, "cannot run nosuchcommand: command not found (ENOENT)"),
            ("./nosuch", 127, "command not found (ENOENT)"),
            ("./plain/x", 127, "command not found (ENOTDIR)"),
            ("./plain", 126, "cannot run ./plain: permission denied (EACCES)"),
            ("/", 126, "permission denied (EACCES)"),
            ("./badint", 126, "the program's interpreter or loader is missing (ENOENT)"),
            ("./noint", 126, "neither a binary nor a script that starts with #! (ENOEXEC)"),
        ] {
            world.call(&format!("sem {verb} -- {command}")).fails(code, words);
        }
        world.call(&format!("sem {verb} --")).arg("").fails(127, "cannot run '': command not found");
    }
    // Nothing is held afterwards.
    world.call("sem run @s -n -- true").ok();
    world.call("sem lock @l -n -- true").ok();
    // A missing command is reported before any wait.
    let _holder = world.call("sem run @s -- sleep 100").start().became("sleep");
    world.call("sem run @s -- nosuchcommand").fails(127, "command not found");
    world.call("sem run @s -n -- true").env("PATH", "/nonexistent").fails(127, "command not found");
}

#[test]
fn verb_for_another_purpose_is_refused() {
    let world = World::new();
    world.call("sem create @s --slots 4").ok();
    world.call("sem lock @l -- true").ok();
    world.call("sem barrier @b 3 -n -E 0").ok();
    world.call("sem create @p --value 1").ok();
    let pid = std::process::id();
    let is = |target: &str| match target {
        "@s" => "has 4 slots",
        "@l" => "is a lock",
        "@b" => "is a barrier for 3",
        _ => "is a plain semaphore",
    };
    let before: Vec<String> =
        ["@s", "@l", "@b", "@p"].iter().map(|t| world.call(&format!("sem get --all {t}")).ok()).collect();
    for target in ["@s", "@l", "@b", "@p"] {
        let check = |own: &str, line: String, code: i32, not: &str| {
            if target != own {
                world.call(&line).fails(code, &format!("{}, not {not}", is(target)));
            }
        };
        check("@s", format!("sem run {target} -- true"), 125, "slots");
        check("@s", format!("sem run {target} --slots 4 -- true"), 125, "slots");
        check("@s", format!("sem hold {target} {pid} -n"), 4, "slots");
        check("@l", format!("sem lock {target} -- true"), 125, "a lock");
        check("@l", format!("sem hold {target} {pid} --lock -n"), 4, "a lock");
        check("@b", format!("sem barrier {target} 3 -n"), 4, "a barrier");
        for verb in ["wait -n", "post", "op -n 0:1", "set 5"] {
            let (verb, rest) = verb.split_once(' ').unwrap_or((verb, ""));
            check("@p", format!("sem {verb} {target} {rest}"), 4, "a plain semaphore");
        }
    }
    let after: Vec<String> =
        ["@s", "@l", "@b", "@p"].iter().map(|t| world.call(&format!("sem get --all {t}")).ok()).collect();
    assert_eq!(before[..3], after[..3]);
    // Attributes can be changed for any purpose.
    world.call("sem set @s -m 0660").ok();
}

#[test]
fn posix_semaphore_without_undo_is_refused() {
    let world = World::new();
    world.call("sem create /@p --value 1").ok();
    let pid = std::process::id();
    for (line, code) in [
        ("sem run /@p --slots 1 -- true".to_owned(), 125),
        ("sem run /@p -- true".to_owned(), 125),
        ("sem lock /@p -- true".to_owned(), 125),
        (format!("sem hold /@p {pid} --slots 1"), 2),
        (format!("sem hold /@p {pid} --lock"), 2),
        ("sem barrier /@p 2".to_owned(), 2),
        ("sem op /@p 0:-1".to_owned(), 2),
        ("sem set /@p 1".to_owned(), 2),
        ("sem create /@p --slots 2".to_owned(), 2),
        ("sem create /@p --nsems 2".to_owned(), 2),
        ("sem wait /@p --zero".to_owned(), 2),
        ("sem wait /@p --by 2".to_owned(), 2),
        ("sem post /@p -i 1".to_owned(), 2),
    ] {
        let output = world.call(&line).output();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {printed}");
        let hint = format!("hint: use {}, without '/'", world.name("p"));
        assert!(printed.contains(&hint), "{line}: {printed}");
    }
    world.call("sem get /@p").stdout("1\n").ok();
    // A file that is not a semaphore.
    let path = format!("/dev/shm/sem.{}", world.name("f"));
    fs::write(&path, "x").unwrap();
    world.call("sem get /@f").fails(3, "the file is not a POSIX semaphore (EINVAL)");
    world.call("sem rm /@f").ok();
    world.call("sem get /@f").fails(3, "no such semaphore (ENOENT)");
    let value = world.call("sem create /@max --value 2147483647");
    value.ok();
    world.call("sem post /@max").fails(1, "the value would be outside the range from 0 to 2147483647 (EOVERFLOW)");
}

#[test]
fn missing_target_is_status_3() {
    let world = World::new();
    for verb in ["get", "wait", "post", "stat"] {
        world.call(&format!("sem {verb} @nope")).fails(3, "no such semaphore set (ENOENT)");
        world.call(&format!("sem {verb} 0x7ffffffe")).fails(3, "no such semaphore set (ENOENT)");
        world.call(&format!("sem {verb} 2147483647")).fails(3, "no such semaphore set (EINVAL)");
        world.call(&format!("sem {verb} /@nope")).fails(3, "no such semaphore (ENOENT)");
        world.call(&format!("sem {verb} private")).fails(2, "'private' is valid only with the verb create");
        world.call(&format!("sem {verb} ftok:/nonexistent")).fails(3, "cannot compute the ftok key of /nonexistent");
    }
    // Wrong usage of one target: none is removed.
    for create in ["msgq create @kept", "sem create @kept", "shm create @kept --size 1"] {
        world.call(create).ok();
        let applet = create.split(' ').next().unwrap();
        world.call(&format!("{applet} rm @kept private")).fails(2, "'private' is valid only with the verb create");
        world.call(&format!("{applet} rm @kept")).ok();
    }
    world.call("sem run private --slots 1 -- true").fails(125, "'private' is valid only with the verb create");
    world.call("sem create private --slots 1").fails(2, "slots need a name or a key");
    let Some(program) = super::interop::compiled(&world, "sysv.c") else { return };
    // Each kind counts its own ids: with enough queues, one has an id that no set has.
    let ids = world.program(&program).args(["queues", "8"]).ok();
    let sets = world.call("sem stat --columns id --no-header").ok();
    let id = ids.lines().find(|id| !sets.lines().any(|set| set.trim() == *id)).unwrap();
    world.call(&format!("sem get {id}")).fails(3, &format!("{id} is the id of a message queue"));
    world.call(&format!("sem run {id} -- true")).fails(125, "is the id of a message queue");
    world.program(&program).args(["rmqueues"]).args(ids.lines()).ok();
}

#[test]
fn set_of_another_user_is_protected() {
    let world = World::new();
    let Some(stranger) = world.stranger() else {
        skip("two users want root");
        return;
    };
    world.call("sem create @a --value 1").ok();
    world.call("sem create /@p").ok();
    world.call("sem create @s --slots 2").ok();
    for line in ["sem get @a", "sem wait @a", "sem post @a", "sem op @a 0:+1", "sem stat @a --waiters"] {
        world.call(line).user(stranger).fails(5, "permission denied; owned by root (EACCES)");
    }
    world.call("sem run @s -- true").user(stranger).fails(125, "permission denied; owned by root (EACCES)");
    world.call("sem set @a 5").user(stranger).fails(5, "permission denied; owned by root (EACCES)");
    world.call("sem set @a -m 666").user(stranger).fails(5, "owned by root (EPERM)");
    world.call("sem rm @a --force").user(stranger).fails(5, "owned by root (EPERM)");
    world.call("sem get /@p").user(stranger).fails(5, "permission denied");
    // The listing shows the owner, but not the value.
    let listing = world.call("sem stat --columns owner,value --no-header").user(stranger).ok();
    assert!(listing.lines().any(|line| line == "root  -"), "{listing}");

    // Another user can have created it first.
    let own = |line: &str| world.call(line).user(stranger);
    own("sem create @theirs --value 1 -m 0666").ok();
    own("sem run @slots --slots 2 -m 0666 -- true").ok();
    own("sem create /@theirs -m 0666").ok();
    let belongs = format!("already exists and is owned by uid {stranger}");
    world.call("sem create @theirs --value 1").fails(5, &belongs);
    world.call("sem run @slots --slots 2 -- true").fails(125, &belongs);
    world.call("sem create /@theirs").fails(5, &belongs);
    for line in ["sem create @theirs --value 1", "sem run @slots --slots 2", "sem create /@theirs"] {
        let command = if line.contains("run") { " -- true" } else { "" };
        world.call(&format!("{line} --foreign{command}")).ok();
    }
    // The creator keeps the permissions of an owner.
    own("sem create @given --slots 1 -m 0666").ok();
    own("sem set @given --owner root").ok();
    world.call("sem run @given --slots 1 -- true").fails(125, &belongs);

    // A set with write permission only is protected, too.
    world.call("sem set @s -m 0622").ok();
    world.call("sem lock @lock -m 0622 -- true").ok();
    own("sem post @s").fails(4, "is slots, not a plain semaphore");
    own("sem op @lock 0:+1").fails(4, "is a lock, not a plain semaphore");
    world.call("sem get @s").stdout("2\n").ok();
    world.call("sem create @writable -m 0622").ok();
    own("sem post @writable").ok();
    world.call("sem set @writable -m 0").ok();
    world.call("sem get @writable").stdout("1\n").ok();
    own("sem create @mine -m 0200").ok();
    own("sem get @mine").fails(5, "permission denied by the mode, although you own the object (EACCES)");

    // A call that cannot create trusts any owner. Root's objects are always trusted.
    world.call("sem run @slots -- true").ok();
    world.call("sem create @r --value 1 -m 0666").ok();
    own("sem create @r --value 1").ok();
}

#[test]
fn kernel_limits_are_named() {
    let world = World::new();
    let limits = fs::read_to_string("/proc/sys/kernel/sem").unwrap();
    let limits: Vec<usize> = limits.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let (per_set, ops) = (limits[0], limits[2]);
    if per_set < 32767 {
        let words = format!("a set can have at most {per_set} semaphores, not {} (EINVAL)", per_set + 1);
        world.call(&format!("sem create @x --nsems {}", per_set + 1)).fails(1, &words);
        let slots = format!("sem run @x --slots {per_set} -- true");
        world.call(&slots).fails(125, "a set can have at most ");
    } else {
        skip(&format!("in part: SEMMSL is {per_set} here"));
    }
    let many = ops + 1;
    world.call(&format!("sem create @x --nsems {many} --value 1")).fails(1, "operations that one call can perform");
    world.call(&format!("sem create @x --nsems {many}")).ok();
    let words = format!("one call can perform at most {ops} operations (E2BIG)");
    world.call(&format!("sem op @x 0..{ops}:+1")).fails(1, &words);
    world.call(&format!("sem op @x 1..{ops}:+1")).ok();
}

#[test]
fn no_space_left_names_the_limit() {
    let world = World::new();
    // Only root of the IPC namespace can set these limits.
    if !world.is_own() {
        skip("the limits of an IPC namespace want one");
        return;
    }
    let set = |text: &str| fs::write("/proc/sys/kernel/sem", text);
    let before = fs::read_to_string("/proc/sys/kernel/sem").unwrap();
    set("250 10 500 3").unwrap();
    for name in ["@a", "@b", "@c"] {
        world.call(&format!("sem create {name}")).ok();
    }
    let hint = "hint: sysctl -w kernel.sem='250 10 500 128'\n";
    let words = format!("the system's limit of 3 semaphore sets is reached (ENOSPC)\n{hint}");
    world.call("sem create @d").fails(1, &words);
    set("250 5 500 9").unwrap();
    let hint = "hint: sysctl -w kernel.sem='250 14 500 9'\n";
    let words = format!("no room for 4 more semaphores: the system already has 3 (ENOSPC)\n{hint}");
    world.call("sem create @d --nsems 4").fails(1, &words);
    // The limits of the hint suffice.
    set("250 14 500 9").unwrap();
    world.call("sem create @d --nsems 4").ok();
    set(&before).unwrap();
}

#[test]
fn small_sets_leave_room_for_fewer_slots() {
    let world = World::new();
    if !world.is_own() {
        return skip("the limits of an IPC namespace want one");
    }
    // As recommended by database manuals.
    fs::write("/proc/sys/kernel/sem", "250 32000 100 128").unwrap();
    world.call("sem run @s --slots 4 -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1\n").ok();
    world.call("sem run @s --slots 247 --resize -- true").ok();
    world.call("sem run @s --slots 248 --resize -- true").fails(125, "room for at most 247 slots, not 248");
    let words = "a set can have at most 250 semaphores, not 251 (EINVAL)";
    world.call("sem run @t --slots 248 -- true").fails(125, words);
}

#[test]
fn few_semaphores_leave_slots_a_share() {
    let world = World::new();
    if !world.is_own() {
        return skip("the limits of an IPC namespace want one");
    }
    fs::write("/proc/sys/kernel/sem", "250 128 100 128").unwrap();
    for name in ["@a", "@b"] {
        world.call(&format!("sem run {name} --slots 2 -- true")).ok();
    }
    world.call("sem run @a --slots 14 --resize -- true").fails(125, "room for at most 13 slots, not 14");
    // An array beyond the limit leaves no incomplete set.
    fs::write("/proc/sys/kernel/sem", "250 128 4 128").unwrap();
    world.call("sem run @c --slots 2 -- true").fails(125, "one call can perform at most 4 operations");
    world.call("sem get @c").fails(3, "no such semaphore set");
}

#[test]
fn file_truncated_under_a_waiter_is_reported() {
    let world = World::new();
    let file = |name: &str| format!("/dev/shm/sem.{}", &name[1..]);
    let cut = world.posix("cut");
    world.call("sem create").arg(&cut).ok();
    let waiting = world.call("sem wait").arg(&cut).start().blocked_in(libc::SYS_futex);
    fs::write(file(&cut), "").unwrap();
    waiting.signal(Signal::SIGTERM);
    let printed = waiting.end();
    assert_eq!(printed.status.code(), Some(3), "{printed:?}");
    assert!(
        String::from_utf8_lossy(&printed.stderr).contains("the semaphore file was truncated (SIGBUS)"),
        "{printed:?}"
    );
}

#[test]
fn changed_slots_are_reported_without_spinning() {
    let world = World::new();
    let Some(program) = super::interop::compiled(&world, "sysv.c") else { return };
    let key = world.call("key @s").ok();
    world.call("sem create @s --slots 200").ok();
    world.program(&program).args(["op", key.trim(), "0", "300"]).ok();
    world
        .shell("sem run $NAME-s --take 200 -- sem run $NAME-s --take 200 -- sem run $NAME-s -- true")
        .fails(125, "the count of free slots is too high: another program changed the semaphore (EOVERFLOW)");
}
