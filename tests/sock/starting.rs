//! `sock serve` when no process is left for CMD, or CMD cannot be executed.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use super::{connect, serve};
use crate::support::{BINARY, Call, Child, World, eventually, lines, skip};

/// Starts a server whose user may have this many processes, itself included. `None`: that takes permissions.
fn with_processes(world: &World, count: usize, options: &str) -> Option<Child> {
    fs::set_permissions(world.dir(), Permissions::from_mode(0o777)).unwrap();
    let gate = world.dir().join("gate");
    nix::unistd::mkfifo(&gate, Mode::S_IRWXU).unwrap();
    fs::set_permissions(&gate, Permissions::from_mode(0o666)).unwrap();
    // A user without other processes, or a user namespace, which counts them from 0.
    let user = world.lone_user();
    let other = ["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"];
    let own = ["unshare", "--user", "--map-current-user"];
    let words = if nix::unistd::geteuid().is_root() { &other[..] } else { &own[..] };
    let limited = || world.program(words[0]).args(&words[1..]).arg("prlimit").arg(format!("--nproc={count}"));
    if !limited().arg("true").output().status.success() {
        skip("needs permission to limit processes");
        return None;
    }
    let script = "echo $0 >>started; [ $0 = short ] || read line <gate";
    let server = limited().arg(BINARY).args(["sock", "serve", "./s"]).args(options.split_whitespace());
    let server = server.args(["--", "sh", "-c", script, "{}"]).start();
    eventually("it listens", || world.dir().join("s").exists());
    Some(server)
}

fn call(world: &World, message: &str) -> Call {
    world.call("sock call ./s --foreign").arg(message)
}

fn started(world: &World) -> String {
    fs::read_to_string(world.dir().join("started")).unwrap_or_default()
}

/// Waits until the server has taken a call.
fn await_taken(server: &Child, call: &Child) {
    let output = fs::read_link(format!("/proc/{}/fd/1", call.pid())).unwrap();
    let files = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    eventually("the server has its files", || {
        files().any(|file| fs::read_link(file.unwrap().path()).is_ok_and(|file| file == output))
    });
}

#[test]
fn lack_of_a_process_leaves_the_server_awake() {
    let world = World::new();
    let Some(server) = with_processes(&world, 2, "-j 3 -c 2 --report report") else { return };
    let first = call(&world, "first").start();
    eventually("the first one runs", || started(&world) == "first\n");
    // The server cannot start this one. It neither runs nor counts when it is withdrawn.
    call(&world, "late").arg("-w0.2").fails(124, "the server has not started CMD after 200ms");
    let second = call(&world, "short").start();
    await_taken(&server, &second);
    first.signal(Signal::SIGTERM);
    assert_eq!((first.code(), second.code()), (143, 0));
    let output = server.end();
    assert_eq!((output.status.code(), lines(&output.stderr)), (Some(1), vec![]));
    assert_eq!(started(&world), "first\nshort\n");
    let report = fs::read_to_string(world.dir().join("report")).unwrap();
    let starts = report.lines().map(|line| line.split(',').next().unwrap());
    assert_eq!(starts.collect::<Vec<_>>(), ["{\"record\":1", "{\"record\":2"]);
}

#[test]
fn lack_of_a_process_leaves_sigterm_heard() {
    let world = World::new();
    let Some(server) = with_processes(&world, 2, "-j 3") else { return };
    let first = call(&world, "first").start();
    eventually("the first one runs", || started(&world) == "first\n");
    let second = call(&world, "short").start();
    await_taken(&server, &second);
    server.signal(Signal::SIGTERM);
    eventually("the name goes", || !world.dir().join("s").exists());
    assert_eq!(started(&world), "first\n");
    writeln!(File::options().write(true).open(world.dir().join("gate")).unwrap(), "go").unwrap();
    assert_eq!((first.code(), second.code(), server.code()), (0, 0, 0));
    assert_eq!(started(&world), "first\nshort\n");
}

#[test]
fn lack_of_the_first_process_is_status_126() {
    let world = World::new();
    let Some(server) = with_processes(&world, 1, "") else { return };
    call(&world, "first").stdout("").status(126);
    let output = server.end();
    let words = "sock: a client was accepted, but is lost: cannot run sh: the process limit is reached (EAGAIN)";
    assert!(lines(&output.stderr)[0] == words, "{output:?}");
}

#[test]
fn cmd_removed_later_ends_the_server() {
    for is_call in [false, true] {
        let world = World::new();
        let program = world.copy("/bin/cat", "program");
        let (server, _) = serve(&world, "path", "-j 3", &["./program"]);
        world.call("sock call ./s one").stdout("one").ok();
        fs::remove_file(program).unwrap();
        if is_call {
            world.call("sock call ./s two").stdout("").status(126);
        } else {
            assert_eq!(connect(&world, "./s").read_all(), b"");
        }
        let output = server.end();
        let words =
            "sock: a client was accepted, but is lost: cannot run ./program: the file has been removed (ENOENT)";
        assert_eq!((output.status.code(), lines(&output.stderr)), (Some(126), vec![words.to_owned()]));
    }
}

/// After unshare(2), the children have other pids in their namespace than the server sees.
#[test]
fn removed_cmd_in_a_pid_namespace_is_reported() {
    let world = World::new();
    let user = if nix::unistd::geteuid().is_root() { "" } else { "--user --map-root-user" };
    if !world.shell(&format!("unshare {user} --pid --fork true")).output().status.success() {
        return skip("needs permission to create namespaces");
    }
    let program = world.copy("/bin/cat", "program");
    let server = world.shell(&format!("exec unshare {user} --pid ipcbox sock serve ./s -j 2 -- ./program")).start();
    eventually("it listens", || world.dir().join("s").exists());
    // As long as this one runs, the namespace exists.
    let mut first = connect(&world, "./s");
    first.write_all(b"one").unwrap();
    std::io::Read::read_exact(&mut first, &mut [0; 3]).unwrap();
    fs::remove_file(program).unwrap();
    assert_eq!(connect(&world, "./s").read_all(), b"");
    drop(first);
    let output = server.end();
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    assert!(lines(&output.stderr)[0].ends_with("the file has been removed (ENOENT)"), "{output:?}");
}

#[test]
fn argument_that_is_too_long_is_status_126() {
    let world = World::new();
    // A quarter of the stack is for arguments, at least 128 KiB.
    let server = world.shell("ulimit -s 512; exec ipcbox sock serve ./s -- echo {}").start();
    eventually("it listens", || world.dir().join("s").exists());
    world.call("sock call ./s one").stdout("one\n").ok();
    world.call("sock call ./s").arg("x".repeat(131_071)).stdout("").status(126);
    world.call("sock call ./s two").stdout("two\n").ok();
    server.signal(Signal::SIGTERM);
    let output = server.end();
    let words = "cannot run echo: a record of 131071 bytes is too long for a command-line argument (E2BIG)";
    assert!(lines(&output.stderr)[0].ends_with(words), "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}

/// A CMD for which the kernel has no file or memory left is started again when another one has exited.
#[test]
fn client_is_kept_when_exec_lacks_a_file() {
    for errno in ["ENFILE", "ENOMEM"] {
        let world = World::new();
        if world.injected("execve:error=ENFILE").is_none() {
            return;
        }
        let (server, _) = serve(&world, "path", "-j 3", &["cat"]);
        let mut first = connect(&world, "./s");
        first.write_all(b"one").unwrap();
        std::io::Read::read_exact(&mut first, &mut [0; 3]).unwrap();
        let inject = format!("inject=execve:error={errno}:when=1");
        let tracer = world.program("strace").args(["-f", "-o", "trace", "-e", "execve", "-e", &inject, "-p"]);
        let tracer = tracer.arg(server.pid().to_string()).start();
        let status = format!("/proc/{}/status", server.pid());
        let shown = format!("TracerPid:\t{}\n", tracer.pid());
        let is_traced = || fs::read_to_string(&status).unwrap().contains(&shown);
        eventually("it is traced", is_traced);
        let mut second = connect(&world, "./s");
        second.write_all(b"two").unwrap();
        second.end_sending();
        let has_failed = || fs::read_to_string(world.dir().join("trace")).unwrap().contains("exited with 126");
        eventually("CMD fails to start", has_failed);
        tracer.signal(Signal::SIGTERM);
        eventually("it is traced no more", || !is_traced());
        first.end_sending();
        assert_eq!((first.read_all(), second.read_all()), (vec![], b"two".to_vec()));
        server.signal(Signal::SIGTERM);
        let output = server.end();
        assert_eq!((output.status.code(), lines(&output.stderr)), (Some(0), vec![]), "{errno}");
    }
}
