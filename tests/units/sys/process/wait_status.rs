use std::os::fd::AsFd;
use std::process::Command;

use super::*;
use crate::sys::process::pidfd;

/// --tree, PID@START and the status of a zombie rely on this: a pid can be reused once its process is reaped.
#[test]
fn reaped_process_is_past_the_zombie() {
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    let process = pidfd(child.id().cast_signed()).unwrap();
    let process = process.as_fd();
    assert_eq!(stage(process), Ok(Stage::Runs));
    child.kill().unwrap();
    let zombie = Some((0, Stage::Zombie));
    assert_eq!(after(&[(process, Stage::Runs)], Deadline::Forever), Ok(zombie));
    assert_eq!(stage(process), Ok(Stage::Zombie));
    assert_eq!(after(&[(process, Stage::Zombie)], Deadline::Now), Ok(None));
    child.wait().unwrap();
    assert_eq!(stage(process), Ok(Stage::Reaped));
    let reaped = Some((0, Stage::Reaped));
    assert_eq!(after(&[(process, Stage::Zombie)], Deadline::Forever), Ok(reaped));
}

#[test]
fn wait_status_is_decoded() {
    assert_eq!(Ended::from_wait(42 << 8), Some(Ended::Exited(42)));
    assert_eq!(Ended::from_wait(9), Some(Ended::Killed(Signal::KILL)));
    assert_eq!(Ended::from_wait(0x80 | 15).map(Ended::status), Some(143));
    assert_eq!(Ended::from_wait(0x137f), None);
}
