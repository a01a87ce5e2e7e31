//! `--watch`, and the confirmation of `ipcrm-lite`, on a terminal and elsewhere.

use std::io::{BufRead, BufReader};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{PROMPT, Terminal, World, eventually, skip};

/// A shell in a terminal; `None`, with a note, without an IPC namespace of its own or a terminal.
fn terminal(world: &World) -> Option<Terminal> {
    if !world.is_own() {
        skip("it needs an IPC namespace of its own");
        return None;
    }
    Terminal::open(world, &["sh"], &[])
}

/// Waits until the program in the terminal has exited, and checks its status.
fn ends(terminal: &Terminal, status: i32) {
    terminal.says(PROMPT);
    terminal.types("echo status=$?=\n");
    terminal.says(&format!("\nstatus={status}="));
    terminal.says(PROMPT);
}

#[test]
fn watch_redraws_on_a_terminal() {
    let world = World::new();
    let Some(terminal) = terminal(&world) else { return };
    terminal.types("$BOX ipcs-lite -q --watch=10ms\n");
    let title = "------ Message Queues --------\r\n";
    terminal.says(title);
    let id = world.call("msgq create @q").ok();
    let key = world.call("key @q").ok();
    let line = format!("{} {}", key.trim(), id.trim());
    // It is redrawn even if nothing changes.
    for _ in 0..3 {
        terminal.says(&line);
        terminal.says(title);
    }
    world.call("ipcrm-lite @q").ok();
    eventually("the queue is gone", || !terminal.says(title).contains(&line));
    terminal.types("\u{3}");
    ends(&terminal, 130);
}

#[test]
fn watch_interval_follows_an_equals_sign() {
    let world = World::new();
    assert!(world.call("ipcs-lite -h").ok().contains("--watch[=INTERVAL]"));
    world.call("ipcs-lite --watch 1s").fails(2, "hint: ipcbox ipcs-lite --watch=1s");
}

#[test]
fn watch_prints_changes_elsewhere() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.call("sem create @s").ok();
    let mut watching = world.call("ipcs-lite --watch=10ms --columns verdict,kind,id").start();
    let mut lines = BufReader::new(watching.output()).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    let id = |text: String| text.trim().to_owned();
    assert!(next().starts_with("new  sem  "));
    let queue = id(world.call("msgq create @q").ok());
    assert_eq!(next(), format!("new  msg  {queue}"));
    world.call("msgq send @q hello").ok();
    assert_eq!(next(), format!("changed  msg  {queue}"));
    let time = || world.call("ipcs-lite -q --columns change_time --no-header").ok();
    let before = time();
    eventually("the time of change is another one", || {
        world.call("msgq set @q --mode 0640").ok();
        time() != before
    });
    assert_eq!(next(), format!("changed  msg  {queue}"));
    world.call("ipcrm-lite --msg @q").ok();
    // Several changes may be reported.
    let gone = std::iter::repeat_with(&mut next).find(|line| !line.starts_with("changed"));
    assert_eq!(gone.unwrap(), format!("gone  msg  {queue}"));
    watching.signal(Signal::SIGTERM);
    assert_eq!(watching.code(), 143);
    // A TARGET that vanishes is reported as gone.
    let mut watching = world.call("ipcs-lite --watch=10ms --columns verdict,kind @s").start();
    let mut lines = BufReader::new(watching.output()).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!(next(), "new  sem");
    world.call("ipcrm-lite @s").ok();
    assert_eq!(next(), "gone  sem");
    assert!(watching.runs());
    drop(watching);
    world.call("ipcs-lite --watch=10ms @s").fails(3, "no such object");
}

#[test]
fn name_cannot_drive_the_terminal() {
    let world = World::new();
    let Some(terminal) = terminal(&world) else { return };
    let odd = world.posix("a\n\x1b[2J");
    world.call("shm create --size 5").arg(&odd).ok();
    terminal.types("$BOX ipcs-lite -P -m --columns name,size --no-header\n");
    terminal.says(&format!("{}\\n\\u{{1b}}[2J", world.posix("a")));
    ends(&terminal, 0);
    world.call("ipcrm-lite --posix --shm").arg(&odd).ok();
}

#[test]
fn filter_asks_on_a_terminal() {
    let world = World::new();
    let Some(terminal) = terminal(&world) else { return };
    world.shell("ipcmk -Q; ipcmk -M 10; ipcmk -S 1").ok();
    let count = || world.call("ipcs-lite -J").ok().lines().count();
    for (answer, status, left) in [("n\n", 1, 3), ("\n", 1, 3), ("\u{4}", 1, 3), ("yess\n", 1, 3), ("Y\n", 0, 0)] {
        terminal.types("$BOX ipcrm-lite --mine\n");
        terminal.says("ipcrm-lite: remove 3 objects? [y/N] ");
        terminal.types(answer);
        if status != 0 {
            terminal.says("cannot remove 3 objects: not confirmed\r\n");
        }
        ends(&terminal, status);
        assert_eq!(count(), left, "{answer:?}");
    }
    // No object matches, and no question is asked.
    terminal.types("$BOX ipcrm-lite --mine\n");
    ends(&terminal, 0);
}

#[test]
fn question_lists_at_most_eight_objects() {
    let world = World::new();
    let Some(terminal) = terminal(&world) else { return };
    world.shell("for n in 1 2 3 4 5 6 7 8 9 10; do ipcbox shm create /$NAME-$n --size 1; done").ok();
    terminal.types(&format!("$BOX ipcrm-lite --posix --name '{}-*'\n", world.posix("").trim_end_matches('-')));
    let text = terminal.says("remove 10 objects? [y/N] ");
    assert!(text.contains("  and 2 more\r\n"), "{text}");
    assert_eq!(text.matches("  POSIX shared memory /").count(), 8, "{text}");
    terminal.types("y\n");
    ends(&terminal, 0);
}

/// During the question, an object changes, a key and an id get another object, and some vanish.
#[test]
fn changed_object_is_kept() {
    let world = World::new();
    let Some(terminal) = terminal(&world) else { return };
    for name in ["changed", "key", "number", "gone", "stays"] {
        world.call(&format!("msgq create @{name}")).ok();
    }
    let id = |name: &str| world.call(&format!("ipcs-lite -q @{name} --columns id --no-header")).ok().trim().to_owned();
    let time = || world.call("ipcs-lite -q @changed --columns change_time --no-header").ok();
    let (changed, number) = (id("changed"), id("number"));
    terminal.types(&format!("$BOX ipcrm-lite --mine --keep {}\n", world.name("stays")));
    let listed = terminal.says("remove 4 objects? [y/N] ");
    assert!(listed.contains(&format!("  message queue {changed} ({})\r\n", world.name("changed"))), "{listed}");
    let before = time();
    eventually("the time of change is another one", || {
        world.call("msgq set @changed --mode 0640").ok();
        time() != before
    });
    for name in ["key", "number", "gone"] {
        world.call(&format!("ipcrm-lite @{name}")).ok();
    }
    // The kernel assigns the id in msg_next_id, which exists to restore checkpointed processes.
    let again = format!("echo {number} >/proc/sys/kernel/msg_next_id");
    let is_again = Command::new("/bin/sh").args(["-c", &again]).output().unwrap().status.success();
    world.call("msgq create @number").ok();
    world.call("msgq create @key").ok();
    terminal.types("y\n");
    let says = |id: &str, name: &str| {
        let queue = format!("queue {id} ({})", world.name(name));
        terminal.says(&format!("{queue}: the object was changed or replaced after it was inspected\r\n"));
    };
    says(&changed, "changed");
    if is_again {
        assert_eq!(id("number"), number);
        says(&number, "number");
    } else {
        skip("no number can be used again here: msg_next_id");
    }
    ends(&terminal, 1);
    for name in ["changed", "key", "number", "stays"] {
        id(name);
    }
    assert_eq!(world.call("ipcs-lite -q -J").ok().lines().count(), 4);
}
