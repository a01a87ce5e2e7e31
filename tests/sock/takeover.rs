//! How a server takes a path: with its mode, and beside servers that do not lock the directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::libc;
use nix::sys::stat::{Mode, umask};

use super::stale;
use crate::support::{Child, World, eventually};

/// Returns the inode and the permission bits of the file at a path.
fn file(path: &Path) -> Option<(u64, u32)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.ino(), found.mode() & 0o7777))
}

/// The server is held right after bind(2), and again right after it has its path.
#[test]
fn socket_has_its_mode_when_bind_returns() {
    for (mask, options, mode) in [(0o022, "", 0o600), (0o077, "-m 666", 0o666), (0, "-m 0620", 0o620)] {
        let world = World::new();
        let [path, temporary] = ["s", ".s.new"].map(|name| world.dir().join(name));
        let Some(call) = world.injected("bind,renameat2:delay_exit=100000") else { return };
        let call = call.args(["sock", "serve", "./s"]).args(options.split_whitespace()).args(["--", "true"]);
        let masked = move || {
            umask(Mode::from_bits_truncate(mask));
            Ok(())
        };
        let _server = call.before(masked).start();
        let mut seen = None;
        eventually("the socket exists", || {
            seen = file(&temporary).or_else(|| file(&path));
            seen.is_some()
        });
        assert_eq!(seen.map(|seen| seen.1), Some(mode), "{mask:o} {options}");
        eventually("it is in place", || path.exists());
        assert_eq!(file(&path), seen, "{mask:o} {options}");
    }
}

/// Starts a verb that takes the path, and returns when it is held in its second renameat2(2), which exchanges its socket
/// with the stale one. The first one finds that the name exists.
fn held(world: &World, verb: &str, how: &str, number: i64) -> Option<Child> {
    let call = world.injected(&format!("renameat2:{how}delay_enter=400000:when=2+"))?;
    let mut taker = call.args(["sock", verb, "./s", "--", "true"]).start();
    let (file, number) = (format!("/proc/{}/syscall", taker.pid()), format!("{number} "));
    eventually("it is held, or has the path", || {
        fs::read_to_string(&file).is_ok_and(|line| line.starts_with(&number))
            || UnixStream::connect(world.dir().join("s")).is_ok()
            || !taker.runs()
    });
    Some(taker)
}

/// A server that takes a path without the lock. Returns its inode, and that of the file that it replaced.
fn displace(world: &World) -> (UnixListener, u64, u64) {
    let [path, aside] = ["s", "aside"].map(|name| world.dir().join(name));
    let listener = UnixListener::bind(&aside).unwrap();
    let own = file(&aside).unwrap().0;
    renameat2(AT_FDCWD, &aside, AT_FDCWD, &path, RenameFlags::RENAME_EXCHANGE).unwrap();
    let replaced = file(&aside).unwrap().0;
    fs::remove_file(&aside).unwrap();
    (listener, own, replaced)
}

/// Checks that the server of this inode still has the path, and that nothing else is left.
fn keeps(world: &World, case: &str, inode: u64) {
    let names = fs::read_dir(world.dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name != "bin").collect();
    assert_eq!(left, ["s"], "{case}");
    assert_eq!(file(&world.dir().join("s")).map(|seen| seen.0), Some(inode), "{case}");
}

/// The server comes after the stale socket was tested. Some file systems know no exchange.
#[test]
fn server_without_the_lock_is_never_displaced() {
    // A call that strace fails shows as -1.
    for (verb, failed, how, number) in [
        ("serve", 4, "", libc::SYS_renameat2),
        ("activate", 125, "", libc::SYS_renameat2),
        ("serve", 4, "error=EINVAL:", -1),
    ] {
        let case = format!("{verb} {how}");
        let world = World::new();
        let path = world.dir().join("s");
        stale(&path);
        let before = file(&path).unwrap().0;
        let Some(taker) = held(&world, verb, how, number) else { return };
        let (server, own, replaced) = displace(&world);
        // On a busy machine, the call may be over.
        if replaced != before {
            continue;
        }
        let output = taker.end();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(failed), "{case}: {message}");
        let words = format!("cannot listen on ./s: it is in use by {} (", std::process::id());
        assert!(message.contains(&words), "{case}: {message}");
        keeps(&world, &case, own);
        // Nor has it been connected to.
        server.set_nonblocking(true).unwrap();
        assert!(server.accept().is_err(), "{case}");
    }
}

/// A second one comes before the exchange with the first one is undone.
#[test]
fn newest_server_keeps_the_path() {
    let world = World::new();
    let [path, temporary] = ["s", ".s.new"].map(|name| world.dir().join(name));
    stale(&path);
    let before = file(&path).unwrap().0;
    let Some(mut taker) = held(&world, "activate", "", libc::SYS_renameat2) else { return };
    let (_first, first, replaced) = displace(&world);
    // On a busy machine, the call may be over.
    if replaced != before {
        return;
    }
    eventually("it is exchanged, or was", || file(&temporary).is_some_and(|seen| seen.0 == first) || !taker.runs());
    let (_second, second, _) = displace(&world);
    let output = taker.end();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{message}");
    keeps(&world, &message, second);
}

/// A file system without RENAME_NOREPLACE and RENAME_EXCHANGE.
#[test]
fn stale_path_is_replaced_without_an_exchange() {
    let world = World::new();
    let path = world.dir().join("s");
    stale(&path);
    let Some(call) = world.injected("renameat2:error=EINVAL") else { return };
    let server = call.args(["sock", "serve", "./s", "-c", "1", "--", "true"]).start();
    eventually("it listens", || UnixStream::connect(&path).is_ok());
    assert_eq!(server.code(), 0);
    assert!(!path.exists() && !world.dir().join(".s.new").exists());
}
