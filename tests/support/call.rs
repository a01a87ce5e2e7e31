//! One call of a program: what it gets, and what is expected of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Once;
use std::sync::mpsc::RecvTimeoutError;

use nix::libc;
use nix::sys::signal::{SigHandler, Signal};

use super::skips::count_at_exit;
use super::world::{PATIENCE, eventually, signal};

/// Restores the default action of signals that the tests inherit as ignored, for example from `&` or nohup.
fn expect_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for each in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            // SAFETY: the default action runs no code of this process.
            #[allow(unsafe_code)]
            let before = unsafe { nix::sys::signal::signal(each, SigHandler::SigDfl) };
            before.expect("a disposition is set");
        }
    });
}

/// A call under construction.
pub struct Call {
    command: Command,
    input: Option<Vec<u8>>,
    file: Option<File>,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl Call {
    pub fn new(program: impl Into<OsString>) -> Self {
        expect_signals();
        count_at_exit();
        let mut command = Command::new(program.into());
        // The tests themselves may run in a slot, and cargo sets what build.rs exports.
        for name in ["NO_COLOR", "IPCBOX_SLOT", "IPCBOX_COMMIT", "IPCBOX_TARGET"] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C");
        Self { command, input: None, file: None, stdout: None, stderr: None }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets argv[0].
    pub fn called(mut self, name: &str) -> Self {
        self.command.arg0(name);
        self
    }

    /// Runs `act` in the child before exec.
    pub fn before(mut self, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        // SAFETY: the tests only make system calls there.
        #[allow(unsafe_code)]
        unsafe {
            self.command.pre_exec(act);
        }
        self
    }

    /// Passes a descriptor of the test as `number`.
    pub fn passing(self, fd: &impl AsRawFd, number: i32) -> Self {
        let fd = fd.as_raw_fd();
        self.before(move || {
            // SAFETY: only numbers.
            #[allow(unsafe_code)]
            let passed = unsafe { libc::dup2(fd, number) } == number
                // SAFETY: as above. If the numbers are equal, dup2(2) has left the descriptor close-on-exec.
                && unsafe { libc::fcntl(number, libc::F_SETFD, 0) } == 0;
            if passed { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    }

    /// Runs it as this user, with no group but its own.
    pub fn user(mut self, uid: u32) -> Self {
        self.command.uid(uid).gid(uid);
        self
    }

    /// Sets its standard input (default: empty).
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Sets the file that it reads when it runs [`onto`](Self::onto) a descriptor.
    pub fn reading(mut self, path: &Path) -> Self {
        self.file = Some(File::open(path).expect("a file to read"));
        self
    }

    /// Expects exactly this on standard output (default: anything).
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// Expects exactly this on standard error (default: nothing if the status is 0).
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Some(text.into());
        self
    }

    /// Runs it and returns its output.
    pub fn output(mut self) -> Output {
        self.run()
    }

    /// Runs it with this descriptor as standard output.
    pub fn onto(mut self, stdout: OwnedFd) -> Output {
        let stdin = match self.file.take() {
            Some(file) => Stdio::from(file),
            None => Stdio::null(),
        };
        self.command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let child = self.command.spawn().expect("the program starts");
        // Closes this process's copy of standard output.
        drop(self.command);
        child.wait_with_output().expect("the program exits")
    }

    fn run(&mut self) -> Output {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        let input = self.input.take().unwrap_or_default();
        let pipe = child.stdin.take();
        let pid = child.id().cast_signed();
        let (exited, has_exited) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            if let Some(mut pipe) = pipe {
                // The program may exit before it has read everything.
                scope.spawn(move || pipe.write_all(&input));
            }
            scope.spawn(move || {
                if has_exited.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    signal(pid, Signal::SIGKILL);
                }
            });
            let output = child.wait_with_output().expect("the program exits");
            drop(exited);
            output
        })
    }

    /// Runs it, checks status, output and messages, and returns its standard output.
    pub fn status(mut self, code: i32) -> String {
        let output = self.run();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        // As a shell reports it.
        let status = output.status.code().or(output.status.signal().map(|n| 128 + n));
        let quiet = (code == 0).then(String::new);
        let expected_stderr = self.stderr.clone().or(quiet);
        let is_right = status == Some(code)
            && self.stdout.as_ref().is_none_or(|text| *text == stdout)
            && expected_stderr.as_ref().is_none_or(|text| *text == stderr);
        assert!(
            is_right,
            "{:?}\nstatus {status:?}, expected {code}\nstdout {stdout:?}\nexpected {:?}\nstderr {stderr:?}\nexpected {expected_stderr:?}",
            self.command, self.stdout,
        );
        stdout
    }

    /// Runs it, expects success, and returns its standard output.
    pub fn ok(self) -> String {
        self.status(0)
    }

    /// Runs it and expects this status, and a one-line message with these words. A hint may follow.
    pub fn fails(self, code: i32, words: &str) {
        let line = format!("{:?}", self.command);
        let output = self.output();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let count = stderr.lines().filter(|line| !line.starts_with("hint: ")).count();
        assert_eq!(output.status.code(), Some(code), "{line}\n{stderr}");
        assert!(stderr.contains(words), "{line}\n{stderr}does not contain: {words}");
        assert_eq!(count, 1, "{line}\n{stderr}is not a single line");
    }

    /// Starts it in parallel with the test. Its output can be read once it has exited.
    pub fn start(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Child(Some(self.command.spawn().expect("the program starts")))
    }
}

/// Returns a status as a shell reports it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|n| 128 + n)).unwrap()
}

/// A program that runs in parallel with the test, and is killed when this is dropped.
pub struct Child(Option<std::process::Child>);

impl Child {
    pub fn pid(&self) -> i32 {
        self.0.as_ref().unwrap().id().cast_signed()
    }

    /// Returns its standard output as a stream.
    pub fn output(&mut self) -> ChildStdout {
        self.0.as_mut().unwrap().stdout.take().expect("it was not taken yet")
    }

    /// Returns the first line of its standard error as it comes, or nothing if it exits first.
    pub fn message(&mut self) -> String {
        let mut line = String::new();
        let stderr = self.0.as_mut().unwrap().stderr.as_mut().expect("its standard error");
        // Reads byte by byte, so that the rest stays for the output.
        let mut byte = [0];
        while !line.ends_with('\n') && stderr.read(&mut byte).expect("its standard error can be read") == 1 {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Waits until it is blocked in this system call (`libc::SYS_…`).
    pub fn blocked_in(self, call: i64) -> Self {
        let number = format!("{call} ");
        let file = format!("/proc/{}/syscall", self.pid());
        eventually(&format!("process {} blocks in {call}", self.pid()), || {
            std::fs::read_to_string(&file).is_ok_and(|line| line.starts_with(&number))
        });
        self
    }

    /// Waits until it has run exec, and has this name.
    pub fn became(self, name: &str) -> Self {
        let file = format!("/proc/{}/comm", self.pid());
        eventually(&format!("process {} runs {name}", self.pid()), || {
            std::fs::read_to_string(&file).is_ok_and(|comm| comm.trim_end() == name)
        });
        self
    }

    /// Waits until it has exited, without reaping it.
    pub fn became_zombie(self) -> Self {
        let file = format!("/proc/{}/stat", self.pid());
        eventually(&format!("process {} exits", self.pid()), || {
            std::fs::read_to_string(&file).is_ok_and(|stat| stat.contains(") Z "))
        });
        self
    }

    /// Stops it, and waits until it is stopped.
    pub fn stopped(self) -> Self {
        self.stopped_by(Signal::SIGSTOP)
    }

    /// Stops it by this signal, and waits until it is stopped.
    pub fn stopped_by(self, which: Signal) -> Self {
        self.signal(which);
        let file = format!("/proc/{}/stat", self.pid());
        eventually(&format!("process {} stops", self.pid()), || {
            std::fs::read_to_string(&file).is_ok_and(|stat| stat.contains(") T "))
        });
        self
    }

    /// Sends it a signal.
    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Returns whether it is still running.
    pub fn runs(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().expect("a child").is_none()
    }

    /// Waits until it exits, and returns its output.
    pub fn end(mut self) -> Output {
        let mut child = self.0.take().unwrap();
        eventually("a child exits", || child.try_wait().expect("a child").is_some());
        child.wait_with_output().expect("its output")
    }

    /// Waits until it exits, and returns its status as a shell reports it.
    pub fn code(self) -> i32 {
        code(self.end().status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
