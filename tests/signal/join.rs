use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;

use super::{Puppet, field, reports_reaped};
use crate::support::{Where, World, deny, eventually, holds, lines};

/// Whether the kernel reports the status of a reaped process; if not, the calling test is skipped.
fn kernel_reports(world: &World) -> bool {
    let reports = reports_reaped(world);
    if !reports {
        crate::support::skip("the status of a reaped process needs Linux 6.15");
    }
    reports
}

#[test]
fn process_that_is_no_child_has_a_status() {
    let world = World::new();
    if !kernel_reports(&world) {
        return;
    }
    // The shell exits at once, so that the sleeper has another parent.
    for (end, line) in [
        ("exit 0", "exited  0"),
        ("exit 42", "exited  42"),
        ("kill -9 $$", "killed  137  KILL"),
        ("kill -SEGV $$", "killed  139  SEGV"),
        ("kill -37 $$", "killed  165  RTMIN+3"),
    ] {
        let script = format!("exec 3<&0; sh -c 'echo $$; read x <&3; {end}' & exec 3<&-; wait");
        let mut puppet = Puppet::shell(&script);
        let pid = puppet.1.clone();
        let join = world.call(&format!("signal join {pid}")).start().blocked_in(libc::SYS_ppoll);
        drop(puppet.0.stdin.take());
        let output = join.end();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{pid}  {line}\n"));
        let expected: i32 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert_eq!(output.status.code(), Some(expected));
    }
}

#[test]
fn zombie_is_reported_at_once() {
    let world = World::new();
    let Some(puppet) = Puppet::be(&["zombie"]) else { return };
    let line = world.call(&format!("signal join {} -n -J", puppet.1)).status(3);
    assert_eq!(field(&line, "result"), "exited");
    assert_eq!(field(&line, "status"), 3);
}

#[test]
fn foreign_process_is_reported_when_reaped() {
    let world = World::new();
    let Some(stranger) = world.stranger() else {
        crate::support::skip("only root has strangers");
        return;
    };
    let Some(mut puppet) = Puppet::be(&["zombie"]) else { return };
    if !kernel_reports(&world) {
        return;
    }
    let pid = puppet.1.clone();
    // It has exited, but only its parent may read the status.
    world
        .call(&format!("signal join {pid} -w 0.05"))
        .user(stranger)
        .stdout("")
        .stderr(format!("signal: cannot join {pid}: the process is a zombie, and only its parent may read its status; not reaped after 50ms\n"))
        .status(124);
    let several = world.call(&format!("signal join {pid} 1 -w 0.05")).user(stranger).output();
    let words = "signal: cannot join 2 of 2 processes: none could be reported after 50ms";
    assert_eq!(lines(&several.stderr)[1], words);
    let join = world.call(&format!("signal join {pid}")).user(stranger).start();
    let join = join.blocked_in(libc::SYS_ppoll);
    drop(puppet.0.stdin.take());
    assert_eq!(puppet.status(), 0);
    assert_eq!(join.code(), 3);
}

/// Linux before 6.9 has no event for reaping, and no file system of pidfds, by which join detects the kernel's age.
#[test]
fn reaping_is_noticed_without_an_event() {
    let world = World::new();
    for forbidden in [None, Some(libc::SYS_pidfd_send_signal)] {
        let Some(mut puppet) = Puppet::be(&["zombie"]) else { return };
        let pid = puppet.1.clone();
        let old = |words: &str| {
            world.call(&format!("signal join {pid} {words}")).before(move || {
                deny(libc::SYS_fstatfs, Where::Always, Errno::ENOSYS)?;
                // The status is not read from /proc either.
                deny(libc::SYS_readlink, Where::Always, Errno::EACCES)?;
                forbidden.map_or(Ok(()), |call| deny(call, Where::Always, Errno::EPERM))
            })
        };
        old("-n").fails(124, "only its parent may read its status");
        old("-w 30ms").fails(124, "only its parent may read its status");
        let printed = format!("cannot report {pid}: the process is a zombie");
        assert!(String::from_utf8(old("1 -n").output().stderr).unwrap().contains(&printed));
        old("1 -n -E 0").stdout("").stderr("").ok();
        let mut join = old("").start().blocked_in(libc::SYS_ppoll);
        assert!(holds(|| join.runs()));
        drop(puppet.0.stdin.take());
        assert_eq!(puppet.status(), 0);
        let output = join.end();
        let printed = [format!("{pid}  exited  3\n"), format!("{pid}  ended  -\n")];
        assert!(printed.contains(&String::from_utf8(output.stdout).unwrap()));
    }
}

#[test]
fn count_above_the_processes_is_wrong_usage() {
    let world = World::new();
    let pid = std::process::id();
    world.call(&format!("signal join {pid} -c 2")).fails(2, "--count 2 is more than the number of processes (1)");
    let words = "cannot join 1 of 2 processes: none exited after 20ms";
    world.call(&format!("signal join {pid} 1 -c 1 -w 20ms")).fails(124, words);
}

#[test]
fn process_named_twice_counts_once() {
    let world = World::new();
    let mut first = Puppet::shell("echo ready; read x; exit 5");
    let last = Puppet::shell("echo ready; exec sleep 100");
    let (a, b) = (first.pid(), last.pid());
    let inode = world.call(&format!("signal stat {a} --columns inode --no-header")).ok();
    let names = match inode.trim() {
        "-" => format!("{a} {b} {a}"),
        inode => format!("{a} {b} {a} {a}:{inode}"),
    };
    let words = "--count 3 is more than the number of processes (2)";
    world.call(&format!("signal join {names} -c 3")).fails(2, words);
    let join = world.call(&format!("signal join {names} -c 2")).start();
    let mut join = join.blocked_in(libc::SYS_ppoll);
    let alone = world.call(&format!("signal join {a} {a}")).start().blocked_in(libc::SYS_ppoll);
    drop(first.0.stdin.take());
    first.status();
    let output = alone.end();
    assert_eq!(lines(&output.stdout).len(), 1);
    assert_ne!(output.status.code(), Some(0));
    assert!(holds(|| join.runs()));
    drop(last);
    let output = join.end();
    assert_eq!((lines(&output.stdout).len(), output.status.code()), (2, Some(0)));
}

#[test]
fn several_are_reported_as_they_exit() {
    let world = World::new();
    if !kernel_reports(&world) {
        return;
    }
    let mut puppets: Vec<Puppet> = (0..3).map(|_| Puppet::shell("echo ready; read x; exit 5")).collect();
    let pids: Vec<String> = puppets.iter().map(|puppet| puppet.pid().to_string()).collect();
    let all = pids.join(" ");
    let first = world.call(&format!("signal join -c 1 {all}")).start().blocked_in(libc::SYS_ppoll);
    let whole = world.call(&format!("signal join {all}")).start().blocked_in(libc::SYS_ppoll);
    drop(puppets[1].0.stdin.take());
    puppets[1].status();
    let output = first.end();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}  exited  5\n", pids[1]));
    assert_eq!(output.status.code(), Some(0));
    for puppet in &mut puppets {
        drop(puppet.0.stdin.take());
        puppet.status();
    }
    let output = whole.end();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(lines(&output.stdout).len(), 3);
}

#[test]
fn missing_process_does_not_stop_the_join() {
    let world = World::new();
    let mut puppet = Puppet::shell("echo ready; read x; exit 0");
    let pid = puppet.pid();
    let join = world.call(&format!("signal join 2147483647 {pid}")).start();
    let join = join.blocked_in(libc::SYS_ppoll);
    drop(puppet.0.stdin.take());
    puppet.status();
    let output = join.end();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(lines(&output.stdout).len(), 1);
}

#[test]
fn timeout_limits_the_wait() {
    let world = World::new();
    let puppet = Puppet::shell("echo ready; exec sleep 100");
    let pid = puppet.pid();
    let start = Instant::now();
    world.call(&format!("signal join {pid} -w 0.2")).fails(124, "still running after 200ms");
    assert!(start.elapsed() >= Duration::from_millis(200));
    world.call(&format!("signal join {pid} -n")).fails(124, "still running");
    world.call(&format!("signal join {pid} -n -E 0")).stdout("").ok();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let join = world.call(&format!("signal join {pid}")).start().blocked_in(libc::SYS_ppoll);
        join.signal(signal);
        assert_eq!(join.code(), 128 + signal as i32);
    }
    // A stop and continue neither stops nor restarts the wait.
    let mut join = world.call(&format!("signal join {pid} -w 1")).start().blocked_in(libc::SYS_ppoll);
    join.signal(Signal::SIGSTOP);
    let printed = format!("/proc/{}/stat", join.pid());
    eventually("it stops", || std::fs::read_to_string(&printed).is_ok_and(|line| line.contains(" T ")));
    join.signal(Signal::SIGCONT);
    assert!(join.runs());
    assert_eq!(join.code(), 124);
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn process_without_its_first_thread_still_runs() {
    let world = World::new();
    let Some(mut puppet) = Puppet::be(&["headless"]) else { return };
    let pid = puppet.pid();
    world.call(&format!("signal join {pid} -w 0.05")).fails(124, "still running after 50ms");
    world.call(&format!("signal send KILL {pid} --wait 10s")).ok();
    assert_eq!(puppet.status(), 137);
}
