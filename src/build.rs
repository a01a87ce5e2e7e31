//! Sets the facts about the build that `applets::doctor` prints.

use std::env;
use std::io::{Result, Write, stdout};
use std::process::Command;

fn main() -> Result<()> {
    describe()
}

/// Sets the target and the commit that `applets::doctor` prints.
fn describe() -> Result<()> {
    let commit = git("HEAD").unwrap_or_else(|| "unknown".to_owned());
    writeln!(stdout(), "cargo::rustc-env=IPCBOX_COMMIT={commit}")?;
    writeln!(stdout(), "cargo::rustc-env=IPCBOX_TARGET={}", env::var("TARGET").unwrap_or_default())?;
    // git adds a line to this file whenever HEAD changes.
    match git("--git-path logs/HEAD") {
        Some(log) => writeln!(stdout(), "cargo::rerun-if-changed={log}"),
        None => Ok(()),
    }
}

/// Returns the answer of `git rev-parse`. `None`: there is no git, or the sources are not a clone. With `--git-dir`, git
/// does not search the directories above, which may be another clone.
fn git(words: &str) -> Option<String> {
    let call = ["--git-dir=.git", "rev-parse", "--short=12"].into_iter().chain(words.split(' '));
    let output = Command::new("git").args(call).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
