//! A shell in a pseudo-terminal, for typing and reading.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, Winsize, grantpt, openpty, posix_openpt, ptsname_r, unlockpt};
use nix::unistd::tcgetpgrp;

use super::{BINARY, World, eventually, skip};

/// The prompt of every shell here.
pub const PROMPT: &str = "ask> ";

/// A shell that leads the session of its own terminal. It is killed when this is dropped.
pub struct Terminal {
    master: File,
    output: Arc<Mutex<Vec<u8>>>,
    shell: Child,
}

impl Terminal {
    /// Starts a shell with the prompt [`PROMPT`] and with ipcbox as `$BOX`. Returns `None`, and reports a skip, if
    /// there is no such shell or no terminal.
    pub fn open(world: &World, shell: &[&str], env: &[(&str, &str)]) -> Option<Self> {
        // Large enough for every list.
        let size = Winsize { ws_row: 300, ws_col: 150, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).ok();
        let found = Command::new(shell[0]).args(["-c", "true"]).output();
        let Some(pty) = pty.filter(|_| found.is_ok()) else {
            skip(&format!("needs {} and a pseudo-terminal", shell[0]));
            return None;
        };
        let slave = || pty.slave.try_clone().unwrap();
        let mut call = Command::new("setsid");
        call.arg("-c").args(shell).stdin(slave()).stdout(slave()).stderr(slave());
        call.env("PS1", PROMPT).env("BOX", BINARY).env("TERM", "dumb").env("LC_ALL", "C.UTF-8");
        call.env("HOME", world.dir()).env_remove("PROMPT_COMMAND");
        call.envs(env.iter().copied()).current_dir(world.dir());
        let shell = call.spawn().expect("a shell");
        let master = File::from(pty.master);
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (master.try_clone().unwrap(), output.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 1000];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        let terminal = Self { master, output, shell };
        terminal.says(PROMPT);
        Some(terminal)
    }

    /// Types a line or a key.
    pub fn types(&self, text: &str) {
        (&self.master).write_all(text.as_bytes()).unwrap();
    }

    /// Returns the output that no wait has consumed yet, without escape sequences.
    pub fn screen(&self) -> String {
        plain(&self.output.lock().unwrap())
    }

    /// Waits until this text is on the screen, apart from what was typed.
    pub fn shows(&self, text: &str, typed: &str) {
        let shown = || self.screen().replacen(typed, "", 1).contains(text);
        let waited = AssertUnwindSafe(|| eventually(text, shown));
        assert!(catch_unwind(waited).is_ok(), "{text:?} is not in {}", self.screen());
    }

    /// Waits until this text is on the screen, and consumes and returns the output up to it.
    pub fn says(&self, text: &str) -> String {
        let waited = AssertUnwindSafe(|| eventually(text, || self.screen().contains(text)));
        assert!(catch_unwind(waited).is_ok(), "{text:?} is not in {:?}", self.screen());
        let mut output = self.output.lock().unwrap();
        // An incomplete escape sequence stays.
        let lens: Vec<usize> = (0..=output.len()).collect();
        let len = lens.partition_point(|len| !plain(&output[..*len]).contains(text));
        plain(&output.drain(..len).collect::<Vec<_>>())
    }

    /// Waits until the process with this name is in the foreground and blocked in this system call, and returns its
    /// pid.
    pub fn in_front(&self, name: &str, call: i64) -> i32 {
        let mut found = 0;
        eventually(&format!("{name} is in the foreground"), || {
            found = self.foreground();
            let is = |file: &str, text: &str| {
                std::fs::read_to_string(format!("/proc/{found}/{file}")).is_ok_and(|it| it.starts_with(text))
            };
            is("comm", &format!("{name}\n")) && is("syscall", &format!("{call} "))
        });
        found
    }

    /// Returns the foreground process group, or 0 if there is none.
    pub fn foreground(&self) -> i32 {
        tcgetpgrp(&self.master).map_or(0, nix::unistd::Pid::as_raw)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Starts an ipcbox that leads a session with its own terminal. Returns it and the only descriptor of the master side,
/// or `None`, with a skip reported, if needs setsid(1).
pub fn session_leader(world: &World, words: &[impl AsRef<OsStr>]) -> Option<(Child, PtyMaster)> {
    if Command::new("setsid").arg("true").status().is_err() {
        skip("needs setsid");
        return None;
    }
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let options = File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).to_owned();
    let terminal = options.open(ptsname_r(&master).unwrap()).unwrap();
    let terminal = || Stdio::from(terminal.try_clone().unwrap());
    let mut call = Command::new("setsid");
    call.args(["--ctty", "--wait", BINARY]).args(words).current_dir(world.dir());
    let child = call.stdin(terminal()).stdout(terminal()).stderr(terminal()).spawn().unwrap();
    Some((child, master))
}

/// Removes escape sequences: `ESC [ … letter`, `ESC ] … BEL`, and `ESC` with one character.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = match part.chars().next() {
            Some('[') => part[1..].trim_start_matches(|c: char| !c.is_ascii_alphabetic() && c != '~').get(1..),
            Some(']') => part.split_once('\u{7}').map(|(_, rest)| rest),
            Some('(' | ')') => part.get(2..),
            _ => part.get(1..),
        };
        plain.push_str(rest.unwrap_or_default());
    }
    plain
}
