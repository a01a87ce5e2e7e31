//! The tools of the tests: a private world, calls of ipcbox, and ways to wait for a process.

mod call;
mod seccomp;
mod skips;
mod terminal;
mod world;

pub use call::{Call, Child, code};
pub use seccomp::{Where, deny};
pub use skips::skip;
pub use terminal::{PROMPT, Terminal, session_leader};
pub use world::{PATIENCE, World, eventually, holds, signal};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_ipcbox");

/// Splits a text into lines.
pub fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
}

/// Runs shellcheck on scripts for /bin/sh. Unused variables are allowed, because the reader may need them.
pub fn shellcheck(scripts: impl Iterator<Item = String>) {
    let world = World::new();
    let file = |(n, text): (usize, String)| world.file(&format!("{n}.sh"), &text);
    let files: Vec<_> = scripts.enumerate().map(file).collect();
    if Call::new("/bin/sh").args(["-c", "command -v shellcheck"]).output().stdout.is_empty() {
        return skip("needs shellcheck");
    }
    // A word such as {port} is for ipcbox.
    let strict = ["-s", "sh", "-S", "warning", "-e", "SC2034,SC1083"];
    world.program("shellcheck").args(strict).args(files).stdout("").ok();
}
