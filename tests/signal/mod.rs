//! `signal`.

mod forward;
mod join;
mod left;
mod list;
mod reuse;
mod run;
mod send;
mod stat;
mod terminal;
mod tree;
mod wait;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::geteuid;

use crate::support::{BINARY, Call, Where, World, deny, skip};

/// The C program for what shells cannot do; `None`, with a note, if it cannot be compiled.
pub fn puppet() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signal/puppet.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("puppet");
        // Another test run may be using the existing one.
        let new = program.with_extension(std::process::id().to_string());
        let built = Command::new("cc").args(["-O1", "-pthread", "-o"]).arg(&new).arg(source).status();
        let is_built = built.is_ok_and(|status| status.success());
        (is_built && std::fs::rename(&new, &program).is_ok()).then_some(program)
    });
    if built.is_none() {
        skip("no C program can be compiled here (cc)");
    }
    built.as_deref()
}

/// The options by which `send` reaches several processes, without `--group` if the kernel cannot signal a group by
/// pidfd.
pub fn ways_to_many() -> &'static [&'static str] {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;
    let none = std::ptr::null::<libc::siginfo_t>();
    // The kernel checks the flag before the descriptor.
    // SAFETY: plain integers, and no siginfo_t.
    #[allow(unsafe_code)]
    let asked =
        Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, -1, 0, none, PIDFD_SIGNAL_PROCESS_GROUP) });
    if asked == Err(Errno::EINVAL) {
        skip("this kernel signals no process group by descriptor; Linux 6.9 does");
        return &["--tree"];
    }
    &["--tree", "--group"]
}

/// Whether the kernel reports the status of a reaped process.
pub fn reports_reaped(world: &World) -> bool {
    let mut puppet = Puppet::shell("echo ready; read x; exit 9");
    // Without the link, join does not read the status of a zombie from /proc.
    let join = world.call(&format!("signal join {}", puppet.pid()));
    let join = join.before(|| deny(libc::SYS_readlink, Where::Always, Errno::EACCES));
    let join = join.start().blocked_in(libc::SYS_ppoll);
    drop(puppet.0.stdin.take());
    puppet.status();
    join.code() == 9
}

/// A copy of the puppet with a short name, in the directory of the test, where any user may run it.
pub fn puppet_in(world: &World) -> Option<String> {
    Some(world.copy(puppet()?, "puppet").display().to_string())
}

/// A process that prints a line when it is ready.
pub struct Puppet(Child, pub String);

impl Puppet {
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.as_mut().unwrap());
        out.read_line(&mut line).expect("a line");
        Self(child, line.trim().to_owned())
    }

    /// Runs the C program in one of its roles.
    pub fn be(words: &[&str]) -> Option<Self> {
        Some(Self::start(Command::new(puppet()?).args(words)))
    }

    /// Runs a shell whose script prints a line when it is ready.
    pub fn shell(script: &str) -> Self {
        Self::start(Command::new("/bin/sh").args(["-c", script]))
    }

    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Waits for it, and returns its status as in a shell.
    pub fn status(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = self.0.wait().expect("it exits");
        status.code().or(status.signal().map(|n| 128 + n)).unwrap()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Waits for it, and returns the rest of its output.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().unwrap(), &mut rest).unwrap();
        rest
    }

    pub fn runs(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_none()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell script in a pid namespace with its own `/proc`, which is killed with all processes after four minutes and
/// has at most `processes`. `$BOX` is ipcbox and `$PUPPET` the C program. Root runs it as an ordinary user, to whom the
/// limit applies, unless `as_root`. `None`, with a note, if no namespace can be created.
pub fn contained(world: &World, processes: usize, as_root: bool, script: &str) -> Option<Call> {
    let puppet = puppet_in(world)?;
    let namespace = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let user = if geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    let unshare = || Call::new("timeout").args(["-s", "KILL", "240", "unshare"]).args(user).args(namespace);
    if !unshare().arg("true").output().status.success() {
        skip("no pid namespace can be created here");
        return None;
    }
    let mut call = unshare();
    if geteuid().is_root() && !as_root {
        static COUNT: AtomicU32 = AtomicU32::new(UNUSED_UID);
        let uid = COUNT.fetch_add(1, Ordering::Relaxed);
        nix::unistd::chown(world.dir(), Some(uid.into()), None).expect("chown as root");
        let id = |what: &str| format!("--{what}={uid}");
        call = call.args(["setpriv", &id("reuid"), &id("regid"), "--clear-groups"]);
    }
    let limit = format!("--nproc={}", processes + tasks());
    let binary = world.copy(BINARY, "ipcbox");
    Some(call.args(["prlimit", &limit, "sh", "-euc", script]).env("BOX", binary).env("PUPPET", puppet).dir(world.dir()))
}

/// Mount options of a `/proc` that hide from a user the files of other users' processes, or their existence.
pub const HIDES: [&str; 3] = ["", "mount -o remount,hidepid=1 /proc", "mount -o remount,hidepid=2 /proc"];

/// The first of the user ids that no process has, so that a limit counts the processes of one test.
const UNUSED_UID: u32 = 54400;

/// Counts the processes that the user already has.
fn tasks() -> usize {
    if geteuid().is_root() {
        return 0;
    }
    let own = |entry: std::io::Result<std::fs::DirEntry>| {
        use std::os::unix::fs::MetadataExt;
        let path = entry.ok()?.path().join("task");
        (path.metadata().ok()?.uid() == geteuid().as_raw()).then(|| path.read_dir().ok().map(Iterator::count))?
    };
    std::fs::read_dir("/proc").unwrap().filter_map(own).sum()
}

/// A field of the one JSON object in `line`.
pub fn field(line: &str, key: &str) -> serde_json::Value {
    let object: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
    object.get(key).unwrap_or_else(|| panic!("{key} in {line}")).clone()
}
