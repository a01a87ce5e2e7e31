//! `pipe meter`, with its line on a pseudo-terminal.

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

/// A call with its standard error in a terminal and its input in the test's hands.
pub struct Screen {
    pub child: std::process::Child,
    pub input: Option<std::process::ChildStdin>,
    slave: String,
    pub shown: Arc<Mutex<String>>,
}

impl Screen {
    /// In the C locale, without colour.
    fn start(columns: u16, words: &[&str]) -> Self {
        Self::with(columns, &[("LC_ALL", "C"), ("NO_COLOR", "1")], words)
    }

    fn with(columns: u16, env: &[(&str, &str)], words: &[&str]) -> Self {
        Self::of(columns, env, &[&["meter"], words].concat(), Stdio::piped())
    }

    /// With the words of any verb.
    pub fn of(columns: u16, env: &[(&str, &str)], words: &[&str], input: Stdio) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let slave = std::fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("pipe").args(words);
        for name in ["LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.envs(env.iter().copied());
        let child = command.stdin(input).stdout(Stdio::piped()).stderr(pty.slave).spawn();
        let mut child = child.unwrap();
        let input = child.stdin.take();
        let shown = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&shown);
        let mut master = File::from(pty.master);
        std::thread::spawn(move || {
            let (mut bytes, mut all) = ([0; 4096], Vec::new());
            // A terminal whose other side is gone gives EIO.
            while let Ok(count @ 1..) = master.read(&mut bytes) {
                all.extend_from_slice(&bytes[..count]);
                *to.lock().unwrap() = String::from_utf8_lossy(&all).into_owned();
            }
        });
        Self { child, input, slave: slave.display().to_string(), shown }
    }

    pub fn feed(&mut self, count: usize) {
        self.input.as_mut().unwrap().write_all(&vec![b'x'; count]).unwrap();
    }

    /// The lines that have been drawn, the last one first.
    fn drawn(&self) -> Vec<String> {
        let text = self.shown.lock().unwrap().clone();
        let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
        lines.rev().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until the last line is like this.
    fn shows(&self, what: impl Fn(&str) -> bool) {
        eventually("the line is drawn", || self.drawn().first().is_some_and(|line| what(line)));
    }

    pub fn resize(&self, columns: u16) {
        let status = Command::new("stty").args(["-F", &self.slave, "cols", &columns.to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Closes the input; returns what was shown and what was copied.
    fn end(mut self) -> (String, Vec<u8>) {
        drop(self.input.take());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success());
        eventually("the final line stands", || self.shown.lock().unwrap().ends_with('\n'));
        (self.shown.lock().unwrap().clone(), output.stdout)
    }
}

#[test]
fn line_follows_the_width_of_the_terminal() {
    let mut screen = Screen::start(80, &["--interval", "20ms", "--size", "4000", "--name", "größe"]);
    screen.feed(1000);
    screen
        .shows(|line| line.starts_with("größe: 0.98KiB ") && line.contains("  25% [## ") && line.contains("] ETA 0:"));
    screen.resize(20);
    screen.feed(1000);
    screen.shows(|line| line == "1.95KiB  50% [##  ]");
    screen.resize(80);
    signal(screen.child.id().cast_signed(), Signal::SIGWINCH);
    screen.shows(|line| line.starts_with("größe: 1.95KiB") && line.contains("[####"));
    screen.feed(2000);
    let (text, data) = screen.end();
    assert_eq!(data, vec![b'x'; 4000]);
    let last = text.trim_end().rsplit('\r').next().unwrap();
    assert!(last.contains("3.91KiB") && last.contains("100%"), "{last}");
    assert_eq!(text.matches('\n').count(), 1);
}

#[test]
fn bar_starts_at_a_fixed_column() {
    for (columns, parts) in [
        (20, &["%", "["][..]),
        (40, &["%", "[", "ETA"]),
        (80, &["/s", "mean", "%", "[", "ETA"]),
        (120, &["/s", "mean", "%", "[", "ETA"]),
    ] {
        let mut screen = Screen::start(columns, &["--interval", "10ms", "--size", "60000"]);
        for (count, percent) in [(1, "  0% ["), (498, "  0% ["), (101, "  1% ["), (59_400, "100% [")] {
            screen.feed(count);
            screen.shows(|line| line.contains(percent));
        }
        let drawn = screen.drawn();
        let start = |line: &str| line.chars().position(|letter| letter == '[');
        let full = |line: &str| line.chars().count() < usize::from(columns);
        let first = start(&drawn[0]);
        assert!(first.is_some() && drawn.iter().all(|line| start(line) == first && full(line)), "{drawn:#?}");
        assert!(parts.iter().all(|part| drawn[0].contains(part)), "{drawn:#?}");
        let (text, _) = screen.end();
        let last = text.trim_end().rsplit('\r').next().unwrap();
        assert!(start(last) == first && last.ends_with(']') && !last.contains("ETA"), "{last}");
    }
}

#[test]
fn blocks_and_colour_depend_on_locale_and_terminal() {
    let painted = "\u{1b}[36m";
    for (env, bar, has_color) in [
        (&[("LANG", "C.UTF-8"), ("NO_COLOR", "1")][..], "[█▌  ]", false),
        (&[("LC_CTYPE", "C.UTF-8"), ("LANG", "C")], "[\u{1b}[36m█▌\u{1b}[39m  ]", true),
        (&[("LC_ALL", "C"), ("LANG", "C.UTF-8"), ("NO_COLOR", "")], "[\u{1b}[36m#\u{1b}[39m   ]", true),
        (&[("NO_COLOR", "1")], "[#   ]", false),
    ] {
        let mut screen = Screen::with(20, env, &["--interval", "20ms", "--size", "8"]);
        screen.feed(3);
        screen.shows(|line| line.ends_with(bar));
        assert_eq!(screen.end().0.contains(painted), has_color, "{env:?}");
    }
    // Not on a terminal.
    let call = pipe(&["meter", "--force", "--size", "4"]).env("LC_ALL", "C.UTF-8").input("ab");
    let shown = String::from_utf8(call.output().stderr).unwrap();
    assert!(shown.contains("[█") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn signal_leaves_a_whole_line() {
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
fn unknown_size_shows_no_percentage() {
    let mut screen = Screen::start(20, &["--interval", "20ms"]);
    screen.feed(500);
    screen.shows(|line| line.starts_with("   500B ") && line.ends_with("B/s"));
    assert!(screen.drawn().iter().all(|line| !line.contains(['%', '[']) && line.chars().count() < 20));
    let (_, data) = screen.end();
    assert_eq!(data.len(), 500);
}

#[test]
fn stop_and_continue_lose_nothing() {
    let mut screen = Screen::start(80, &["--interval", "20ms"]);
    let pid = screen.child.id().cast_signed();
    screen.feed(10);
    screen.shows(|line| line.trim_start().starts_with("10B"));
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
    screen.shows(|line| line.trim_start().starts_with("20B"));
    assert_eq!(screen.end().1.len(), 20);
}

#[test]
fn lost_reader_ends_it_after_a_final_line() {
    let mut screen = Screen::start(80, &["--interval", "20ms"]);
    drop(screen.child.stdout.take());
    screen.feed(10);
    eventually("it ends", || screen.child.try_wait().unwrap().is_some());
    assert_eq!(code(screen.child.wait().unwrap()), 141);
    eventually("the final line stands", || screen.shown.lock().unwrap().ends_with('\n'));
}

#[test]
fn data_passes_unchanged() {
    let world = World::new();
    let text = (0..300_000).map(|n| n.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    world.file("data", &text);
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
}

/// The records that `--json` wrote.
fn records(text: &[u8]) -> Vec<serde_json::Value> {
    lines(text).iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn json_has_every_key_in_every_record() {
    let world = World::new();
    world.file("data", "a\nb\nc");
    let last = |line: &str| records(&world.shell(line).output().stderr).pop().unwrap();
    let known = last("ipcbox pipe meter -J --name n data >copy");
    let keys = ["name", "bytes", "lines", "size", "rate", "mean_rate", "elapsed_s", "eta_s", "done"];
    assert!(keys.iter().all(|key| known.get(key).is_some()) && known.as_object().unwrap().len() == keys.len());
    assert_eq!((&known["name"], &known["bytes"], &known["size"]), (&"n".into(), &5.into(), &5.into()));
    assert!(known["lines"].is_null() && known["eta_s"].is_null() && known["done"] == true, "{known}");
    assert!(known["rate"].is_u64() && known["mean_rate"].is_u64() && known["elapsed_s"].is_f64(), "{known}");
    let counted = last("cat data | ipcbox pipe meter -J --lines --size 3 >copy");
    assert_eq!((&counted["bytes"], &counted["lines"], &counted["size"]), (&5.into(), &2.into(), &3.into()));
    assert!(counted["name"].is_null());
    let unknown = last("cat data | ipcbox pipe meter -J >copy");
    assert!(unknown["size"].is_null());
    let slow = "{ echo a; until grep -q '\"bytes\":2' log; do :; done; } 2>/dev/null |
        ipcbox pipe meter -J --size 4 --interval 20ms 2>log";
    world.shell(slow).ok();
    let log = std::fs::read(world.dir().join("log")).unwrap();
    let records = records(&log);
    let (last, before) = records.split_last().unwrap();
    assert!(before.iter().all(|record| record["done"] == false));
    assert!(before.iter().any(|record| record["bytes"] == 2 && record["eta_s"].is_f64()), "{before:?}");
    assert_eq!((&last["done"], &last["bytes"]), (&true.into(), &2.into()));
}

#[test]
fn force_draws_where_there_is_no_terminal() {
    let output = pipe(&["meter", "--force"]).input("abc").output();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(shown.starts_with("\r     3B     0:00") && shown.ends_with('\n'), "{shown:?}");
    let counted = pipe(&["meter", "--force", "--lines"]).input("a\nb\n").output();
    let shown = String::from_utf8_lossy(&counted.stderr).into_owned();
    assert!(shown.starts_with("\r        2     0:00") && shown.contains("/s mean)"), "{shown:?}");
}

#[test]
fn rate_is_limited() {
    let start = Instant::now();
    pipe(&["meter", "--rate-limit", "100K/s"]).input("x".repeat(40 << 10)).stdout("x".repeat(40 << 10)).ok();
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
    let start = Instant::now();
    pipe(&["meter", "--lines", "--rate-limit", "50"]).input("l\n".repeat(20)).stdout("l\n".repeat(20)).ok();
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
}

#[test]
fn impossible_calls_are_refused() {
    let world = World::new();
    let run = |line: &str| world.program("/bin/sh").args(["-c", line]);
    run("ipcbox pipe meter no-such").fails(3, "cannot read no-such: no such file or directory (ENOENT)");
    run("ipcbox pipe meter /").fails(1, "cannot read /: is a directory (EISDIR)");
    run("ipcbox pipe meter </").fails(1, "cannot read standard input: is a directory (EISDIR)");
    run("ipcbox pipe meter <&-").fails(1, "cannot read standard input: bad file");
    run("echo x | ipcbox pipe meter >&-").fails(1, "cannot write to standard output: bad file");
    run("echo x | ipcbox pipe meter >/dev/full").fails(1, "cannot write to standard output: no space left");
    run("ipcbox pipe meter --rate-limit 0")
        .fails(2, "--rate-limit: expected a rate of at least 1 byte or line per second, not '0'");
    run("ipcbox pipe meter --interval 1ms").fails(2, "at least 10ms");
    run("ipcbox pipe meter --size x").fails(2, "expected a size");
    run("{ yes | ipcbox pipe meter; echo $? >&2; } | head -1").stdout("y\n").stderr("141\n").ok();
    run(": | ipcbox pipe meter --force --size 0 2>&1").ok();
}

#[test]
fn pipe_of_default_size_is_widened() {
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
fn size_of_a_block_device_is_known() {
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
    assert_eq!((&whole["size"], &whole["bytes"]), (&1_048_576.into(), &1_048_576.into()));
    // On standard input what is left of it counts.
    let rest =
        last(format!("{{ dd bs=4096 count=1 of=/dev/null status=none; ipcbox pipe meter --json >copy; }} <{path}"));
    assert_eq!((&rest["size"], &rest["bytes"]), (&1_044_480.into(), &1_044_480.into()));
    let bar = world.shell(&format!("ipcbox pipe meter --force {path} 2>&1 >copy")).ok();
    assert!(bar.contains("100%"), "{bar}");
}
