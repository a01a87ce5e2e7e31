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
        "#!/bin/sh\nipcbox sem hold $NAME-nightly $$ --slots 1 -n -q || exit 0\necho ran >>ran\nread line <go\n",
    );
    world.shell("mkfifo go").ok();
    let first = world.program(&script).start();
    eventually("the first one is at work", || world.dir().join("ran").exists());
    for _ in 0..3 {
        // Standard output is empty, and a message gives the reason.
        let output = world.program(&script).output();
        assert!(output.status.success() && output.stdout.is_empty());
    }
    world.shell("echo >go").ok();
    assert_eq!(first.code(), 0);
    assert_eq!(fs::read_to_string(world.dir().join("ran")).unwrap(), "ran\n");
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
    world.call(&format!("sem hold @s {} --slots 1", gone.trim())).fails(3, "no such process");
    // A zombie has exited, too.
    let zombie = world.program("true").start().became_zombie();
    world.call(&format!("sem hold @s {} --slots 1", zombie.pid())).fails(3, "no such process (ESRCH)");
    world.call("sem run @s -- true").fails(125, "no such semaphore set");
}

#[test]
fn exit_of_the_process_ends_the_wait() {
    let world = World::new();
    let holder = world.call("sem run @s --slots 1 -- sleep 100").start().became("sleep");
    let process = world.program("sleep").arg("100").start();
    let waiting = world.call(&format!("sem hold @s {}", process.pid())).start().blocked_in(libc::SYS_ppoll);
    drop(process);
    let output = waiting.end();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such process (ESRCH)"));
    drop(holder);
    world.call("sem run @s -w 60 -- true").ok();
}
