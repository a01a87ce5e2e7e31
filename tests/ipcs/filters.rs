//! The objects that filters select.

use super::sees_all;
use crate::support::{BINARY, Call, World, skip};

/// Creates objects of crashed programs, and objects that only look similar. Prints the ids of the former.
const INNOCENT: &str = r"
import ctypes, os, struct, sys, time
c = ctypes.CDLL(None, use_errno=True)
c.shmat.restype = ctypes.c_void_p
c.msgrcv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]
def child(work):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(w, str(work()).encode())
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    return int(os.read(r, 20))
def send(q): c.msgsnd(q, struct.pack('l', 3) + b'x', 1, 0)
def receive(q):
    b = ctypes.create_string_buffer(64); c.msgrcv(q, b, 8, 0, 0)
def segment():
    m = c.shmget(0, 100, 0o1600); c.shmat(m, None, 0); return m
def empty():
    q = c.msgget(0, 0o1600); send(q); receive(q); return q
def full():
    q = empty(); send(q); return q
def used():
    m = segment(); return m
guilty = [child(segment), child(empty)]
child(full)                                    # a queue with messages
c.msgget(0, 0o1600)                            # a queue that was never used
q = child(empty); send(q); receive(q)          # a queue whose last user lives
m = child(segment); c.shmat(m, None, 0)        # an attached segment of a dead program
segment()                                      # a segment of a running program
c.semget(0, 1, 0o1600)                         # a set
kept = child(segment)
print('shm', guilty[0]); print('msg', guilty[1]); print('kept', kept); sys.stdout.flush()
sys.exit(os.system(sys.argv[1]) >> 8)
";

#[test]
fn only_what_is_proved_is_orphaned() {
    let world = World::new();
    if !world.is_own() || Call::new("python3").arg("-V").output().status.code() != Some(0) {
        return skip("it needs an IPC namespace of its own and python3");
    }
    if !sees_all() {
        return skip("proof of an orphaned queue needs the first pid namespace");
    }
    let python = world.file("innocent.py", INNOCENT);
    // Objects of ipcbox that no call uses: slots, a lock, a queue with a message, a segment.
    world.shell("ipcbox sem run $NAME-slots --slots 2 -- true; ipcbox sem lock $NAME-lock -- true").ok();
    world.shell("ipcbox msgq send $NAME-full --create hello; printf x | ipcbox shm write $NAME-seg --create").ok();
    // The segment of a container, whose creator has no pid here.
    let key = world.name("seg");
    let script = format!(
        "{BINARY} ipcs-lite --columns kind,id --no-header | sort >before
         {BINARY} ipcrm-lite --orphaned --keep {key} --keep $(awk '$1 == \"kept\" {{ print $2 }}' printed) --dry-run --columns kind,id --no-header
         {BINARY} ipcrm-lite --orphaned --keep {key} --keep $(awk '$1 == \"kept\" {{ print $2 }}' printed) --yes -v
         {BINARY} ipcs-lite --columns kind,id --no-header | sort >after"
    );
    let line = format!("python3 {} '{}' | tee printed", python.display(), "sh ./script");
    world.file("script", &script);
    let shown = world.program("/bin/sh").args(["-c", &line]).ok();
    let id = |word: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("{shown}")).trim().to_owned()
    };
    let (segment, queue) = (id("shm "), id("msg "));
    assert!(shown.contains(&format!("removing message queue {queue}\n")), "{shown}");
    assert!(shown.contains(&format!("removing shared memory segment {segment}\n")), "{shown}");
    assert_eq!(shown.matches("removing ").count(), 2, "{shown}");
    let read = |name: &str| std::fs::read_to_string(world.dir().join(name)).unwrap();
    assert_eq!(read("before").lines().count() - read("after").lines().count(), 2);
}

#[test]
fn another_pid_namespaces_segment_proves_nothing() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("ipcmk -M 10").ok();
    // Inside a pid namespace, a creator outside has pid 0.
    let look =
        format!("{BINARY} ipcs-lite -m -J; {BINARY} ipcs-lite --orphaned -J; {BINARY} ipcrm-lite --orphaned --yes -J");
    let text = Call::new("unshare").args(["-pf", "--mount-proc", "sh", "-c", &look]).output();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("\"creator_pid\":null"), "{text}");
    assert!(world.call("ipcs-lite --orphaned -J").ok().contains("\"kind\":\"shm\""));
}

#[test]
fn segment_of_a_running_postgresql_is_kept() {
    let world = World::new();
    // Debian installs them outside PATH.
    let path = "PATH=$PATH$(printf ':%s' /usr/lib/postgresql/*/bin)";
    let look = format!("{path}; command -v postgres && command -v initdb");
    let found = Call::new("/bin/sh").args(["-c", &look]).output();
    // initdb needs a user with a name.
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten().map(|user| user.uid);
    let (true, Some(user), true) = (world.stranger().is_some(), nobody, world.is_own() && found.status.success())
    else {
        return skip("it needs root, an IPC namespace of its own, postgres and initdb");
    };
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut programs = found.lines();
    let (postgres, initdb) = (programs.next().unwrap(), programs.next().unwrap());
    nix::unistd::chown(world.dir(), Some(user), None).unwrap();
    let uid = user.as_raw();
    let data = world.dir().join("data").display().to_string();
    let init = world.program(initdb).args(["-D", &data, "-A", "trust", "-N"]).user(uid);
    if !init.output().status.success() {
        return skip("initdb does not work here");
    }
    let socket = world.dir().display().to_string();
    let server =
        world.program(postgres).args(["-D", &data, "-k", &socket, "-c", "listen_addresses="]).user(uid).start();
    let has_one = || world.call("ipcs-lite -m -J").ok().lines().count() == 1;
    crate::support::eventually("postgres has its segment", has_one);
    world.call("ipcrm-lite --orphaned --yes").ok();
    world.call("ipcrm-lite --unused --yes").ok();
    assert!(has_one());
    server.signal(nix::sys::signal::Signal::SIGQUIT);
    server.end();
}

#[test]
fn filters_combine() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("ipcmk -Q; ipcmk -M 10; ipcmk -S 1").ok();
    let count = |line: &str| world.call(&format!("ipcs-lite -J {line}")).ok().lines().count();
    assert_eq!(count("--mine"), 3);
    assert_eq!(count("--owner 54321"), 0);
    assert_eq!(count("--older-than 1h"), 0);
    assert_eq!(count("--older-than 0"), 3);
    assert_eq!(count("--unused --mine -m -s"), 2);
    if sees_all() {
        assert_eq!(count("--unused --mine"), 3);
    }
    assert_eq!(count("--keep 0"), 0);
    assert_eq!(count("-m --mine --keep 0x1"), 1);
    world.call("ipcs-lite --owner no-such-user").fails(2, "no user");
    for owner in ["root:root", "root:", ":root"] {
        let words = format!("--owner: expected a user name or number, without a group, not '{owner}'");
        world.call("ipcs-lite --owner").arg(owner).fails(2, &words);
    }
    world.call("ipcs-lite --older-than 1y").fails(2, "no fixed length");
    world.call("ipcs-lite --keep ftok:nowhere --mine").fails(3, "cannot keep");
    world.call("ipcs-lite --mine --owner 0").fails(2, "cannot be used together");
}

/// The pid of a segment's creator is reused. This proves nothing until the new process is known to have started after
/// the last use of the segment.
#[test]
fn reused_pid_is_recognised() {
    let world = World::new();
    let script = r#"
        exec unshare --ipc sh -euc '
        orphans() { $BOX ipcs-lite --orphaned --columns id --no-header | wc -l; }
        again() { [ "$($PUPPET reuse $pid)" = $pid ]; }
        ipcmk -M 10 >/dev/null & pid=$!
        wait $pid
        made=$(date +%s)
        [ $(orphans) = 1 ]
        again
        found=$(orphans)
        [ $(date +%s) -gt $((made + 1)) ] || [ $found = 0 ]
        kill -KILL $pid
        # Both times are whole seconds, that of the start is a sum of two.
        while [ $(date +%s) -lt $((made + 5)) ] || [ -e /proc/$pid ]; do sleep 0.05; done
        again
        [ "$(cat /proc/$pid/comm)" = puppet ]
        [ $(orphans) = 1 ]
        $BOX ipcrm-lite --orphaned --yes -v
        kill -KILL $pid
        '
    "#;
    let Some(call) = crate::signal::contained(&world, 100, true, script) else { return };
    call.stdout("removing shared memory segment 0\n").ok();
}
