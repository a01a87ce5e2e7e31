//! `sem hold`.

use std::fs;

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{World, eventually, signal, skip};

fn is_there(pid: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}

#[test]
fn hold_lasts_until_the_process_exits() {
    let world = World::new();
    let script = world.shell("ipcbox sem hold $NAME-s $$ --slots 1 -n >pid; exec sleep 100").start().became("sleep");
    let holder: i32 = fs::read_to_string(world.dir().join("pid")).unwrap().trim().parse().unwrap();
    assert!(is_there(holder));
    world.call("sem run @s -n -- true").fails(124, "the only slot is in use by ");
    script.signal(Signal::SIGKILL);
    assert_eq!(script.code(), 137);
    world.call("sem run @s -w 60 -- true").ok();
    eventually("the holder ends", || !is_there(holder));
}

#[test]
fn hold_lasts_until_the_holder_gets_sigterm() {
    let world = World::new();
    let pid = std::process::id();
    for options in ["--slots 1", "--lock", "--lock --shared"] {
        let target = if options.contains("lock") { "@l" } else { "@s" };
        let verb = if options.contains("lock") { "lock" } else { "run" };
        let holder: i32 = world.call(&format!("sem hold {target} {pid} {options}")).ok().trim().parse().unwrap();
        world.call(&format!("sem {verb} {target} -n -- true")).fails(124, " by ");
        signal(holder, Signal::SIGTERM);
        world.call(&format!("sem {verb} {target} -w 60 -- true")).ok();
    }
}

#[test]
fn hold_allows_one_instance_of_a_script() {
    let world = World::new();
    let script = world.script(
        "nightly",
        "#!/bin/sh\nholder=$(ipcbox sem hold $NAME-nightly $$ --slots 1 -n -E 0) || exit\n[ \"$holder\" ] || exit 0\necho ran >>ran\nread line <go\n",
    );
    world.shell("mkfifo go").ok();
    let first = world.program(&script).start();
    eventually("the first one is at work", || world.dir().join("ran").exists());
    for _ in 0..3 {
        world.program(&script).stdout("").ok();
    }
    world.shell("echo >go").ok();
    assert_eq!(first.code(), 0);
    assert_eq!(fs::read_to_string(world.dir().join("ran")).unwrap(), "ran\n");
    // Another failure is not hidden.
    world.call("sem rm @nightly --missing-ok").ok();
    world.call("sem create @nightly --slots 2").ok();
    world.program(&script).fails(4, "has 2 slots, not 1");
}

#[test]
fn held_slot_shows_the_served_process() {
    let world = World::new();
    let served = world.program("sleep").arg("1000").start().became("sleep");
    let holder = world.call(&format!("sem hold @s {} --slots 1", served.pid())).ok();
    let (holder, pid) = (holder.trim(), served.pid());
    let busy = format!("the only slot is in use by {holder} (hold for {pid} sleep)");
    world.call("sem run @s -n -- true").fails(124, &busy);
    let shown = format!("{holder} hold for {pid} sleep\n");
    world.call("sem stat @s --columns holders --no-header").stdout(shown).ok();
}

#[test]
fn holder_keeps_no_descriptor_of_the_caller() {
    let world = World::new();
    // $(…) returns, a pipe reaches EOF, and a high descriptor of the shell is closed. The holder closes its own pipes
    // last.
    let script = "exec 9>lock 8</dev/null; pid=$(ipcbox sem hold $NAME-s $$ --slots 1); \
                  until [ \"$(ls /proc/$pid/fd | xargs)\" = '0 1 2 3' ]; do :; done; \
                  readlink /proc/$pid/cwd /proc/$pid/fd/1; \
                  ipcbox sem stat --holders --no-header --columns slot $NAME-s";
    world.shell(script).stdout("/\n/dev/null\n1\n").ok();
    for shell in ["bash", "dash", "zsh", "fish"] {
        let Ok(output) = std::process::Command::new(shell).args(["-c", "true"]).output() else {
            skip(&format!("there is no {shell} here"));
            continue;
        };
        assert!(output.status.success());
        let own = if shell == "fish" { "$fish_pid" } else { "$$" };
        let line = format!("ipcbox sem hold $NAME-{shell} {own} --slots 1 | cat; echo held");
        let printed = world.program(shell).args(["-c", &line]).ok();
        assert!(printed.ends_with("\nheld\n"), "{shell}: {printed}");
        world.call(&format!("sem run @{shell} -w 60 -- true")).ok();
    }
}

#[test]
fn failed_print_holds_nothing() {
    let world = World::new();
    let pid = std::process::id();
    world.call(&format!("sem hold @s {pid} --slots 2 --take 2 -q")).stdout("").ok();
    world.call("sem get @s").stdout("0\n").ok();
    let full = format!("ipcbox sem hold $NAME-t {pid} --slots 1 >/dev/full");
    world.shell(&full).fails(1, "no space left on device (ENOSPC)");
    world.call("sem run @t -w 60 -- true").ok();
}

#[test]
fn hold_for_an_exited_process_fails() {
    let world = World::new();
    let gone = world.shell("sh -c 'echo $$'").ok();
    let words = format!("no process {} (ESRCH)", gone.trim());
    world.call(&format!("sem hold @s {} --slots 1", gone.trim())).fails(3, &words);
    world.call(&format!("sem hold @s {} --release", gone.trim())).fails(3, &words);
    // A zombie has exited, too.
    let zombie = world.program("true").start().became_zombie();
    let words = format!("no process {} (ESRCH)", zombie.pid());
    world.call(&format!("sem hold @s {} --slots 1", zombie.pid())).fails(3, &words);
    world.call("sem run @s -- true").fails(125, "no such semaphore set");
}

#[test]
fn exit_of_the_process_ends_the_wait() {
    let world = World::new();
    let holder = world.call("sem run @s --slots 1 -- sleep 100").start().became("sleep");
    let process = world.program("sleep").arg("100").start();
    let words = format!("no process {} (ESRCH)", process.pid());
    let waiting = world.call(&format!("sem hold @s {}", process.pid())).start().blocked_in(libc::SYS_ppoll);
    drop(process);
    let output = waiting.end();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&words));
    drop(holder);
    world.call("sem run @s -w 60 -- true").ok();
}

#[test]
fn hold_of_another_purpose_hints_the_right_call() {
    let world = World::new();
    let pid = std::process::id();
    world.call("sem lock @l -- true").ok();
    world.call("sem create @s --slots 2").ok();
    world.call("sem create @p --value 1").ok();
    let lock = format!("ipcbox sem hold {} {pid} --lock", world.name("l"));
    let slot = format!("ipcbox sem hold {} {pid}", world.name("s"));
    for (line, hint) in [
        (format!("sem hold @l {pid}"), &lock),
        (format!("sem hold @l {pid} --slots 1"), &lock),
        (format!("sem hold @s {pid} --lock"), &slot),
        (format!("sem hold @s {pid} --lock --shared"), &slot),
    ] {
        world.call(&line).fails(4, &format!("hint: {hint}\n"));
    }
    // The hints work as printed.
    for hint in [lock, slot] {
        world.shell(&hint).ok();
    }
    // Any other reason keeps its own words.
    world.call(&format!("sem hold @s {pid} --slots 3")).fails(4, "has 2 slots, not 3\n");
    let printed = world.call(&format!("sem hold @l {pid} --slots 1 --take 2")).output();
    assert!(!String::from_utf8_lossy(&printed.stderr).contains("--lock"), "{printed:?}");
    let printed = world.call(&format!("sem hold @p {pid} --lock")).output();
    assert!(String::from_utf8_lossy(&printed.stderr).contains("use another name"), "{printed:?}");
}
