//! Those who call: where they are, and when they have gone.

use nix::libc;
use nix::sys::signal::Signal;

use super::{BOTH, messages};
use crate::support::{Child, World, code, eventually, skip};

#[test]
fn what_callers_that_have_gone_left_is_not_counted() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let caller = world.call(&format!("msgq call {target} stale")).start();
        eventually("the request is sent", || messages(&world, target) == 1);
        caller.signal(Signal::SIGKILL);
        assert_eq!(caller.code(), 137);
        world.call(&format!("msgq send {target} a b")).ok();
        world.call(&format!("msgq serve {target} -c 1 -- cat")).stdout("a").ok();
        assert_eq!(messages(&world, target), 1);
    }
}

#[test]
fn callers_are_woken_when_their_queue_is_removed() {
    let world = World::new();
    world.call("msgq create @q").ok();
    let call = |options: &str| world.call(&format!("msgq call @q x {options}")).start();
    let callers: Vec<Child> = ["", "-w 1h"].map(call).into();
    let callers: Vec<Child> = callers.into_iter().map(|caller| caller.blocked_in(libc::SYS_msgrcv)).collect();
    world.call("msgq rm @q").fails(1, "waited on");
    world.call("msgq rm @q --force").ok();
    for caller in callers {
        let end = caller.end();
        let told = String::from_utf8(end.stderr).unwrap();
        assert!(told.contains(": another process removed it (EIDRM)"), "{told}");
        assert_eq!(code(end.status), 125);
    }
}

#[test]
fn a_call_for_which_there_is_no_descriptor_waits_until_a_job_has_ended() {
    let world = World::new();
    // A POSIX queue is a descriptor more. A job keeps three, and takes seven to start.
    for (target, most) in [("$NAME-q", 13), ("/$NAME-q", 14)] {
        let shell = |line: &str| world.shell(&format!("{line} {target}"));
        shell("rm -f go; ipcbox msgq create").ok();
        let call = || world.shell(&format!("exec ipcbox msgq call {target} hello")).start();
        let callers: Vec<Child> = (0..6).map(|_| call()).collect();
        let left = || -> u32 {
            let line = "ipcbox msgq stat --columns messages --no-header";
            shell(line).ok().trim().parse().unwrap()
        };
        eventually("all have called", || left() == 6);
        let job = "until [ -e go ]; do sleep 0.01; done; cat";
        let serve = format!("exec ipcbox msgq serve {target} -j 6 -c 6 -- sh -c '{job}'");
        let server = world.shell(&format!("ulimit -n {most}; {serve}")).start();
        // One waits for room.
        let server = server.blocked_in(libc::SYS_ppoll);
        assert!(left() > 0, "all were started");
        world.file("go", "");
        for caller in callers {
            let end = caller.end();
            assert_eq!((end.stdout, code(end.status)), (b"hello".to_vec(), 0));
        }
        assert_eq!(server.code(), 0);
    }
}

#[test]
fn a_caller_of_another_pid_namespace_is_found_by_the_same_proc() {
    let world = World::new();
    let has = world.program("unshare").args(["-pf", "true"]).output().status.success();
    if !has {
        return skip("there can be no pid namespace");
    }
    for target in ["$NAME-q", "/$NAME-q"] {
        let serve = format!("exec ipcbox msgq serve {target} --create -c 1 -- cat");
        let server = world.shell(&serve).start().blocked_in(super::answers::receives(target));
        let call = format!("unshare -pf ipcbox msgq call {target} hello");
        world.shell(&call).stdout("hello").ok();
        assert_eq!(server.code(), 0);
    }
}
