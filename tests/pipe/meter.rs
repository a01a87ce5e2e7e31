//! `pipe meter`, its line in a terminal of the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;

use super::pipe;
use crate::support::{BINARY, World, code, eventually, lines, signal, skip};

/// The meter with its standard error in a terminal, its input in the test's hands.
struct Screen {
    child: std::process::Child,
    input: Option<std::process::ChildStdin>,
    slave: String,
    shown: Arc<Mutex<String>>,
}

impl Screen {
    fn start(columns: u16, words: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let slave = std::fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        let child = Command::new(BINARY)
            .args(["pipe", "meter"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(pty.slave)
            .spawn();
        let mut child = child.unwrap();
        let input = child.stdin.take();
        let shown = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&shown);
        let mut master = File::from(pty.master);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal whose other side is gone gives EIO.
            while let Ok(count @ 1..) = master.read(&mut bytes) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, input, slave: slave.display().to_string(), shown }
    }

    fn feed(&mut self, count: usize) {
        self.input.as_mut().unwrap().write_all(&vec![b'x'; count]).unwrap();
    }

    /// The lines that have been drawn, the last one first.
    fn drawn(&self) -> Vec<String> {
        let text = self.shown.lock().unwrap().clone();
        let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
        lines.rev().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits for a line like this.
    fn shows(&self, what: impl Fn(&str) -> bool) {
        eventually("the line is drawn", || self.drawn().first().is_some_and(|line| what(line)));
    }

    fn resize(&self, columns: u16) {
        let status = Command::new("stty").args(["-F", &self.slave, "cols", &columns.to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Closes the input; gives what came out.
    fn end(mut self) -> (String, Vec<u8>) {
        drop(self.input.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        eventually("the final line stands", || self.shown.lock().unwrap().ends_with('\n'));
        (self.shown.lock().unwrap().clone(), output.stdout)
    }
}

#[test]
fn the_line_fits_the_terminal_as_it_is() {
    let mut screen = Screen::start(80, &["--interval", "20ms", "--size", "4000", "--name", "größe"]);
    screen.feed(1000);
    screen.shows(|line| {
        line.starts_with("größe: 1000B ".replace("1000B", "0.98KiB").as_str())
            && line.contains(" 25% ETA ")
            && line.contains("[===")
            && line.chars().count() < 80
    });
    screen.resize(20);
    screen.feed(1000);
    screen.shows(|line| line.contains("50%") && line.chars().count() < 20);
    assert!(screen.drawn()[0].starts_with("1.95KiB"), "{:?}", screen.drawn()[0]);
    screen.resize(80);
    signal(screen.child.id().cast_signed(), Signal::SIGWINCH);
    screen.shows(|line| line.starts_with("größe: 1.95KiB") && line.contains("[====="));
    screen.feed(2000);
    let (text, data) = screen.end();
    assert_eq!(data, vec![b'x'; 4000]);
    let last = text.trim_end().rsplit('\r').next().unwrap();
    assert!(last.contains("3.91KiB") && last.contains("100%"), "{last}");
    assert_eq!(text.matches('\n').count(), 1);
}

#[test]
fn a_signal_that_ends_it_leaves_a_whole_line() {
    for ends in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut screen = Screen::start(80, &["--interval", "20ms"]);
        screen.feed(1000);
        screen.shows(|line| line.contains("0.98KiB"));
        signal(screen.child.id().cast_signed(), ends);
        assert_eq!(screen.child.wait().unwrap().signal(), Some(ends as i32));
        eventually("the line has its end", || screen.shown.lock().unwrap().ends_with('\n'));
    }
}

#[test]
fn a_narrow_terminal_without_a_size() {
    let mut screen = Screen::start(20, &["--interval", "20ms"]);
    screen.feed(500);
    screen.shows(|line| line.starts_with("500B 0:00") && line.chars().count() < 20);
    assert!(screen.drawn().iter().all(|line| !line.contains('%') && line.chars().count() < 20));
    let (_, data) = screen.end();
    assert_eq!(data.len(), 500);
}

#[test]
fn a_stop_does_no_harm() {
    let mut screen = Screen::start(80, &["--interval", "20ms"]);
    let pid = screen.child.id().cast_signed();
    screen.feed(10);
    screen.shows(|line| line.starts_with("10B"));
    for stop in [Signal::SIGTSTP, Signal::SIGSTOP] {
        signal(pid, stop);
        eventually("it stops", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            // An orphaned group is not stopped by the terminal's signal.
            stat.contains(") T ") || stop == Signal::SIGTSTP
        });
        signal(pid, Signal::SIGCONT);
    }
    screen.feed(10);
    screen.shows(|line| line.starts_with("20B"));
    assert_eq!(screen.end().1.len(), 20);
}

#[test]
fn who_reads_no_more_ends_it_after_a_final_line() {
    let mut screen = Screen::start(80, &["--interval", "20ms"]);
    drop(screen.child.stdout.take());
    screen.feed(10);
    eventually("it ends", || screen.child.try_wait().unwrap().is_some());
    assert_eq!(code(screen.child.wait().unwrap()), 141);
    eventually("the final line stands", || screen.shown.lock().unwrap().ends_with('\n'));
}

#[test]
fn what_goes_through_is_what_came() {
    let world = World::new();
    let text = (0..300_000).map(|n| n.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    world.file("data", &text);
    let length = text.len();
    for line in [
        "ipcbox pipe meter <data",
        "ipcbox pipe meter data | cat",
        "cat data | ipcbox pipe meter",
        "cat data | ipcbox pipe meter | cat",
        "cat data | ipcbox pipe meter --lines | cat",
        "ipcbox pipe meter data >copy; cat copy",
        "cat data | ipcbox pipe meter >>more; cat more",
        "ipcbox pipe meter --interval 10ms --force data 2>/dev/null | cat",
        "cat data | ipcbox pipe meter --interval 10ms -J --lines 2>/dev/null",
    ] {
        let output = world.program("/bin/sh").args(["-c", line]).output();
        assert!(output.status.success() && output.stdout == text.as_bytes(), "{line}");
        assert!(output.stderr.is_empty(), "{line}");
    }
    // A terminal it is not: nothing is shown, unless it is asked for.
    let told = world.program("/bin/sh").args(["-c", "ipcbox pipe meter -J --name n data >/dev/null"]).output();
    let last = String::from_utf8(told.stderr).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&last["name"], &last["amount"], &last["size"]), (&"n".into(), &length.into(), &length.into()));
    assert_eq!((&last["done"], &last["unit"]), (&true.into(), &"bytes".into()));
    let told = world.shell("{ echo a; sleep 0.3; } | ipcbox pipe meter -J --interval 20ms").output();
    let records = lines(&told.stderr);
    let (last, before) = records.split_last().unwrap();
    assert!(before.len() > 1 && before.iter().all(|line| line.contains("\"done\":false")));
    assert!(last.contains("\"done\":true"), "{last}");
    let told = pipe(&["meter", "--lines", "-J", "--size", "3"]).input("a\nb\nc").output();
    assert!(String::from_utf8_lossy(&told.stderr).contains(r#""unit":"lines","amount":2,"size":3"#));
    let told = pipe(&["meter", "--force"]).input("abc").output();
    let shown = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(shown.starts_with("\r3B 0:00") && shown.ends_with('\n'), "{shown:?}");
}

#[test]
fn the_rate_is_limited() {
    let start = Instant::now();
    pipe(&["meter", "--rate-limit", "100K/s"]).input("x".repeat(40 << 10)).stdout("x".repeat(40 << 10)).ok();
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
    let start = Instant::now();
    pipe(&["meter", "--lines", "--rate-limit", "50"]).input("l\n".repeat(20)).stdout("l\n".repeat(20)).ok();
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
}

#[test]
fn what_cannot_be_is_told() {
    let world = World::new();
    let run = |line: &str| world.program("/bin/sh").args(["-c", line]);
    run("ipcbox pipe meter no-such").fails(3, "cannot read no-such: no such file or directory (ENOENT)");
    run("ipcbox pipe meter /").fails(1, "cannot read /: is a directory (EISDIR)");
    run("ipcbox pipe meter </").fails(1, "cannot read standard input: is a directory (EISDIR)");
    run("ipcbox pipe meter <&-").fails(1, "cannot read standard input: bad file");
    run("echo x | ipcbox pipe meter >&-").fails(1, "cannot write to standard output: bad file");
    run("echo x | ipcbox pipe meter >/dev/full").fails(1, "cannot write to standard output: no space left");
    run("ipcbox pipe meter --rate-limit 0").fails(2, "nothing would ever go through");
    run("ipcbox pipe meter --interval 1ms").fails(2, "at least 10ms");
    run("ipcbox pipe meter --size x").fails(2, "a size is written");
    run("{ yes | ipcbox pipe meter; echo $? >&2; } | head -1").stdout("y\n").stderr("141\n").ok();
    run(": | ipcbox pipe meter --force --size 0 2>&1").ok();
}

#[test]
fn pipes_that_nobody_resized_are_made_wide() {
    let world = World::new();
    let run = |line: &str| world.program("/bin/sh").args(["-c", line]);
    let stat = "ipcbox pipe stat --columns capacity --no-header 0 3 >&2";
    let most = std::fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap();
    if most.trim().parse::<u64>().unwrap() < 1 << 20 && !nix::unistd::geteuid().is_root() {
        return skip("/proc/sys/fs/pipe-max-size is below 1 MiB");
    }
    for verb in ["meter", "tee", "tee -o copy"] {
        run(&format!(": | {{ exec 3>&1; ipcbox pipe {verb}; {stat}; }} | cat")).stderr("1048576\n1048576\n").ok();
        run(&format!(": | {{ exec 3>&1; ipcbox pipe resize 4K 0 3 >/dev/null; ipcbox pipe {verb}; {stat}; }} | cat"))
            .stderr("4096\n4096\n")
            .ok();
    }
}

/// A file as a block device; detached when this goes.
struct Loop<'a>(&'a World, String);

impl Drop for Loop<'_> {
    fn drop(&mut self) {
        self.0.program("losetup").args(["-d", &self.1]).output();
    }
}

#[test]
fn the_size_of_a_block_device_is_known() {
    let world = World::new();
    world.shell("head -c 1048576 /dev/zero >disk").ok();
    let attached = world.program("losetup").args(["-f", "--show", "disk"]).output();
    if !attached.status.success() {
        return skip("there can be no loop device");
    }
    let device = Loop(&world, lines(&attached.stdout).remove(0));
    let last = |script: String| {
        let output = world.shell(&script).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{text}"))
    };
    let Loop(_, path) = &device;
    let whole = last(format!("ipcbox pipe meter --json {path} >copy"));
    assert_eq!((&whole["size"], &whole["amount"]), (&1_048_576.into(), &1_048_576.into()));
    // On standard input what is left of it counts.
    let rest =
        last(format!("{{ dd bs=4096 count=1 of=/dev/null status=none; ipcbox pipe meter --json >copy; }} <{path}"));
    assert_eq!((&rest["size"], &rest["amount"]), (&1_044_480.into(), &1_044_480.into()));
    let bar = world.shell(&format!("ipcbox pipe meter --force {path} 2>&1 >copy")).ok();
    assert!(bar.contains("100%"), "{bar}");
}
