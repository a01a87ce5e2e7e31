//! `sock` compared with socat, nc, s6-ipcserver, splice(2) in C, `msgq call`, and a command without a server.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::count::Counted;
use crate::table::{BINARY, Goal, Table, command, compiled, find};

/// MiB per round.
const AMOUNT: u64 = 512;
/// The maximum memory of `sock connect` in KiB.
const MEMORY: f64 = 2560.0;
/// Calls per round that find no server.
const REFUSED: usize = 100;
/// Connections per round to a server, and how many of them at once.
const CONNECTIONS: [&str; 2] = ["1000", "8"];
/// Calls per round.
const CALLS: usize = 100;

/// A server in C that serves one connection.
struct Server {
    child: Child,
    /// Its path, or its port.
    address: String,
}

impl Server {
    fn start(program: &Path, words: &[&str]) -> Self {
        let mut child = Command::new(program).args(words).stdout(Stdio::piped()).spawn().expect("the server");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut address).expect("its address");
        Self { child, address: address.trim().to_owned() }
    }

    fn end(mut self) {
        assert!(self.child.wait().expect("the server").success(), "the server got other bytes");
        let _ = fs::remove_file(&self.address);
    }
}

/// Times a client from its start until the server has everything.
fn serve_once(program: &Path, words: &[&str], client: impl Fn(&str) -> Command) -> Duration {
    let server = Server::start(program, words);
    let mut client = client(&server.address);
    let start = Instant::now();
    let status = client.status().expect("a client");
    assert!(status.success(), "{client:?}: {status}");
    server.end();
    start.elapsed()
}

pub fn tasks(table: &mut Table) {
    if !table.concerns("sock") {
        return;
    }
    let (Some(program), Some(flow)) = (compiled("sock.c"), compiled("flow.c")) else {
        return table.missing("sock", "C compiler");
    };
    let file = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
    let path = file.with_extension("sock").display().to_string();
    to_null(table, &program, &flow, &file, &path);
    between_pipes(table, &program, &flow, &path);
    refused(table, &path);
    served(table, &program, &path);
    called(table, &program, &file, &path);
}

/// A file to a server that discards it.
fn to_null(table: &mut Table, program: &Path, flow: &Path, file: &Path, path: &str) {
    let bytes = AMOUNT << 20;
    let input = File::create(file).expect("a file");
    let mut writing = Command::new(flow);
    let mut writing = writing.args(["write", &AMOUNT.to_string()]).stdout(Stdio::piped()).spawn().expect("the bytes");
    std::io::copy(&mut writing.stdout.take().expect("the bytes"), &mut &input).expect("the bytes");
    assert!(writing.wait().expect("the bytes").success());
    let bare = format!("{} push ", program.display());
    for (form, address, peers) in [
        (
            "unix",
            path,
            &[
                ("socat", "socat -u STDIN UNIX-CONNECT:", 0.15),
                ("nc", "nc -N -U ", 0.4),
                ("bare splice pair", bare.as_str(), 1.1),
            ][..],
        ),
        ("TCP", "0", &[("socat", "socat -u STDIN TCP:127.0.0.1:", 0.5), ("nc", "nc -N 127.0.0.1 ", 0.9)]),
    ] {
        let to = if form == "TCP" { "127.0.0.1:" } else { "" };
        let count = bytes.to_string();
        let words = ["sink", address, count.as_str()];
        let round = |line: &str| {
            serve_once(program, &words, |address| {
                let mut client = command_at(line, address);
                client.stdin(File::open(file).expect("the file")).stdout(Stdio::null());
                client
            })
        };
        for (name, line, goal) in peers {
            let task = format!("sock connect, {form}, file to null, {name}");
            match find(line.split(' ').next().unwrap_or_default()) {
                Some(_) => table.compare(
                    &task,
                    Goal::Time(*goal),
                    7,
                    || round(&format!("{BINARY} sock connect {to}")),
                    || round(line),
                ),
                None => table.missing(&task, name),
            }
        }
    }
    let task = "sock connect: KiB of memory";
    if let Some(counted) = Counted::new("sock").filter(|_| table.wants(task)) {
        serve_once(program, &["sink", path, &bytes.to_string()], |address| {
            let mut client = counted.call(&command_at(&format!("{BINARY} sock connect "), address));
            client.stdin(File::open(file).expect("the file"));
            client
        });
        table.bound(task, counted.usage().memory as f64, MEMORY);
    }
    let _ = fs::remove_file(file);
}

/// Returns the call of a line that the address completes.
fn command_at(line: &str, address: &str) -> Command {
    let line = format!("{line}{address}");
    let (program, words) = line.split_once(' ').expect("words");
    command(program, words)
}

/// Through a server that sends everything back.
fn between_pipes(table: &mut Table, program: &Path, flow: &Path, path: &str) {
    let flow = flow.display();
    let round = |line: &str| {
        serve_once(program, &["echo", path], |address| {
            let mut shell = Command::new("bash");
            let line = format!("set -o pipefail; {flow} write {AMOUNT} | {line}{address} | {flow} read {AMOUNT}");
            shell.args(["-c", &line]);
            shell
        })
    };
    let ours = format!("{BINARY} sock connect ");
    for (name, line, goal) in [("socat", "socat -t 60 - UNIX-CONNECT:", 0.3), ("nc", "nc -N -U ", 0.5)] {
        let task = format!("sock connect, unix, between pipes, {name}");
        match find(name) {
            Some(_) => table.compare(&task, Goal::Time(goal), 7, || round(&ours), || round(line)),
            None => table.missing(&task, name),
        }
    }
}

/// The start of a client whose server is missing.
fn refused(table: &mut Table, path: &str) {
    let task = "sock connect, refused, nc";
    if find("nc").is_none() {
        return table.missing(task, "nc");
    }
    let round = |line: &str| {
        let mut client = command_at(line, path);
        client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        for _ in 0..REFUSED {
            assert!(!client.status().expect("a client").success(), "{client:?} finds a server");
        }
        start.elapsed()
    };
    table.compare(task, Goal::Time(1.0), 7, || round(&format!("{BINARY} sock connect ")), || round("nc -U "));
}

/// A server that runs until this is dropped.
struct Running(Child);

impl Running {
    /// Starts a server, and returns when it has created its path.
    fn start(mut server: Command, path: &str) -> Self {
        let running = Self(server.stdin(Stdio::null()).spawn().expect("the server"));
        while !Path::new(path).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        use nix::unistd::Pid;
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Connections per second to servers with the same CMD. The client checks each reply.
fn served(table: &mut Table, program: &Path, path: &str) {
    let cmd = program.display();
    let round = |path: &str| {
        let start = Instant::now();
        let status = Command::new(program).args(["many", path]).args(CONNECTIONS).status().expect("the client");
        assert!(status.success(), "a reply is missing or wrong");
        start.elapsed()
    };
    for (name, goal) in [("s6-ipcserver", 1.0), ("socat", 1.5)] {
        let task = format!("sock serve, connections, {name}");
        if !table.wants(&task) {
            continue;
        }
        if find(name).is_none() {
            table.missing(&task, name);
            continue;
        }
        let theirs = format!("{path}.peer");
        let peer = match name {
            "socat" => {
                let mut socat = Command::new(name);
                socat.args([format!("UNIX-LISTEN:{theirs},fork,backlog=4096"), format!("EXEC:{cmd} answer")]);
                socat
            }
            _ => command(name, &format!("-c 40 -b 4096 {theirs} {cmd} answer")),
        };
        let _peer = Running::start(peer, &theirs);
        let _ours = Running::start(command(BINARY, &format!("sock serve {path} -j 40 -- {cmd} answer")), path);
        table.compare(&task, Goal::Speed(goal), 9, || round(path), || round(&theirs));
        let _ = fs::remove_file(theirs);
    }
}

/// Calls of the same CMD, by `msgq call` or without a server.
fn called(table: &mut Table, program: &Path, file: &Path, path: &str) {
    let task = "sock call, msgq call";
    if table.wants(task) {
        let cmd = program.display();
        let queue = format!("bench-{}", std::process::id());
        let _ours = Running::start(command(BINARY, &format!("sock serve {path} -- {cmd} answer")), path);
        assert!(command(BINARY, &format!("msgq create {queue} -q")).status().expect("it starts").success());
        let _peer = Running::start(command(BINARY, &format!("msgq serve {queue} -- {cmd} answer")), "/");
        let round = |line: &str| {
            let start = Instant::now();
            for _ in 0..CALLS {
                let output = command(BINARY, line).stdin(Stdio::null()).output().expect("it starts");
                assert!(output.status.success() && output.stdout == b"ok\n", "{output:?}");
            }
            start.elapsed()
        };
        let theirs = || round(&format!("msgq call {queue} x"));
        table.compare(task, Goal::Time(0.9), 9, || round(&format!("sock call {path} x")), theirs);
        let _ = command(BINARY, &format!("msgq rm {queue}")).status();
    }
    let task = "sock call, CMD's time without a server";
    if table.wants(task) {
        File::create(file).and_then(|file| file.set_len(AMOUNT << 20)).expect("a file");
        let _server = Running::start(command(BINARY, &format!("sock serve {path} -- sha256sum")), path);
        let round = |line: &str| {
            let (program, words) = line.split_once(' ').unwrap_or((line, ""));
            let input = File::open(file).expect("the file");
            let start = Instant::now();
            let output = command(program, words).stdin(input).output().expect("it starts");
            assert!(output.status.success() && output.stdout.ends_with(b" -\n"), "{output:?}");
            start.elapsed()
        };
        let direct = || round("sha256sum");
        table.compare(task, Goal::Time(1.02), 9, || round(&format!("{BINARY} sock call {path}")), direct);
        let _ = fs::remove_file(file);
    }
}
