//! Names that are remembered.

mod file;
mod shown;

use nix::unistd::geteuid;

use crate::support::{World, skip};

/// The caller's file of names, which the tests share.
fn path() -> String {
    format!("/dev/shm/.ipcbox-names.{}", geteuid())
}

/// Runs a script as root of a namespace with its own `/dev/shm`, mounted with these options, and its own objects. `$FILE`
/// is the file of names. Returns `None`, and reports a skip, if there can be no such namespace.
fn apart(world: &World, options: &str, script: &str) -> Option<String> {
    let user: &[&str] = if geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let run = |script: &str| {
        let script = format!("mount -t tmpfs -o {options} shm /dev/shm\nFILE=/dev/shm/.ipcbox-names.0\n{script}");
        world.program("unshare").args(user).args(["--mount", "--ipc", "sh", "-euc", &script])
    };
    if !run(":").output().status.success() {
        skip("needs permission to mount a file system");
        return None;
    }
    Some(run(script).ok())
}
