//! `ipcs-lite --leaks --clean`: proof that a process of CMD created an object.

use super::has;
use crate::support::{World, skip};

/// Creates and uses an object of each named kind. `maps` leaves the segment attached.
const MAKE: &str = r"
import ctypes, struct
c = ctypes.CDLL(None); c.shmat.restype = ctypes.c_void_p
def make(kind):
    if kind == 'msg': q = c.msgget(0, 0o1600); c.msgsnd(q, struct.pack('l', 1) + b'x', 1, 0)
    if kind == 'sem': s = c.semget(0, 1, 0o1600); c.semop(s, struct.pack('hhh', 0, 1, 0), 1)
    if kind in ('shm', 'maps'): m = c.shmget(0, 100, 0o1600)
    if kind == 'maps': c.shmat(m, None, 0)
def run(*acts):
    import os
    pid = os.fork()
    if pid == 0:
        for act in acts: act()
        os._exit(0)
    return pid
def looks(box, count):
    # It sleeps after each look.
    import re, time
    def slept(): return int(re.search('\nvoluntary_ctxt_switches:\t(\\d+)', open(f'/proc/{box}/status').read()).group(1))
    enough = slept() + count
    while slept() < enough: time.sleep(0.001)
";

const KINDS: [(&str, &str); 3] = [("msg", "-q"), ("shm", "-m"), ("sem", "-s")];

fn python(world: &World) -> bool {
    if !world.is_own() {
        skip("it needs an IPC namespace of its own");
        return false;
    }
    world.file("make.py", MAKE);
    has("python3")
}

/// Runs `--leaks --clean` beside a stranger, in namespaces and a `/dev/shm` of their own, where other tests create no
/// objects. Prints the verdict, the status and the number of objects left.
fn beside(stranger: &str, command: &str, words: &str, option: &str) -> Option<String> {
    let world = World::new();
    if !python(&world) {
        return None;
    }
    world.file("stranger.py", &format!("from make import *\n{stranger}"));
    world.file("command", command);
    let script = format!(
        "export PYTHONDONTWRITEBYTECODE=1
        mount -t tmpfs none /dev/shm
        exec unshare --ipc sh -euc '
        mkfifo made; python3 stranger.py {words} & s=0
        $BOX ipcs-lite --leaks --clean {option} --columns family,verdict --no-header -- sh ./command >out 2>/dev/null || s=$?
        sed -n \"s/^sysv *//p\" out
        echo $s $($BOX ipcs-lite {option} -J | wc -l)'"
    );
    let call = crate::signal::contained(&world, 100, true, &script)?;
    Some(call.ok())
}

/// A child of CMD exits. Within the same second, a stranger gets its pid, creates an object, and exits or lives on.
#[test]
fn stranger_of_the_same_second_keeps_its_objects() {
    let stranger = r"
import os, sys, time
while not os.path.exists('number'): time.sleep(0.001)
wanted = int(open('number').read())
with open('/proc/sys/kernel/ns_last_pid', 'w') as last: last.write(str(wanted - 1))
def wait():
    if sys.argv[1] == 'lives' and os.getpid() == wanted:
        open('made', 'w').close(); time.sleep(1000)
run(lambda: make(sys.argv[2]), wait)
os.wait()
open('made', 'w').close()
";
    // Waits for a second to begin, and starts no process until the pid is reused.
    let command = "last=$(date +%s); until [ $(date +%s) -gt $last ]; do sleep 0.01; done
        sh -c 'echo $$ >new; sleep 0.05'; mv new number; read x <made || :";
    for (kind, option) in KINDS {
        for (rest, shown) in [("ends", "unproven\n1 1\n"), ("lives", "foreign\n0 1\n")] {
            let words = format!("{rest} {kind}");
            let Some(text) = beside(stranger, command, &words, option) else { return };
            assert_eq!(text, shown, "{words}");
        }
    }
}

/// The reverse: a stranger creates an object and exits, and within the same second a process of CMD gets its pid.
#[test]
fn pid_of_a_dead_stranger_proves_nothing() {
    let stranger = r"
import os, sys, time
while not os.path.exists('go'): time.sleep(0.001)
pid = run(lambda: make(sys.argv[1]))
os.waitpid(pid, 0)
open('new', 'w').write(str(pid) + '\n')
os.rename('new', 'number')
";
    let command = ": >go; until [ -e number ]; do sleep 0.01; done; read number <number
        [ $($PUPPET reuse $number) = $number ] || exit 9
        sleep 0.1";
    for (kind, option) in KINDS {
        let Some(text) = beside(stranger, command, kind, option) else { return };
        assert_eq!(text, "unproven\n1 1\n", "{kind}");
    }
}

#[test]
fn process_seen_at_work_is_proof() {
    let world = World::new();
    if !python(&world) {
        return;
    }
    // A child that CMD reaps itself: only a sample can see it at work.
    let works = r"
from make import *
import os, sys
box = int(open(f'/proc/{os.getppid()}/stat').read().rsplit(')')[1].split()[1])
looks(box, 3)
make(sys.argv[1])
looks(box, 3)
";
    // A process that created a segment before any sample is proof while it maps the segment.
    let forks = r"
from make import *
import os, sys
box = int(open(f'/proc/{os.getppid()}/stat').read().rsplit(')')[1].split()[1])
os.waitpid(run(lambda: make(sys.argv[1]), lambda: looks(box, 3)), 0)
";
    world.file("works.py", works);
    world.file("forks.py", forks);
    world.script("command", "#!/bin/sh\npython3 $1.py $2\nexit 0\n");
    for (how, kind, option) in
        [("works", "msg", "-q"), ("works", "sem", "-s"), ("works", "shm", "-m"), ("forks", "maps", "-m")]
    {
        let line = format!(
            "ipcs-lite --leaks --clean {option} --columns verdict,family --no-header -- ./command {how} {kind}"
        );
        let output = world.call(&line).output();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let shown: Vec<&str> = text.lines().filter_map(|line| line.strip_suffix("sysv")).map(str::trim_end).collect();
        assert_eq!(shown, ["removed"], "{how} {kind} {text}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// An object can start to match a filter while CMD runs.
#[test]
fn object_from_before_is_no_leak_whatever_the_filter() {
    let world = World::new();
    if !python(&world) {
        return;
    }
    let holder = r"
from make import *
import os, time
make('maps')
open('ready', 'w').close()
while not os.path.exists('go'): time.sleep(0.001)
";
    world.file("holder.py", holder);
    let holder = world.program("python3").arg("holder.py").start();
    crate::support::eventually("it is held", || world.dir().join("ready").exists());
    let ends =
        format!(": >go; while grep -q '^State:.[^Z]' /proc/{}/status 2>/dev/null; do sleep 0.01; done", holder.pid());
    let line = "ipcs-lite --leaks --clean --unused -m --columns verdict,family --no-header -- sh -c";
    let text = world.call(line).arg(&ends).output();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(!text.contains("sysv"), "{text}");
    holder.end();
    assert_eq!(world.call("ipcs-lite -m -J").ok().lines().count(), 1);
}

#[test]
fn unwaitable_child_stops_leaks() {
    let world = World::new();
    for (inject, line) in [
        ("wait4:error=ENOSYS", "--leaks -s -- true"),
        ("wait4:error=EPERM", "--leaks --clean -s -- true"),
        ("waitid:error=EPERM", "--leaks -s -- true"),
        ("waitid:error=ENOSYS", "--leaks --clean -s -- sleep 1000"),
    ] {
        let Some(call) = world.injected(inject) else { return };
        let words = "cannot wait for CMD: wait4 or waitid is blocked, possibly by a seccomp filter";
        call.arg("ipcs-lite").args(line.split(' ')).fails(125, words);
    }
    for verb in ["signal run -- true", "pipe run -- true", "pipe tee true"] {
        let Some(call) = world.injected("wait4:error=EPERM") else { return };
        // Any status will do; timeout kills a call that hangs.
        assert!(call.args(verb.split(' ')).output().status.code().is_some(), "{verb}");
    }
}
