//! Other programs on the same objects: C, Python, PostgreSQL.

use std::process::{Command, Stdio};

use nix::unistd::{Uid, chown, geteuid};

use super::{compiled, missing};
use crate::support::{Call, World, eventually};

/// Creates a segment by ftok(".", 1), prints its text after each input character, and removes it at EOF.
const SHOWS: &str = r#"
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/shm.h>
int main(void)
{
    int id = shmget(ftok(".", 1), 4096, IPC_CREAT | IPC_EXCL | 0600);
    char *text = shmat(id, 0, 0);
    if (id < 0 || text == (char *) -1)
        return 1;
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
        printf("%s\n", text);
        fflush(stdout);
    }
    return shmdt(text) || shmctl(id, IPC_RMID, 0);
}
"#;

#[test]
fn c_program_reads_text_of_ftok_segment() {
    let world = World::new();
    let Some(program) = compiled(&world, "shows", SHOWS) else { return };
    let mut command = Command::new(program);
    command.current_dir(world.dir()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut asks = child.stdin.take().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        line
    };
    assert_eq!(line(), "ready\n");
    for text in ["first", "second and longer", "3"] {
        world.call("shm write ftok:.:1 --clear").arg(text).ok();
        std::io::Write::write_all(&mut asks, b"\n").unwrap();
        assert_eq!(line(), format!("{text}\n"));
    }
    let pid = child.id().to_string();
    let holders = world.call("shm stat ftok:.:1 --holders --no-header --columns pid,mappings");
    holders.stdout(format!("{pid}  1\n")).ok();
    drop(asks);
    assert!(child.wait().unwrap().success());
    world.call("shm read ftok:.:1").fails(3, "no such shared memory segment");
}

/// Runs a Python program with the object as `sys.argv[1]`. Returns whether Python has the module.
fn python(world: &World, module: &str, script: &str, argument: &str) -> bool {
    let is_there = Command::new("python3").args(["-c", &format!("import {module}")]).output();
    if missing(&format!("Python with {module}"), !is_there.is_ok_and(|out| out.status.success())) {
        return false;
    }
    world.program("python3").args(["-c", script, argument]).ok();
    true
}

#[test]
fn python_sysv_ipc_shares_a_segment() {
    let world = World::new();
    let key = world.call("key @a").ok();
    world.name("a");
    let script = "import sys, sysv_ipc
memory = sysv_ipc.SharedMemory(int(sys.argv[1], 16), sysv_ipc.IPC_CREX, size=64, init_character=b'\\0')
memory.write(b'from python')
memory.detach()";
    if python(&world, "sysv_ipc", script, key.trim_end()) {
        world.call("shm read @a --text").stdout("from python").ok();
        world.call("shm write @a --clear from-box").ok();
        let script = "import sys, sysv_ipc
memory = sysv_ipc.SharedMemory(int(sys.argv[1], 16))
assert memory.read().rstrip(b'\\0') == b'from-box'
memory.remove()";
        python(&world, "sysv_ipc", script, key.trim_end());
        world.call("shm stat @a").fails(3, "no such shared memory segment");
    }
}

#[test]
fn python_posix_ipc_shares_an_object() {
    let world = World::new();
    let name = world.posix("a");
    let script = "import sys, os, posix_ipc
memory = posix_ipc.SharedMemory(sys.argv[1], posix_ipc.O_CREX, size=64)
os.write(memory.fd, b'from python')
memory.close_fd()";
    if python(&world, "posix_ipc", script, &name) {
        world.call("shm read --text").arg(&name).stdout("from python").ok();
        world.call("shm write --clear").args([&name, "from-box"]).ok();
        let script = "import sys, os, posix_ipc
memory = posix_ipc.SharedMemory(sys.argv[1])
assert os.read(memory.fd, 64).rstrip(b'\\0') == b'from-box'
memory.unlink()";
        python(&world, "posix_ipc", script, &name);
        world.call("shm stat").arg(&name).fails(3, "no such object");
    }
}

#[test]
fn python_multiprocessing_shares_an_object() {
    let world = World::new();
    let name = world.posix("a");
    world.call("shm create --size 4096").arg(&name).ok();
    world.call("shm set").args([&name, "41"]).ok();
    let script = "import sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(sys.argv[1][1:])
# It would remove what it only attached.
resource_tracker.unregister(memory._name, 'shared_memory')
words = memory.buf.cast('i')
assert words[0] == 41, words[0]
words[1] = -7
words.release()
memory.close()";
    if python(&world, "multiprocessing.shared_memory", script, &name) {
        world.call("shm get --offset 4").arg(&name).stdout("-7\n").ok();
    }
    // An object that Python created.
    let name = world.posix("b");
    let script = "import sys
from multiprocessing import resource_tracker, shared_memory
memory = shared_memory.SharedMemory(sys.argv[1][1:], create=True, size=100)
resource_tracker.unregister(memory._name, 'shared_memory')
memory.buf[:5] = b'hello'
memory.close()";
    if python(&world, "multiprocessing.shared_memory", script, &name) {
        world.call("shm read --text").arg(&name).stdout("hello").ok();
        world.call("shm add --offset 96").arg(&name).stdout("1\n").ok();
    }
}

/// An ordinary user that every system has.
const UNPRIVILEGED: u32 = 65534;

/// Finds a program of PostgreSQL.
fn postgres(name: &str) -> Option<std::path::PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = installed.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = installed.chain(std::env::split_paths(&path));
    dirs.find_map(|dir| Some(dir.join(name)).filter(|file| file.is_file()))
}

#[test]
fn segment_of_postgres_is_shown_with_its_holders() {
    let world = World::new();
    let (Some(initdb), Some(server)) = (postgres("initdb"), postgres("postgres")) else {
        missing("PostgreSQL", true);
        return;
    };
    // PostgreSQL refuses to run as root, and as a user without a name.
    let user = geteuid().is_root().then_some(UNPRIVILEGED);
    chown(world.dir(), user.map(Uid::from_raw), None).unwrap();
    let dir = world.dir().join("data");
    let as_user = |call: Call| match user {
        Some(uid) => call.user(uid),
        None => call,
    };
    let call = |program: std::path::PathBuf| as_user(Call::new(program).dir(world.dir()));
    let shm = |words: &str| as_user(world.call(&format!("shm {words}")));
    let init = call(initdb).arg("-D").arg(&dir);
    let init = init.args(["-U", "postgres", "--no-sync", "-A", "trust"]);
    let output = init.output();
    if missing("PostgreSQL that initialises here", !output.status.success()) {
        return;
    }
    let sockets = world.dir().display().to_string();
    let server = call(server).arg("-D").arg(&dir).args([
        "-k",
        &sockets,
        "-c",
        "listen_addresses=",
        "-c",
        "fsync=off",
        "-c",
        "shared_memory_type=mmap",
    ]);
    let server = server.start();
    let lock = dir.join("postmaster.pid");
    let ready = || std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("ready"));
    eventually("PostgreSQL is ready", ready);
    // Its sixth line is the key and the id of its segment.
    let text = std::fs::read_to_string(&lock).unwrap();
    let numbers = text.lines().nth(6).unwrap().split_whitespace();
    let id = numbers.map(str::to_owned).next_back().unwrap();
    let json = shm("stat -J").arg(&id).ok();
    let record: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(record["creator_pid"], server.pid(), "{json}");
    assert!(record["attached"].as_i64().unwrap() >= 1, "{json}");
    let holders = shm("stat --holders -J").arg(&id).output();
    let holders = String::from_utf8(holders.stdout).unwrap();
    assert!(holders.contains(&format!("\"pid\":{}", server.pid())), "{holders}");
    assert!(holders.contains("postgres"), "{holders}");
    shm("rm").arg(&id).fails(1, &server.pid().to_string());
    server.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(server.code(), 0);
    shm("stat").arg(&id).fails(3, "no such shared memory segment");
}
