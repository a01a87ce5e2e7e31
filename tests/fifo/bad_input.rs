//! Wrong paths, missing permission, full file systems and wrong usage.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::world;
use crate::support::{World, skip};

/// Every verb that uses a FIFO.
const USERS: &[&str] = &[
    "read -w 5",
    "read -c 1 --create -w 5",
    "write -w 5 --lines",
    "write --create -w 5",
    "stat",
    "rm",
    "rm --force",
    "create",
    "create -x -p",
];

#[test]
fn other_file_types_are_named_and_kept() {
    let world = world();
    fs::write(world.dir().join("file"), "kept").unwrap();
    fs::create_dir(world.dir().join("dir")).unwrap();
    symlink("f", world.dir().join("link")).unwrap();
    symlink("nothing", world.dir().join("dangling")).unwrap();
    let _socket = UnixListener::bind(world.dir().join("socket")).unwrap();
    for (path, words) in [
        ("file", "the path is a regular file, not a FIFO"),
        ("dir", "the path is a directory, not a FIFO"),
        ("link", "the path is a symbolic link (not followed), not a FIFO"),
        ("dangling", "the path is a symbolic link (not followed), not a FIFO"),
        ("socket", "the path is a socket, not a FIFO"),
        ("/dev/null", "the path is a device, not a FIFO"),
    ] {
        for user in USERS {
            world.call(&format!("fifo {user}")).arg(path).fails(4, words);
        }
        world.call("fifo serve --create").arg(path).args(["--", "true"]).fails(4, words);
    }
    assert_eq!(fs::read_to_string(world.dir().join("file")).unwrap(), "kept");
    assert!(!world.dir().join("nothing").exists());
}

#[test]
fn broken_path_is_explained() {
    let world = world();
    world.file("file", "");
    let long = "x".repeat(256);
    let deep = "x/".repeat(2100);
    for user in USERS.iter().filter(|user| !user.starts_with("create")) {
        let call = |path: &str| world.call(&format!("fifo {user}")).arg(path);
        if !user.contains("--create") {
            call("none").fails(3, "no such FIFO (ENOENT)");
        }
        call("none/f").fails(3, "the parent directory does not exist (ENOENT)");
        call("file/f").fails(1, "a part of the path is not a directory (ENOTDIR)");
        call("f/").fails(1, "(ENOTDIR)");
        call(&long).fails(1, "the path, or a name in it, is too long (ENAMETOOLONG)");
        call(&deep).fails(1, "the path, or a name in it, is too long (ENAMETOOLONG)");
        call("").fails(2, "PATH");
    }
    world.call("fifo create").arg(&long).fails(1, "too long (ENAMETOOLONG)");
    world.call("fifo create -p").arg(&deep).fails(1, "too long (ENAMETOOLONG)");
    symlink("loop", world.dir().join("loop")).unwrap();
    world.call("fifo read loop/f -n").fails(4, "a symbolic link");
    // A name may be any bytes.
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"od\xffd\n");
    let odd: &std::ffi::OsStr = odd;
    world.call("fifo create").arg(odd).ok();
    world.call("fifo stat --json").arg(odd).ok();
    world.call("fifo rm").arg(odd).ok();
}

#[test]
fn missing_permission_is_refused() {
    let world = world();
    let Some(stranger) = world.stranger() else { return };
    nix::unistd::chown(world.dir(), Some(0.into()), None).unwrap();
    fs::set_permissions(world.dir(), Permissions::from_mode(0o755)).unwrap();
    let call = |words: &str| world.call(words).user(stranger);
    call("fifo read f -w 5").fails(5, "permission denied; owned by root (EACCES)");
    call("fifo write f x -w 5").fails(5, "permission denied; owned by root (EACCES)");
    call("fifo serve f -- true").fails(5, "permission denied; owned by root (EACCES)");
    world.call("fifo create g/").fails(3, "cannot create g/: no such file or directory (ENOENT)");
    call("fifo create g").fails(5, "permission denied (EACCES)");
    call("fifo create d/g -p").fails(5, "permission denied (EACCES)");
    call("fifo read g --create").fails(5, "permission denied (EACCES)");
    call("fifo rm f --force").fails(5, "the parent directory is not writable (EACCES)");
    call("fifo stat f").ok();
    // The mode also applies to the owner.
    let own = world.dir().join("own");
    nix::unistd::mkfifo(&own, nix::sys::stat::Mode::S_IRUSR).unwrap();
    nix::unistd::chown(&own, Some(stranger.into()), None).unwrap();
    call("fifo write own x -w 5").fails(5, "cannot write to own: permission denied (EACCES)");
    // Permission to write does not include reading.
    fs::set_permissions(world.dir().join("f"), Permissions::from_mode(0o602)).unwrap();
    call("fifo read f -w 5").fails(5, "(EACCES)");
    call("fifo write f x -n").fails(124, "no reader has opened it\n");
}

#[test]
fn full_or_readonly_file_system_is_reported() {
    let world = world();
    let mount = |options: &str, script: &str| {
        let script = format!("mount -t tmpfs -o {options} none m; cd m; {script}");
        world.program("unshare").args(["-m", "/bin/sh", "-euc", &script])
    };
    fs::create_dir(world.dir().join("m")).unwrap();
    let tried = mount("ro", ":").output();
    if !tried.status.success() {
        return skip("it needs the right to mount");
    }
    mount("ro", "fifo create f").fails(1, "the file system is read-only (EROFS)");
    mount("ro", "fifo read f --create").fails(1, "the file system is read-only (EROFS)");
    mount("nr_inodes=2", "fifo create f; fifo create g").fails(1, "no space left on the file system (ENOSPC)");
    mount("nr_inodes=2", "fifo create f; fifo create -p d/g").fails(1, "no space left on the file system (ENOSPC)");
    // An existing FIFO works on a read-only file system, and data in it takes no space.
    let script = "fifo create f; mount -o remount,ro none; exec 3<&0; fifo write f x & fifo read f; wait;
        ! fifo rm f 2>&1";
    mount("size=4k", script).stdout("x\nfifo: cannot remove f: the file system is read-only (EROFS)\n").ok();
    // Standard output on a full file system.
    mount("size=64k", "yes > ../f & fifo read ../f > out")
        .fails(1, "cannot write to standard output: no space left on device (ENOSPC)");
    mount("size=64k", "yes > ../f & fifo read ../f --tag > out").fails(1, "no space left on device (ENOSPC)");
}

#[test]
fn wrong_usage_touches_nothing() {
    let world = World::new();
    for (call, words) in [
        ("fifo", ""),
        ("fifo read", "PATH is missing"),
        ("fifo write", "PATH is missing"),
        ("fifo read f -w x", "expected a duration"),
        ("fifo read f -w -1", "expected a duration"),
        ("fifo read f -m 9 --create", "expected permission bits"),
        ("fifo write f --create -E 256", "256"),
        ("fifo read f -x", "no option '-x'"),
        ("fifo recieve f", "no verb 'recieve'"),
        ("fifo receive f", "did you mean 'read'"),
        ("fifo ls f", "did you mean 'stat'"),
        ("fifo delete f", "did you mean 'rm'"),
    ] {
        if words.is_empty() {
            assert_eq!(world.call(call).output().status.code(), Some(2));
        } else {
            world.call(call).fails(2, words);
        }
    }
    assert_eq!(fs::read_dir(world.dir()).unwrap().count(), 0);
}
