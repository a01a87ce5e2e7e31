//! `sock with`: a server on an address of its own, for the time of a command.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::stale;
use crate::support::{Call, Child, World, eventually};

/// Serves at its argument, and sends that argument to each client. Its other arguments are files to touch.
const SERVER: &str = "
import os, socket, sys
at = sys.argv[1]
if at.isdigit():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', int(at)))
else:
    s = socket.socket(socket.AF_UNIX)
    s.bind(at.replace('@', '\\0'))
s.listen()
for name in sys.argv[2:]:
    open(name, 'w').write(str(os.getpid()))
while True:
    s.accept()[0].sendall((at + '\\n').encode())
";

/// A call of `with` at these addresses, with this server.
fn with(world: &World, options: &str, server: &[&str]) -> Call {
    let program = world.file("server.py", SERVER);
    world
        .shell("exec ipcbox \"$@\"")
        .arg("sh")
        .args(["sock", "with"])
        .args(options.split(' '))
        .arg("--")
        .args(server.iter().map(|word| if *word == "SERVER" { program.to_str().unwrap() } else { word }))
}

const PYTHON: [&str; 3] = ["python3", "-SE", "SERVER"];

/// Returns its status and both outputs.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Returns whether a process runs.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn command_runs_while_the_server_accepts() {
    for (address, word) in [
        ("tcp:localhost:0", "{port}"),
        ("tcp:127.0.0.1:0", "{port}"),
        ("127.0.0.1:0", "{port}"),
        ("./s", "s"),
        ("@NAME", "@NAME"),
    ] {
        let world = World::new();
        let own = format!("{}x", world.name(""));
        let (address, used) = (address.replace("NAME", &own), word.replace("NAME", &own));
        let server = [&PYTHON[..], &[&used, "pid"]].concat();
        let script = "ipcbox sock connect $IPCBOX_ADDRESS; echo $IPCBOX_PORT $IPCBOX_ADDRESS $*; exit 7";
        let call = with(&world, &address, &server).args([":::", "sh", "-c", script, "sh", "{port}x", "{address}"]);
        let (status, stdout, stderr) = ended(&call.output());
        assert_eq!((status, &*stderr), (Some(7), ""), "{address}: {stdout}");
        let lines: Vec<&str> = stdout.lines().collect();
        let port = lines[0];
        let is_port = word == "{port}";
        let shown = if is_port { address.replace(":0", &format!(":{port}")) } else { address.clone() };
        let variable = if is_port { port } else { "" };
        assert_eq!(port.parse::<u16>().is_ok(), is_port, "{stdout}");
        let words = format!("{variable} {shown} {{port}}x {shown}");
        assert_eq!(lines[1], words.trim_start(), "{address}");
        // Nothing is left.
        assert!(!runs(&fs::read_to_string(world.dir().join("pid")).unwrap()), "{address}");
        assert!(!world.dir().join("s").exists());
    }
}

#[test]
fn several_addresses_are_waited_for() {
    let world = World::new();
    let script = "import socket, sys
s = socket.create_server(('127.0.0.1', int(sys.argv[1])))
u = socket.socket(socket.AF_UNIX)
u.bind('s')
u.listen()
u.accept()";
    let call = with(&world, "./s tcp:localhost:0", &["python3", "-c", script, "{port}"]);
    let words = "echo $IPCBOX_PORT \"$IPCBOX_ADDRESS\" \"$1\"; ipcbox sock wait $1 -n";
    let output = call.args([":::", "sh", "-c", words, "sh", "{address}"]).ok();
    let (port, _) = output.split_once(' ').unwrap();
    let address = format!("./s tcp:localhost:{port}");
    assert_eq!(output, format!("{port} {address} {address}\n"));
}

#[test]
fn server_has_no_input_and_prints_on_standard_error() {
    let world = World::new();
    let server = world.script("server", "#!/bin/sh\ncat; echo printed\nexec python3 -SE server.py \"$@\"");
    let server = server.display().to_string();
    let call = with(&world, "./s", &[&server, "s"]).args([":::", "cat"]);
    call.input("input").stdout("input").stderr("printed\n").ok();
}

#[test]
fn server_that_exits_too_early_is_125() {
    let world = World::new();
    for (script, words) in [
        ("exit 3", "sh exited with status 3\n"),
        ("exit 0", "sh exited with status 0\n"),
        ("kill -9 $$", "sh was killed by SIGKILL\n"),
    ] {
        let call = with(&world, "./s", &["sh", "-c", script]).args([":::", "touch", "ran"]);
        call.fails(125, &format!("sock: cannot wait for ./s: {words}"));
        let call = with(&world, "tcp:localhost:0", &["sh", "-c", script]).args([":::", "touch", "ran"]);
        call.fails(125, "hint: if its address is in use, let SERVER set SO_REUSEADDR");
    }
    assert!(!world.dir().join("ran").exists());
    // While CMD runs, it is only reported.
    let mut call = with(&world, "./s", &[&PYTHON[..], &["s", "pid"]].concat());
    call = call.args([":::", "sh", "-c", "until [ -s pid ]; do :; done; kill -9 $(cat pid); sleep 0.2; exit 4"]);
    let (status, _, stderr) = ended(&call.output());
    assert_eq!((status, &*stderr), (Some(4), "sock: the server python3 was killed by SIGKILL before CMD\n"));
    assert!(!world.dir().join("s").exists());
}

#[test]
fn server_in_the_background_is_waited_for_and_ended() {
    let world = World::new();
    let script = "setsid python3 -SE server.py s pid >/dev/null 2>&1 & exit 0";
    let call = with(&world, "./s", &["sh", "-c", script]).args([":::", "ipcbox", "sock", "connect", "./s"]);
    call.stdout("s\n").stderr("").ok();
    assert!(!runs(&fs::read_to_string(world.dir().join("pid")).unwrap()));
}

#[test]
fn server_that_is_not_ready_in_time_is_124() {
    let world = World::new();
    let server = ["sh", "-c", "echo $$ >pid; exec sleep 100"];
    for (options, words) in [
        ("./s -w 0.15", "cannot wait for ./s: still no server after 150ms\n"),
        ("./s -n", "cannot wait for ./s: no server\n"),
        ("@none tcp:127.0.0.1:0 -w 0.1 -E 9", ""),
    ] {
        let (status, stdout, stderr) = ended(&with(&world, options, &server).args([":::", "echo", "ran"]).output());
        assert_eq!((status, &*stdout), (Some(if words.is_empty() { 9 } else { 124 }), ""), "{options}");
        assert!(stderr.ends_with(words), "{stderr}");
        eventually("the server is gone", || {
            fs::read_to_string(world.dir().join("pid")).is_ok_and(|pid| !runs(pid.trim())) || options.ends_with("-n")
        });
    }
    with(&world, "./s -n -E 0", &server).args([":::", "true"]).stderr("").ok();
    // The limit is not that of CMD.
    let call = with(&world, "./s -w 60", &[&PYTHON[..], &["s"]].concat());
    call.args([":::", "sleep", "0.1"]).ok();
}

/// Also processes that have left the group, the session and their parents.
#[test]
fn whole_tree_ends_with_the_command() {
    let world = World::new();
    let escape = "setsid sh -c 'trap \"echo term >>ends; exit\" TERM; echo $$ >>pids; while :; do sleep 0.05; done' &";
    let server = format!("{escape} {escape} exec python3 -SE server.py s pid");
    let call = with(&world, "./s", &["sh", "-c", &server]);
    let command = format!("{escape} until [ $(wc -l <pids) -ge 3 ]; do :; done; exit 5");
    call.args([":::", "sh", "-c", &command]).status(5);
    assert_eq!(fs::read_to_string(world.dir().join("ends")).unwrap().lines().count(), 3);
    for pid in fs::read_to_string(world.dir().join("pids")).unwrap().lines() {
        assert!(!runs(pid), "{pid}");
    }
}

#[test]
fn process_that_ignores_sigterm_is_killed() {
    let world = World::new();
    let script = "trap '' TERM; echo $$ >pid; python3 -SE server.py s & wait; while :; do sleep 1; done";
    let call = with(&world, "./s", &["sh", "-c", script]).args([":::", "true"]);
    let start = Instant::now();
    call.ok();
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert!(!runs(fs::read_to_string(world.dir().join("pid")).unwrap().trim()));
    assert!(!world.dir().join("s").exists());
}

fn read_pid(world: &World, name: &str) -> String {
    let read = || fs::read_to_string(world.dir().join(name)).unwrap_or_default();
    eventually("a process runs", || !read().is_empty());
    read().trim().to_owned()
}

#[test]
fn signals_end_the_command_and_the_server() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        for is_ready in [true, false] {
            let world = World::new();
            let server = if is_ready { "s" } else { "other" };
            let call = with(&world, "./s", &[&PYTHON[..], &[server, "server"]].concat());
            let call: Child = call.args([":::", "sh", "-c", "echo $$ >cmd; exec sleep 100"]).start();
            let server = read_pid(&world, "server");
            let cmd = is_ready.then(|| read_pid(&world, "cmd"));
            if !is_ready {
                let blocked = format!("{} ", libc::SYS_ppoll);
                let state = || fs::read_to_string(format!("/proc/{}/syscall", call.pid())).unwrap_or_default();
                eventually("it waits", || state().starts_with(&blocked));
            }
            call.signal(signal);
            assert_eq!(call.code(), 128 + signal as i32, "{is_ready}");
            assert!(!runs(&server) && cmd.is_none_or(|cmd| !runs(&cmd)), "{signal} {is_ready}");
        }
    }
}

#[test]
fn killed_with_leaves_no_server_and_no_command() {
    let world = World::new();
    let call = with(&world, "./s", &[&PYTHON[..], &["s", "server"]].concat());
    let call = call.args([":::", "sh", "-c", "echo $$ >cmd; exec sleep 100"]).start();
    let pids = ["server", "cmd"].map(|name| read_pid(&world, name));
    call.signal(Signal::SIGKILL);
    assert_eq!(call.code(), 137);
    eventually("both are gone", || pids.iter().all(|pid| !runs(pid)));
    // The stale path is no obstacle.
    assert!(world.dir().join("s").exists());
    with(&world, "./s", &[&PYTHON[..], &["s"]].concat()).args([":::", "ipcbox", "sock", "connect", "./s"]).ok();
}

/// Prints what was passed, serves one client, and exits.
const PASSED: &str = "
import os, socket, sys
count = int(os.environ['LISTEN_FDS'])
assert os.environ['LISTEN_PID'] == str(os.getpid())
behind = lambda fd: os.readlink('/proc/self/fd/' + fd)
fds = [fd for fd in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/' + fd)]
assert sorted(int(fd) for fd in fds if 'socket' in behind(fd) and int(fd) > 2) == list(range(3, 3 + count))
sockets = [socket.socket(fileno=3 + n) for n in range(count)]
assert all(s.getblocking() for s in sockets)
print(count, os.environ['LISTEN_FDNAMES'], file=sys.stderr, flush=True)
sockets[0].accept()[0].sendall(b'served')
";

#[test]
fn sockets_are_passed() {
    for (address, count, name) in [
        ("./s", 1, "s"),
        ("@NAME", 1, "NAME"),
        ("NAME", 1, "NAME"),
        ("tcp:127.0.0.1:0", 1, "PORT"),
        ("./s tcp:127.0.0.1:0 ./t", 3, "s:PORT:t"),
    ] {
        let world = World::new();
        let own = world.name("with");
        let call = with(&world, &format!("{} --pass", address.replace("NAME", &own)), &["python3", "-c", PASSED]);
        let call = call.env("LISTEN_FDS", "7").env("LISTEN_PID", "1");
        let script = "echo $IPCBOX_PORT; ipcbox sock connect ${IPCBOX_ADDRESS%% *}; [ \"$LISTEN_FDS\" = 7 ]";
        let (status, stdout, stderr) = ended(&call.args([":::", "sh", "-c", script]).output());
        let (port, reply) = stdout.split_once('\n').unwrap();
        let names = format!("{count} {}\n", name.replace("NAME", &own).replace("PORT", port));
        assert_eq!((status, reply, &*stderr), (Some(0), "served", &*names), "{address}");
        assert!(!world.dir().join("s").exists() && !world.dir().join("t").exists());
    }
}

#[test]
fn client_of_a_passed_socket_is_refused_after_an_exit() {
    let world = World::new();
    let call = with(&world, "./s --pass", &["sh", "-c", "exit 3"]);
    let command = "until ! ipcbox sock wait ./s -n 2>/dev/null; do :; done; ipcbox sock connect ./s; exit $?";
    let (status, _, stderr) = ended(&call.args([":::", "sh", "-c", command]).output());
    assert_eq!(status, Some(3));
    assert!(stderr.contains("sock: the server sh exited with status 3 before CMD\n"), "{stderr}");
}

#[test]
fn wrong_call_is_125_and_runs_nothing() {
    let world = World::new();
    world.file("file", "");
    let listener = UnixListener::bind(world.dir().join("live")).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let own = format!("it is in use by {} (", std::process::id());
    for (words, status, message) in [
        ("./s -- touch ran", 125, "':::' and CMD are missing after SERVER\nhint: write ipcbox sock with"),
        ("./s -- ::: touch ran", 125, "SERVER is missing"),
        ("./s -- touch ran :::", 125, "CMD is missing"),
        ("./s", 125, "SERVER is missing"),
        ("./s -- nosuch ::: touch ran", 127, "cannot run nosuch: command not found (ENOENT)"),
        ("./s -- touch ran ::: nosuch", 127, "cannot run nosuch: command not found (ENOENT)"),
        ("./s -- touch ran ::: ./file", 126, "cannot run ./file: permission denied (EACCES)"),
        ("./s -- touch {port} ::: touch ran", 125, "{port} needs a TCP or UDP address"),
        ("./file -- touch ran ::: true", 125, "cannot reserve ./file: the path is a regular file, not a socket"),
        ("no/s -- touch ran ::: true", 125, "the parent directory does not exist (ENOENT)"),
        ("./live -- touch ran ::: true", 125, &own),
        ("./live --pass -- touch ran ::: true", 125, &own),
        (&format!("127.0.0.1:{port} -- touch ran ::: true"), 125, &own),
        ("udp:localhost:0 -- touch ran ::: true", 125, "only a TCP port can be reserved"),
        ("fd:0 -- touch ran ::: true", 125, "hint: use --pass to pass the socket"),
        ("tcp:0.0.0.0:0 --pass -- touch ran ::: true", 125, "other hosts can connect to 0.0.0.0"),
        ("tcp:192.0.2.1:0 -- touch ran ::: true", 125, "the address does not belong to this machine"),
    ] {
        world.call("sock with").args(words.split(' ')).fails(status, message);
        assert!(!world.dir().join("ran").exists(), "{words}");
    }
    // A stale path, another separator, and a CMD that contains :::.
    stale(&world.dir().join("s"));
    let call = with(&world, "./s --sep =", &[&PYTHON[..], &["s"]].concat());
    call.args(["=", "echo", ":::", "="]).stdout("::: =\n").ok();
    drop(listener);
}

/// A second call is refused before its server could take the address.
#[test]
fn address_of_another_call_is_refused() {
    let world = World::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let name = format!("@{}", world.name("with"));
    for (address, other) in [
        ("./s".to_owned(), format!("{}/s", world.dir().display())),
        (name.clone(), name),
        (format!("tcp:127.0.0.1:{port}"), format!("tcp:localhost:{port}")),
    ] {
        let first = with(&world, &address, &["sleep", "100"]).args([":::", "true"]).start();
        let first = first.blocked_in(libc::SYS_ppoll);
        let call = with(&world, &other, &["touch", "ran"]).args([":::", "true"]);
        call.fails(125, &format!("it is in use by {} (", first.pid()));
        first.signal(Signal::SIGTERM);
        assert_eq!(first.code(), 143);
        assert!(!Path::new(&world.dir().join("ran")).exists());
    }
}

/// A free port that is chosen, closed and bound again is sometimes that of another server.
#[test]
fn ports_of_many_calls_are_their_own() {
    let world = World::new();
    let rounds = if std::env::var_os("IPCBOX_FULL").is_some() { 200 } else { 40 };
    let program = world.file("server.py", SERVER);
    let script = format!(
        "n=0; while [ $n -lt {} ]; do
            ipcbox sock with tcp:localhost:0 -w 5m -- python3 -SE {} {{port}} ::: sh -ec '
                [ $(ipcbox sock connect $IPCBOX_ADDRESS </dev/null) = $IPCBOX_PORT ]'
            n=$((n + 1))
        done",
        rounds / 20,
        program.display()
    );
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let call = world.shell(&script);
            scope.spawn(move || call.stdout("").stderr("").ok());
        }
    });
}
