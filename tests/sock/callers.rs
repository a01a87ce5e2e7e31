//! Callers in other languages, and wrong ones.

use std::fs;

use nix::sys::signal::Signal;

use super::serve;
use crate::support::{World, eventually, lines};

/// The protocol in twenty lines.
pub const CLIENT: &str = r#"
import array, os, socket, struct, sys, time

def call(path, message=None):
    client = socket.socket(socket.AF_UNIX)
    client.bind("\0ipcbox-call-1 %d %x" % (os.getpid(), time.time_ns()))
    client.connect(path)
    if client.recv(1) != b"R":
        raise EOFError("the call is refused")
    request = b"C"
    if message is not None:
        request = b"M" + struct.pack("<I", len(message)) + message
    files = array.array("i", [0, 1, 2])
    sent = client.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    client.sendall(request[sent:])
    answer = b""
    while len(answer) < 3:
        more = client.recv(3 - len(answer))
        if not more:
            raise EOFError("CMD started" if answer else "CMD did not start")
        answer += more
    return answer[2]
"#;

fn python(world: &World, script: &str) -> crate::support::Call {
    world.program("python3").arg("-c").arg(format!("{CLIENT}\n{script}"))
}

#[test]
fn client_in_python_calls() {
    let world = World::new();
    let (_server, _) = serve(&world, "path", "", &["sh", "-c", "tr a-z A-Z; exit 5"]);
    python(&world, "sys.exit(call('s'))").input("from stdin").stdout("FROM STDIN").stderr("").status(5);
    python(&world, "sys.exit(call('s', b'message'))").input("from stdin").stdout("MESSAGE").stderr("").status(5);
}

/// None of them keeps the next caller from being served.
#[test]
fn wrong_callers_are_dropped() {
    let world = World::new();
    let (server, _) = serve(&world, "path", "-j 2", &["sh", "-c", "cat; echo $0", "{}"]);
    let wrong = "
def connected():
    client = socket.socket(socket.AF_UNIX)
    client.bind('\\0ipcbox-call-1 %d %x' % (os.getpid(), time.time_ns()))
    client.connect('s')
    assert client.recv(1) == b'R'
    return client

def send(request, files, flags=os.O_RDONLY):
    client = connected()
    rights = array.array('i', [os.open('/dev/null', flags) for _ in range(files)])
    client.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    return client

def is_dropped(client):
    try:
        return client.recv(1) == b''
    except ConnectionResetError:
        return True

silent = [connected() for _ in range(20)]
assert call('s', b'next') == 0
# More than the server keeps. The oldest ones make place.
for _ in range(80):
    silent.append(socket.socket(socket.AF_UNIX))
    silent[-1].bind('\\0ipcbox-call-1 %d %x' % (os.getpid(), time.time_ns()))
    silent[-1].connect('s')
assert call('s', b'next') == 0
for request, files in [(b'C', 2), (b'C', 4), (b'C', 0), (b'X', 3), (b'M\\0\\0\\x40\\0', 3), (b'CC', 3), (b'M\\1\\0\\0\\0xx', 3), (b'C', 200)]:
    assert is_dropped(send(request, files)), (request, files)
for client in silent:
    while not is_dropped(client):
        pass
by_path = send(b'C', 3, os.O_PATH)
assert by_path.recv(1) == b'A'
assert by_path.recv(1) == b'S' and by_path.recv(1) != b'\\0'
many = send(b'M' + struct.pack('<I', 3), 3)
for byte in b'abc':
    many.send(bytes([byte]))
assert many.recv(1) == b'A'
";
    python(&world, wrong).ok();
    world.call("sock call ./s last").stdout("lastlast\n").ok();
    server.signal(Signal::SIGTERM);
    let output = server.end();
    assert_eq!(output.status.code(), Some(0));
    let messages = lines(&output.stderr);
    let all = ["the caller did not pass three descriptors", "the caller does not follow the protocol"];
    assert!(all.iter().all(|words| messages.iter().any(|line| line.ends_with(words))), "{messages:?}");
    assert!(fs::read_dir(world.dir()).unwrap().all(|entry| entry.unwrap().file_name() != "s"));
}

/// The descriptors of a caller that has gone are free for the next one.
#[test]
fn withdrawn_call_leaves_room_for_the_next_one() {
    let world = World::new();
    // From the fewest that one call takes, two of which are for the failures of CMD.
    for limit in 15..19 {
        let script = format!("exec </dev/null; ulimit -n {limit}; exec ipcbox sock serve ./s -j 4 -- cat");
        let server = world.shell(&script).start();
        eventually("it listens", || world.dir().join("s").exists());
        let withdrawn = "
import signal
server = int(sys.argv[1])

def connected():
    client = socket.socket(socket.AF_UNIX)
    client.bind('\\0ipcbox-call-1 %d %x' % (os.getpid(), time.time_ns()))
    client.connect('s')
    return client

def state():
    return open('/proc/%d/stat' % server).read().rsplit(')', 1)[1].split()[0]

first = connected()
if first.recv(1) != b'R':
    sys.exit()
# It lacks descriptors for this one.
second = connected()
while open('/proc/%d/syscall' % server).read().split()[0] != 'PPOLL':
    pass
os.kill(server, signal.SIGSTOP)
while state() != 'T':
    pass
first.sendmsg([b'C'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2]))])
first.close()
os.kill(server, signal.SIGCONT)
assert second.recv(1) == b'R'
second.close()
assert call('s', b'served') == 0
";
        let withdrawn = withdrawn.replace("PPOLL", &nix::libc::SYS_ppoll.to_string());
        let script = format!("{CLIENT}\n{withdrawn}");
        let outcome = world.program("python3").arg("-c").args([script, server.pid().to_string()]).output();
        assert!(outcome.status.success(), "{limit} {}", String::from_utf8_lossy(&outcome.stderr));
        server.signal(Signal::SIGTERM);
        let _ = server.end();
    }
}

/// The caller fills its connection with bytes that are no signals.
#[test]
fn flood_of_one_caller_holds_up_no_other() {
    let world = World::new();
    let script = "[ $0 != flood ] || exec sleep 100; echo served";
    let (server, _) = serve(&world, "path", "-j 2", &["sh", "-c", script, "{}"]);
    let flood = "
client = socket.socket(socket.AF_UNIX)
client.bind('\\0ipcbox-call-1 %d %x' % (os.getpid(), time.time_ns()))
client.connect('s')
assert client.recv(1) == b'R'
rights = array.array('i', [0, 1, 2])
client.sendmsg([b'M\\5\\0\\0\\0flood'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
assert client.recv(1) == b'A'
client.setblocking(False)
try:
    while True:
        client.send(bytes(8192))
except BlockingIOError:
    pass
client.setblocking(True)
open('full', 'w')
while True:
    client.send(bytes(8192))
";
    let flooding = python(&world, flood).start();
    eventually("it is full", || world.dir().join("full").exists());
    assert_eq!(world.call("sock call ./s other").start().code(), 0);
    let connected = world.call("sock connect ./s").start().end();
    assert_eq!(connected.stdout, b"served\n");
    drop(flooding);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
}

/// A process that has many silent connections loses the oldest ones.
#[test]
fn silent_connections_make_place_for_new_ones() {
    let world = World::new();
    let (_server, _) = serve(&world, "path", "", &["echo", "served"]);
    let silent = "
silent = []
for _ in range(300):
    silent.append(socket.socket(socket.AF_UNIX))
    silent[-1].bind('\\0ipcbox-call-1 %d %x' % (os.getpid(), time.time_ns()))
    silent[-1].connect('s')
    assert silent[-1].recv(1) == b'R'
sys.exit(call('s'))
";
    python(&world, silent).stdout("served\n").ok();
}
