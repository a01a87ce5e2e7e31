//! `ipcs-lite --leaks`.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use nix::sys::signal::Signal;

use crate::support::{Call, World, eventually, skip};

/// Leaves an object of each of the six kinds, or of the named ones.
const LEAK: &str = r"
import ctypes, struct, sys
c = ctypes.CDLL(None)
name = ('/' + sys.argv[1]).encode()
for kind in sys.argv[2:]:
    if kind == 'msg': q = c.msgget(0, 0o1600); c.msgsnd(q, struct.pack('l', 1) + b'x', 1, 0)
    if kind == 'sem': s = c.semget(0, 1, 0o1600); c.semop(s, struct.pack('hhh', 0, 1, 0), 1)
    if kind == 'shm': c.shmget(0, 100, 0o1600)
    if kind == '/shm': c.shm_open(name, 0o102, 0o600)
    if kind == '/sem': c.sem_open(name, 0o102, 0o600, 1)
    if kind == '/msg': c.mq_open(name, 0o102, 0o600, None)
";

fn python(world: &World) -> Option<String> {
    if !world.is_own() || Call::new("python3").arg("-V").output().status.code() != Some(0) {
        skip("it needs an IPC namespace of its own and python3");
        return None;
    }
    Some(world.file("leak.py", LEAK).display().to_string())
}

/// The lines of System V objects; other tests use the common `/dev/shm`.
fn printed(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| line.ends_with("sysv")).collect()
}

const SHOWN: &str = "--columns verdict,kind,family --no-header";

#[test]
fn leaks_of_all_six_kinds_are_found() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    let name = world.posix("x");
    let name = &name[1..];
    for (kind, shown) in [
        ("msg", "leaked  msg  sysv\n"),
        ("sem", "leaked  sem  sysv\n"),
        ("shm", "leaked  shm  sysv\n"),
        ("/shm", "leaked  shm  posix\n"),
        ("/sem", "leaked  sem  posix\n"),
        ("/msg", "leaked  msg  posix\n"),
    ] {
        let line = format!("ipcs-lite --leaks {SHOWN} -- python3 {leak} {name} {kind}");
        let shows = world.call(&line).output();
        let stdout = String::from_utf8_lossy(&shows.stdout).into_owned();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let own: Vec<&str> = stdout.lines().filter(|line| words(line) == words(shown)).collect();
        assert_eq!(shows.status.code(), Some(1), "{kind}: {stdout}");
        assert_eq!(own.len(), 1, "{kind}: {stdout}");
        world.call("ipcrm-lite --posix --missing-ok").arg("--shm").arg(format!("/{name}")).ok();
        world.call("ipcrm-lite --posix --missing-ok").arg("--sem").arg(format!("/{name}")).ok();
        world.call("ipcrm-lite --posix --missing-ok").arg("--msg").arg(format!("/{name}")).ok();
    }
    let sysv = |line: &str| {
        let text = world.call(&format!("ipcs-lite --leaks -J {line}")).output();
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        text.lines().filter(|line| line.contains("\"sysv\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sysv("-- true"), Vec::<String>::new());
    assert_eq!(sysv(&format!("-- python3 {leak} {name}")), Vec::<String>::new());
}

#[test]
fn status_of_cmd_wins() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    world.script("fails", &format!("#!/bin/sh\npython3 {leak} x msg\nexit 7\n"));
    let line = format!("ipcs-lite --leaks -q {SHOWN} --isolate -- ./fails");
    world.call(&line).stdout("leaked  msg  sysv\n").status(7);
    world.call("ipcs-lite --leaks --isolate -- nosuch").fails(127, "command not found");
    world.call("ipcs-lite --leaks").fails(2, "CMD");
    world.call("ipcs-lite --clean").fails(2, "--leaks");
    let killed = world.shell("ipcbox ipcs-lite --leaks --isolate -- sh -c 'kill -TERM $$'");
    killed.status(143);
}

#[test]
fn isolated_objects_are_all_leaks_and_vanish() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    let line = format!("ipcs-lite --leaks --isolate {SHOWN} -- python3 {leak} x msg sem shm");
    let output = world.call(&line).output();
    assert_eq!(printed(&output), ["leaked msg sysv", "leaked shm sysv", "leaked sem sysv"]);
    assert_eq!(output.status.code(), Some(1));
    let line = format!("ipcs-lite --leaks --isolate -q {SHOWN} -- python3 {leak} x msg /msg");
    world.call(&line).stdout("leaked  msg  sysv\nleaked  msg  posix\n").status(1);
    world.call("ipcs-lite -J").stdout("").ok();
}

#[test]
fn ordinary_user_can_isolate() {
    let world = World::new();
    let (Some(leak), Some(uid)) = (python(&world), world.stranger()) else { return };
    let may = Call::new("unshare").args(["-Ui", "true"]).user(uid).output();
    let reaches = world.program("python3").arg("-V").user(uid).output();
    if !may.status.success() || !reaches.status.success() {
        return skip("an ordinary user may make no user namespace here, or has no python3");
    }
    let line = format!("ipcs-lite --leaks --isolate {SHOWN} -- python3 {leak} x msg shm");
    let output = world.call(&line).user(uid).output();
    assert_eq!(printed(&output), ["leaked msg sysv", "leaked shm sysv"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn proved_leaks_are_removed_others_reported() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    let line = format!("ipcs-lite --leaks --clean {SHOWN} -- python3 {leak} x msg sem shm");
    let output = world.call(&line).output();
    assert_eq!(printed(&output), ["removed msg sysv", "removed shm sysv", "removed sem sysv"]);
    assert_eq!(output.status.code(), Some(1));
    world.call("ipcs-lite -J").stdout("").ok();
    // The kernel keeps no pid for a queue that was never used.
    let line = format!("ipcs-lite --leaks --clean -q {SHOWN} -- ipcmk -Q");
    let text = world.call(&line).status(1);
    assert!(text.contains("unproven  msg  sysv"), "{text}");
}

#[test]
fn used_objects_are_held_or_foreign() {
    let world = World::new();
    let Some(_) = python(&world) else { return };
    let holder = r"
import ctypes, os, sys, time
c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p
if os.fork() == 0:
    os.setsid(); m = c.shmget(0, 100, 0o1600); c.shmat(m, None, 0)
    open('ready', 'w').close()
    for fd in (0, 1, 2): os.close(fd)
    time.sleep(1000)
while not os.path.exists('ready'): time.sleep(0.001)
";
    world.file("holder.py", holder);
    let output = world.call("ipcs-lite --leaks -m -J -- python3 holder.py").output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let held: Vec<&str> = text.lines().filter(|line| line.contains("\"sysv\"")).collect();
    assert!(held.len() == 1 && held[0].contains("\"verdict\":\"held\""), "{text}");
    let pid = held[0].split("\"creator_pid\":").nth(1).unwrap().split(',').next().unwrap();
    crate::support::signal(pid.parse().unwrap(), Signal::SIGKILL);
}

#[test]
fn short_lived_foreign_object_is_not_reported() {
    let world = World::new();
    let Some(_) = python(&world) else { return };
    let busy = r"
import ctypes
c = ctypes.CDLL(None)
open('ready', 'w').close()
while True:
    made = (c.msgget(0, 0o1600), c.semget(0, 1, 0o1600), c.shmget(0, 10, 0o1600))
    c.msgctl(made[0], 0, None); c.semctl(made[1], 0, 0); c.shmctl(made[2], 0, None)
";
    world.file("busy.py", busy);
    let unrelated = world.program("python3").arg("busy.py").start();
    eventually("the other one is at work", || world.dir().join("ready").exists());
    for _ in 0..5 {
        let output = world.call("ipcs-lite --leaks -J -- true").output();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let blamed = text
            .lines()
            .find(|line| line.contains("\"sysv\"") && !line.contains("\"foreign\"") && !line.contains("\"held\""));
        assert_eq!(blamed, None);
    }
    drop(unrelated);
}

#[test]
fn leaks_of_an_interrupted_cmd_are_reported() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    world.script("waits", &format!("#!/bin/sh\npython3 {leak} x msg\n: >ready\nexec sleep 1000\n"));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let _ = std::fs::remove_file(world.dir().join("ready"));
        let line = format!("ipcs-lite --leaks --isolate -q {SHOWN} -- ./waits");
        let call = world.call(&line).start();
        eventually("CMD waits", || world.dir().join("ready").exists());
        call.signal(signal);
        let output = call.end();
        assert_eq!(output.status.signal(), Some(signal as i32));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "leaked  msg  sysv\n");
    }
}

#[test]
fn signals_reach_running_and_stopped_cmd() {
    let world = World::new();
    let ready = world.dir().join("ready");
    let caught = "trap 'exit 9' USR1; echo $$ >new; mv new ready; while :; do sleep 0.01; done";
    let stopped = "echo $$ >new; mv new ready; kill -STOP $$; exit 3";
    for (command, signal, status) in [
        (caught, Signal::SIGUSR1, 9),
        (stopped, Signal::SIGTERM, 143),
        (stopped, Signal::SIGINT, 130),
        (stopped, Signal::SIGCONT, 3),
    ] {
        let call = world.call("ipcs-lite --leaks -q -- sh -c").arg(command).start();
        eventually("CMD is ready", || ready.exists());
        let pid = std::fs::read_to_string(&ready).unwrap();
        if command == stopped {
            let stat = format!("/proc/{}/stat", pid.trim());
            let is_stopped = || std::fs::read_to_string(&stat).unwrap().contains(" T ");
            eventually("CMD is stopped", is_stopped);
        }
        call.signal(signal);
        assert_eq!(call.code(), status, "{signal}");
        std::fs::remove_file(&ready).unwrap();
    }
}

#[test]
fn cmd_is_killed_with_ipcbox() {
    let world = World::new();
    let ready = world.dir().join("ready");
    let command = "echo $$ >new; mv new ready; exec sleep 1000";
    let call = world.call("ipcs-lite --leaks -q -- sh -c").arg(command).start();
    eventually("CMD is ready", || ready.exists());
    let pid = std::fs::read_to_string(&ready).unwrap();
    call.signal(Signal::SIGKILL);
    assert_eq!(call.code(), 137);
    let stat = format!("/proc/{}/stat", pid.trim());
    let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    eventually("CMD has ended", || !runs());
}

#[test]
fn wrong_columns_are_refused_before_cmd_runs() {
    let world = World::new();
    let ran = world.dir().join("ran");
    for (option, words) in [
        ("--columns nope", "no column 'nope'"),
        ("--sort nope", "no column 'nope'"),
        ("-l", "cannot be used together"),
        ("-u", "cannot be used together"),
        ("-t", "cannot be used together"),
        ("-q -i 0", "cannot be used together"),
        ("--watch", "cannot be used together"),
        ("--holders", "cannot be used together"),
        ("0", "--leaks takes no TARGET, but 0 was given"),
    ] {
        world.call(&format!("ipcs-lite {option} --leaks -- touch ran")).fails(125, words);
        assert!(!ran.exists(), "{option}");
    }
}

#[test]
fn failed_leak_report_keeps_the_status_of_cmd() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    world.script("leaves", &format!("#!/bin/sh\npython3 {leak} x msg\nexit $1\n"));
    for (status, printed) in [(7, 7), (0, 1)] {
        let line = format!("ipcs-lite --leaks -q -- ./leaves {status}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = world.call(&line).onto(full.into());
        assert_eq!(output.status.code(), Some(printed));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("cannot write to standard output"), "{text}");
        // It dies by SIGPIPE, as any filter.
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let output = world.call(&line).onto(write.into());
        assert_eq!((crate::support::code(output.status), &*output.stderr), (141, &b""[..]));
    }
}

/// The pid of a descendant of CMD is reused by a stranger, which creates a queue and lives on, or exits before CMD.
#[test]
fn object_of_a_stranger_with_the_pid_is_kept() {
    let stranger = r"
import ctypes, os, struct, sys, time
c = ctypes.CDLL(None)
while not os.path.exists('number'): time.sleep(0.001)
wanted = int(open('number').read())
with open('/proc/sys/kernel/ns_last_pid', 'w') as last: last.write(str(wanted - 1))
if os.fork() == 0:
    q = c.msgget(0x4711, 0o1600); c.msgsnd(q, struct.pack('l', 1) + b'x', 1, 0)
    if sys.argv[1] == 'ends' or os.getpid() != wanted: os._exit(0)
    open('made', 'w').close()
    time.sleep(1000)
os.wait()
open('made', 'w').close()
";
    // Waits for a second to pass, as times of objects are whole seconds, and starts no process until the pid is reused.
    let command = "sh -c 'echo $$ >new; sleep 0.3'; last=$(date +%s)
        until [ $(date +%s) -gt $last ]; do sleep 0.05; done
        mv new number; read x <made || :";
    for (rest, shown) in [
        (
            "lives",
            "foreign
0 1
",
        ),
        (
            "ends",
            "unproven
1 1
",
        ),
    ] {
        let world = World::new();
        if python(&world).is_none() {
            return;
        }
        world.file("stranger.py", stranger);
        world.file("command", command);
        let script = format!(
            "exec unshare --ipc sh -euc '
            mkfifo made; python3 stranger.py {rest} & s=0
            $BOX ipcs-lite --leaks --clean -q --columns verdict --no-header -- sh ./command 2>/dev/null || s=$?
            echo $s $($BOX ipcs-lite -q -J | wc -l)'"
        );
        let Some(call) = crate::signal::contained(&world, 100, true, &script) else { return };
        call.stdout(shown).ok();
    }
}

#[test]
fn object_of_a_live_stranger_is_foreign() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    let foreign = r"
import os, runpy, sys, time
while not os.path.exists('go'): time.sleep(0.001)
runpy.run_path(sys.argv[1], run_name='__main__')
open('made', 'w').close()
time.sleep(1000)
";
    world.file("foreign.py", foreign);
    world.script("waits", "#!/bin/sh\n: >go\nuntil [ -e made ]; do sleep 0.01; done\n");
    for (kinds, verdicts) in [
        (&["msg"][..], &["foreign msg sysv"][..]),
        (&["msg", "shm", "sem"], &["foreign msg sysv", "foreign shm sysv", "foreign sem sysv"]),
    ] {
        let stranger = world.program("python3").args(["foreign.py", &leak, "x"]).args(kinds);
        let stranger = stranger.start();
        let only = if kinds.len() == 1 { "-q" } else { "" };
        let line = format!("ipcs-lite --leaks --clean {only} {SHOWN} -- ./waits");
        let output = world.call(&line).output();
        assert_eq!(printed(&output), verdicts);
        if !only.is_empty() {
            // A foreign object is no leak.
            assert_eq!(output.status.code(), Some(0));
        }
        // No object was removed.
        assert_eq!(world.call("ipcs-lite -J").ok().lines().count(), kinds.len());
        drop(stranger);
        world.call("ipcrm -a").ok();
        for mark in ["go", "made"] {
            std::fs::remove_file(world.dir().join(mark)).unwrap();
        }
    }
}

#[test]
fn options_limit_reported_and_removed_leaks() {
    let world = World::new();
    let Some(leak) = python(&world) else { return };
    let line = format!("ipcs-lite --leaks --clean -q -m {SHOWN} -- python3 {leak} x msg sem shm");
    assert_eq!(printed(&world.call(&line).output()), ["removed msg sysv", "removed shm sysv"]);
    let kept = "ipcs-lite --leaks --clean -q --keep $NAME-q -- ipcbox msgq send $NAME-q x --create";
    world.shell(kept).stdout("").ok();
    world.call("ipcs-lite --columns kind --no-header").stdout("msg\nsem\n").ok();
}
