//! ipcbox killed at any time: its commands are killed with it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{BINARY, World, code, eventually};

/// The processes that have `mark` in their arguments.
fn marked(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let line = |pid: std::ffi::OsString| fs::read(format!("/proc/{}/cmdline", pid.display())).unwrap_or_default();
    let lines = processes
        .map(|entry| entry.file_name())
        .filter(|name| name.as_bytes()[0].is_ascii_digit())
        .map(|pid| String::from_utf8_lossy(&line(pid)).into_owned());
    lines.filter(|line| line.contains(mark)).collect()
}

#[test]
fn ipcbox_killed_at_any_time_leaves_no_stage() {
    let world = World::new();
    let mark = world.name("stage");
    // Stages that run for long, under a unique name. Few at a time, so that a failure leaves little behind.
    let stage = ["bash", "-c", "exec -a \"$0\" sleep 70", &mark];
    let full = std::env::var_os("IPCBOX_FULL").is_some();
    let count = if full { 1000 } else { 60 };
    for (round, verb) in (0..count).zip(["run", "tee", "merge"].iter().cycle()) {
        let mut call = Command::new(BINARY);
        call.args(["pipe", verb, "--"]).args(stage).arg(":::").args(stage);
        call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = call.spawn().unwrap();
        // From before the first stage has started until after the last one has.
        std::thread::sleep(Duration::from_micros(round * 397 % 12_000));
        child.kill().unwrap();
        assert_eq!(code(child.wait().unwrap()), 137);
    }
    eventually("no stage is left", || marked(&mark).is_empty());
}
