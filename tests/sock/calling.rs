//! `sock call`: CMD on the caller's own files, its status, signals, and servers that die.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixListener;

use nix::libc;
use nix::sys::signal::Signal;

use super::{pattern, serve};
use crate::support::{BINARY, Call, PROMPT, Terminal, World, eventually, lines, signal};

#[test]
fn cmd_has_the_files_of_the_caller() {
    for form in ["path", "abstract", "name"] {
        let world = World::new();
        let (_server, address) = serve(&world, form, "", &["sh", "-c", "cat; echo error >&2; exit 7"]);
        let input = pattern(1 << 20);
        let output = world.call("sock call").arg(&address).input(input.clone()).output();
        assert!(output.stdout == input, "{form}");
        assert_eq!((output.status.code(), lines(&output.stderr)), (Some(7), vec!["error".to_owned()]));
        // Files are the same ones, with their offsets.
        fs::write(world.dir().join("in"), "one\ntwo\n").unwrap();
        let script = format!("exec <in >>out; read first; ipcbox sock call {address} || echo $first $?");
        world.shell(&script).stderr("error\n").ok();
        assert_eq!(fs::read_to_string(world.dir().join("out")).unwrap(), "two\none 7\n");
    }
}

#[test]
fn message_is_the_input_and_an_argument() {
    let world = World::new();
    let (server, _) = serve(&world, "path", "", &["sh", "-c", "printf '%s|' \"$@\"; cat", "sh", "{}", "a{}"]);
    world.call("sock call ./s").arg("hello world").input("not read").stdout("hello world|a{}|hello world").ok();
    world.call("sock call ./s").arg("").input("not read").stdout("|a{}|").ok();
    world.call("sock call ./s -- --help").stdout("--help|a{}|--help").ok();
    // Without MESSAGE, the argument stays as it is, as it does for a connection.
    world.call("sock call ./s").input("read").stdout("{}|a{}|read").ok();
    world.call("sock connect ./s").input("read").stdout("{}|a{}|read").ok();
    let long = "x".repeat(131_071);
    let output = world.call("sock call ./s").arg(&long).output();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == format!("{long}|a{{}}|{long}").into_bytes());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
}

#[test]
fn message_cannot_be_changed() {
    let world = World::new();
    let script = "{ echo changed >&0; } 2>/dev/null; cat";
    let (_server, _) = serve(&world, "path", "-c 1", &["sh", "-c", script]);
    world.call("sock call ./s message").stdout("message").ok();
}

#[test]
fn status_is_that_of_cmd() {
    let world = World::new();
    let (_server, _) = serve(&world, "path", "", &["sh", "-c", "$0", "{}"]);
    for (command, status) in [("true", 0), ("exit 200", 200), ("false", 1)] {
        assert_eq!(world.call("sock call ./s").arg(command).output().status.code(), Some(status), "{command}");
    }
    let world = World::new();
    let (server, _) = serve(&world, "path", "--max-time 100ms", &["sh", "-c", "$0 $$; sleep 100", "{}"]);
    assert_eq!(world.call("sock call ./s").arg("kill -USR1").output().status.code(), Some(128 + libc::SIGUSR1));
    assert_eq!(world.call("sock call ./s").arg("true").output().status.code(), Some(124));
    drop(server);
}

#[test]
fn terminal_of_the_caller_is_that_of_cmd() {
    let world = World::new();
    let script = "test -t 0 && test -t 1 && test -t 2 && read line && echo got-$line";
    let (_server, _) = serve(&world, "path", "", &["sh", "-c", script]);
    let Some(terminal) = Terminal::open(&world, &["sh", "-i"], &[]) else { return };
    terminal.types("$BOX sock call ./s; echo status-$?\n");
    terminal.types("word\n");
    terminal.says("got-word");
    terminal.says("status-0");
    // A server of the same terminal, in the background.
    terminal.types("$BOX sock serve ./t -- sh -c 'read line && echo again-$line' & sleep 0.1\n");
    eventually("it listens", || world.dir().join("t").exists());
    terminal.types("$BOX sock call ./t; echo status-$?\n");
    terminal.types("word\n");
    terminal.says("again-word");
    terminal.types("kill $!; wait; echo en\"\"ded\n");
    terminal.says("ended");
    terminal.says(PROMPT);
}

/// Starts a call of a CMD that prints `begun` and the signals that it gets, and returns when it has begun.
fn begun(world: &World) -> (crate::support::Child, crate::support::Child) {
    let script = "for s in HUP INT TERM; do trap \"echo $s >>got; [ $s != HUP ] || exit 9\" $s; done
        echo begun >>got; while :; do sleep 0.02; done";
    let (server, _) = serve(world, "path", "-j 9", &["sh", "-c", script]);
    let call = world.call("sock call ./s").start();
    eventually("CMD has begun", || has(world, "begun\n"));
    (server, call)
}

fn has(world: &World, text: &str) -> bool {
    fs::read_to_string(world.dir().join("got")).is_ok_and(|got| got == text)
}

#[test]
fn signals_go_on_to_cmd() {
    for (which, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGINT, "INT"), (Signal::SIGHUP, "HUP")] {
        let world = World::new();
        let (_server, mut call) = begun(&world);
        call.signal(which);
        eventually("CMD gets it", || has(&world, &format!("begun\n{name}\n")));
        if name == "HUP" {
            assert_eq!(call.code(), 9);
            continue;
        }
        assert!(call.runs());
        // The second one ends the caller, which is a hangup for CMD.
        call.signal(which);
        assert_eq!(call.code(), 128 + which as i32);
        eventually("CMD gets SIGHUP", || has(&world, &format!("begun\n{name}\nHUP\n")));
    }
}

#[test]
fn killed_caller_is_a_hangup_for_cmd() {
    let world = World::new();
    let (_server, call) = begun(&world);
    call.signal(Signal::SIGKILL);
    // The test keeps the other ends of its pipes, to which the shell reports that its child was killed too.
    eventually("CMD gets SIGHUP", || has(&world, "begun\nHUP\n"));
    assert_eq!(call.code(), 137);
}

/// Some of them wait for a place, and some in the backlog.
#[test]
fn killed_server_is_reported_with_whether_cmd_started() {
    let (jobs, taken, rest) = if std::env::var_os("IPCBOX_FULL").is_some() { (8, 70, 30) } else { (2, 5, 3) };
    let world = World::new();
    let script = "echo $$ >>pids; exec sleep 100";
    let (server, _) = serve(&world, "path", &format!("-j {jobs}"), &["sh", "-c", script]);
    let waiting = |_| world.call("sock call ./s").start().blocked_in(libc::SYS_ppoll);
    let mut calls: Vec<_> = (0..taken).map(waiting).collect();
    let pids = || fs::read_to_string(world.dir().join("pids")).unwrap_or_default();
    eventually("some have started", || pids().lines().count() == jobs);
    let server = server.stopped();
    calls.extend((0..rest).map(waiting));
    server.signal(Signal::SIGKILL);
    drop(server);
    // The kernel reports it to each caller. The CMDs have the caller's files, and keep running.
    let calls: Vec<_> = calls.into_iter().map(crate::support::Child::became_zombie).collect();
    pids().lines().for_each(|pid| signal(pid.parse().unwrap(), Signal::SIGKILL));
    let mut messages = Vec::new();
    for call in calls {
        let output = call.end();
        assert_eq!(output.status.code(), Some(125));
        messages.extend(lines(&output.stderr));
    }
    messages.sort();
    let started = "sock: cannot call ./s: the server exited before CMD did";
    let not_started = "sock: cannot call ./s: the server closed the connection before it started CMD";
    let (before, after) = messages.split_at(taken + rest - jobs);
    assert!(before.iter().all(|message| message == not_started), "{before:?}");
    assert_eq!(after, vec![started; jobs]);
    world.call("sock call ./s").fails(125, "the socket is stale: no server has it open");
}

#[test]
fn timeout_withdraws_the_call() {
    let world = World::new();
    let (server, _) = serve(&world, "path", "", &["sh", "-c", "echo {} >>log; [ \"$0\" != one ] || cat <fifo", "{}"]);
    nix::unistd::mkfifo(&world.dir().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let first = world.call("sock call ./s one").start();
    eventually("the first one runs", || world.dir().join("log").exists());
    world.call("sock call ./s two -w 0.1").fails(124, "the server has not started CMD after 100ms\n");
    world.call("sock call ./s two -n").fails(124, "the server has not started CMD\n");
    let third = world.call("sock call ./s three -w 100").start().blocked_in(libc::SYS_ppoll);
    // A signal withdraws it too.
    let fourth = world.call("sock call ./s four").start().blocked_in(libc::SYS_ppoll);
    fourth.signal(Signal::SIGTERM);
    assert_eq!(fourth.code(), 143);
    drop(File::options().write(true).open(world.dir().join("fifo")).unwrap());
    assert_eq!((first.code(), third.code()), (0, 0));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
    assert_eq!(fs::read_to_string(world.dir().join("log")).unwrap().lines().count(), 2);
}

#[test]
fn hundred_calls_have_their_own_answers() {
    let world = World::new();
    let (_server, _) = serve(&world, "name", "-j 8", &["sh", "-c", "cat; echo -$0; exit $0", "{}"]);
    let address = world.name("served");
    let call = |number: usize| world.call("sock call").args([&address, &number.to_string()]).start();
    let calls: Vec<_> = (0..100).map(call).collect();
    for (number, call) in calls.into_iter().enumerate() {
        let output = call.end();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!((output.status.code(), text), (i32::try_from(number).ok(), format!("{number}-{number}\n")));
    }
}

#[test]
fn server_of_another_kind_is_reported() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let serving = std::thread::spawn(move || {
        for answer in [&b"220 smtp"[..], b"RAB"] {
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(answer).unwrap();
            // Until the caller exits.
            let _ = std::io::copy(&mut peer, &mut std::io::sink());
        }
    });
    world.call("sock call ./s x").fails(125, "the server does not take calls\n");
    world.call("sock call ./s x").fails(125, "the server does not follow the protocol\n");
    serving.join().unwrap();
    for address in ["tcp:localhost:1", "dgram:./s", "seqpacket:./s", "fd:3"] {
        world.call("sock call").arg(address).fails(125, "a call needs a unix stream socket");
    }
    world.call("sock call @none").fails(125, "no server (ECONNREFUSED)\n");
    world.call("sock call @none --await -w 0.1").fails(124, "still no server after 100ms\n");
}

#[test]
fn call_waits_for_a_server() {
    let world = World::new();
    let call = world.call("sock call ./s hello --await").start().blocked_in(libc::SYS_ppoll);
    let (_server, _) = serve(&world, "path", "-c 1", &["tr", "a-z", "A-Z"]);
    let output = call.end();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"HELLO"[..]));
}

/// The bytes go from file to file.
#[test]
fn no_byte_passes_through_ipcbox() {
    const CALLS: &str = "read,readv,pread64,preadv,preadv2,recvfrom,recvmsg,recvmmsg,write,writev,pwrite64,pwritev,\
        pwritev2,sendto,sendmsg,sendmmsg,splice,tee,vmsplice,sendfile,copy_file_range";
    let world = World::new();
    let calls = CALLS.replace(' ', "");
    let Some(server) = world.traced(&calls) else { return };
    // Only the server is traced, not its CMD.
    let server = server.args(["sock", "serve", "./s", "--", "cat"]).start();
    eventually("it listens", || world.dir().join("s").exists());
    let input = File::create(world.dir().join("in")).unwrap();
    let size = if std::env::var_os("IPCBOX_FULL").is_some() { 4 << 30 } else { 256 << 20 };
    input.set_len(size).unwrap();
    let caller = world.dir().join("caller");
    fs::create_dir(&caller).unwrap();
    let call = world.traced(&calls).expect("strace").dir(&caller);
    let out = File::create(world.dir().join("out")).unwrap();
    let output = call.args(["sock", "call", "../s"]).reading(&world.dir().join("in")).onto(out.into());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::metadata(world.dir().join("out")).unwrap().len(), size);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.code(), 0);
    for dir in [world.dir(), &caller] {
        let trace = fs::read_to_string(dir.join("trace")).unwrap();
        let moved = |line: &str| line.rsplit("= ").next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        assert!(trace.lines().count() > 0 && trace.lines().all(|line| moved(line) <= 4096), "{trace}");
        let on_file = |line: &&str| ["(0,", "(1,", "(2,"].iter().any(|fd| line.contains(fd));
        assert!(dir == world.dir() || trace.lines().filter(on_file).count() == 0, "{trace}");
    }
}

#[test]
fn closed_files_are_closed_for_cmd() {
    let world = World::new();
    let (_server, _) = serve(&world, "path", "", &["sh", "-c", "cat 2>/dev/null || echo unreadable"]);
    world.shell("exec ipcbox sock call ./s <&-").stdout("unreadable\n").ok();
    let call = Call::new(BINARY).args(["sock", "call", "./s"]).dir(world.dir());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = call.reading(&world.file("in", "data")).onto(full.into());
    assert_ne!(output.status.code(), Some(0), "{output:?}");
}
