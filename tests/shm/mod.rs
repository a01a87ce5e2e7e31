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

/// Returns names for a segment and a POSIX object that no other test uses.
fn both(world: &World, name: &str) -> [String; 2] {
    [world.name(name), world.posix(name)]
}

/// Reports that a test is skipped if something `is_missing`, which it returns.
fn missing(what: &str, is_missing: bool) -> bool {
    if is_missing {
        skip(&format!("there is no {what} here"));
    }
    is_missing
}

/// Compiles a C program, if there is a compiler.
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

/// Returns the number of rounds of a storm: `whole` if `IPCBOX_FULL` is set.
fn rounds(whole: usize, some: usize) -> usize {
    if std::env::var_os("IPCBOX_FULL").is_some() { whole } else { some }
}
