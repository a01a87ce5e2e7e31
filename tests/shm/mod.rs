//! `shm`.

mod again;
mod atomic;
mod bytes;
mod interop;
mod locked;
mod memfd;
mod objects;
mod refused;
mod replace;
mod spoiled;
mod wait;

use std::path::PathBuf;

use crate::support::{Call, World, skip};

/// A segment and a POSIX object, each under a name that no other test uses.
fn both(world: &World, name: &str) -> [String; 2] {
    [world.name(name), world.posix(name)]
}

/// Says what a test cannot do without, and whether it is missing.
fn missing(what: &str, is_missing: bool) -> bool {
    if is_missing {
        skip(&format!("there is no {what} here"));
    }
    is_missing
}

/// A C program, compiled; none where there is no compiler.
fn compiled(world: &World, name: &str, source: &str) -> Option<PathBuf> {
    let is_there =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("cc").is_file()));
    if missing("C compiler", !is_there) {
        return None;
    }
    let text = world.file(&format!("{name}.c"), source);
    let program = world.dir().join(name);
    Call::new("cc").arg("-o").arg(&program).arg(&text).ok();
    Some(program)
}

/// How many times a storm goes round: the whole number where `IPCBOX_FULL` asks for it.
fn rounds(whole: usize, some: usize) -> usize {
    if std::env::var_os("IPCBOX_FULL").is_some() { whole } else { some }
}
