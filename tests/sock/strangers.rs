//! Clients and callers of another user.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::sys::signal::Signal;

use super::callers::CLIENT;
use super::{connect, pattern, serve};
use crate::support::{World, eventually, lines};

/// Neither root nor the stranger.
const THIRD: &str = "54322";

#[test]
fn other_user_is_refused_unless_allowed() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let allowed = format!("--allow {stranger} -m 666");
    for form in ["path", "abstract"] {
        for (options, is_allowed) in [
            ("-m 666", false),
            (&format!("-m 666 --allow {THIRD}"), false),
            (&allowed, true),
            (&format!("{allowed} --allow {THIRD}"), true),
            ("-m 666 --allow any", true),
        ] {
            let (server, address) = serve(&world, form, options, &["sh", "-c", "echo $IPCBOX_PEER_UID"]);
            let output = world.call("sock connect").arg(&address).user(stranger).output();
            let reply = if is_allowed { format!("{stranger}\n") } else { String::new() };
            assert_eq!(String::from_utf8_lossy(&output.stdout), reply, "{form} {options}");
            let called = world.call("sock call").arg(&address).user(stranger);
            if is_allowed {
                called.stdout(reply).ok();
            } else {
                called.fails(125, "the server does not accept your user\n");
            }
            // Root and the user of the server are always accepted.
            world.call("sock call").arg(&address).stdout("0\n").ok();
            server.signal(Signal::SIGTERM);
            let output = server.end();
            let words =
                format!("sock: cannot accept a client at {address}: access is not allowed for uid {stranger} (pid ");
            let refused = lines(&output.stderr).iter().filter(|line| line.starts_with(&words)).count();
            assert_eq!((output.status.code(), refused), (Some(0), if is_allowed { 0 } else { 2 }), "{form} {options}");
        }
    }
}

#[test]
fn refused_client_hints_at_the_option_of_the_server() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let hint = format!("hint: start the server with --allow {stranger} if it refuses your user\n");
    let (_server, address) = serve(&world, "path", "-m 666", &["cat"]);
    // More than the kernel takes, so that input is left when the connection is lost.
    world.shell("yes | head -c 20000000 >input").ok();
    for client in ["connect", "send"] {
        let line = format!("ipcbox sock {client} {address} <input");
        let refused = world.shell(&line).user(stranger);
        refused.fails(3, &hint);
    }
    let packets = world.call("sock recv seqpacket:./q -m 666 --follow").start();
    eventually("it listens", || world.dir().join("q").exists());
    world.shell("yes | ipcbox sock send seqpacket:./q --lines").user(stranger).fails(3, &hint);
    packets.signal(Signal::SIGTERM);
    packets.end();
    // A server of the same user has another reason.
    let (_closing, address) = serve(&world, "abstract", "", &["true"]);
    let output = world.shell(&format!("yes | ipcbox sock send {address}")).output();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hint"));
}

#[test]
fn port_is_open_to_all_users_or_to_some() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for (options, is_allowed) in
        [("", true), ("--allow root", false), (&format!("--allow {stranger}"), true), ("--allow any", true)]
    {
        let (_server, address) = serve(&world, "tcp:localhost", options, &["echo", "accepted"]);
        // The connection must be open when it is accepted, or its user is unknown.
        let ask = |uid: u32| {
            let script = "exec 3<>/dev/tcp/127.0.0.1/${0##*:}; cat <&3";
            world.program("bash").args(["-c", script, &address]).user(uid).output().stdout
        };
        assert_eq!(ask(stranger) == b"accepted\n", is_allowed, "{options}");
        assert_eq!(ask(0), b"accepted\n", "{options}");
    }
}

#[test]
fn datagram_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let send = "import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(sys.argv[1].encode(), 'd')";
    let server = world.call("sock serve dgram:./d -m 666 -c 1 -- cat").start();
    eventually("it is bound", || world.dir().join("d").exists());
    world.program("python3").args(["-c", send, "theirs"]).user(stranger).ok();
    world.program("python3").args(["-c", send, "ours"]).ok();
    let output = server.end();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ours");
    let words = format!("cannot accept a datagram at dgram:./d: access is not allowed for uid {stranger} (pid ");
    assert!(lines(&output.stderr).concat().contains(&words));
}

/// The server could reach sockets that the sender cannot.
#[test]
fn reply_goes_only_to_a_socket_of_the_sender() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let private = UnixDatagram::bind(world.dir().join("private")).unwrap();
    private.set_nonblocking(true).unwrap();
    fs::set_permissions(world.dir().join("private"), Permissions::from_mode(0o600)).unwrap();
    let theirs = world.dir().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, Permissions::from_mode(0o777)).unwrap();
    let options = format!("-m 666 -c 3 --allow {stranger}");
    let server = world.call("sock serve dgram:./d").args(options.split_whitespace()).args(["--", "cat"]).start();
    eventually("it is bound", || world.dir().join("d").exists());
    let send = "import os, socket
os.chdir('theirs')
top = os.path.dirname(os.getcwd())
def client(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(name)
    return s
def path(name):
    return os.path.join(os.getcwd(), name)
linked = client(path('linked'))
os.rename('linked', 'moved')
os.symlink(top + '/private', 'linked')
linked.sendto(b'by a link', top + '/d')
os.mkdir('sub')
other = client(path('sub/private'))
os.rename('sub', 'elsewhere')
os.symlink(top, 'sub')
other.sendto(b'by a directory', top + '/d')
client('relative').sendto(b'relative', top + '/d')
own = client(path('own'))
own.sendto(b'own', top + '/d')
assert own.recv(10) == b'own'";
    world.program("python3").args(["-c", send]).user(stranger).ok();
    let output = server.end();
    assert_eq!(output.status.code(), Some(0));
    assert!(private.recv(&mut [0; 20]).is_err());
    let all = lines(&output.stderr).join("\n");
    for words in [
        "cannot deliver a reply to /",
        "/theirs/linked: the path is not a socket any more (EPERM)",
        "/theirs/sub/private: the path belongs to another user (EPERM)",
        "cannot accept a datagram at dgram:./d: cannot send a reply to the relative path relative of the sender",
    ] {
        assert!(all.contains(words), "{all}");
    }
}

/// The last process that closes a socket with SO_LINGER waits until all is sent.
#[test]
fn attached_sockets_do_not_block_the_server() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let attach = format!(
        "{CLIENT}
kind, name = sys.argv[1:]
listener = socket.create_server(('127.0.0.1', 0))
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
stuck = socket.create_connection(listener.getsockname())
stuck.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 3600))
stuck.setblocking(False)
try:
    while True:
        stuck.send(bytes(65536))
except BlockingIOError:
    pass
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == 'datagram' else socket.SOCK_STREAM)
if kind == 'call':
    client.bind('\\0ipcbox-call-1 %d %x' % (os.getpid(), time.time_ns()))
client.connect('\\0' + name)
if kind == 'call':
    assert client.recv(1) == b'R'
try:
    client.sendmsg([b'C'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [stuck.fileno()]))])
    stuck.close()
except (PermissionError, BrokenPipeError):
    pass
print('attached', flush=True)
time.sleep(3600)"
    );
    for (kind, options) in [("connection", ""), ("call", &*format!("--allow {stranger}")), ("datagram", "")] {
        let name = world.name(kind);
        let prefix = if kind == "datagram" { "dgram:" } else { "" };
        let call = world.call("sock serve -c 1").arg(format!("{prefix}@{name}")).args(options.split_whitespace());
        let server = call.args(["--", "echo", "served"]).start();
        let is_bound = || fs::read_to_string("/proc/net/unix").unwrap().contains(&format!(" @{name}\n"));
        eventually("it is bound", is_bound);
        let mut attacker = world.program("python3").args(["-c", &attach, kind, &name]).user(stranger).start();
        let mut line = String::new();
        BufReader::new(attacker.output()).read_line(&mut line).unwrap();
        assert_eq!(line, "attached\n", "{kind}");
        let reply = if kind == "datagram" {
            let to = SocketAddr::from_abstract_name(&name).unwrap();
            UnixDatagram::unbound().unwrap().send_to_addr(b"x", &to).unwrap();
            server.end().stdout
        } else {
            connect(&world, &format!("@{name}")).read_all()
        };
        assert_eq!(reply, b"served\n", "{kind}");
    }
}

/// CMD gets anonymous pipes, and the caller copies.
#[test]
fn call_between_users_is_copied_whole() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let script = "case $(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2) in
        [p/]*:*pipe:*pipe:*) ;; *) exit 99;; esac; printf '%s' \"$0\" >&2; cat; exit 6";
    let options = format!("-m 666 --allow {stranger}");
    let (_server, _) = serve(&world, "path", &options, &["sh", "-c", script, "{}"]);
    for length in [0, 1, 70_000, 3 << 20] {
        let output = world.call("sock call ./s").user(stranger).input(pattern(length)).output();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(6), &b"{}"[..]), "{length}");
        assert!(output.stdout == pattern(length), "{length}");
    }
    let output = world.call("sock call ./s message").user(stranger).output();
    assert_eq!(
        (output.status.code(), &output.stdout[..], &output.stderr[..]),
        (Some(6), &b"message"[..], &b"message"[..])
    );
}

/// With the descriptor itself, CMD of root could open the file again and write to it.
#[test]
fn another_user_may_pass_only_pipes() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let kept = world.file("kept", "kept");
    fs::set_permissions(&kept, Permissions::from_mode(0o644)).unwrap();
    let options = format!("-m 666 --allow {stranger}");
    let (server, _) = serve(&world, "path", &options, &["sh", "-c", "echo overwritten >/dev/stdout"]);
    let script = "exec ipcbox sock call ./s 1<kept";
    world.shell(script).user(stranger).fails(125, "cannot write the output of CMD: bad file descriptor (EBADF)");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    // A client of another kind that passes the file is refused.
    let pass = format!(
        "{CLIENT}\nos.dup2(os.pipe()[0], 0)\nos.dup2(os.open('kept', os.O_RDONLY), 1)\ntry:\n  call('s')\nexcept (EOFError, OSError):\n  sys.exit(3)"
    );
    world.program("python3").args(["-c", &pass]).user(stranger).stderr("").status(3);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    // The other end of a socket would take what CMD writes for a message of root.
    let pass = format!(
        "{CLIENT}\nos.dup2(os.pipe()[0], 0)\none, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\nos.dup2(one.fileno(), 1)\ntry:\n  call('s')\nexcept (EOFError, OSError):\n  sys.exit(3)"
    );
    world.program("python3").args(["-c", &pass]).user(stranger).stderr("").status(3);
    server.signal(Signal::SIGTERM);
    let output = server.end();
    let words = "sock: cannot accept a call at ./s: another user may pass only pipes";
    assert_eq!(lines(&output.stderr), [words, words]);
}

#[test]
fn root_calls_the_server_of_a_user() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let server = world.call("sock serve ./s -- sh -c").arg("id -u; cat").user(stranger).start();
    eventually("it listens", || world.dir().join("s").exists());
    world.call("sock call ./s").fails(125, &format!("the server belongs to uid {stranger}"));
    let output = world.call("sock call ./s --foreign x").output();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{stranger}\nx"), "{output:?}");
    drop(server);
}

#[test]
fn path_needs_permissions() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    fs::create_dir(world.dir().join("d")).unwrap();
    world.call("sock serve d/s -- cat").user(stranger).fails(5, "the directory must be readable and writable (EACCES)");
    let (_server, _) = serve(&world, "path", "", &["cat"]);
    world.call("sock serve ./s -- cat").user(stranger).fails(4, "it is in use (EADDRINUSE)");
}

/// One that is refused again and again does not keep the server alive.
#[test]
fn refused_clients_do_not_end_the_silence() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let (mut server, _) = serve(&world, "path", "-m 666 -w 1", &["cat"]);
    let knocking = "
import socket
while True:
    client = socket.socket(socket.AF_UNIX)
    client.connect('s')
    client.recv(1)
";
    let client = world.program("python3").args(["-c", knocking]).user(stranger).start();
    // It reports each of them.
    while !server.message().is_empty() {}
    assert_eq!(server.code(), 124);
    client.end();
}
