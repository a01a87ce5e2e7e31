//! A private world for one test: an IPC namespace, unique names, and a directory.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::{BINARY, Call, skip};

/// The time limit for anything that must happen, long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// The world of one test. Dropping it removes its objects and its directory.
///
/// It belongs to the thread that created it, whose children are in its IPC namespace.
pub struct World {
    name: String,
    dir: PathBuf,
    own: bool,
    names: RefCell<Vec<String>>,
    here: PhantomData<*const ()>,
}

impl World {
    /// Creates a world for the calling test.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = unshare(CloneFlags::CLONE_NEWIPC).is_ok();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(format!("ipcbox-{name}"));
        fs::create_dir(&dir).expect("a directory for the test");
        Self { name, dir, own, names: RefCell::default(), here: PhantomData }
    }

    /// Returns whether this test sees only its own System V objects and POSIX queues.
    pub const fn is_own(&self) -> bool {
        self.own
    }

    /// Returns a name that no other test uses.
    pub fn name(&self, name: &str) -> String {
        self.remember(format!("{}-{name}", self.name))
    }

    /// Returns a POSIX name that no other test uses.
    pub fn posix(&self, name: &str) -> String {
        self.remember(format!("/{}-{name}", self.name))
    }

    fn remember(&self, name: String) -> String {
        self.names.borrow_mut().push(name.clone());
        name
    }

    /// Returns the directory, which is removed with the world.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file in that directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, content).expect("a file for the test");
        path
    }

    /// Writes an executable file in that directory.
    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        // Another process writes it. Otherwise a child that another test is just starting could hold a copy of the
        // writable descriptor, and executing the file would fail with ETXTBSY.
        self.remember_in(content);
        let path = self.dir.join(name);
        let write = r#"cat >"$0" && chmod 755 "$0""#;
        Call::new("/bin/sh").args(["-c", write]).arg(&path).input(content).ok();
        path
    }

    /// Creates a call of ipcbox: `words` separated by blanks, in which `@x` is a name of this world and `/@x` a POSIX
    /// one.
    pub fn call(&self, words: &str) -> Call {
        Call::new(BINARY).args(self.words(words)).dir(&self.dir)
    }

    /// Creates a call of ipcbox as init of its own pid namespace. Returns `None`, and reports a skip, if none can be
    /// created.
    pub fn init(&self, words: &str) -> Option<Call> {
        let user = if geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
        let unshare = || Call::new("unshare").args(user).args(["--pid", "--fork", "--kill-child"]);
        if !unshare().arg("true").output().status.success() {
            skip("needs permission to create a pid namespace");
            return None;
        }
        Some(unshare().arg(BINARY).args(self.words(words)).dir(&self.dir))
    }

    fn words(&self, words: &str) -> Vec<String> {
        let word = |word: &str| match word.split_once('@') {
            Some(("", rest)) => self.name(rest),
            Some(("/", rest)) => self.posix(rest),
            _ => word.to_owned(),
        };
        words.split_whitespace().map(word).collect()
    }

    /// Copies a program into that directory. Another process does it, as for a script.
    pub fn copy(&self, program: impl AsRef<std::ffi::OsStr>, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        Call::new("cp").arg("-p").arg(program).arg(&path).ok();
        path
    }

    /// Creates a call of another program, with ipcbox and its applets in its PATH.
    pub fn program(&self, program: impl Into<OsString>) -> Call {
        let links = self.dir.join("bin");
        if !links.exists() {
            fs::create_dir(&links).expect("a directory for links");
            // A program of the system that a link hides is reported.
            let installed = Call::new(BINARY).arg("--install").arg(&links).output();
            assert!(installed.status.success(), "{installed:?}");
            std::os::unix::fs::symlink(BINARY, links.join("ipcbox")).expect("a link to ipcbox");
        }
        let path = format!("{}:{}", links.display(), std::env::var("PATH").unwrap_or_default());
        Call::new(program).env("PATH", path).env("NAME", &self.name).env("HOME", &self.dir).dir(&self.dir)
    }

    /// Creates a call of ipcbox under strace(1), which logs these system calls to the file `trace`. Returns `None`
    /// without strace.
    pub fn traced(&self, calls: &str) -> Option<Call> {
        Some(self.strace()?.args(["-D", "-o", "trace", "-e"]).arg(calls).arg(BINARY))
    }

    fn strace(&self) -> Option<Call> {
        if !Call::new("strace").arg("true").output().status.success() {
            skip("needs strace and permission to trace");
            return None;
        }
        Some(self.program("strace"))
    }

    /// Creates a call of ipcbox under strace(1), which tampers with system calls as `inject` describes. Returns `None`
    /// without strace.
    pub fn injected(&self, inject: &str) -> Option<Call> {
        let trace = ["-D", "-o", "/dev/null", "-e"];
        Some(self.strace()?.args(trace).arg(format!("inject={inject}")).arg(BINARY))
    }

    /// Like [`injected`](Self::injected), but only for system calls on this path.
    pub fn injected_at(&self, path: &str, inject: &str) -> Option<Call> {
        let trace = ["-P", path, "-D", "-o", "/dev/null", "-e"];
        Some(self.strace()?.args(trace).arg(format!("inject={inject}")).arg(BINARY))
    }

    /// Creates a call of a shell script under `set -eu`, like [`program`](Self::program). `$NAME` is that of this
    /// world.
    pub fn shell(&self, text: &str) -> Call {
        self.remember_in(text);
        self.program("/bin/sh").args(["-euc", text])
    }

    /// Records the names that occur in a script.
    fn remember_in(&self, script: &str) {
        for name in script.split("$NAME-").skip(1) {
            let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
            self.name(&name[..end]);
        }
    }

    /// Returns an ordinary user to run as, who may write to the directory. Returns `None` and reports a skip if the
    /// test itself is not root.
    pub fn stranger(&self) -> Option<u32> {
        if !geteuid().is_root() {
            skip("needs root to run as another user");
            return None;
        }
        nix::unistd::chown(&self.dir, Some(STRANGER.into()), None).expect("chown as root");
        Some(STRANGER)
    }

    /// Returns a user that no other test has, for limits on the processes of a user.
    pub fn lone_user(&self) -> u32 {
        let number = fs::metadata(&self.dir).expect("a directory").ino();
        100_000 + u32::try_from(number % 1_000_000).expect("a short number")
    }
}

const STRANGER: u32 = 54321;

/// The applets whose objects a test can leave behind.
const APPLETS: &[&str] = &["msgq", "sem", "shm"];

impl Drop for World {
    fn drop(&mut self) {
        // A namespace takes its objects with it, but /dev/shm is shared.
        let names = self.names.take();
        for name in names.iter().filter(|name| name.starts_with('/') || !self.own) {
            for applet in APPLETS {
                Call::new(BINARY).args([applet, "rm", "--force", "--missing-ok", name]).output();
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Checks every millisecond until `done` is true. The test fails if that takes too long.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns whether a condition holds for a while. Only this sleeps on purpose, for events that must not happen.
pub fn holds(mut still: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_millis(150);
    while Instant::now() < end {
        if !still() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Sends a signal to a process. It may be gone already.
pub fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}
