//! What the tests are made of: a world of their own, calls of the box, and ways to wait for a process.

mod call;
mod world;

pub use call::{Call, Child, code};
pub use world::{World, eventually, holds, signal};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_ipcbox");

/// The lines of a text.
pub fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
}
