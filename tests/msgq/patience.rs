//! The time that counts towards `--timeout`, and wake-ups.

use std::fs;

use nix::sys::signal::Signal;

use super::serving::sorted;
use crate::support::{World, code, eventually, holds, lines};

#[test]
fn running_job_does_not_delay_next_message() {
    let world = World::new();
    // The first job exits after the second: it calls it, or waits for it.
    let call = "if [ $1 = a ]; then ipcbox msgq call $Q b; else echo $1; fi";
    let wait = "if [ $1 = a ]; then ipcbox msgq send $Q b; until [ -e go ]; do sleep 0.01; done; rm go; else echo >go; fi; echo $1";
    for target in ["$NAME-q", "/$NAME-q"] {
        for (options, status) in [("--drain", 0), ("-c 2", 0), ("-w 50ms", 124), ("-n", 124)] {
            for (job, printed) in [(call, &["b"][..]), (wait, &["a", "b"])] {
                let script = format!(
                    "export Q={target}; ipcbox msgq send $Q a --create; exec ipcbox msgq serve $Q {options} -j 2 -- sh -euc '{job}' sh {{}}"
                );
                let output = world.shell(&script).output();
                let text = String::from_utf8(output.stdout).unwrap();
                assert_eq!((sorted(&text), code(output.status)), (printed.to_vec(), status));
            }
        }
    }
}

#[test]
fn timeout_of_serve_counts_from_last_exit() {
    let world = World::new();
    // The second message is sent when the first job, which runs longer than the timeout, has exited.
    let job = "if [ $1 = a ]; then (until [ ! -e /proc/$$ ]; do sleep 0.01; done; ipcbox msgq send $Q b) & sleep 2.1; fi; echo $1";
    let serve = |jobs: u8| {
        let script = format!(
            "export Q=$NAME-{jobs}; ipcbox msgq send $Q a --create; exec ipcbox msgq serve $Q -w 2 -j {jobs} -- sh -euc '{job}' sh {{}}"
        );
        world.shell(&script).start()
    };
    for server in [serve(1), serve(2)] {
        let output = server.end();
        assert_eq!((lines(&output.stdout), code(output.status)), (vec!["a".into(), "b".into()], 124));
    }
}

#[test]
fn expired_timeout_causes_no_busy_loop() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-1 a --create; ipcbox msgq send $NAME-2 a --create").ok();
    // Removed with the directory.
    world.file("stay", "");
    let wait = "while [ -e stay ]; do sleep 0.01; done";
    let serve = |jobs: u8| {
        format!("exec ipcbox msgq serve $NAME-{jobs} -w 1ms -c 2 -j {jobs} -- sh -c ': >$0$$; {wait}' {jobs}")
    };
    // The zeros fill the pipe.
    let recv = format!(
        "ipcbox msgq send $NAME-3 a --create; mkfifo pipe; {{ {wait}; wc -c; }} <pipe & exec >pipe; head -c 65536 /dev/zero; : >3$$; exec ipcbox msgq recv $NAME-3 -c 2 -w 1ms"
    );
    for (n, script) in [serve(1), serve(2), recv].into_iter().enumerate() {
        let call = world.shell(&script).start();
        let pid = call.pid();
        let is_at_work = |name: &str| name.starts_with(&format!("{}", n + 1));
        eventually("it waits", || {
            let names = fs::read_dir(world.dir()).unwrap();
            let mut names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
            names.any(|name| is_at_work(&name)) && status(pid, "Name") == "ipcbox"
        });
        let wakes = || status(pid, "voluntary_ctxt_switches").parse::<u64>().unwrap();
        let before = wakes();
        assert!(holds(|| wakes() < before + 50), "{script}");
        call.signal(Signal::SIGKILL);
    }
}

/// Returns a field of `/proc/PID/status`.
fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap().trim().to_owned()
}

#[test]
fn reading_input_does_not_count_to_timeout() {
    let world = World::new();
    // The pause is longer than the timeout, which a slow machine needs for the reply.
    let input = "{ sleep 3.1; echo hello; }";
    for target in ["$NAME-q", "/$NAME-q"] {
        let server = world
            .shell(&format!("exec ipcbox msgq serve {target} --create -c 1 -- tr a-z A-Z"))
            .start()
            .blocked_in(super::answers::receives(target));
        let call = format!("{input} | ipcbox msgq call {target} -w 3s");
        world.shell(&call).stdout("HELLO\n").ok();
        assert_eq!(server.code(), 0);
        // The wait for a late line leaves the timeout as it was.
        let late = format!("{{ sleep 0.5; echo a; }} | ipcbox msgq send {target} --lines -w 0.2");
        world.shell(&late).ok();
        world.shell(&format!("ipcbox msgq recv {target} -n")).stdout("a\n").ok();
    }
}

#[test]
fn writing_a_reply_does_not_count_to_timeout() {
    let world = World::new();
    for target in ["$NAME-q", "/$NAME-q"] {
        let serve = format!("exec ipcbox msgq serve {target} --create -c 1 -- head -c 3000000 /dev/zero");
        let server = world.shell(&serve).start().blocked_in(super::answers::receives(target));
        // The reader starts when the timeout is over.
        let call = format!("ipcbox msgq call {target} x -w 2 | {{ sleep 2.5; wc -c; }}");
        world.shell(&call).stdout("3000000\n").ok();
        assert_eq!(server.code(), 0);
    }
}
