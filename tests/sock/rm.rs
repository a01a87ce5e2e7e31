//! `sock rm`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use super::{serve, stale};
use crate::support::{World, skip};

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
fn name_needs_no_removal() {
    let world = World::new();
    let (server, address) = serve(&world, "name", "", &["cat"]);
    let words = "(ENOENT)\nhint: stop its server: a name has no file, and disappears with its server\n";
    world.call("sock rm").arg(&address).fails(3, words);
    world.call("sock rm --missing-ok").arg(&address).ok();
    server.signal(Signal::SIGTERM);
    server.end();
    world.call("sock rm").arg(&address).fails(3, "no such socket (ENOENT)\n");
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
        ("link", "a symbolic link (not followed)"),
        ("dangling", "a symbolic link (not followed)"),
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
    call("").fails(5, "the directory must be readable and writable (EACCES)");
    fs::set_permissions(world.dir(), Permissions::from_mode(0o1777)).unwrap();
    call("").ok();
}

/// Any process that may read a directory can lock it.
#[test]
fn locked_directory_is_reported_with_its_holder() {
    let world = World::new();
    stale(&world.dir().join("s"));
    stale(&world.dir().join("t"));
    world.file("file", "");
    let dir = fs::File::open(world.dir()).unwrap();
    let lock = Flock::lock(dir, FlockArg::LockExclusive).unwrap();
    world.call("sock rm s").fails(1, "cannot remove s: the directory is still locked after 5s");
    world.call("sock rm s -n").fails(124, "cannot remove s: the directory is locked");
    world.call("sock rm s -w 0.1").fails(124, "cannot remove s: the directory is still locked after 100ms");
    world.call("sock rm s -n -E 0").stderr("").ok();
    // What needs no lock is found before the wait.
    world.call("sock rm file -w 1h").fails(4, "the path is a regular file, not a socket");
    world.call("sock rm none -w 1h").fails(3, "no such socket (ENOENT)");
    // One limit for all paths.
    let output = world.call("sock rm s t -w 0.3").output();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(124), "{message}");
    assert_eq!(message.matches("still locked after 300ms").count(), 2, "{message}");
    world.call("sock rm --force t -w 1h").ok();
    assert!(!world.dir().join("t").exists());
    let mut waiting = world.call("sock rm s -v -w 1h").start();
    let message = waiting.message();
    assert!(message.starts_with("sock: waiting for s: the directory is locked"), "{message}");
    let waiting = waiting.blocked_in(libc::SYS_flock);
    drop(lock);
    assert_eq!(waiting.code(), 0);
    assert!(!world.dir().join("s").exists());
}

/// A server that does not lock the directory can replace the stale socket after rm has tested it.
#[test]
fn new_server_is_never_removed() {
    for options in [&[][..], &["--force"]] {
        let world = World::new();
        let path = world.dir().join("s");
        stale(&path);
        let Some(call) = world.injected("renameat2:delay_enter=300000:when=1") else { return };
        let rm = call.args(["sock", "rm", "s"]).args(options).start().blocked_in(libc::SYS_renameat2);
        // On a busy machine, rm may already be past the test.
        let is_in_time = fs::remove_file(&path).is_ok();
        let server = UnixListener::bind(&path).unwrap();
        let inode = fs::symlink_metadata(&path).unwrap().ino();
        let output = rm.end();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(is_in_time)), "{message}");
        assert!(!is_in_time || message.contains("another process has just replaced the socket"), "{message}");
        assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
        assert!(!world.dir().join(".s.new").exists());
        drop(server);
    }
}

#[test]
fn socket_that_denies_the_test_is_explained() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let path = world.dir().join("a b");
    stale(&path);
    nix::unistd::chown(&path, Some(stranger.into()), None).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let call = || world.call("sock rm").arg("a b").user(stranger);
    call().fails(5, "mode 0400 does not allow testing whether the socket is stale (EACCES)\nhint: chmod u+w 'a b'\n");
    // sock_diag knows a live one all the same.
    fs::remove_file(&path).unwrap();
    let server = UnixListener::bind(&path).unwrap();
    nix::unistd::chown(&path, Some(stranger.into()), None).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    call().fails(1, "it is in use");
    drop(server);
    world.program("chmod").args(["u+w", "a b"]).user(stranger).ok();
    call().ok();
}

#[test]
fn address_in_place_of_a_path_is_explained() {
    let world = World::new();
    stale(&world.dir().join("s"));
    for options in [&[][..], &["--missing-ok"]] {
        for (address, words) in [
            ("unix:./s", "(ENOENT)\nhint: use ./s\n"),
            ("dgram:a b", "no such socket (ENOENT)\nhint: use 'a b'\n"),
            ("@x", "hint: stop its server: a name has no file, and disappears with its server\n"),
            ("seqpacket:@x", "hint: stop its server"),
        ] {
            world.call("sock rm").args(options).arg(address).fails(3, words);
        }
    }
    // A file can have such a name.
    fs::rename(world.dir().join("s"), world.dir().join("unix:s")).unwrap();
    world.call("sock rm unix:s").ok();
}

#[test]
fn read_only_file_system_is_reported() {
    let world = World::new();
    stale(&world.dir().join("s"));
    let user =
        if nix::unistd::geteuid().is_root() { &["--mount"][..] } else { &["--user", "--map-root-user", "--mount"] };
    let script = "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\"";
    let unshare =
        |line: &str| world.program("unshare").args(user).args(["sh", "-c"]).arg(format!("{script} && {line}"));
    if !unshare("true").output().status.success() {
        return skip("needs permission to mount");
    }
    unshare("exec ipcbox sock rm s").fails(1, "cannot remove s: read-only file system (EROFS)");
    unshare("exec ipcbox sock rm s --force").fails(1, "cannot remove s: read-only file system (EROFS)");
    for path in ["./s", "./t"] {
        let words = format!("cannot listen on {path}: read-only file system (EROFS)");
        unshare(&format!("exec ipcbox sock activate {path} -- true")).fails(125, &words);
    }
    assert!(world.dir().join("s").exists());
}
