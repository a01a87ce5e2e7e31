//! Nothing is cut: requests and replies of any length, at any time, with other programs at the other end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pattern;
use crate::support::{World, skip};

/// Cases that run in parallel.
const WORKERS: usize = 6;

/// The server and the client. One of them is ipcbox.
const PAIRS: [(&str, &str); 7] = [
    ("serve", "connect"),
    ("python3", "connect"),
    ("socat", "connect"),
    ("nc", "connect"),
    ("serve", "python3"),
    ("serve", "socat"),
    ("serve", "nc"),
];

/// Takes the request from its input and prints the reply: at the same time, or this many seconds after EOF.
const PEER: &str = "
if [ $1 = now ]; then cat reply & cat >taken; wait; else cat >taken; sleep $1; cat reply; fi
mv taken request
";

/// The same in Python, as a server (`serve WHEN`) or as a client.
const PYTHON: &str = "
import os, socket, sys, threading, time
port = os.environ.get('IPCBOX_PORT')
family, address = (socket.AF_INET, ('127.0.0.1', int(port))) if port else (socket.AF_UNIX, 's')
s = socket.socket(family)

def send(connection, name):
    with open(name, 'rb') as file:
        connection.sendall(file.read())
    connection.shutdown(socket.SHUT_WR)

def receive(connection, name):
    with open(name, 'wb') as file:
        while data := connection.recv(1 << 16):
            file.write(data)

if sys.argv[1] == 'serve':
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(address)
    s.listen()
    connection, when = s.accept()[0], sys.argv[2]
    sending = threading.Thread(target=send, args=(connection, 'reply'))
    if when == 'now':
        sending.start()
    receive(connection, 'taken')
    if when != 'now':
        time.sleep(float(when))
        sending.start()
    sending.join()
    os.rename('taken', 'request')
else:
    s.connect(address)
    sending = threading.Thread(target=send, args=(s, 'sent'))
    sending.start()
    receive(s, 'got')
    sending.join()
";

struct Case {
    server: &'static str,
    client: &'static str,
    is_tcp: bool,
    /// When the reply comes.
    when: &'static str,
    /// The lengths of the request and the reply.
    lengths: [usize; 2],
}

impl Case {
    /// Runs it with files from this directory.
    fn run(&self, files: &Path) {
        let world = World::new();
        world.file("peer.sh", PEER);
        world.file("peer.py", PYTHON);
        for (name, length) in ["sent", "reply"].into_iter().zip(self.lengths) {
            symlink(files.join(format!("{name}-{length}")), world.dir().join(name)).unwrap();
        }
        let (address, socat, nc) = if self.is_tcp {
            (
                "tcp:127.0.0.1:0",
                ["TCP-LISTEN:$IPCBOX_PORT,bind=127.0.0.1,reuseaddr", "TCP:127.0.0.1:$IPCBOX_PORT"],
                "127.0.0.1 $IPCBOX_PORT",
            )
        } else {
            ("./s", ["UNIX-LISTEN:s", "UNIX-CONNECT:s"], "-U s")
        };
        let when = self.when;
        let server = match self.server {
            "serve" => format!("exec ipcbox sock serve $IPCBOX_ADDRESS -- sh peer.sh {when}"),
            "python3" => format!("python3 -SE peer.py serve {when}"),
            "socat" => format!("socat -t 10 {} EXEC:\"sh peer.sh {when}\"", socat[0]),
            _ => format!("nc -lN {nc} <reply >taken; mv taken request"),
        };
        let connect = "ipcbox sock connect $IPCBOX_ADDRESS >got";
        let client = match self.client {
            // A server nc exits at EOF, whatever it has left to send.
            "connect" if self.server == "nc" => {
                let whole = "until cmp -s reply got; do sleep 0.01; done";
                format!(": >got; {{ cat sent; {whole}; }} | {connect}")
            }
            "connect" => format!("{connect} <sent"),
            "python3" => "python3 -SE peer.py connect".into(),
            "socat" => format!("socat -t 10 - {} <sent >got", socat[1]),
            _ => format!("nc -N {nc} <sent >got"),
        };
        let client = format!("{client}; until [ -e request ]; do sleep 0.01; done; cmp sent request; cmp reply got");
        let call = world.program("ipcbox").args(["sock", "with", address, "--", "sh", "-c"]);
        let call = call.arg(format!("{server}; exec sleep 600")).args([":::", "sh", "-ec", &client]);
        println!("{} {} {address} {when} {:?}", self.server, self.client, self.lengths);
        call.stdout("").stderr("").ok();
    }
}

/// Each pair once in each form, or all combinations with IPCBOX_FULL.
fn cases() -> Vec<Case> {
    const TIMES: [&str; 4] = ["now", "0", "0.7", "3"];
    let is_full = std::env::var_os("IPCBOX_FULL").is_some();
    let lengths = if is_full { [0, 1, 70_000, 64 << 20] } else { [0, 1, 70_000, 4 << 20] };
    let mut cases = Vec::new();
    for (server, client) in PAIRS {
        for is_tcp in [false, true] {
            let turn = cases.len();
            let mut add = |when, lengths| cases.push(Case { server, client, is_tcp, when, lengths });
            if !is_full {
                add(TIMES[turn % 3], [lengths[turn % 4], lengths[3 - turn / 2 % 4]]);
                continue;
            }
            let times = if server == "nc" { &TIMES[..1] } else { &TIMES };
            for when in times {
                for request in lengths {
                    for reply in lengths {
                        add(when, [request, reply]);
                    }
                }
            }
        }
    }
    cases
}

#[test]
fn request_and_reply_are_whole() {
    let world = World::new();
    let mut cases = cases();
    for tool in ["python3", "socat", "nc"] {
        if world.shell(&format!("command -v {tool}")).output().stdout.is_empty() {
            skip(&format!("needs {tool}"));
            cases.retain(|case| case.server != tool && case.client != tool);
        }
    }
    for case in &cases {
        for (name, length) in ["sent", "reply"].into_iter().zip(case.lengths) {
            let path = world.dir().join(format!("{name}-{length}"));
            if !path.exists() {
                let mut bytes = pattern(length);
                if name == "reply" {
                    bytes.reverse();
                }
                fs::write(path, bytes).unwrap();
            }
        }
    }
    let next = AtomicUsize::new(0);
    let (dir, cases, next) = (world.dir(), &cases, &next);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    case.run(dir);
                }
            });
        }
    });
}
