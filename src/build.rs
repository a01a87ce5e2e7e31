//! Sets the facts about the build that `applets::doctor` prints, and packs the files that `applets::embedded` reads.

use std::io::{Error, Result, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use miniz_oxide::deflate::compress_to_vec;

/// The level of compression: the strongest.
const LEVEL: u8 = 10;

fn main() -> Result<()> {
    // main.rs replaces a function of libgcc, which the C library links too.
    writeln!(stdout(), "cargo::rustc-link-arg-bins=-Wl,-z,muldefs")?;
    describe()?;
    pack()
}

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

/// The length of a piece in bytes. The three completions share texts in one order; the compressor looks back 32 KiB.
const PIECE: usize = 4 << 10;

/// Packs the manual pages, then the completions piece by piece in turn: the name of the file and the text of the piece,
/// both terminated by NUL, and the whole compressed to a fifth.
fn pack() -> Result<()> {
    let mut archive = Vec::new();
    for (dir, piece) in [("man", usize::MAX), ("completions", PIECE)] {
        writeln!(stdout(), "cargo::rerun-if-changed={dir}")?;
        let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
        let mut files: Vec<PathBuf> = entries.collect::<Result<_>>()?;
        files.sort();
        // Any other page, such as sem.1, is a link to one of these.
        files.retain(|file| file.file_name().is_some_and(|name| name.to_string_lossy().contains("ipcbox")));
        let texts: Vec<Vec<u8>> = files.iter().map(fs::read).collect::<Result<_>>()?;
        for at in (0..texts.iter().map(Vec::len).max().unwrap_or_default()).step_by(piece) {
            for (file, text) in files.iter().zip(&texts).filter(|(_, text)| at < text.len()) {
                let name = file.file_name().unwrap_or_default().as_encoded_bytes();
                let end = text.len().min(at.saturating_add(piece));
                archive.extend([name, b"\0", &text[at..end], b"\0"].concat());
            }
        }
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("embedded"), compress_to_vec(&archive, LEVEL))
}
