//! `sem run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{Child, World, eventually, holds};

/// Starts a call and waits until it has executed `sleep`.
fn holder(world: &World, line: &str) -> Child {
    world.call(line).start().became("sleep")
}

#[test]
fn command_gets_a_slot_and_gives_the_status() {
    let world = World::new();
    let print = |line: &str| {
        world.call(line).args(["--", "sh", "-c", "echo $IPCBOX_SLOT $*; exit 7", "sh", "a b", "$(x)", "{}"])
    };
    print("sem run @s --slots 2").stdout("1 a b $(x) {}\n").status(7);
    // An existing set needs no --slots.
    print("sem run @s").stdout("1 a b $(x) {}\n").status(7);
    world.call("sem run @s --slots 2 --take 2 -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1,2\n").ok();
    world.call("sem get @s").stdout("2\n").ok();
    world.call("sem run @s -- sh -c").arg("kill -9 $$").status(137);
    world.call("sem get @s").stdout("2\n").ok();
}

#[test]
fn slot_is_the_lowest_free_one() {
    let world = World::new();
    let first = holder(&world, "sem run @s --slots 3 -- sleep 100");
    let second = holder(&world, "sem run @s -- sleep 100");
    world.call("sem run @s -- sh -c").arg("echo $IPCBOX_SLOT").stdout("3\n").ok();
    drop(first);
    eventually("slot 1 is free", || world.call("sem get @s").ok() == "2\n");
    world.call("sem run @s -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1\n").ok();
    world.call("sem run @s --take 2 -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1,3\n").ok();
    drop(second);
}

#[test]
fn slot_is_released_however_the_command_exits() {
    let world = World::new();
    for which in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT] {
        let holder = holder(&world, "sem run @s --slots 1 -- sleep 100");
        world.call("sem run @s -n -- true").fails(124, "the only slot is in use by ");
        holder.signal(which);
        assert_eq!(holder.code(), 128 + which as i32);
        world.call("sem run @s -w 60 -- true").ok();
    }
    world.call("sem get --all @s").stdout(format!("1 1 18771{}\n", " 0".repeat(256))).ok();
}

#[test]
fn missing_set_or_other_number_is_refused() {
    let world = World::new();
    world.call("sem run @s -- true").fails(125, "no such semaphore set (ENOENT)");
    world.call("sem run @s --slots 2 -- true").ok();
    world.call("sem run @s --slots 3 -- true").fails(125, "has 2 slots, not 3");
    world.call("sem get @s").stdout("2\n").ok();
}

#[test]
fn resize_that_succeeds_looks_for_no_ancestor() {
    let world = World::new();
    let holder = holder(&world, "sem run @s --slots 2 --take 2 -- sleep 100");
    let Some(call) = world.traced("openat") else { return };
    let call = call.args(["sem", "run", &world.name("s"), "--slots", "1", "--resize", "-q", "-w", "1h", "--", "true"]);
    let resizing = call.start().blocked_in(libc::SYS_semtimedop);
    drop(holder);
    let output = resizing.end();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let trace = fs::read_to_string(world.dir().join("trace")).unwrap();
    assert!(!trace.contains(&format!("/proc/{}/", std::process::id())), "{trace}");
}

#[test]
fn resize_shrinks_as_slots_come_free() {
    let world = World::new();
    let holders: Vec<Child> = (0..2).map(|_| holder(&world, "sem run @s --slots 2 -- sleep 100")).collect();
    world.call("sem run @s --slots 4 --resize -- sh -c").arg("echo $IPCBOX_SLOT").stdout("3\n").ok();
    world.call("sem get @s").stdout("2\n").ok();

    // The two free slots are removed at once; the third must come free. A timeout does not restore the two.
    world.call("sem run @s --slots 1 --resize -n -- true").fails(124, "the set still has 2 slots, not 1");
    let record = world.call("sem stat --json @s").ok();
    assert!(record.contains(r#""purpose":"slots","free":0,"capacity":2,"held":2"#), "{record}");

    let resizing = world.call("sem run @s --slots 1 --resize -- true").start();
    let resizing = resizing.blocked_in(libc::SYS_semtimedop);
    drop(holders);
    assert_eq!(resizing.code(), 0);
    let record = world.call("sem stat --json @s").ok();
    assert!(record.contains(r#""free":1,"capacity":1,"held":0"#), "{record}");
}

#[test]
fn set_has_room_for_256_slots_or_twice_the_first() {
    let world = World::new();
    world.call("sem run @s --slots 2 -- true").ok();
    world.call("sem run @s --slots 256 --resize -- true").ok();
    world.call("sem run @s --slots 257 --resize -- true").fails(125, "room for at most 256 slots, not 257");
    world.call("sem run @t --slots 300 -- true").ok();
    world.call("sem run @t --slots 600 --resize -- true").ok();
    world.call("sem run @t --slots 601 --resize -- true").fails(125, "room for at most 600 slots");
    world.call("sem run @t --slots 600 --take 600 -- sh -c").arg("echo ${#IPCBOX_SLOT}").stdout("2291\n").ok();
}

#[test]
fn command_inherits_signals_and_descriptors() {
    let world = World::new();
    // The shell ignores USR1 and opens descriptor 7.
    let print = "grep -E '^(SigBlk|SigIgn|SigCgt)' /proc/self/status; ls /proc/self/fd | wc -l";
    let script = |run: &str| format!("trap '' USR1 PIPE; exec 7</dev/null; {run} sh -c \"{print}\"");
    let plain = world.shell(&script("")).ok();
    assert_eq!(world.shell(&script("sem run $NAME-s --slots 1 --")).ok(), plain);
    assert_eq!(world.shell(&script("sem lock $NAME-l --")).ok(), plain);
    assert_eq!(
        world.shell("sem create $NAME-o >/dev/null; sem op $NAME-o 0:+1u -- env | grep -c IPCBOX || :").ok(),
        "0\n"
    );
    // SIGPIPE is not ignored.
    world
        .shell("{ sem run $NAME-s -- sh -c 'kill -PIPE $$'; echo $? >status; } || :; cat status")
        .stdout("141\n")
        .status(0);
}

#[test]
fn closed_standard_streams_stay_closed() {
    let world = World::new();
    let plain = world.shell("ls /proc/self/fd <&- | cat").ok();
    world.shell("sem run $NAME-s --slots 1 -- ls /proc/self/fd <&- | cat").stdout(plain).ok();
    world.shell("sem get $NAME-s >&-").fails(1, "cannot write to standard output: bad file descriptor (EBADF)");
    world.shell("sem get $NAME-s 2>&- <&-").stdout("1\n").ok();
}

#[test]
fn slot_number_of_a_killed_holder_is_free() {
    let world = World::new();
    let killed = holder(&world, "sem run @s --slots 2 -- sleep 100");
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.code(), 137);
    world.call("sem run @s --take 2 -w 60 -- sh -c").arg("echo $IPCBOX_SLOT").stdout("1,2\n").ok();
}

/// The main use: a command for each source file of the crate, two at a time.
#[test]
fn two_slots_run_two_jobs_at_a_time() {
    let world = World::new();
    let probe = world.dir().join("probe");
    fs::create_dir(&probe).unwrap();
    // Each job counts the lines of its file, and creates a file of its own while it runs.
    let job = world.script(
        "job",
        "#!/bin/sh\nset -eu\nmine=probe/$IPCBOX_SLOT.$$\n: >\"$mine\"\n\
         ls probe | wc -l >>seen\nwc -l <\"$1\" >>lines\nsleep 0.02\nls probe | wc -l >>seen\nrm \"$mine\"\n",
    );
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 25, "{files:?}");
    let jobs: Vec<Child> =
        files.iter().map(|file| world.call("sem run @s --slots 2 --").arg(&job).arg(file).start()).collect();
    for job in jobs {
        let output = job.end();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let numbers = |file: &str| -> Vec<usize> {
        let text = fs::read_to_string(world.dir().join(file)).unwrap();
        text.lines().map(|line| line.trim().parse().unwrap()).collect()
    };
    let expected: usize = files.iter().map(|file| fs::read_to_string(file).unwrap().lines().count()).sum();
    assert_eq!(numbers("lines").len(), files.len());
    assert_eq!(numbers("lines").iter().sum::<usize>(), expected);
    let seen = numbers("seen");
    let two = seen.iter().filter(|count| **count == 2).count();
    assert!(seen.iter().all(|count| (1..=2).contains(count)), "{seen:?}");
    assert!(two * 2 > seen.len(), "two at once {two} times of {}", seen.len());
}

fn sources(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Exactly one of many first callers creates the set, and at most 3 jobs run at a time.
#[test]
fn two_hundred_first_callers_create_one_set() {
    let world = World::new();
    for round in 0..20 {
        let job =
            "[ $IPCBOX_SLOT -le 3 ] && mkdir now/$IPCBOX_SLOT && ls now | wc -l >>$$.seen && rmdir now/$IPCBOX_SLOT";
        let script = format!(
            "mkdir -p r{round}/now; cd r{round}; n=0; while [ $n -lt 200 ]; do n=$((n+1)); \
             ipcbox sem run $NAME-{round} --slots 3 -- sh -ec '{job}' & done; wait; cat *.seen | sort | uniq -c"
        );
        let seen = world.shell(&script).ok();
        let counts: Vec<(usize, usize)> = seen
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace().map(|word| word.parse().unwrap());
                (words.next().unwrap(), words.next().unwrap())
            })
            .collect();
        assert_eq!(counts.iter().map(|(count, _)| count).sum::<usize>(), 200, "{seen}");
        let at_once: BTreeSet<usize> = counts.iter().map(|(_, at_once)| *at_once).collect();
        assert!(at_once.iter().all(|n| (1..=3).contains(n)), "{seen}");
        let all = world.call(&format!("sem get --all @{round}")).ok();
        assert_eq!(all, format!("3 3 18771{}\n", " 0".repeat(256)));
    }
}

#[test]
fn timeout_names_eight_holders_and_counts_the_others() {
    let world = World::new();
    let holders: Vec<Child> = (0..10).map(|_| holder(&world, "sem run @s --slots 10 -- sleep 100")).collect();
    let named: Vec<String> = holders.iter().take(8).map(|holder| format!("{} (sleep)", holder.pid())).collect();
    let named = named.join(", ");
    world.call("sem run @s -n -- true").fails(124, &format!("all 10 slots are in use by {named} and 2 more\n"));
    world.call("sem run @s -n -E 0 -- true").stderr("").ok();
    world
        .call("sem run @s -w 0.01 -- true")
        .fails(124, &format!("all 10 slots are still in use after 10ms by {named} and 2 more\n"));
    let table = world.call("sem stat @s --columns used,holders --no-header").ok();
    let named = named.replace(" (sleep)", " sleep");
    assert_eq!(table, format!("10/10  {named} and 2 more\n"));
}

#[test]
fn taken_slots_admit_no_caller() {
    let world = World::new();
    let _first = holder(&world, "sem run @s --slots 1 -- sleep 100");
    let mut second = world.call("sem run @s -- true").start().blocked_in(libc::SYS_semtimedop);
    assert!(holds(|| second.runs()));
}

#[test]
fn resize_below_take_ends_the_wait() {
    let world = World::new();
    let _holder = holder(&world, "sem run @s --slots 2 -- sleep 100");
    let waiting = world.call("sem run @s --take 2 -- true").start().blocked_in(libc::SYS_semtimedop);
    world.call("sem run @s --slots 1 --resize -n -- true").fails(124, "the only slot is in use by ");
    let printed = waiting.end();
    assert_eq!(printed.status.code(), Some(125));
    let printed = String::from_utf8(printed.stderr).unwrap();
    assert!(printed.contains("--take 2 can never succeed: there is only 1 slot"), "{printed}");
}

#[test]
fn short_resize_below_take_keeps_the_wait() {
    let world = World::new();
    let name = world.name("s");
    let mut holder = holder(&world, "sem run @s --slots 3 -- sleep 100");
    // Its read of the capacity after the wake-up is delayed.
    let Some(call) = world.injected("semctl:delay_enter=3000000:when=3+") else { return };
    let call = call.args(["sem", "run", &name, "--take", "3", "--", "true"]);
    let waiting = call.start().blocked_in(libc::SYS_semtimedop);
    let resize = |slots: u16| {
        world.call(&format!("sem run @s --slots {slots} --resize -- true")).ok();
    };
    resize(2);
    let waiting = waiting.blocked_in(libc::SYS_semctl);
    resize(3);
    let waiting = waiting.blocked_in(libc::SYS_semtimedop);
    assert!(holder.runs());
    drop(holder);
    assert_eq!(waiting.code(), 0);
}

#[test]
fn uninitialised_set_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let Some(program) = super::interop::compiled(&world, "sysv.c") else { return };
    let key = world.call("key @a").ok();
    world.call("shm create @m --size 8").ok();
    for (line, code, len) in [
        ("sem lock @a -- true", 125, "4"),
        ("shm write @m x --lock @a", 5, "4"),
        ("sem barrier @a 2 -n", 5, "7"),
        ("sem run @a --slots 2 -- true", 125, "259"),
    ] {
        world.program(&program).args(["create", key.trim(), len]).user(stranger).ok();
        world.call(line).fails(code, "already exists and is owned by uid 54321");
        let printed = String::from_utf8(world.call("sem get @a").output().stderr).unwrap();
        assert!(printed.contains("was never initialised"), "{line}: {printed}");
        world.call("sem rm @a").ok();
    }
}

#[test]
fn set_of_a_killed_creator_is_completed() {
    let world = World::new();
    let Some(program) = super::interop::compiled(&world, "sysv.c") else { return };
    let sysv = |words: &[&str]| world.program(&program).args(words).ok();
    for (name, len) in [("@a", "259"), ("@b", "603"), ("@c", "37"), ("@d", "34")] {
        let key = world.call(&format!("key {name}")).ok();
        sysv(&["create", key.trim(), len]);
    }
    for name in ["@a", "@b"] {
        world.call(&format!("sem run {name} -- true")).fails(125, "no such semaphore set (ENOENT)");
        world.call(&format!("sem run {name} --slots 2 -- sh -c")).arg("echo $IPCBOX_SLOT").stdout("1\n").ok();
    }
    world.call("sem lock @c -- true").ok();
    world.call("sem barrier @d 1").ok();
}

#[test]
fn mode_that_denies_the_owner_leaves_nothing() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for line in ["run @s --slots 2 -m 0400 -- true", "lock @l -m 0 -- true", "barrier @b 2 -m 0"] {
        let code = if line.starts_with("barrier") { 5 } else { 125 };
        world.call(&format!("sem {line}")).user(stranger).fails(code, "(EACCES)");
    }
    world.call("sem create @c --value 1 -m 0").user(stranger).fails(5, "(EACCES)");
    for name in ["@s", "@l", "@b", "@c"] {
        world.call(&format!("sem get {name}")).fails(3, "no such semaphore set");
    }
}
