//! `sock wait`: how soon it exits after a server listens, and its processor time while it waits.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::libc;

use crate::table::{BINARY, Table, command};

/// Waits per row.
const COUNT: usize = 31;

pub fn tasks(table: &mut Table) {
    let dir = std::env::temp_dir().join(format!("bench-sock-{}", std::process::id()));
    let path = dir.join("s");
    let task = "sock: listen until wait exits, unix, ms";
    if table.wants(task) {
        fs::create_dir(&dir).expect("a directory");
        let listen = || UnixListener::bind(&path).expect("a socket");
        let times = (0..COUNT).map(|_| {
            let time = after(&path.display().to_string(), listen);
            fs::remove_file(&path).expect("the socket");
            time
        });
        table.bound(task, longest(times), 30.0);
        fs::remove_dir_all(&dir).expect("the directory");
    }
    let task = "sock: listen until wait exits, TCP, ms";
    if table.wants(task) {
        let port = || TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let times = (0..COUNT).map(|_| {
            let port = port();
            after(&format!("tcp:127.0.0.1:{port}"), || TcpListener::bind(("127.0.0.1", port)).expect("a socket"))
        });
        table.bound(task, longest(times), 30.0);
    }
    let task = "sock: processor time of wait in 2 s, TCP, ms";
    if table.wants(task) {
        let mut wait = command(BINARY, "sock wait tcp:127.0.0.1:1 -w 2 -E 0");
        let before = of_children();
        assert!(wait.stdin(Stdio::null()).status().expect("it starts").success());
        table.bound(task, of_children().saturating_sub(before).as_secs_f64() * 1e3, 10.0);
    }
}

/// Returns the time from listening until the waiting call has exited. It waits for a while before.
fn after<T>(address: &str, listen: impl FnOnce() -> T) -> Duration {
    let mut wait: Child = command(BINARY, &format!("sock wait {address}")).spawn().expect("it starts");
    let number = format!("{} ", libc::SYS_ppoll);
    while !fs::read_to_string(format!("/proc/{}/syscall", wait.id())).is_ok_and(|line| line.starts_with(&number)) {}
    std::thread::sleep(Duration::from_millis(200));
    let listener = listen();
    let start = Instant::now();
    assert!(wait.wait().expect("a child").success());
    let time = start.elapsed();
    drop(listener);
    time
}

/// Returns the longest time but one, in milliseconds, because the machines are noisy.
fn longest(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() - 2].as_secs_f64() * 1e3
}

/// Returns the processor time of the children that have exited.
fn of_children() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is read");
    let time = |time: nix::sys::time::TimeVal| Duration::new(time.tv_sec().unsigned_abs(), 0) + micros(time.tv_usec());
    time(usage.user_time()) + time(usage.system_time())
}

fn micros(count: i64) -> Duration {
    Duration::from_micros(count.unsigned_abs())
}
