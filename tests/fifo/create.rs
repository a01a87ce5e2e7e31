//! `fifo create` and `fifo rm`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use nix::libc;
use nix::unistd::chown;

use super::{hold, world};
use crate::support::World;

#[test]
fn mode_ignores_the_umask() {
    let world = World::new();
    for (umask, option, mode) in
        [("000", "", 0o600), ("777", "", 0o600), ("077", "-m 666", 0o666), ("022", "--mode 0", 0)]
    {
        let name = format!("f{umask}{mode}");
        world.shell(&format!("umask {umask}; fifo create {name} {option}")).stdout("").ok();
        let meta = fs::metadata(world.dir().join(&name)).unwrap();
        assert!(meta.file_type().is_fifo());
        assert_eq!(meta.permissions().mode() & 0o7777, mode, "{name}");
    }
    for mode in ["8", "1777", "u=rw", "+1"] {
        world.call("fifo create g -m").arg(mode).fails(2, "octal");
    }
}

#[test]
fn existing_fifo_is_accepted_unchanged() {
    let world = world();
    let inode = || fs::metadata(world.dir().join("f")).unwrap().ino();
    let before = inode();
    world.call("fifo create f").stdout("").ok();
    assert_eq!(inode(), before);
    world.call("fifo create f -x").fails(4, "cannot create f: already exists (EEXIST)");
    world.call("fifo create new -x").ok();
}

#[test]
fn parents_are_created_on_request() {
    let world = World::new();
    let missing = world.call("fifo create a/b/f").output();
    let text = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(3));
    assert_eq!(
        text,
        "fifo: cannot create a/b/f: the parent directory does not exist (ENOENT)\nhint: add --parents to create the directory\n"
    );
    world.call("fifo create -p a/b/f a/b/g").stdout("").ok();
    world.call("fifo create --parents a/b/f").ok();
    world.file("file", "");
    world.call("fifo create -p file/f").fails(1, "(ENOTDIR)");
}

#[test]
fn first_failure_of_many_gives_the_status() {
    let world = World::new();
    world.file("file", "");
    let output = world.call("fifo create none/f file g").output();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 3);
    assert!(world.dir().join("g").exists());
    let output = world.call("fifo rm file none g").output();
    assert_eq!(output.status.code(), Some(4));
    assert!(!world.dir().join("g").exists() && world.dir().join("file").exists());
    world.call("fifo create").fails(2, "PATH is missing");
    world.call("fifo create").arg("").fails(2, "PATH");
}

#[test]
fn fifo_of_another_user_is_refused() {
    let world = world();
    let Some(stranger) = world.stranger() else { return };
    chown(&world.dir().join("f"), Some(stranger.into()), None).unwrap();
    for call in ["fifo create f", "fifo read -n f --create", "fifo write -n f x --create"] {
        world.call(call).fails(5, "already exists and is owned by uid 54321");
    }
    world.call("fifo create f --foreign").ok();
    world.call("fifo read f --create --foreign -n").fails(124, "cannot read f: no data\n");
    // Without --create, it is refused in a sticky directory that everyone may write to.
    world.call("fifo read -n f").fails(124, "no data");
    fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o1777)).unwrap();
    for call in ["fifo read f -n", "fifo write f x -n", "fifo serve f -- cat"] {
        world.call(call).fails(5, "owned by uid 54321 in a world-writable directory");
    }
    world.call("fifo read f -n --foreign").fails(124, "no data");
    world.call("fifo write f x -n --foreign").fails(124, "no reader has opened it\n");
    // The owner may use it, and everyone may use one of root.
    world.call("fifo read f -n").user(stranger).fails(124, "no data");
    world.call("fifo create mine -m 666").ok();
    world.call("fifo read mine -n").user(stranger).fails(124, "no data");
}

#[test]
fn rm_keeps_a_used_fifo_without_force() {
    let world = world();
    world.call("fifo rm none").fails(3, "cannot remove none: no such FIFO (ENOENT)");
    world.call("fifo rm none --missing-ok").stdout("").ok();
    let held = hold(&world.dir().join("f"));
    world.call("fifo rm f").fails(1, &format!("in use by {}", std::process::id()));
    drop(held);
    let opening = world.shell("exec cat f").start().became("cat").blocked_in(libc::SYS_openat);
    world.call("fifo rm f").fails(1, &format!("{} (cat f)", opening.pid()));
    assert!(world.dir().join("f").exists());
    world.call("fifo rm f --force").stdout("").ok();
    assert!(!world.dir().join("f").exists());
    world.call("fifo create g h").ok();
    world.call("fifo rm g h").ok();
}
