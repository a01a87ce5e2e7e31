//! Objects that filters and `--leaks` keep, and how they are reported.

use super::has;
use crate::support::{BINARY, Call, World, skip};

/// Runs a script in a PID namespace with its own `/dev/shm`; `None` if none can be created.
fn inside(world: &World, script: &str) -> Option<String> {
    let script = format!("mount -t tmpfs none /dev/shm || exit 7; exec 2>&1\n{script}");
    let namespaces = ["--ipc", "--mount", "--pid", "--fork", "--mount-proc"];
    let call = Call::new("unshare").args(namespaces).args(["sh", "-euc", &script]);
    let output = call.env("BOX", BINARY).dir(world.dir()).output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(7) || text.is_empty() && !output.status.success() {
        skip("it needs the right to create namespaces and to mount");
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{text}");
    Some(text)
}

#[test]
fn objects_without_proof_are_counted() {
    let world = World::new();
    let why = "processes outside this PID namespace are not visible\n";
    for (line, kept) in [
        ("ipcrm-lite --posix --shm --unused --mine --yes", "ipcrm-lite: kept 2 objects: "),
        ("ipcrm-lite --posix --sem --unused --mine --yes", "ipcrm-lite: kept 1 object: "),
        ("ipcrm-lite --posix --shm --unused --mine --dry-run", "ipcrm-lite: kept 2 objects: "),
        ("ipcs-lite --posix -m --unused -J", "ipcs-lite: left out 2 objects: "),
        ("ipcrm-lite --orphaned --yes", "ipcrm-lite: kept 1 object: "),
        ("ipcrm-lite --posix --shm /a --unused", "ipcrm-lite: kept 1 object: "),
        ("ipcs-lite --orphaned -q -J", "ipcs-lite: left out 1 object: "),
    ] {
        let script = format!(
            "for name in /a /b; do $BOX shm create $name --size 4; done >/dev/null
            $BOX sem create /c >/dev/null
            $BOX msgq send q x --create; $BOX msgq recv q >/dev/null
            $BOX {line}
            $BOX ipcs-lite --posix -J | wc -l"
        );
        let Some(text) = inside(&world, &script) else { return };
        assert_eq!(text, format!("{kept}{why}4\n"), "{line}");
    }
}

#[test]
fn slots_and_locks_are_kept_and_counted() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("ipcbox sem run $NAME-slots --slots 2 -- true; ipcbox sem lock $NAME-lock -- true").ok();
    let [slots, lock, met] = ["slots", "lock", "met"].map(|name| world.name(name));
    let kept =
        format!("ipcrm-lite: left 1 set of slots and 1 lock alone\nhint: ipcbox sem rm --unused {slots} {lock}\n");
    let planned = kept.replace("left", "would leave");
    // Without anything to remove, no confirmation is needed.
    for line in ["-a --yes", "--unused --yes", "--mine --yes", "--unused"] {
        world.call(&format!("ipcrm-lite {line}")).stdout("").stderr(&kept).ok();
    }
    world.call("ipcrm-lite --sem --unused --dry-run").stdout("").stderr(&planned).ok();
    // A plain set would be removed, a barrier not.
    world.shell("ipcbox sem create $NAME-plain -q; ipcbox sem barrier $NAME-met 2 -n 2>/dev/null || true").ok();
    let planned = planned.replace("slots and 1 lock", "slots, 1 lock and 1 barrier");
    let refused = world.call("ipcrm-lite --unused --sem").output();
    let printed = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && printed.starts_with(&planned), "{printed}");
    // The hint is one command without a comment, which interactive zsh would take as arguments.
    let hint = printed.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    world.shell(hint).stdout("").stderr("").ok();
    let kept = format!("ipcrm-lite: left 1 barrier alone\nhint: ipcbox sem rm {met}\n");
    world.call("ipcrm-lite -a --yes").stdout("").stderr(&kept).ok();
    world.shell(kept.split_once("hint: ").unwrap().1).stdout("").stderr("").ok();
}

#[test]
fn many_slots_are_hinted_without_their_ids() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("for n in 1 2 3 4 5 6 7 8 9; do ipcbox sem create $NAME-$n --slots 2 -q; done").ok();
    let kept = "ipcrm-lite: left 9 sets of slots alone\nhint: ipcbox sem rm --unused --yes\n";
    world.call("ipcrm-lite -a --yes").stdout("").stderr(kept).ok();
    world.shell(kept.split_once("hint: ").unwrap().1).stdout("").stderr("").ok();
    world.call("ipcrm-lite -a --yes").stdout("").stderr("").ok();
}

#[test]
fn objects_of_others_are_kept_and_counted() {
    let world = World::new();
    let (Some(uid), true) = (world.stranger(), world.is_own()) else {
        return skip("it needs root and an IPC namespace of its own");
    };
    world.shell("ipcmk -Q; ipcmk -M 10 -p 600; ipcmk -S 1").ok();
    world.program("ipcmk").args(["-Q", "-p", "600"]).user(uid).ok();
    let all = world.call("ipcrm-lite -a --yes -v").user(uid);
    all.stdout("removing message queue 1\n").stderr("ipcrm-lite: kept 3 objects that belong to other users\n").ok();
    // With --owner, each object is reported.
    let named = world.call("ipcrm-lite --owner root --yes").user(uid).output();
    assert_eq!(named.status.code(), Some(5));
    assert_eq!(String::from_utf8_lossy(&named.stderr).matches("owned by root").count(), 3);
}

#[test]
fn idle_slots_are_no_leak() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    for (options, verb) in [
        ("", "run s --slots 2"),
        ("--clean", "lock l"),
        ("--isolate", "run s --slots 2"),
        ("--isolate --clean", "lock l"),
    ] {
        let line = format!(
            "ipcs-lite --leaks {options} -s --columns verdict,family --no-header -- {BINARY} sem {verb} -- true"
        );
        let output = world.call(&line).output();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let shown: Vec<&str> = text.lines().filter(|line| line.ends_with("sysv")).collect();
        assert_eq!(shown, ["idle  sysv"], "{line}: {text}");
        // Other tests use /dev/shm at the same time.
        assert!(text.lines().count() > 1 || output.status.code() == Some(0), "{line}");
    }
    // A process that CMD left behind holds them.
    let line = "ipcs-lite --leaks -s --columns verdict,family --no-header -- sh -c";
    let holds = format!(
        "{BINARY} sem run h --slots 2 -- sleep 1000 >&- 2>&- & until {BINARY} sem stat h --columns held --no-header | grep -q 1; do :; done; echo $! >pid"
    );
    let output = world.call(line).arg(holds).output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pid = std::fs::read_to_string(world.dir().join("pid")).unwrap();
    crate::support::signal(pid.trim().parse().unwrap(), nix::sys::signal::Signal::SIGKILL);
    assert!(text.contains("held  sysv"), "{text}");
}

#[test]
fn unproven_objects_are_kept_with_a_hint() {
    let world = World::new();
    if !world.is_own() || !has("ipcmk") {
        return;
    }
    // The kernel keeps no pid for a queue or set that was never used.
    let line = "ipcs-lite --leaks --clean -q -s -- sh -c";
    let output = world.call(line).arg("ipcmk -Q; ipcmk -S 3").output();
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    let hint =
        "CMD was not seen creating or using them\nhint: add --isolate to run CMD in an IPC namespace of its own\n";
    assert!(printed.contains(hint), "{printed}");
    world.call("ipcrm-lite --msg 0 --sem 0").ok();
    // The hint works: then nothing is left.
    let isolated = line.replace("--clean", "--clean --isolate");
    world.call(&isolated).arg("ipcmk -Q; ipcmk -S 3").output();
    world.call("ipcs-lite -q -s -J").stdout("").ok();
}
