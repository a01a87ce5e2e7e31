//! `ipcs-lite` and `ipcrm-lite`.

mod drop_in;
mod filters;
mod gather;
mod kept;
mod leaks;
mod proof;
mod remove;
mod terminal;
mod words;

use crate::support::{Call, World, skip};

/// Creates objects of all three kinds in a process that becomes `rest`, with a segment attached if requested.
const OBJECTS: &str = r"
import ctypes, os, struct, sys
c = ctypes.CDLL(None, use_errno=True)
c.shmat.restype = ctypes.c_void_p
q = c.msgget(0x1badc0de, 0o1640)
c.msgget(0, 0o1600)
c.msgsnd(q, struct.pack('l', 3) + b'hello', 5, 0)
s = c.semget(0x77, 3, 0o1600)
c.semget(-5, 1, 0o1644)
c.semop(s, struct.pack('hhh', 1, 4, 0), 1)
m = c.shmget(0x88, 5000, 0o1600)
c.shmat(m, None, 0)
gone = c.shmget(0x99, 1048470, 0o1600)
c.shmat(gone, None, 0)
c.shmctl(gone, 0, None)
c.shmctl(c.shmget(0, 1 << 21, 0o1000), 11, None)
";

/// Runs a shell script beside those objects.
fn beside_objects(world: &World, script: &str) -> Option<Call> {
    if !world.is_own() {
        skip("it needs an IPC namespace of its own");
        return None;
    }
    if Call::new("python3").arg("--version").output().status.code() != Some(0) {
        skip("there is no python3 here");
        return None;
    }
    let python = world.file("objects.py", &format!("{OBJECTS}\nsys.exit(os.system(sys.argv[1]) >> 8)\n"));
    Some(world.program("python3").arg(python).arg(script))
}

/// Whether this is the first pid namespace; in others, processes outside can share the objects.
fn sees_all() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.ends_with("pid:[4026531836]"))
}

/// Whether a program is installed.
fn has(program: &str) -> bool {
    let found = Call::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output();
    if !found.status.success() {
        skip(&format!("there is no {program} here"));
    }
    found.status.success()
}
