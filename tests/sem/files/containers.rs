//! The same file in several containers: other IPC, pid and mount namespaces.

use std::fs;
use std::path::Path;

use super::holder;
use crate::support::{BINARY, Call, Child, World, eventually, skip};

/// Creates a call of ipcbox in namespaces of its own.
fn contained(world: &World, line: &str) -> Call {
    let words = line.split(' ');
    let namespaces = ["--ipc", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc"];
    Call::new("unshare").args(namespaces).arg(BINARY).args(words).dir(world.dir())
}

fn can_contain(world: &World) -> bool {
    let can = contained(world, "--version").output().status.success();
    if !can {
        skip("needs root to create containers");
    }
    can
}

#[test]
fn containers_share_a_limit() {
    let world = World::new();
    if !can_contain(&world) {
        return;
    }
    // Each CMD leaves a file while it runs, and counts them.
    let job = "n=$(mktemp -p now); ls now | wc -l >>seen; sleep 0.02; rm $n";
    fs::create_dir(world.dir().join("now")).unwrap();
    let children: Vec<Child> = (0..24)
        .map(|n| {
            let line = format!("sem run {}/s --slots 2 -q -- sh -c", world.dir().display());
            let call = if n % 3 == 0 { world.call(&line) } else { contained(&world, &line) };
            call.arg(job).start()
        })
        .collect();
    for child in children {
        assert_eq!(child.code(), 0);
    }
    let seen = fs::read_to_string(world.dir().join("seen")).unwrap();
    let most = seen.lines().map(|line| line.trim().parse::<u32>().unwrap()).max();
    assert_eq!((seen.lines().count(), most), (24, Some(2)), "{seen}");
}

#[test]
fn holder_in_another_container_is_counted() {
    let world = World::new();
    if !can_contain(&world) {
        return;
    }
    let holder = holder(&world, "sem run ./s --slots 1");
    contained(&world, "sem run ./s -n -- true").fails(124, "the only slot is in use\n");
    let record = contained(&world, "sem stat ./s --json").ok();
    let unseen = r#""held":1,"used":1,"holders":[{"slot":1,"count":1,"pid":null,"command":null}]"#;
    assert!(record.contains(unseen), "{record}");
    // The waiters of all containers are counted.
    let waiting = contained(&world, "sem run ./s -q -- true").start();
    super::awaited(&world, "./s", 1);
    eventually("the container sees it", || {
        contained(&world, "sem stat ./s --columns waiting --no-header").ok() == "1\n"
    });
    drop(holder);
    assert_eq!(waiting.code(), 0);
}

/// Holds a slot of `theirs` in a container, and tries that of `ours`.
fn excludes(world: &World, ours: &Path, theirs: &str, mounts: &str) {
    let ready = world.dir().join("ready");
    let script = format!("{mounts}; exec {BINARY} sem run {theirs} --slots 1 -- sh -c 'echo >ready; exec sleep 1000'");
    let namespaces = ["--ipc", "--pid", "--mount", "--fork", "--kill-child"];
    let child = Call::new("unshare").args(namespaces).args(["sh", "-euc", &script]).dir(world.dir()).start();
    eventually("the container holds a slot", || ready.exists());
    world.call("sem run").arg(ours).args(["--slots", "1", "-n", "--", "true"]).fails(124, "the only slot is in use");
    drop(child);
    fs::remove_file(ready).unwrap();
    world.call("sem run").arg(ours).args(["-w", "60", "--", "true"]).ok();
}

#[test]
fn bind_mount_and_tmpfs_exclude() {
    let world = World::new();
    if !can_contain(&world) {
        return;
    }
    fs::create_dir(world.dir().join("shared")).unwrap();
    fs::create_dir(world.dir().join("there")).unwrap();
    let shared = world.dir().join("shared/s");
    excludes(&world, &shared, "there/s", "mount --bind shared there");
    // /dev/shm is a tmpfs.
    let name = format!("/dev/shm/{}", world.name("tmpfs"));
    excludes(&world, Path::new(&name), &name, "true");
    fs::remove_file(name).unwrap();
}

#[test]
fn callers_in_an_overlay_exclude() {
    let world = World::new();
    if !can_contain(&world) {
        return;
    }
    let script = format!(
        "mount -t tmpfs none m; mkdir m/low m/up m/work m/all; echo 'ipcbox slots 1' >m/low/s
         mount -t overlay none m/all -o lowerdir=m/low,upperdir=m/up,workdir=m/work || exit 77
         {BINARY} sem run m/all/s -- {BINARY} sem run m/all/s -n -E 9 -q -- true || echo $?
         {BINARY} sem stat m/all/s --columns used --no-header
         {BINARY} sem run m/all/new --slots 1 -- {BINARY} sem run m/all/new -n -E 9 -q -- true || echo $?
         {BINARY} sem run m/all/new -- unshare --ipc --pid --fork {BINARY} sem run m/all/new -n -E 9 -q -- true || echo $?"
    );
    fs::create_dir(world.dir().join("m")).unwrap();
    let call = Call::new("unshare").args(["--mount", "sh", "-c", &script]).dir(world.dir());
    let output = call.output();
    if output.status.code() == Some(77) {
        return skip("needs overlayfs");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "9\n0/1\n9\n9\n", "{output:?}");
}
