//! `sock activate`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};

use super::stale;
use crate::support::{Child, World, eventually};

/// A server that takes one connection from descriptor 3, and sends back what it reads.
const ECHO: &str = "import os, socket
assert os.environ['LISTEN_PID'] == str(os.getpid())
s = socket.socket(fileno=3)
assert s.getblocking() and os.get_blocking(3)
c = s.accept()[0]
while data := c.recv(4096):
    c.sendall(data)";

/// Prints what CMD gets.
const SHOW: &str = "import os, socket
e = os.environ
assert e['LISTEN_PID'] == str(os.getpid())
print(e['LISTEN_FDS'], e['LISTEN_FDNAMES'], e['IPCBOX_ADDRESS'], e['IPCBOX_PORT'] != '')
def behind(fd):
    try:
        return os.readlink(f'/proc/self/fd/{fd}')
    except OSError:
        return ''
print(sorted(fd for fd in map(int, os.listdir('/proc/self/fd')) if 'socket' in behind(fd)))
for fd in range(3, 3 + int(e['LISTEN_FDS'])):
    s = socket.socket(fileno=fd)
    print(s.family.name, s.type.name, s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    s.detach()";

fn echoed(stream: &mut (impl Read + Write)) -> String {
    stream.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn command_gets_a_listening_path() {
    let world = World::new();
    // A stale path is taken over.
    stale(&world.dir().join("s"));
    let server = world.call("sock activate ./s -m 0660 -- python3 -c").arg(ECHO).start();
    let path = world.dir().join("s");
    eventually("the server listens", || UnixStream::connect(&path).is_ok_and(|mut to| echoed(&mut to) == "hello"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    assert!(server.end().status.success());
    // CMD is ipcbox no more, so that the path stays; the next server takes it.
    assert!(path.exists());
    let server = world.call("sock activate ./s -- python3 -c").arg(ECHO).start();
    eventually("the server listens", || UnixStream::connect(&path).is_ok_and(|mut to| echoed(&mut to) == "hello"));
    assert!(server.end().status.success());
}

#[test]
fn variables_announce_the_sockets() {
    let world = World::new();
    let name = world.name("n");
    let show = |addresses: &[&str]| {
        let call = world.call("sock activate").args(addresses).args(["--", "python3", "-c", SHOW]);
        // Those of another process.
        call.env("LISTEN_FDS", "7").env("LISTEN_PID", "1").env("LISTEN_PIDFDID", "1").env("LISTEN_FDNAMES", "x").ok()
    };
    let expected = format!("1 {name} {name} False\n[3]\nAF_UNIX SOCK_STREAM 1\n");
    assert_eq!(show(&[&name]), expected);
    assert_eq!(
        show(&["./s", "dgram:d", &format!("seqpacket:@{name}")]),
        format!(
            "3 s:d:{name} ./s dgram:d seqpacket:@{name} False\n[3, 4, 5]\nAF_UNIX SOCK_STREAM 1\nAF_UNIX SOCK_DGRAM \
             0\nAF_UNIX SOCK_SEQPACKET 1\n"
        )
    );
    let text = show(&["tcp:localhost:0", "udp:127.0.0.1:0"]);
    let [first, fds, rest] = text.splitn(3, '\n').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let [count, names, tcp, udp, has_port] = first.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let [four, six, other] = names.split(':').collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(four == six && tcp == format!("tcp:localhost:{four}") && udp == format!("udp:127.0.0.1:{other}"), "{text}");
    assert_eq!((count, fds, has_port), ("3", "[3, 4, 5]", "True"));
    assert_eq!(rest, "AF_INET SOCK_STREAM 1\nAF_INET6 SOCK_STREAM 1\nAF_INET SOCK_DGRAM 0\n");
}

#[test]
fn pidfd_id_is_that_of_the_command() {
    let world = World::new();
    let script = "import os
fd = os.pidfd_open(os.getpid())
known = os.environ.get('LISTEN_PIDFDID')
print(known in [None, str(os.fstat(fd).st_ino)])";
    world.call("sock activate @a -- python3 -c").arg(script).stdout("True\n").ok();
}

/// Whatever the numbers of its own descriptors are, and those that the caller has open.
#[test]
fn many_sockets_keep_their_order() {
    let world = World::new();
    let names: Vec<String> = (0..40).map(|n| format!("./s{n}")).collect();
    let script = "import os
print(*[os.readlink(f'/proc/self/fd/{3 + n}').startswith('socket:') for n in range(40)].count(True).__str__())
import socket
print([socket.socket(fileno=3 + n).getsockname().endswith(f'/.s{n}.new') for n in range(40)].count(True))";
    let script = script.replace("print(*[", "print([").replace(".__str__())", ")");
    let call = world.call("sock activate").args(&names).args(["--", "python3", "-c", &script]);
    call.stdout("40\n40\n").ok();
    // Descriptors of the caller in their places.
    let text = format!(
        "exec 3</dev/null 4</dev/null 6</dev/null; exec ipcbox sock activate {} -- python3 -c \"$SCRIPT\"",
        names.join(" ")
    );
    world.shell(&text).env("SCRIPT", &script).stdout("40\n40\n").ok();
}

#[test]
fn arguments_have_the_address_and_the_port() {
    let world = World::new();
    let echo =
        |address: &str| world.call("sock activate").args([address, "--", "echo", "{address}", "{port}", "x{port}"]);
    let text = echo("tcp:127.0.0.1:0").ok();
    let [address, port, kept] = text.trim().split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(address == format!("tcp:127.0.0.1:{port}") && port.parse::<u16>().unwrap() > 0 && kept == "x{port}");
    echo("./s").fails(125, "{port} needs a TCP or UDP address, such as tcp:localhost:0");
    assert!(!world.dir().join("s").exists());
    let name = world.name("a");
    world.call("sock activate @a -- printenv IPCBOX_ADDRESS").stdout(format!("{name}\n")).ok();
}

#[test]
fn failure_before_the_command_is_125() {
    let world = World::new();
    world.file("file", "");
    world.script("broken", "#!/missing/interpreter\n");
    let _listener = UnixListener::bind(world.dir().join("live")).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = format!("tcp:{}", tcp.local_addr().unwrap());
    let own = format!("it is in use by {} (", std::process::id());
    for (words, status, message) in [
        ("./live -- true", 125, &*own),
        ("./file -- true", 125, "the path is a regular file, not a socket"),
        ("none/s -- true", 125, "the parent directory does not exist (ENOENT)"),
        (&format!("{used} -- true"), 125, &own),
        (&format!("{used} --reserve -- true"), 125, &own),
        ("./s --reserve -- true", 125, "only a TCP port can be reserved, such as tcp:localhost:0"),
        ("udp:localhost:0 --reserve -- true", 125, "only a TCP port can be reserved"),
        ("fd:77 -- true", 125, "the descriptor is not open (EBADF)"),
        ("fd:0 -- true", 125, "the descriptor is not a socket (ENOTSOCK)"),
        ("tcp:192.0.2.1:0 -- true", 125, "the address does not belong to this machine"),
        ("tcp:localhost -- true", 125, "HOST:PORT"),
        ("-- true", 125, "ADDR is missing"),
        ("@a", 125, "CMD is missing"),
        ("@a -m 9 -- true", 125, "expected permission bits in octal"),
        ("./new -- /missing", 127, "cannot run /missing: command not found"),
        ("./new -- /", 126, "cannot run /: permission denied"),
        ("./new -- ./broken", 126, "cannot run ./broken"),
    ] {
        world.call(&format!("sock activate {words}")).fails(status, message);
    }
    assert!(!world.dir().join("new").exists());
    world.call("sock activate @a -- sh -c").arg("exit 7").status(7);
}

/// Unlike one that is closed before the server binds it.
#[test]
fn reserved_port_is_bound_by_the_command() {
    let world = World::new();
    let script = "import os, socket, sys
port = int(sys.argv[1])
assert 'LISTEN_FDS' not in os.environ and os.environ['IPCBOX_PORT'] == sys.argv[1]
s = socket.create_server(('127.0.0.1', port))
t = socket.create_server(('::1', port), family=socket.AF_INET6)
try:
    u = socket.socket()
    u.bind(('127.0.0.1', port))
except OSError:
    print('held')
c = socket.create_connection(('127.0.0.1', port))
print(len([fd for fd in map(int, os.listdir('/proc/self/fd')) if 200 <= fd < 210]))";
    let call = world.call("sock activate tcp:localhost:0 --reserve -- python3 -c").args([script, "{port}"]);
    call.stdout("held\n2\n").ok();
    // A server that does not set SO_REUSEADDR.
    let script = "import socket, sys; socket.socket().bind(('127.0.0.1', int(sys.argv[1])))";
    let call = world.call("sock activate tcp:127.0.0.1:0 --reserve -- python3 -c").args([script, "{port}"]);
    assert!(String::from_utf8(call.output().stderr).unwrap().contains("Address already in use"));
    // Until it binds it, no client is accepted.
    let script = "import socket, sys
try:
    socket.create_connection(('127.0.0.1', int(sys.argv[1])))
except ConnectionRefusedError:
    print('refused')";
    let call = world.call("sock activate tcp:127.0.0.1:0 --reserve -- python3 -c").args([script, "{port}"]);
    call.stdout("refused\n").ok();
}

#[test]
fn few_descriptors_are_enough_to_reserve() {
    let world = World::new();
    let text = "ulimit -n 20; exec ipcbox sock activate tcp:127.0.0.1:0 --reserve -- echo {port}";
    assert!(world.shell(text).ok().trim().parse::<u16>().unwrap() > 0);
    let text = "ulimit -n 4; exec ipcbox sock activate @a @b -- true";
    world.shell(text).fails(125, "(EMFILE)");
}

#[test]
fn inherited_listener_keeps_its_names() {
    let world = World::new();
    let inner = format!("exec ipcbox sock activate fd:4 fd:3 -- python3 -c '{}'", SHOW.replace('\'', "\""));
    let text = world.call("sock activate ./one ./two -- sh -c").arg(format!("PATH=$BIN:$PATH; {inner}"));
    let text = text.env("BIN", crate::support::BINARY.strip_suffix("/ipcbox").unwrap()).ok();
    assert_eq!(text, "2 two:one ./one ./two False\n[3, 4]\nAF_UNIX SOCK_STREAM 1\nAF_UNIX SOCK_STREAM 1\n");
    // A connection is not a listener.
    let (one, _other) = UnixStream::pair().unwrap();
    world.call("sock activate fd:9 -- true").passing(&one, 9).fails(125, "the socket is not listening");
}

/// A loop that starts a server again after each connection.
fn restarting(world: &World, address: &str) -> Child {
    let script = format!(
        "PATH=$BIN:$PATH; echo $IPCBOX_PORT >port; mv port ready
        while ipcbox sock activate fd:3 -- python3 -c '{}'; do echo >>served; done",
        ECHO.replace('\'', "\"")
    );
    let call = world.call("sock activate").args([address, "--", "sh", "-c", &script]);
    call.env("BIN", crate::support::BINARY.strip_suffix("/ipcbox").unwrap()).start()
}

/// No client is refused while the server is not there.
#[test]
fn restarted_server_refuses_no_client() {
    let count = if std::env::var_os("IPCBOX_FULL").is_some() { 300 } else { 12 };
    let world = World::new();
    for address in ["tcp:127.0.0.1:0", "./s"] {
        let _loop = restarting(&world, address);
        eventually("the listener is there", || world.dir().join("ready").exists());
        let port = fs::read_to_string(world.dir().join("ready")).unwrap();
        for n in 0..count {
            let answer = match port.trim() {
                "" => echoed(&mut UnixStream::connect(world.dir().join("s")).unwrap()),
                port => echoed(&mut TcpStream::connect(format!("127.0.0.1:{port}")).unwrap()),
            };
            assert_eq!(answer, "hello", "{address}: connection {n}");
        }
        // It was another server each time.
        eventually("each has exited", || {
            fs::read_to_string(world.dir().join("served")).is_ok_and(|text| text.lines().count() >= count)
        });
        fs::remove_file(world.dir().join("ready")).unwrap();
        fs::remove_file(world.dir().join("served")).unwrap();
    }
}

/// The dead server's clients find the socket that the shell keeps, and the next server gets their connections.
#[test]
fn connections_before_the_command_are_kept() {
    let world = World::new();
    let script = format!("until [ -e go ]; do :; done; exec python3 -c '{}'", ECHO.replace('\'', "\""));
    let server = world.call("sock activate ./s -- sh -c").arg(script).start().became("sh");
    eventually("the path is there", || world.dir().join("s").exists());
    let mut client = UnixStream::connect(world.dir().join("s")).unwrap();
    client.write_all(b"early").unwrap();
    world.file("go", "");
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"early");
    drop(client);
    assert!(server.end().status.success());
}
