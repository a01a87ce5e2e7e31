//! The manual pages and the completions in the binary, which installs and prints them without the repository.

use anyhow::Result;
use miniz_oxide::inflate::decompress_to_vec;

use crate::exit::{Cause, Exit};

/// Packed by `src/build.rs`.
static ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/embedded"));

/// Returns the names and the texts of all files, such as `ipcbox-sem.1` and `_ipcbox`.
///
/// # Errors
/// The binary is damaged.
pub fn files() -> Result<Vec<(String, String)>> {
    let archive = decompress_to_vec(ARCHIVE).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let archive = archive.ok_or_else(|| Cause::new(Exit::Failed, "the binary is damaged"))?;
    let mut files: Vec<(String, String)> = Vec::new();
    let mut parts = archive.split('\0');
    while let (Some(name), Some(piece)) = (parts.next(), parts.next()) {
        match files.iter_mut().find(|(file, _)| file == name) {
            Some((_, text)) => text.push_str(piece),
            None => files.push((name.to_owned(), piece.to_owned())),
        }
    }
    Ok(files)
}
