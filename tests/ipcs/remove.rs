//! `ipcrm-lite`: TARGETs, filters and objects in use.

use std::os::unix::fs::PermissionsExt;

use super::sees_all;
use crate::support::{BINARY, Call, World, skip};

#[test]
fn target_is_found_by_its_kind() {
    let world = World::new();
    world.call("sem create @a").ok();
    world.call("ipcrm-lite @a -v").ok();
    world.call("ipcrm-lite @a").fails(3, "no such object");
    world.call("ipcrm-lite --missing-ok @a").ok();
    world.call("sem create @a").ok();
    world.call("msgq create @a").ok();
    world.call("ipcrm-lite @a").fails(2, "names several objects: message queue");
    world.call("ipcrm-lite --shm @a").fails(3, "no such shared memory segment");
    world.call("ipcrm-lite --sem @a --msg @a").ok();
    world.call("ipcrm-lite @a").fails(3, "no such object");
}

#[test]
fn wrong_target_removes_nothing() {
    let world = World::new();
    for name in ["@a", "@b"] {
        world.call(&format!("sem create {name}")).ok();
    }
    world.call("msgq create @b").ok();
    world
        .call("ipcrm-lite @a 12a")
        .fails(2, "TARGET: expected a name that starts with a letter, for example ci-12a, not '12a'");
    world.call("ipcrm-lite @a /x").fails(2, "add --posix to remove POSIX objects");
    world.call("ipcrm-lite @none /x @a").fails(2, "add --posix to remove POSIX objects");
    world.call("ipcrm-lite @a @b").fails(2, "names several objects");
    let id = world.call("ipcs-lite @a --columns id --no-header").ok();
    let id = id.trim();
    for (line, words) in [
        (format!("-s {id} -s 5x"), "failed to parse argument: '5x'"),
        (format!("-s {id} -S 0"), "illegal key (0)"),
        (format!("-s {id} -afoo"), "unknown argument: foo"),
        (format!("-s {id} /x"), "add --posix to remove POSIX objects"),
        (format!("sem {id} x"), "invalid id: x"),
    ] {
        world.call(&format!("ipcrm {line}")).fails(2, words);
    }
    world.call("ipcrm-lite @a").ok();
}

#[test]
fn filters_apply_to_names_and_to_all() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.call("msgq create @a").ok();
    world.call("msgq create @b").ok();
    let left = || world.call("ipcs-lite -J").ok().lines().count();
    let id = world.call("ipcs-lite -q @b --columns id --no-header").ok();
    let id = id.trim();
    let key = world.call("key @b").ok();
    let key = key.trim();
    for line in [
        "-a --older-than 1h",
        "-a --owner 54321",
        "-a --keep @a --keep @b",
        &format!("--older-than 1h msg {id}"),
        &format!("--keep {id} msg {id}"),
        &format!("-q {id} --older-than 1h"),
        &format!("-Q {key} --keep @b"),
        "--keep @b @b",
        "--owner 54321 --yes @a @b",
        "-ashm -v --yes @a",
    ] {
        for name in ["ipcrm", "ipcrm-lite"] {
            if (name, line) != ("ipcrm", "-ashm -v --yes @a") {
                world.call(&format!("{name} {line}")).stdout("").ok();
            }
            assert_eq!(left(), 2, "{name} {line}");
        }
    }
    for line in ["-a --mine", "-a --keep @a", "-a --posix"] {
        world.call(&format!("ipcrm {line}")).fails(2, "--yes was not given");
    }
    assert_eq!(left(), 2);
    let printed = format!("removing message queue {id} ({})\n", world.name("b"));
    world.call("ipcrm -a --keep @a --yes -v").stdout(printed).ok();
    // A named object needs no --yes, and is removed without a message.
    let gone = world.call("ipcrm-lite @a @a --mine -J").ok();
    assert_eq!((gone.lines().count(), left()), (1, 0), "{gone}");
    world.call("ipcrm-lite --missing-ok msg 99").stdout("").ok();
}

/// A waiter on a queue can be hidden, so that its absence proves nothing.
#[test]
fn queue_with_a_hidden_waiter_is_kept() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else {
        return skip("it needs root and an IPC namespace of its own");
    };
    world.call("msgq create @q -m 0666").user(uid).ok();
    world.call("msgq create @own").user(uid).ok();
    let waiter = world.call("msgq recv @q -t 2").start().blocked_in(nix::libc::SYS_msgrcv);
    for line in ["@q", "--mine --yes", "-a --yes"] {
        let line = format!("ipcrm-lite {line} --keep @own");
        let words = "cannot inspect every process that may use the object";
        world.call(&line).user(uid).fails(1, words);
    }
    // The owner may remove an object that its mode keeps from all other users.
    world.call("ipcrm-lite @own").user(uid).ok();
    let name = world.name("q");
    let filters = ["--orphaned --yes", "--unused --mine --yes"];
    let hidden =
        format!("mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid {uid} --regid {uid} --clear-groups");
    for (how, lines) in [
        (&["-m", "sh", "-c", &format!("{hidden} \"$@\""), "sh"][..], &filters[..]),
        (&["-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"], &filters),
        (&["-pf", "--mount-proc"], &filters[..1]),
    ] {
        for line in lines {
            // The last sender and receiver have exited.
            let script = format!(
                "{BINARY} msgq send {name} -t 1 x; {BINARY} msgq recv {name} -t 1 >/dev/null; exec {BINARY} ipcrm-lite {line} -v"
            );
            let call = Call::new("unshare").args(how).args(["sh", "-c", &script]);
            let output = call.output();
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
            assert!(printed.lines().all(|line| line.starts_with("ipcrm-lite: kept ")), "{printed}");
        }
    }
    let blind = |line: &str| {
        let script = format!("mount -t tmpfs none /proc && exec {BINARY} {line}");
        Call::new("unshare").args(["-m", "sh", "-c", &script])
    };
    blind(&format!("ipcrm-lite {name}")).fails(1, "cannot inspect every process");
    // The kernel counts waiters on a set and mappings of a segment.
    world.call("sem create @set --value 0").ok();
    world.call("shm create @m --size 4").ok();
    let taker = world.call("sem wait @set").start().blocked_in(nix::libc::SYS_semtimedop);
    let reader = world.call("shm wait @m 0 --until ne").start().blocked_in(nix::libc::SYS_futex);
    let printed = "1 mapping of unknown processes\n1 unknown waiter\n";
    blind("ipcs-lite --holders --columns how --no-header").stdout(printed).ok();
    drop((taker, reader));
    world.call("msgq send @q -t 2 done").ok();
    assert_eq!(waiter.end().stdout, b"done\n");
    if sees_all() {
        world.call("ipcrm-lite --orphaned --yes").ok();
        world.call("ipcrm-lite @q").fails(3, "no such object");
    } else {
        skip("proof of an orphaned queue needs the first pid namespace");
    }
}

#[test]
fn each_failure_is_reported() {
    let world = World::new();
    let _held = world.call("sem run @s --slots 1 -- sleep 1000").start().became("sleep");
    let output = world.call("ipcrm-lite @none @s -m 999999").output();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{printed}");
    for words in ["no such object", "invalid id (999999)", "in use by"] {
        assert!(printed.contains(words), "{printed}");
    }
}

#[test]
fn filter_requires_yes() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("ipcmk -Q; ipcmk -M 10; ipcmk -S 1").ok();
    world.call("ipcrm-lite --mine").fails(2, "--yes was not given");
    world.call("ipcrm-lite -a").fails(2, "--yes was not given");
    world.call("ipcrm-lite").fails(2, "nothing to remove: no TARGET and no filter was given");
    world.call("ipcrm").stdout("").ok();
    let shown = "msg  0\nshm  0\nsem  0\n";
    world.call("ipcrm-lite -a --dry-run --columns kind,id --no-header").stdout(shown).ok();
    world.call("ipcrm-lite --mine --dry-run --sem --columns kind,id --no-header").stdout("sem  0\n").ok();
    // A dry run prints records; a named object once.
    let shown = world.call("ipcrm-lite --sem 0 0 --mine --dry-run -J").ok();
    let counts = (shown.lines().count(), shown.matches("\"kind\":\"sem\"").count());
    assert_eq!(counts, (1, 1), "{shown}");
    world.call("ipcrm-lite --mine --older-than 1h --dry-run").stdout("").ok();
    world.call("ipcrm-lite --older-than 1h").stdout("").ok();
    let gone = world.call("ipcrm-lite -amsg --yes -J").ok();
    assert!(gone.starts_with("{\"kind\":\"msg\",") && gone.lines().count() == 1, "{gone}");
    // A filter does not remove slots; a TARGET does.
    world.call("sem run @slots --slots 2 -- true").ok();
    let kept = world.call("ipcrm-lite -a --yes").stdout("").output();
    let printed = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert!(kept.status.success() && printed.contains("left 1 set of slots alone"), "{printed}");
    world.call("ipcs-lite --columns kind --no-header").stdout("sem\n").ok();
    world.call("ipcrm-lite @slots").ok();
    world.call("ipcs-lite -J").stdout("").ok();
}

/// `--shm`, `--msg` and `--sem` apply at any position and to every filter, and turn the `-a` of ipcrm into one.
#[test]
fn kinds_narrow_a_filter() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    let left = |kinds: &str, line: &str| {
        let left = world.call("ipcs-lite --columns kind --no-header").ok();
        assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), kinds, "{line}");
    };
    let make = "ipcmk -Q; ipcmk -M 10; ipcmk -S 1";
    for (line, kinds) in [
        ("--shm --all --yes", "msg sem"),
        ("--all --shm --yes", "msg sem"),
        ("--shm --all --mine --yes", "msg sem"),
        ("--shm --mine --yes", "msg sem"),
        ("-a --sem --msg --yes", "shm"),
        ("-ashm --shm --sem --yes", "msg sem"),
        ("-ashm --sem --yes", "msg shm sem"),
    ] {
        for name in ["ipcrm", "ipcrm-lite"] {
            world.shell(make).ok();
            world.call(&format!("{name} {line}")).ok();
            left(kinds, line);
            world.call("ipcrm -a").ok();
        }
    }
    world.shell(make).ok();
    world.call("sem create @s").ok();
    for line in ["-a --shm", "--sem --all", "--posix -a --msg"] {
        world.call(&format!("ipcrm {line}")).fails(2, "--yes was not given");
    }
    world.call("ipcrm --sem -ashm").stdout("").ok();
    left("msg shm sem sem", "nothing went");
    world.call("ipcrm --sem").fails(2, "nothing to remove: no TARGET and no filter was given");
    world.call("ipcrm -a --sem @s").ok();
    left("msg shm sem", "ipcrm -a --sem @s");
    world.call("ipcrm -a").ok();
}

#[test]
fn dry_run_removes_nothing() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("ipcmk -Q; ipcmk -M 10; ipcmk -S 1").ok();
    let key = world.shell("ipcs -q | awk '$2 == 0 { print $1 }'").ok();
    for (line, shown) in [
        ("ipcrm-lite -m 0 -q 0 -s 0", "shm  0\nmsg  0\nsem  0\n"),
        (&format!("ipcrm-lite -Q {} -q 0 --sem 0", key.trim()), "sem  0\nmsg  0\n"),
        ("ipcrm-lite shm 0", "shm  0\n"),
        ("ipcrm -a", "msg  0\nshm  0\nsem  0\n"),
        ("ipcrm -ashm -v", "shm  0\n"),
    ] {
        world.call(&format!("{line} --dry-run --columns kind,id --no-header")).stdout(shown).ok();
    }
    world.call("ipcrm-lite --dry-run -m 0 -m 7").fails(3, "invalid id (7)");
    world.call("ipcrm-lite --dry-run shm 7").fails(3, "invalid id (7)");
    world.call("ipcrm-lite --dry-run --missing-ok -m 7").stdout("").ok();
    let left = "msg\nshm\nsem\n";
    world.call("ipcs-lite --columns kind --no-header").stdout(left).ok();
}

#[test]
fn object_in_use_needs_force() {
    let world = World::new();
    let held = world.call("sem run @slots --slots 1 -- sleep 1000").start().became("sleep");
    let user = format!("{} (sleep 1000): holds slot 1", held.pid());
    let words = format!("cannot remove {}: in use by {user}", world.name("slots"));
    world.call("ipcrm-lite @slots").fails(1, &words);
    world.call("ipcrm-lite --force @slots").ok();
    drop(held);
    world.call("ipcrm-lite 99999999999999999999").fails(2, "expected an id of at most");
    world
        .call("ipcrm-lite 12a")
        .fails(2, "TARGET: expected a name that starts with a letter, for example ci-12a, not '12a'");
    world.call("ipcrm-lite 0x0").fails(2, "private objects share key 0");
    world.call("ipcrm-lite private").fails(2, "valid only with the verb create");
    world.call("ipcrm-lite -afoo").fails(2, "unknown argument: foo");
    world.call("ipcrm-lite shm").fails(2, "write only ids after shm");
}

/// A name with control characters neither drives a terminal nor starts a line of its own.
#[test]
fn foreign_name_forges_no_line() {
    let world = World::new();
    let name = world.posix("m\nremoving \x1b[31mred");
    let printed = format!("removing POSIX shared memory {}\n", name.escape_default());
    let remove = |options: &str| {
        let path = format!("/dev/shm{name}");
        std::fs::write(&path, "").unwrap();
        // Its mode keeps it from other users, so that no other process has to be inspected.
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        world.call(&format!("ipcrm-lite --posix --shm {options}")).arg(&name)
    };
    remove("-v").stdout(printed.clone()).ok();
    // Standard output has the records, standard error the messages.
    let records = remove("-v -J").stderr(format!("ipcrm-lite: {printed}")).ok();
    assert!(records.starts_with('{') && records.lines().count() == 1, "{records}");
    world.call("ipcrm-lite --posix").arg(&name).fails(3, "no such object");
}

#[test]
fn posix_objects_are_removed_by_name() {
    let world = World::new();
    world.call("shm create /@m --size 5").ok();
    world.call("sem create /@m").ok();
    world.call("msgq create /@q").ok();
    world.call("ipcrm-lite /@m").fails(2, "--posix");
    world.call("ipcrm-lite --posix /@m").fails(2, "names several objects");
    world.call("ipcrm-lite --posix --shm /@m --sem /@m").ok();
    world.call("ipcrm-lite --posix /@q").ok();
    world.call("ipcrm-lite --posix /@q").fails(3, "no such object");
}
