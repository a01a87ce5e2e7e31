//! `sock rm`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::Mode;

use super::stale;
use crate::support::World;

#[test]
fn stale_sockets_are_removed() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        stale(&world.dir().join(name));
    }
    drop(UnixDatagram::bind(world.dir().join("d")).unwrap());
    world.call("sock rm a ./b").arg(world.dir().join("c")).arg("d").stdout("").ok();
    assert_eq!(fs::read_dir(world.dir()).unwrap().count(), 0);
}

#[test]
fn live_socket_is_removed_only_by_force() {
    let world = World::new();
    let listener = UnixListener::bind(world.dir().join("s")).unwrap();
    let datagrams = UnixDatagram::bind(world.dir().join("d")).unwrap();
    let own = format!("it is in use by {} (", std::process::id());
    for name in ["s", "d"] {
        world.call("sock rm").arg(name).fails(1, &own);
        world.call("sock rm").arg(name).fails(1, "hint: use --force to remove the object anyway\n");
        assert!(world.dir().join(name).exists());
        world.call("sock rm --force").arg(name).ok();
        assert!(!world.dir().join(name).exists());
    }
    // No connection was made.
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    drop(datagrams);
}

#[test]
fn other_files_are_kept() {
    let world = World::new();
    world.file("file", "kept");
    fs::create_dir(world.dir().join("dir")).unwrap();
    nix::unistd::mkfifo(&world.dir().join("fifo"), Mode::S_IRWXU).unwrap();
    stale(&world.dir().join("stale"));
    symlink("stale", world.dir().join("link")).unwrap();
    symlink("nothing", world.dir().join("dangling")).unwrap();
    for (name, words) in [
        ("file", "a regular file"),
        ("dir", "a directory"),
        ("fifo", "a FIFO"),
        ("link", "a symbolic link, which is not followed"),
        ("dangling", "a symbolic link, which is not followed"),
    ] {
        for force in [&[][..], &["--force"], &["--missing-ok"]] {
            let words = format!("cannot remove {name}: the path is {words}, not a socket");
            world.call("sock rm").args(force).arg(name).fails(4, &words);
        }
        assert!(world.dir().join(name).symlink_metadata().is_ok());
    }
    assert_eq!(fs::read_to_string(world.dir().join("file")).unwrap(), "kept");
}

#[test]
fn each_failure_is_reported_and_the_rest_removed() {
    let world = World::new();
    stale(&world.dir().join("a"));
    world.file("file", "");
    stale(&world.dir().join("b"));
    let call = world.call("sock rm a none none/x file/x b");
    let output = call.output();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        message,
        "sock: cannot remove none: no such socket (ENOENT)
sock: cannot remove none/x: the parent directory does not exist (ENOENT)
sock: cannot remove file/x: a part of the path is not a directory (ENOTDIR)\n"
    );
    assert_eq!(output.status.code(), Some(3));
    assert!(!world.dir().join("a").exists() && !world.dir().join("b").exists());
    world.call("sock rm none none/x --missing-ok").ok();
    world.call("sock rm").fails(2, "PATH is missing");
    world.call("sock rm a/").fails(1, "the path ends in a directory (EISDIR)");
}

#[test]
fn missing_permission_is_status_5() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let path = world.dir().join("s");
    stale(&path);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let call = |options: &str| world.call(&format!("sock rm s {options}")).user(stranger);
    // Whether it is stale shows only to those who may connect.
    call("").fails(5, "permission denied; owned by root (EACCES)");
    nix::unistd::chown(world.dir(), Some(0.into()), None).unwrap();
    call("--force").fails(5, "permission denied; owned by root (EACCES)");
    nix::unistd::chown(&path, Some(stranger.into()), None).unwrap();
    call("").fails(5, "its directory must be readable and writable (EACCES)");
    fs::set_permissions(world.dir(), Permissions::from_mode(0o1777)).unwrap();
    call("").ok();
}

/// Any process that may read a directory can lock it.
#[test]
fn locked_directory_is_reported_with_its_holder() {
    let world = World::new();
    stale(&world.dir().join("s"));
    let dir = fs::File::open(world.dir()).unwrap();
    let lock = Flock::lock(dir, FlockArg::LockExclusive).unwrap();
    world.call("sock rm s").fails(1, "cannot remove s: its directory is still locked after 5s");
    drop(lock);
    world.call("sock rm s").ok();
}
