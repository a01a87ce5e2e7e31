//! One call of a program: what it was given, and what is expected of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Once;
use std::sync::mpsc::RecvTimeoutError;

use nix::sys::signal::{SigHandler, Signal};

use super::skips::count_at_exit;
use super::world::{PATIENCE, eventually, signal};

/// Has signals end what is called here as they do by default, also where the tests run behind `&` or nohup, which
/// ignore some.
fn expect_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for each in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            // SAFETY: the default action calls no code of ours.
            #[allow(unsafe_code)]
            let before = unsafe { nix::sys::signal::signal(each, SigHandler::SigDfl) };
            before.expect("a disposition is set");
        }
    });
}

/// A call that is being put together, and then checked.
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
        // The tests themselves may run in a slot.
        command.env_remove("NO_COLOR").env_remove("IPCBOX_SLOT").env("LC_ALL", "C");
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

    /// Calls it by another name.
    pub fn called(mut self, name: &str) -> Self {
        self.command.arg0(name);
        self
    }

    /// Does this in the process before it becomes the program.
    pub fn before(mut self, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        // SAFETY: what the tests do there are system calls alone.
        #[allow(unsafe_code)]
        unsafe {
            self.command.pre_exec(act);
        }
        self
    }

    /// Runs it as this user, of no group but its own.
    pub fn user(mut self, uid: u32) -> Self {
        self.command.uid(uid).gid(uid);
        self
    }

    /// What it reads; nothing, if this is left out.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// The file that it reads when it runs [`onto`](Self::onto) something.
    pub fn reading(mut self, path: &Path) -> Self {
        self.file = Some(File::open(path).expect("a file to read"));
        self
    }

    /// Expects exactly this on standard output; anything, if this is left out.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// Expects exactly this on standard error; nothing, if this is left out and the status is 0.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Some(text.into());
        self
    }

    /// Runs it to its end.
    pub fn output(mut self) -> Output {
        self.run()
    }

    /// Runs it to its end, with this as standard output.
    pub fn onto(mut self, stdout: OwnedFd) -> Output {
        let stdin = match self.file.take() {
            Some(file) => Stdio::from(file),
            None => Stdio::null(),
        };
        self.command.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
        let child = self.command.spawn().expect("the program starts");
        // Its copy of standard output in this process goes.
        drop(self.command);
        child.wait_with_output().expect("the program ends")
    }

    fn run(&mut self) -> Output {
        let stdin = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        let input = self.input.take().unwrap_or_default();
        let pipe = child.stdin.take();
        let pid = child.id().cast_signed();
        let (ended, has_ended) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            if let Some(mut pipe) = pipe {
                // The program may end before it has read all.
                scope.spawn(move || pipe.write_all(&input));
            }
            scope.spawn(move || {
                if has_ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    signal(pid, Signal::SIGKILL);
                }
            });
            let output = child.wait_with_output().expect("the program ends");
            drop(ended);
            output
        })
    }

    /// Runs it and checks status, output and messages; gives its output.
    pub fn status(mut self, code: i32) -> String {
        let output = self.run();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        // As a shell has it.
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

    /// Runs it and expects success; gives its output.
    pub fn ok(self) -> String {
        self.status(0)
    }

    /// Runs it and expects this status and one message, that has these words; a hint may follow.
    pub fn fails(self, code: i32, words: &str) {
        let line = format!("{:?}", self.command);
        let output = self.output();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let count = stderr.lines().filter(|line| !line.starts_with("hint: ")).count();
        assert_eq!(output.status.code(), Some(code), "{line}\n{stderr}");
        assert!(stderr.contains(words), "{line}\n{stderr}has not: {words}");
        assert_eq!(count, 1, "{line}\n{stderr}is not one line");
    }

    /// Starts it, to go on beside the test. Its output can be read when it has ended.
    pub fn start(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Child(Some(self.command.spawn().expect("the program starts")))
    }
}

/// A status as a shell has it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|n| 128 + n)).unwrap()
}

/// A program that runs beside the test; killed with it.
pub struct Child(Option<std::process::Child>);

impl Child {
    pub fn pid(&self) -> i32 {
        self.0.as_ref().unwrap().id().cast_signed()
    }

    /// What it prints, as it comes.
    pub fn output(&mut self) -> ChildStdout {
        self.0.as_mut().unwrap().stdout.take().expect("it was not taken yet")
    }

    /// Returns the first line of its standard error as it comes, or nothing if it exits first.
    pub fn message(&mut self) -> String {
        let mut line = String::new();
        let stderr = self.0.as_mut().unwrap().stderr.as_mut().expect("its standard error");
        // A byte at a time: what follows is left for the output.
        for byte in stderr.bytes() {
            line.push(char::from(byte.expect("its standard error can be read")));
            if line.ends_with('\n') {
                break;
            }
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

    /// Waits until it has become another program than the box.
    pub fn became(self, name: &str) -> Self {
        let file = format!("/proc/{}/comm", self.pid());
        eventually(&format!("process {} becomes {name}", self.pid()), || {
            std::fs::read_to_string(&file).is_ok_and(|comm| comm.trim_end() == name)
        });
        self
    }

    /// Waits until it has ended, without reaping it.
    pub fn became_zombie(self) -> Self {
        let file = format!("/proc/{}/stat", self.pid());
        eventually(&format!("process {} ends", self.pid()), || {
            std::fs::read_to_string(&file).is_ok_and(|stat| stat.contains(") Z "))
        });
        self
    }

    /// Stops it, and waits until it is stopped.
    pub fn stopped(self) -> Self {
        self.stopped_by(Signal::SIGSTOP)
    }

    /// Stops it by this signal.
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

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().expect("a child").is_none()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Output {
        let mut child = self.0.take().unwrap();
        eventually("a child ends", || child.try_wait().expect("a child").is_some());
        child.wait_with_output().expect("its output")
    }

    /// Waits for its end and gives its status, as a shell has it.
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
