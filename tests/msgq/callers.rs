//! Callers that exit, lose their queue, or are in another pid namespace.

use nix::libc;
use nix::sys::signal::Signal;

use super::{BOTH, messages};
use crate::support::{Child, World, code, eventually, skip};

#[test]
fn request_of_dead_caller_is_not_counted() {
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
fn removal_of_queue_ends_callers() {
    let world = World::new();
    world.call("msgq create @q").ok();
    let call = |options: &str| world.call(&format!("msgq call @q x {options}")).start();
    let callers: Vec<Child> = ["", "-w 1h"].map(call).into();
    let callers: Vec<Child> = callers.into_iter().map(|caller| caller.blocked_in(libc::SYS_msgrcv)).collect();
    world.call("msgq rm @q").fails(1, "waited on");
    world.call("msgq rm @q --force").ok();
    for caller in callers {
        let end = caller.end();
        let stderr = String::from_utf8(end.stderr).unwrap();
        assert!(stderr.contains(": removed by another process (EIDRM)"), "{stderr}");
        assert_eq!(code(end.status), 125);
    }
}

#[test]
fn call_waits_for_a_job_if_descriptors_run_out() {
    let world = World::new();
    // A POSIX queue is one more descriptor. A job keeps three, and needs seven to start.
    for (target, most) in [("$NAME-q", 13), ("/$NAME-q", 14)] {
        let shell = |line: &str| world.shell(&format!("{line} {target}"));
        shell("rm -f go; ipcbox msgq create").ok();
        let call = || world.shell(&format!("exec ipcbox msgq call {target} hello")).start();
        let callers: Vec<Child> = (0..6).map(|_| call()).collect();
        let left = || -> u32 {
            let line = "ipcbox msgq stat --columns messages --no-header";
            shell(line).ok().trim().parse().unwrap()
        };
        eventually("all requests are sent", || left() == 6);
        let job = "until [ -e go ]; do sleep 0.01; done; cat";
        let serve = format!("exec ipcbox msgq serve {target} -j 6 -c 6 -- sh -c '{job}'");
        let server = world.shell(&format!("ulimit -n {most}; {serve}")).start();
        // It waits for a job to exit.
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
fn caller_of_another_pid_namespace_is_served() {
    let world = World::new();
    let has = world.program("unshare").args(["-pf", "true"]).output().status.success();
    if !has {
        return skip("pid namespaces are not available");
    }
    for target in ["$NAME-q", "/$NAME-q"] {
        let serve = format!("exec ipcbox msgq serve {target} --create -c 1 -- cat");
        let server = world.shell(&serve).start().blocked_in(super::answers::receives(target));
        let call = format!("unshare -pf ipcbox msgq call {target} hello");
        world.shell(&call).stdout("hello").ok();
        assert_eq!(server.code(), 0);
    }
}
