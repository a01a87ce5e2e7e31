//! Callers in other languages, and wrong ones.

use std::fs;

use nix::sys::signal::Signal;

use super::serve;
use crate::support::{World, lines};

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
# More than the server keeps. The rest waits in the backlog.
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
    let all = ["it does not pass three descriptors", "it does not follow the protocol"];
    assert!(all.iter().all(|words| messages.iter().any(|line| line.ends_with(words))), "{messages:?}");
    assert!(fs::read_dir(world.dir()).unwrap().all(|entry| entry.unwrap().file_name() != "s"));
}
