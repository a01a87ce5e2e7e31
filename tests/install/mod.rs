//! `--install-all`, `--uninstall`, `--man` and `--completions`: everything is in the binary, of which each test has a
//! copy far from the repository.

mod all;
mod hidden;
mod printed;
mod shells;
mod uninstalled;

use std::path::{Path, PathBuf};

use crate::support::{BINARY, Call, World, lines};

/// Returns a copy of the binary, without the symbols that make it large.
fn binary(world: &World) -> PathBuf {
    let path = world.dir().join("download");
    if !path.exists() {
        let strip = "strip -o \"$1\" \"$0\" 2>/dev/null || cp \"$0\" \"$1\"";
        Call::new("/bin/sh").args(["-c", strip, BINARY]).arg(&path).ok();
    }
    path
}

/// Creates a call of that copy for which no search path lacks the installation below `root`.
fn quiet(world: &World, root: &Path) -> Call {
    let call = Call::new(binary(world)).dir(world.dir()).env("SHELL", "").env("MANPATH", "");
    call.env("PATH", root.join("bin")).env("XDG_DATA_DIRS", root.join("share"))
}

/// Installs everything below `root`, and returns the lines about it.
fn install(world: &World, root: &Path) -> Vec<String> {
    lines(quiet(world, root).arg("--install-all").arg(root).ok().as_bytes())
}

/// Returns every file below `root`: its path, kind, mode, time of change, inode, target and size.
fn tree(root: &Path) -> Vec<String> {
    let format = "%P %y %m %T@ %i %l %s\n";
    let mut tree = lines(Call::new("find").arg(root).args(["-printf", format]).output().stdout.as_slice());
    tree.sort();
    tree
}

/// Returns every file below `root`: its path, kind, mode and target.
fn shape(root: &Path) -> Vec<String> {
    let mut shape = lines(Call::new("find").arg(root).args(["-printf", "%P %y %m %l\n"]).output().stdout.as_slice());
    shape.sort();
    shape
}

/// Returns the names of the applets.
fn applets(world: &World) -> Vec<String> {
    lines(world.call("--list").ok().as_bytes())
}
