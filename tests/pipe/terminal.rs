//! `pipe` on a pseudo-terminal: keys, job control and colour.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::pty::openpty;
use nix::sys::signal::Signal;

use crate::support::{BINARY, World, code, eventually, signal, skip};

/// Two stages that write their pids to a file and then run sleep.
struct Stages {
    marks: PathBuf,
    /// The command line of each.
    line: String,
}

impl Stages {
    fn new(world: &World) -> Self {
        let marks = world.dir().join("marks");
        let _ = fs::remove_file(&marks);
        let line = format!("ulimit -c 0; echo $$ >>{}; exec sleep 1000 >/dev/null", marks.display());
        Self { marks, line }
    }

    fn pids(&self) -> Vec<i32> {
        let marks = fs::read_to_string(&self.marks).unwrap_or_default();
        marks.lines().map(|pid| pid.parse().unwrap()).collect()
    }

    fn have_begun(&self) {
        eventually("both stages run sleep", || {
            let is_sleep = |pid| fs::read_to_string(format!("/proc/{pid}/comm"));
            self.pids().len() == 2 && self.pids().iter().all(|pid| is_sleep(*pid).is_ok_and(|comm| comm == "sleep\n"))
        });
    }

    /// The pid of ipcbox.
    fn parent(&self) -> i32 {
        field(self.pids()[0], 1).parse().unwrap()
    }

    /// Waits until they and ipcbox are stopped, or none of them is.
    fn are_stopped(&self, stopped: bool) {
        let all = [self.pids(), vec![self.parent()]].concat();
        eventually(if stopped { "all are stopped" } else { "all go on" }, || {
            all.iter().all(|pid| (field(*pid, 0) == "T") == stopped)
        });
    }
}

/// A field of a process's stat after its name: 0 is the state, 1 the parent, 2 the process group, 5 the foreground
/// group of its terminal.
fn field(pid: i32, which: usize) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(which).unwrap().to_owned()
}

/// Starts a session leader with a terminal. Returns it and the other side of the terminal.
fn in_a_terminal(world: &World, words: &[&str]) -> Option<(Child, File)> {
    if Command::new("setsid").arg("true").status().is_err() {
        skip("there is no setsid");
        return None;
    }
    let pty = openpty(None, None).unwrap();
    let terminal = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let child = Command::new("setsid")
        // Tests in the background of a shell inherit INT and QUIT ignored.
        .args(["--ctty", "--wait", "env", "--default-signal=INT,QUIT"])
        .args(words)
        .current_dir(world.dir())
        .env_remove("NO_COLOR")
        .stdin(terminal(&pty.slave))
        .stdout(terminal(&pty.slave))
        .stderr(terminal(&pty.slave))
        .spawn();
    Some((child.unwrap(), File::from(pty.master)))
}

fn status(mut child: Child) -> i32 {
    eventually("it ends", || child.try_wait().unwrap().is_some());
    code(child.wait().unwrap())
}

#[test]
fn terminal_keys_reach_the_stages() {
    let world = World::new();
    for (key, expected, name) in [(b"\x03", 130, "INT"), (b"\x1c", 131, "QUIT")] {
        let stages = Stages::new(&world);
        let words = [BINARY, "pipe", "run", "--report", "report", "--shell"];
        let words = [&words[..], &[&stages.line, &stages.line]].concat();
        let Some((child, mut terminal)) = in_a_terminal(&world, &words) else { return };
        stages.have_begun();
        // They are in the process group of ipcbox, in the foreground.
        let pid = stages.pids()[0];
        assert_eq!(field(pid, 2), field(pid, 5), "its group is not in the foreground");
        assert_eq!(field(pid, 2), field(stages.parent(), 2), "its group is not that of ipcbox");
        terminal.write_all(key).unwrap();
        assert_eq!(status(child), expected, "{name}");
        let shown = fs::read_to_string(world.dir().join("report")).unwrap();
        assert_eq!(shown.matches(&format!("\"signal\":\"{name}\"")).count(), 2, "{shown}");
    }
}

/// Runs ipcbox under a shell with job control: the kernel stops no orphaned process group.
fn under_job_control(world: &World, script: &str, stages: &Stages, then: impl FnOnce(&mut File, &dyn Fn(&str))) {
    let words = ["bash", "-c", script, "bash", BINARY, "pipe", "run", "--shell"];
    let words = [&words[..], &[&stages.line, &stages.line]].concat();
    let Some((child, mut terminal)) = in_a_terminal(world, &words) else { return };
    stages.have_begun();
    let shown = world.dir().join("status");
    then(&mut terminal, &|status| {
        eventually(status, || fs::read_to_string(&shown).is_ok_and(|shown| shown.trim() == status));
    });
    assert_eq!(status(child), 0);
}

#[test]
fn terminal_stop_stops_all_stages() {
    let world = World::new();
    let stages = Stages::new(&world);
    let script = "set -m; \"$@\"; echo $? >status; until [ -e go ]; do :; done; fg; echo $? >status; exit 0";
    under_job_control(&world, script, &stages, |terminal, shown| {
        terminal.write_all(b"\x1a").unwrap();
        stages.are_stopped(true);
        shown("148");
        world.file("go", "");
        stages.are_stopped(false);
        // Ctrl-C would kill the script too.
        terminal.write_all(b"\x1c").unwrap();
        shown("131");
    });
}

#[test]
fn stop_in_the_background_stops_all_stages() {
    let world = World::new();
    let stages = Stages::new(&world);
    // It reads until all is done: a job that stops interrupts loops and `wait` of bash, and the job dies with the
    // script.
    let script = "set -m; \"$@\" & read -r; wait $!; echo $? >status; exit 0";
    under_job_control(&world, script, &stages, |terminal, shown| {
        // They are not in the process group of ipcbox.
        assert_ne!(field(stages.pids()[0], 2), field(stages.parent(), 2));
        for _ in 0..3 {
            signal(stages.parent(), Signal::SIGTSTP);
            stages.are_stopped(true);
            signal(stages.parent(), Signal::SIGCONT);
            stages.are_stopped(false);
        }
        signal(stages.parent(), Signal::SIGTERM);
        terminal.write_all(b"\n").unwrap();
        shown("143");
    });
}

#[test]
fn tee_in_the_background_stops_before_reading() {
    let world = World::new();
    let script = "set -m; \"$@\" & echo $! >pid; until [ -e go ]; do :; done; fg; exit $?";
    for command in [&[][..], &["--", "cat"]] {
        let words = ["bash", "-c", script, "bash", BINARY, "pipe", "tee", "-o", "out"];
        let Some((child, mut terminal)) = in_a_terminal(&world, &[&words[..], command].concat()) else {
            return;
        };
        let file = |name| fs::read_to_string(world.dir().join(name)).unwrap_or_default();
        eventually("it is stopped", || file("pid").trim().parse().is_ok_and(|pid| field(pid, 0) == "T"));
        world.file("go", "");
        terminal.write_all(b"hello\n\x04").unwrap();
        assert_eq!(status(child), 0);
        assert_eq!(file("out"), "hello\n");
        for name in ["go", "pid", "out"] {
            fs::remove_file(world.dir().join(name)).unwrap();
        }
    }
}

#[test]
fn background_job_gets_and_returns_the_terminal() {
    let world = World::new();
    let script = "set -m; \"$@\" & echo $! >pid; until [ -e go ]; do :; done; fg; \
                  echo $? >status; until [ -e again ]; do :; done; fg; exit $?";
    for verb in [&["run", "--", "cat", ":::", "tee", "out"][..], &["merge", "--", "tee", "out"]] {
        let words = [&["bash", "-c", script, "bash", BINARY, "pipe"][..], verb].concat();
        let Some((child, mut terminal)) = in_a_terminal(&world, &words) else { return };
        let file = |name| fs::read_to_string(world.dir().join(name)).unwrap_or_default();
        let is_stopped = || file("pid").trim().parse().is_ok_and(|pid| field(pid, 0) == "T");
        eventually("it is stopped when it would read", is_stopped);
        world.file("go", "");
        terminal.write_all(b"hello\n").unwrap();
        eventually("it reads", || file("out") == "hello\n");
        terminal.write_all(b"\x1a").unwrap();
        eventually("it is stopped again", || file("status") == "148\n");
        assert!(is_stopped(), "{verb:?}");
        world.file("again", "");
        terminal.write_all(b"\x04").unwrap();
        assert_eq!(status(child), 0, "{verb:?}");
        for name in ["go", "again", "pid", "status", "out"] {
            fs::remove_file(world.dir().join(name)).unwrap();
        }
    }
}

#[test]
fn terminal_keys_kill_tee() {
    let world = World::new();
    for (key, expected) in [(b"\x03", 130), (b"\x1c", 131)] {
        for command in ["true", "exec cat"] {
            let line = format!("ulimit -c 0; exec \"$0\" pipe tee -o out -- sh -c '{command}'");
            let words = ["sh", "-c", &line, BINARY];
            let Some((child, mut terminal)) = in_a_terminal(&world, &words) else { return };
            terminal.write_all(b"hello\n").unwrap();
            let out = || fs::read_to_string(world.dir().join("out")).unwrap_or_default();
            eventually("it copies", || out() == "hello\n");
            terminal.write_all(key).unwrap();
            assert_eq!(status(child), expected, "{command}");
            fs::remove_file(world.dir().join("out")).unwrap();
        }
    }
}

#[test]
fn tags_are_coloured_on_a_terminal_only() {
    let world = World::new();
    let words = [BINARY, "pipe", "merge", "--tag", "--keep-order", "--shell", "echo a", "echo b"];
    let Some((child, mut terminal)) = in_a_terminal(&world, &words) else { return };
    assert_eq!(status(child), 0);
    let mut shown = Vec::new();
    // A terminal whose other side is gone gives EIO.
    let _ = terminal.read_to_end(&mut shown);
    let shown = String::from_utf8(shown).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    for (line, end) in lines.iter().zip(["1\x1b[39m: a", "2\x1b[39m: b"]) {
        assert!(line.starts_with("\x1b[3") && line.ends_with(end), "{shown:?}");
    }
    assert!(lines.len() == 2 && lines[0][..5] != lines[1][..5], "{shown:?}");
}
