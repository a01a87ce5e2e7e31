//! The applet `fifo`.

mod bad_input;
mod create;
mod full;
mod interop;
mod meeting;
mod read;
mod records;
mod replaced;
mod serve;
mod stat;
mod storm;
mod write;

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::support::World;

/// A world with a FIFO `f` in its directory.
fn world() -> World {
    let world = World::new();
    world.call("fifo create f").ok();
    world
}

/// Holds a FIFO open for reading and writing, so that it keeps data.
fn hold(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).expect("it opens at once")
}
