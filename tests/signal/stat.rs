use nix::sys::signal::Signal;

use super::{Puppet, field};
use crate::support::{World, eventually};

#[test]
fn masks_are_decoded() {
    let world = World::new();
    let Some(puppet) = Puppet::be(&["pending"]) else { return };
    let pid = puppet.pid();
    let stat = |options: &str| world.call(&format!("signal stat {pid} {options}")).ok();
    let line = stat("-J");
    assert_eq!(field(&line, "pid"), pid);
    assert_eq!(field(&line, "pending"), "");
    assert_eq!(field(&line, "shared_pending"), "USR1");
    assert_eq!(field(&line, "blocked"), "USR1,RTMIN+3");
    // Dispositions inherited by the test are ignored signals too.
    assert!(field(&line, "ignored").as_str().unwrap().contains("USR2"), "{line}");
    assert_eq!(field(&line, "caught"), "HUP");
    assert!(field(&line, "command").as_str().unwrap().ends_with(" pending"));
    let single = stat("");
    assert!(single.contains("\nSHARED_PENDING  USR1\n"), "{single}");
    // The same for a stopped process.
    crate::support::signal(pid, Signal::SIGSTOP);
    let stat_file = format!("/proc/{pid}/stat");
    eventually("it stops", || std::fs::read_to_string(&stat_file).is_ok_and(|line| line.contains(") T ")));
    crate::support::signal(pid, Signal::SIGTERM);
    eventually("TERM waits", || field(&stat("-J"), "shared_pending") == "USR1,TERM");
    // A signal that is only pending is not stuck.
    assert_eq!(field(&stat("--stuck -J"), "stuck"), "USR1");
    crate::support::signal(pid, Signal::SIGKILL);
}

#[test]
fn threads_are_listed_and_stuck_may_be_empty() {
    let world = World::new();
    let Some(puppet) = Puppet::be(&["thread"]) else { return };
    let pid = puppet.pid();
    let lines = world.call(&format!("signal stat {pid} --threads -J")).ok();
    let threads: Vec<_> = lines.lines().map(|line| field(line, "thread").to_string()).collect();
    assert_eq!(threads, [pid.to_string(), puppet.1.clone()]);
    world.call(&format!("signal stat {pid} --stuck")).stdout("").ok();
}

#[test]
fn inode_and_start_identify_the_process() {
    let world = World::new();
    let puppet = Puppet::shell("echo ready; exec sleep 100");
    let pid = puppet.pid();
    let line = world.call(&format!("signal stat {pid} -J")).ok();
    let (inode, start) = (field(&line, "inode"), field(&line, "start").as_u64().unwrap());
    let mut forms = vec![format!("{pid}@{start}")];
    match inode.as_u64() {
        Some(inode) => forms.push(format!("{pid}:{inode}")),
        None => crate::support::skip("PID:INODE needs Linux 6.9"),
    }
    for form in forms {
        for verb in ["stat", "send 0", "send 0 --dry-run"] {
            world.call(&format!("signal {verb} {form}")).ok();
        }
        let other = format!("{form}1");
        for verb in ["stat", "send KILL", "join"] {
            world.call(&format!("signal {verb} {other}")).fails(3, "the pid has been reused by another process");
        }
    }
}

#[test]
fn wrong_process_is_refused() {
    let world = World::new();
    for pid in ["0", "-1", "1x", "12:", "12@", "12:-1", "2147483648"] {
        world.call(&format!("signal stat {pid}")).fails(2, "PID: expected ");
    }
    world.call("signal stat 2147483647").fails(3, "no such process (ESRCH)");
    world.call("signal stat").fails(2, "PID is missing");
    let Some(puppet) = Puppet::be(&["thread"]) else { return };
    let words = format!("{} is a thread of process {}, not a process", puppet.1, puppet.pid());
    world.call(&format!("signal stat {}", puppet.1)).fails(3, &words);
}
