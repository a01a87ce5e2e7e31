//! `signal run` in an interactive terminal: an interactive bash in a pseudoterminal, and what is typed there.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use nix::libc;
use nix::pty::openpty;
use nix::unistd::tcgetpgrp;

use crate::support::{BINARY, World, eventually};

struct Terminal {
    master: File,
    said: Arc<Mutex<String>>,
    shell: Child,
}

impl Terminal {
    /// None, said aloud, where there is no bash or no terminal.
    fn open(world: &World) -> Option<Self> {
        let pty = openpty(None, None).ok();
        let Some(pty) = pty.filter(|_| std::path::Path::new("/bin/bash").exists()) else {
            eprintln!("skipped: there is no bash or no pseudoterminal");
            return None;
        };
        let slave = || pty.slave.try_clone().unwrap();
        let mut call = Command::new("setsid");
        call.args(["-c", "/bin/bash", "--norc", "--noprofile", "-i"]);
        call.stdin(slave()).stdout(slave()).stderr(slave());
        call.env("PS1", "ask> ").env("BOX", BINARY).env("TERM", "dumb").current_dir(world.dir());
        let shell = call.spawn().expect("a shell");
        let master = File::from(pty.master);
        let said = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (master.try_clone().unwrap(), said.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 1000];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let terminal = Self { master, said, shell };
        terminal.says("ask> ");
        Some(terminal)
    }

    /// Types a line, or a key.
    fn types(&self, text: &str) {
        (&self.master).write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this is on the screen, and forgets what is there up to it.
    fn says(&self, text: &str) {
        let said = &self.said;
        let end = || said.lock().unwrap().find(text);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(text, || end().is_some());
        }))
        .is_err()
        {
            panic!("{text:?} is not in {:?}", said.lock().unwrap());
        }
        let at = end().unwrap() + text.len();
        said.lock().unwrap().drain(..at);
    }

    /// Waits until the process of this name has the terminal, and is blocked in this system call; gives its pid.
    fn in_front(&self, name: &str, call: i64) -> i32 {
        let mut found = 0;
        eventually(&format!("{name} has the terminal"), || {
            found = tcgetpgrp(&self.master).map_or(0, nix::unistd::Pid::as_raw);
            let is = |file: &str, text: &str| {
                std::fs::read_to_string(format!("/proc/{found}/{file}"))
                    .is_ok_and(|it| it.starts_with(text))
            };
            is("comm", &format!("{name}\n")) && is("syscall", &format!("{call} "))
        });
        found
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

const RUN: &str = "$BOX signal run --map USR1=USR2 -- ";

#[test]
fn a_job_stops_goes_on_and_is_interrupted() {
    let world = World::new();
    let Some(terminal) = Terminal::open(&world) else { return };
    terminal.types(&format!("{RUN} cat\n"));
    let cat = terminal.in_front("cat", libc::SYS_read);
    let box_ = parent(cat);
    terminal.types("hello\n");
    terminal.says("hello\r\nhello\r\n");
    for _ in 0..3 {
        terminal.types("\u{1a}");
        terminal.says("Stopped");
        eventually("both are stopped", || state(cat) == Some('T') && state(box_) == Some('T'));
        terminal.types("fg\n");
        assert_eq!(terminal.in_front("cat", libc::SYS_read), cat);
        terminal.types("again\n");
        terminal.says("again\r\nagain\r\n");
    }
    terminal.types("\u{3}");
    terminal.says("ask> ");
    terminal.types("echo =$?=\n");
    terminal.says("=130=");
    // The shell has the terminal again.
    terminal.types("read x; echo +$x+\n");
    terminal.in_front("bash", libc::SYS_read);
    terminal.types("word\n");
    terminal.says("+word+");
}

#[test]
fn a_background_job_stops_when_it_reads() {
    let world = World::new();
    let Some(terminal) = Terminal::open(&world) else { return };
    terminal.types(&format!("{RUN} cat &\n"));
    terminal.says("ask> ");
    terminal.types("until jobs | grep Stopped; do :; done; echo found\n");
    terminal.says("\nfound");
    terminal.types("fg\n");
    let cat = terminal.in_front("cat", libc::SYS_read);
    terminal.types("hello\n");
    terminal.says("hello\r\nhello\r\n");
    // In the background again, and once more in front.
    terminal.types("\u{1a}");
    terminal.says("Stopped");
    terminal.types("bg\n");
    terminal.says("ask> ");
    eventually("it stops again", || state(cat) == Some('T'));
    terminal.types("fg\n");
    terminal.in_front("cat", libc::SYS_read);
    terminal.types("\u{4}");
    terminal.says("ask> ");
    terminal.types("echo =$?=\n");
    terminal.says("=0=");
}

#[test]
fn a_background_job_stops_when_it_writes_where_that_is_asked_for() {
    let world = World::new();
    let Some(terminal) = Terminal::open(&world) else { return };
    terminal.types(&format!("stty tostop; {RUN} sh -c 'echo w''ritten; exit 4' &\n"));
    terminal.says("ask> ");
    terminal.types("until jobs | grep Stopped; do :; done; echo fo''und\n");
    terminal.says("found");
    terminal.types("fg; echo =$?=\n");
    terminal.says("written");
    terminal.says("=4=");
}

#[test]
fn a_pager_behind_the_pipe_gets_the_terminal_when_it_asks() {
    let world = World::new();
    let Some(terminal) = Terminal::open(&world) else { return };
    terminal.types(&format!(
        "{RUN} sh -c 'echo x; exec sleep 100' | sh -c 'read y; read z </dev/tty; echo +$z+'\n"
    ));
    // Whoever reads gets what is typed, although CMD was given the terminal.
    eventually("the pager has the terminal", || {
        let group = tcgetpgrp(&terminal.master).map_or(0, nix::unistd::Pid::as_raw);
        std::fs::read_to_string(format!("/proc/{group}/comm")).is_ok_and(|comm| comm == "ipcbox\n")
    });
    terminal.types("word\n");
    terminal.says("+word+");
    terminal.types("\u{3}");
    terminal.says("ask> ");
}

#[test]
fn a_command_that_cannot_be_run_gives_the_terminal_back() {
    let world = World::new();
    let script = world.script("script", "neither program nor script");
    let Some(terminal) = Terminal::open(&world) else { return };
    terminal.types(&format!("{RUN} {}; echo =$?=; read x; echo +$x+\n", script.display()));
    terminal.says("=126=");
    terminal.in_front("bash", libc::SYS_read);
    terminal.types("word\n");
    terminal.says("+word+");
}

#[test]
fn where_nobody_would_continue_it_a_command_is_not_stopped() {
    let world = World::new();
    let Some(terminal) = Terminal::open(&world) else { return };
    // The box leads the session: no shell is there to continue it.
    terminal.types(&format!("exec {RUN} cat\n"));
    let cat = terminal.in_front("cat", libc::SYS_read);
    terminal.types("one\n");
    terminal.says("one\r\none\r\n");
    terminal.types("\u{1a}");
    terminal.says("^Z");
    terminal.types("two\n");
    terminal.says("two\r\ntwo\r\n");
    assert_ne!(state(cat), Some('T'));
    terminal.types("\u{4}");
}
