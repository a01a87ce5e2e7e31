//! Sets the facts about the build that `applets::doctor` prints, and packs the files that `applets::embedded` reads.

use std::io::{Error, Result, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use miniz_oxide::deflate::compress_to_vec;

/// The level of compression: the strongest.
const LEVEL: u8 = 10;

fn main() -> Result<()> {
    describe()?;
    pack()
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

/// Packs the manual pages and the completions: the name and the text of each file, both terminated by NUL, and the whole
/// compressed to a quarter.
fn pack() -> Result<()> {
    let mut archive = Vec::new();
    for dir in ["man", "completions"] {
        writeln!(stdout(), "cargo::rerun-if-changed={dir}")?;
        let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
        let mut files: Vec<PathBuf> = entries.collect::<Result<_>>()?;
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            // Any other page, such as sem.1, is a link to one of these.
            if name.contains("ipcbox") {
                archive.extend([name.as_bytes(), b"\0", &fs::read(&file)?, b"\0"].concat());
            }
        }
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("embedded"), compress_to_vec(&archive, LEVEL))
}
