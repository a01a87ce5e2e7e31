//! `sem run`, `lock` and `create` on files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use super::{child_of, holder};
use crate::support::{World, eventually};

#[test]
fn command_gets_a_slot_of_a_file() {
    let world = World::new();
    let print = |line: &str| {
        world.call(line).args(["--", "sh", "-c", "echo $IPCBOX_SLOT $*; exit 7", "sh", "a b", "$(x)", "{}"])
    };
    print("sem run ./s --slots 2").stdout("1 a b $(x) {}\n").status(7);
    print("sem run ./s").stdout("1 a b $(x) {}\n").status(7);
    world.call("sem run ./s --take 2 -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1,2\n").ok();
    world.call("sem run ./s -- sh -c").arg("kill -9 $$").status(137);
    assert_eq!(fs::read_to_string(world.dir().join("s")).unwrap(), "ipcbox slots 2\n");
    assert_eq!(fs::metadata(world.dir().join("s")).unwrap().permissions().mode() & 0o777, 0o600);
    let _first = holder(&world, "sem run ./s");
    world.call("sem run ./s -- sh -c").arg("echo $IPCBOX_SLOT").stdout("2\n").ok();
    let _second = holder(&world, "sem run ./s");
    world.call("sem run ./s -n -- true").fails(124, "all 2 slots are in use by ");
    world.call("sem run ./s -w 0.01 -- true").fails(124, "all 2 slots are still in use after 10ms by ");
    world.call("sem run ./s --take 2 -E 0 -n -- true").stderr("").status(0);
}

#[test]
fn every_path_with_a_slash_is_a_file() {
    let world = World::new();
    fs::create_dir(world.dir().join("a")).unwrap();
    let absolute = world.dir().join("absolute").display().to_string();
    for path in ["./s", "a/b", "../../..//proc/self/cwd/a/../c", absolute.as_str()] {
        world.call("sem lock").args([path, "--", "true"]).ok();
    }
    assert!(
        world.dir().join("a/b").exists() && world.dir().join("c").exists() && world.dir().join("absolute").exists()
    );
    for (text, status, words) in [
        ("redis://host/x", 2, "redis:// is not supported"),
        (
            "~/x",
            2,
            "the shell expands ~ only at the start of a word without quotes\nhint: ipcbox sem stat \"$HOME/x\"\n",
        ),
        ("/a", 3, "no such semaphore"),
        ("ftok:./none", 3, "cannot compute the ftok key of ./none"),
    ] {
        world.call("sem stat").arg(text).fails(status, words);
    }
    for other in ["shm get ./s", "msgq stat a/b", "key ./s", "ipcrm-lite ./s"] {
        world.call(other).fails(2, "'/'");
    }
}

#[test]
fn name_of_a_file_here_hints_at_the_file() {
    let world = World::new();
    world.call("sem create ./s1 --slots 2").stdout("./s1\n").ok();
    world.call("sem run s1 -- true").fails(125, "\nhint: for the file write ./s1\n");
    let printed = world.call("sem create s1 --slots 3").output();
    world.call("sem rm s1").ok();
    let printed = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert_eq!(printed, "sem: s1 is a name, not the file in this directory\nhint: for the file write ./s1\n");
    world.file("s2", "other");
    assert!(!String::from_utf8_lossy(&world.call("sem run s2 -- true").output().stderr).contains("./s2"));
}

#[test]
fn create_makes_the_file_and_refuses_another() {
    let world = World::new();
    let mode = |name: &str| fs::metadata(world.dir().join(name)).unwrap().permissions().mode() & 0o777;
    world.shell("umask 077; ipcbox sem create ./s --slots 4 -m 664").stdout("./s\n").ok();
    assert_eq!(mode("s"), 0o664);
    world.call("sem create ./s --slots 4 --mode 664 -q").stdout("").ok();
    world.call("sem create ./s --slots 4 --mode 600").fails(4, "already exists with mode 0664, not 0600");
    world.call("sem create ./s --slots 5").fails(4, "has 4 slots, not 5");
    world.call("sem create ./s --lock").fails(4, "has 4 slots, not a lock");
    world.call("sem create ./s --slots 4 -x").fails(4, "already exists (EEXIST)");
    world.call("sem create ./l --lock").stdout("./l\n").ok();
    assert_eq!(fs::read_to_string(world.dir().join("l")).unwrap(), "ipcbox lock\n");
    world.call("sem create ./l --slots 1").fails(4, "is a lock, not slots");
    world.call("sem run ./l -- true").fails(125, "is a lock, not slots");
    world.call("sem create ./x").fails(2, "\nhint: add --slots N or --lock\n");
    world.call("sem create ./x --value 3").fails(2, "a file can hold only slots or a lock");
    // A lock with a name is created the same way.
    let id = world.call("sem create @l --lock").ok();
    world.call("sem create @l --lock").stdout(id).ok();
    world.call("sem lock @l -- true").ok();
    world.call("sem create @l --slots 2").fails(4, "is a lock, not slots");
    world.call("sem create /@l --lock").fails(2, "no undo");
    world.call("sem create private --lock").fails(2, "a lock needs a name or a key");
}

#[test]
fn lock_in_a_file_is_shared_or_exclusive() {
    let world = World::new();
    let readers: Vec<_> = (0..3).map(|_| holder(&world, "sem lock ./l -s")).collect();
    world.call("sem lock ./l -n -- true").fails(124, "it is locked by pid ");
    world.call("sem lock ./l -s -n -- true").ok();
    world.call("sem stat ./l --columns used --no-header").stdout("3 shared\n").ok();
    drop(readers);
    let writer = holder(&world, "sem lock ./l -w 60");
    let busy = format!("it is locked by pid {} (sleep 1000)\n", child_of(writer.pid()));
    world.call("sem lock ./l -n -- true").fails(124, &busy);
    world.call("sem lock ./l -n -s -- true").fails(124, &busy);
}

#[test]
fn slot_is_free_however_the_command_exits() {
    let world = World::new();
    for which in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1] {
        let child = holder(&world, "sem run ./s --slots 1");
        let cmd = child_of(child.pid());
        child.signal(which);
        assert_eq!(child.code(), 128 + which as i32);
        world.call("sem run ./s -w 60 -- true").ok();
        eventually("CMD is gone", || fs::read_link(format!("/proc/{cmd}/exe")).is_err());
    }
}

#[test]
fn command_that_closes_all_descriptors_still_holds() {
    let world = World::new();
    let close = "import os, time\nos.closerange(3, 1024)\nopen('ready', 'w')\ntime.sleep(1000)";
    for (line, again) in [("sem run ./s --slots 1", "sem run ./s -n"), ("sem lock ./l", "sem lock ./l -n -s")] {
        let child = world.call(line).args(["--", "python3", "-c", close]).start();
        eventually("CMD has closed them", || world.dir().join("ready").exists());
        world.call(again).args(["--", "true"]).fails(124, if line.contains("run") { "in use" } else { "locked" });
        // Nor does it release when it opens the file itself.
        drop(child);
        fs::remove_file(world.dir().join("ready")).unwrap();
    }
    let child = world.call("sem run ./s -w 60 -- sh -c").arg("cat s >ready; exec sleep 1000").start();
    eventually("CMD has read the file", || fs::metadata(world.dir().join("ready")).is_ok_and(|file| file.len() > 0));
    world.call("sem run ./s -n -- true").fails(124, "in use");
    drop(child);
}

#[test]
fn background_child_of_the_command_holds_nothing() {
    let world = World::new();
    for line in ["sem run ./s --slots 1", "sem lock ./l", "sem lock ./l --shared"] {
        let call = world.call(line).args(["--", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]);
        let pid: i32 = call.ok().trim().parse().unwrap();
        world.call(line).args(["-n", "--", "true"]).ok();
        world.call(&line.replace(" --shared", "")).args(["-n", "--", "true"]).ok();
        crate::support::signal(pid, Signal::SIGKILL);
    }
}

#[test]
fn command_has_one_descriptor_of_the_file() {
    let world = World::new();
    let list =
        "for n in /proc/self/fd/*; do readlink $n; done | grep -c /s$; readlink /proc/self/fd/100 | grep -o '/s$'";
    world.call("sem run ./s --slots 2 -- sh -c").arg(list).stdout("1\n/s\n").ok();
    let call = world.call("sem run ./s -- sh -c").arg("readlink /proc/self/fd/10 | grep -o '/s$'");
    world.program("prlimit").args(["--nofile=60", "sh", "-c", "ipcbox sem run ./s -- readlink /proc/self/fd/10"]).ok();
    drop(call);
}
