//! `msgq serve`: a command for each message.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::Signal;

use super::{BOTH, messages};
use crate::support::{Call, World, eventually, holds, lines, signal};

/// Returns a call of `serve` with a shell script as CMD.
fn serve(world: &World, options: &str, script: &str) -> Call {
    world.call(&format!("msgq serve {options} --")).args(["/bin/sh", "-euc", script, "sh", "{}"]).dir(world.dir())
}

pub fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn cmd_gets_message_by_input_argument_environment() {
    let world = World::new();
    let script =
        "printf '%s|%s|%s|%s\\n' \"$1\" \"$(cat)\" \"${IPCBOX_TYPE-none}/${IPCBOX_PRIORITY-none}\" \"$IPCBOX_LENGTH\"";
    world.call("msgq send @q -t 5 --create").args(["one", "", "a b"]).ok();
    serve(&world, "@q --drain", script).stdout("one|one|5/none|3\n||5/none|0\na b|a b|5/none|3\n").ok();
    world.call("msgq send /@q --priority 5 --create").args(["one"]).ok();
    serve(&world, "/@q --drain", script).stdout("one|one|none/5|3\n").ok();
    world.call("msgq send @q x").ok();
    world.call("msgq serve @q --drain -- /bin/echo --key={} {} {}").stdout("--key={} x x\n").ok();
}

#[test]
fn message_with_nul_is_not_run_with_argument() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq send {target} --create")).input("a\0b").ok();
        serve(&world, &format!("{target} -c 1"), "echo run")
            .stdout("")
            .fails(1, "cannot run /bin/sh: a record of 3 bytes contains a NUL byte, and cannot be an argument");
        world.call(&format!("msgq send {target}")).input("a\0b").ok();
        world.call(&format!("msgq serve {target} -c 1 -- wc -c")).stdout("3\n").ok();
    }
}

#[test]
fn server_that_cannot_start_cmd_takes_no_more() {
    let world = World::new();
    for target in ["$NAME-q", "/$NAME-q"] {
        world.shell(&format!("ipcbox msgq send {target} --create a b c")).ok();
        let words = "cannot run true: the process could not be created: too many open files";
        // The failures of CMD have two descriptors.
        let serve = format!("ulimit -n 7; exec ipcbox msgq serve {target} --drain -- true");
        world.shell(&serve).fails(1, words);
        world.shell(&format!("ipcbox msgq stat {target} --columns messages --no-header")).stdout("2\n").ok();
    }
}

#[test]
fn missing_cmd_takes_no_message() {
    let world = World::new();
    world.call("msgq send @q x --create").ok();
    world.call("msgq serve @q -- /no/such/command").fails(127, "command not found (ENOENT)");
    let script = world.file("script", "#!/bin/sh\n");
    world.call("msgq serve @q --").arg(script).fails(126, "EACCES");
    world.call("msgq serve @q").fails(2, "CMD is missing");
    world.call("msgq serve @q cat").fails(2, "the command goes after '--'");
    world.call("msgq serve @nope -- cat").fails(3, "no such message queue");
    assert_eq!(messages(&world, "@q"), 1);
    let script = world.script("script", "#!/no/such/interpreter\n");
    let serve = world.call("msgq serve @q -c 1 --").arg(script);
    serve.fails(126, "the program's interpreter or loader is missing");
    assert_eq!(messages(&world, "@q"), 1);
    world.call("msgq recv @q").ok();
    let program = world.copy("/bin/true", "program");
    let server = world.call("msgq serve @q -- ./program").start();
    let server = server.blocked_in(super::answers::receives("@q"));
    fs::remove_file(program).unwrap();
    world.call("msgq send @q x").ok();
    let ended = server.end();
    assert_eq!(ended.status.code(), Some(126));
    let words = String::from_utf8(ended.stderr).unwrap();
    assert!(words.contains("cannot run ./program: the file has been removed (ENOENT)"), "{words}");
}

#[test]
fn cmd_that_is_no_program_takes_one_message() {
    let world = World::new();
    world.script("script", "echo run\n");
    for target in BOTH {
        world.call(&format!("msgq send {target} --create a b c")).ok();
        let words = "a record of 1 byte was received, but is lost: cannot run ./script: neither a binary nor a script that starts with #! (ENOEXEC)";
        world.call(&format!("msgq serve {target} --drain -j 2 -- ./script")).fails(126, words);
        assert_eq!(messages(&world, target), 2);
    }
}

#[test]
fn failed_job_gives_count_and_drain_status_1() {
    let world = World::new();
    for target in BOTH {
        for (end, left) in [("--drain", 0), ("-c 2", 1)] {
            world.call(&format!("msgq send {target} 0 0 0 --create")).ok();
            serve(&world, &format!("{target} {end}"), "exit $1").ok();
            assert_eq!(messages(&world, target), left);
            world.call(&format!("msgq send {target} 0 3 0")).ok();
            serve(&world, &format!("{target} -j 2 -c {}", left + 3), "exit $1").stderr("").status(1);
        }
        world.call(&format!("msgq send {target} 9")).ok();
        serve(&world, &format!("{target} --drain"), "kill -KILL $$").stderr("").status(1);
    }
}

#[test]
fn drain_takes_messages_that_jobs_send() {
    let world = World::new();
    let script = "if [ $1 -gt 0 ]; then ipcbox msgq send $NAME-q $(($1 - 1)); fi; echo $1";
    world.call("msgq send @q 3 --create").ok();
    let line = format!("exec ipcbox msgq serve $NAME-q --drain -j 4 -- sh -euc '{script}' sh {{}}");
    assert_eq!(sorted(&world.shell(&line).ok()), ["0", "1", "2", "3"]);
}

#[test]
fn at_most_n_jobs_run_and_outputs_do_not_mix() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq create {target}")).ok();
        let numbers: Vec<String> = (0..8).map(|n| n.to_string()).collect();
        world.call(&format!("msgq send {target}")).args(&numbers).ok();
        // Each job creates a file while it runs, and prints how many there are.
        let script = "mkdir -p run; : >run/$1; n=$(ls run | wc -l); echo begin $1; ipcbox sem barrier $NAME-b 2 -w 60; echo end $1 $n; rm run/$1";
        let line = format!(
            "exec ipcbox msgq serve {} --drain -j 2 -- sh -euc '{script}' sh {{}}",
            target.replace('@', "$NAME-")
        );
        let text = world.shell(&line).ok();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 16, "{text}");
        for pair in lines.chunks(2) {
            let number = pair[0].strip_prefix("begin ").unwrap();
            let count = pair[1].strip_prefix(&format!("end {number} ")).expect(&text);
            assert!(["1", "2"].contains(&count), "{text}");
        }
    }
    world.call(&format!("sem rm --force {}", world.name("b"))).ok();
}

#[test]
fn sigterm_lets_jobs_finish_and_takes_no_more() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq send {target} one two --create")).ok();
        for jobs in ["1", "2"] {
            let _ = fs::remove_file(world.dir().join("go"));
            let options = format!("{target} -j {jobs}");
            let script = ": >started$1; until test -e go; do sleep 0.01; done; echo done $1";
            let server = serve(&world, &options, script).start();
            let count: usize = jobs.parse().unwrap();
            let started = || ["one", "two"].iter().filter(|n| world.dir().join(format!("started{n}")).exists()).count();
            eventually("the jobs start", || started() == count);
            server.signal(Signal::SIGTERM);
            // With -j 1 the second message stays.
            world.call(&format!("msgq send {target} more")).ok();
            fs::write(world.dir().join("go"), "").unwrap();
            let end = server.end();
            assert_eq!(end.status.code(), Some(0));
            assert_eq!(lines(&end.stdout).len(), count);
            let left = world.call(&format!("msgq recv {target} --drain")).ok();
            assert_eq!(left.lines().count(), 3 - count, "{left}");
            world.call(&format!("msgq send {target} one two")).ok();
            for name in ["one", "two"] {
                let _ = fs::remove_file(world.dir().join(format!("started{name}")));
            }
        }
        // A server that waits exits at once.
        world.call(&format!("msgq recv {target} --drain")).ok();
        let call = if target.starts_with('/') { libc::SYS_mq_timedreceive } else { libc::SYS_msgrcv };
        let server = serve(&world, target, "").start().blocked_in(call);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.code(), 0);
        let server = serve(&world, target, "").start().blocked_in(call);
        server.signal(Signal::SIGINT);
        assert_eq!(server.code(), 130);
    }
}

#[test]
fn second_sigterm_goes_to_cmd() {
    let world = World::new();
    world.call("msgq send @q one --create").ok();
    let script = "trap 'echo >termed; exit' TERM; echo >started; while :; do sleep 0.01; done";
    let server = serve(&world, "@q", script).start();
    eventually("the job starts", || world.dir().join("started").exists());
    server.signal(Signal::SIGTERM);
    assert!(holds(|| !world.dir().join("termed").exists()));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 143);
    eventually("CMD gets SIGTERM", || world.dir().join("termed").exists());
}

#[test]
fn timeout_without_message_ends_server() {
    let world = World::new();
    for target in BOTH {
        world.call(&format!("msgq send {target} a b --create")).ok();
        world
            .call(&format!("msgq serve {target} -w 50ms -- cat"))
            .stdout("ab")
            .fails(124, "no message received after 50ms");
        world.call(&format!("msgq serve {target} -n -- cat")).fails(124, "no message received\n");
        world.call(&format!("msgq serve {target} --drain -- cat")).stdout("").ok();
    }
}

#[test]
fn serve_chooses_by_type_and_creates() {
    let world = World::new();
    world.call("msgq send @q a -t 1 --create").ok();
    world.call("msgq send @q b -t 2").ok();
    world.call("msgq serve @q -t 2 --drain -- cat").stdout("b").ok();
    world.call("msgq serve @q -t -9 --drain -- cat").stdout("a").ok();
    world.call("msgq serve /@q -t 2 -- cat").fails(2, "no types");
    world
        .call("msgq serve @r --drain -- cat")
        .fails(3, "no such message queue (ENOENT)\nhint: add --create to create the queue\n");
    world.call("msgq serve @r --create --drain -- cat").ok();
    world.call("msgq serve /@r --create --drain -- cat").ok();
}

#[test]
fn cmd_inherits_mask_dispositions_and_descriptors() {
    let world = World::new();
    let show = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do test ! -e /proc/$$/fd/$n || echo $n; done";
    for target in BOTH {
        // The shell ignores signals and has a descriptor of its own.
        let before = "trap '' CHLD USR1 ALRM PIPE; exec 7</dev/null;";
        let plain = world.program("/bin/bash").args(["-c", &format!("{before} exec sh -c \"{show}\" </dev/zero")]).ok();
        world.call(&format!("msgq send {target} x --create")).ok();
        let target = target.replace('@', "$NAME-");
        let line = format!("{before} exec ipcbox msgq serve {target} -c 1 -- sh -c \"{show}\"");
        let served = world.program("/bin/bash").args(["-c", &line]).ok();
        assert_eq!(served, plain);
    }
}

#[test]
fn ignored_sigchld_keeps_statuses_of_jobs() {
    let world = World::new();
    world.call("msgq send @q 0 3 --create").ok();
    let mut command = Command::new("/bin/bash");
    command.args(["-c", "trap '' CHLD; exec \"$@\"", "bash", crate::support::BINARY, "msgq", "serve"]);
    command.arg(world.name("q")).args(["--drain", "-j", "2", "--", "sh", "-c", "exit $1", "sh", "{}"]).arg0("bash");
    assert_eq!(command.status().unwrap().code(), Some(1));
}

#[test]
fn long_message_is_argument_and_input() {
    let world = World::new();
    // Linux limits an argument to 128 KiB, more than the usual kernel.msgmax.
    let long = "x".repeat(8192);
    world.call("msgq send @q --create").input(long.clone()).ok();
    assert_eq!(world.call("msgq serve @q -c 1 -- echo {}").ok().len(), 8193);
    world.call("msgq send @q").input(long).ok();
    world.call("msgq serve @q -c 1 -- wc -c").stdout("8192\n").ok();
}

#[test]
fn killed_server_runs_no_message_twice() {
    let world = World::new();
    world.call("msgq send @q one --create").ok();
    let server = serve(&world, "@q", "exec >/dev/null 2>&1; echo >>runs; : >started; sleep 60").start();
    eventually("the job starts", || world.dir().join("started").exists());
    let pid = children(server.pid());
    server.signal(Signal::SIGKILL);
    assert_eq!(server.code(), 137);
    serve(&world, "@q --drain", "echo >>runs").ok();
    assert_eq!(fs::read_to_string(world.dir().join("runs")).unwrap(), "\n");
    for pid in pid {
        for child in children(pid) {
            signal(child, Signal::SIGKILL);
        }
        signal(pid, Signal::SIGKILL);
    }
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn message_waits_for_a_job_if_descriptors_run_out() {
    let world = World::new();
    world.shell("seq 9 | ipcbox msgq send $NAME-q --lines --create").ok();
    let job = "until [ -e go ]; do sleep 0.01; done; echo $1";
    let serve = format!("ipcbox msgq serve $NAME-q --drain -j 9 -- sh -c '{job}' sh {{}}");
    let server = world.shell(&format!("ulimit -n 13; exec {serve}")).start();
    let server = server.blocked_in(libc::SYS_ppoll);
    let waiting = "ipcbox msgq stat $NAME-q --columns messages --no-header";
    let left: u32 = world.shell(waiting).ok().trim().parse().unwrap();
    assert!(left > 0, "all were started");
    world.file("go", "");
    let output = server.end();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(sorted(&printed), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn message_that_cannot_be_served_is_reported_lost() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-q hello --create").ok();
    let words = "a record of 5 bytes was received, but is lost: cannot run true: cannot collect the output: too many open files (EMFILE)";
    // The failures of CMD have two descriptors.
    world.shell("ulimit -n 5; exec ipcbox msgq serve $NAME-q -j 2 -c 1 -- true").fails(1, words);
}

#[test]
fn full_disk_is_reported_once_and_stops_server() {
    let world = World::new();
    world.shell("ipcbox msgq send $NAME-q --create a b c d e").ok();
    // Each job exits when both run.
    let job = "echo >>$1; until [ $(wc -l <$1) = 2 ]; do sleep 0.01; done; echo out";
    let serve = format!("ipcbox msgq serve $NAME-q --drain -j 2 -- sh -c '{job}' sh log >/dev/full");
    let words = "msgq: cannot write to standard output: no space left on device (ENOSPC)\n";
    let output = world.shell(&serve).output();
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(1), words));
    world.shell("ipcbox msgq stat $NAME-q --columns messages --no-header").stdout("3\n").ok();
}
