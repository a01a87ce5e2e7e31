//! `sock` compared with socat, nc, s6-ipcserver and splice(2) in C.

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
