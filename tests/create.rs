//! `create` on an existing object: it succeeds if the object is as requested, otherwise it fails with status 4 and both
//! values, and changes nothing.

use std::os::unix::fs::MetadataExt;

use nix::sys::stat::{Mode, umask};

use crate::support::World;

/// An object, calls that request it as it is, and calls that request another value, each with its message.
type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "sem create @a --value 3 -m 640",
        &["sem create @a --value 3", "sem create @a", "sem create @a -m 0640"],
        &[
            ("sem create @a --value 0", "already exists with value 3, not 0"),
            ("sem create @a --value 5", "already exists with value 3, not 5"),
            ("sem create @a -m 600", "already exists with mode 0640, not 0600"),
            ("sem create @a --nsems 2", "already exists with 1 semaphore, not 2"),
            ("sem create @a --slots 3", "is a plain semaphore, not slots"),
        ],
    ),
    (
        "sem create @a",
        &["sem create @a --value 0", "sem create @a --nsems 1"],
        &[("sem create @a --value 3", "already exists with value 0, not 3")],
    ),
    (
        "sem create @a --value 1,2",
        &["sem create @a --value 1,2", "sem create @a --nsems 2"],
        &[
            ("sem create @a --value 2,1", "already exists with values 1,2, not 2,1"),
            ("sem create @a --value 1 --nsems 2", "already exists with values 1,2, not 1,1"),
        ],
    ),
    (
        "sem create @a --slots 2",
        &["sem create @a --slots 2", "sem create @a --slots 2 -m 600"],
        &[
            ("sem create @a --slots 2 -m 660", "already exists with mode 0600, not 0660"),
            ("sem create @a --slots 3", "has 2 slots, not 3"),
            ("sem create @a --value 2", "has 2 slots, not a plain set"),
        ],
    ),
    (
        "sem create /@a --value 2",
        &["sem create /@a --value 2", "sem create /@a", "sem create /@a -m 600"],
        &[
            ("sem create /@a --value 0", "already exists with value 2, not 0"),
            ("sem create /@a -m 666", "already exists with mode 0600, not 0666"),
        ],
    ),
    (
        "msgq create @a --max-bytes 4K",
        &["msgq create @a", "msgq create @a --max-bytes 4096 -m 600"],
        &[
            ("msgq create @a -x", "already exists (EEXIST)"),
            ("msgq create @a --max-bytes 8K", "a limit of 4096 bytes, not 8192"),
            ("msgq create @a -m 660", "already exists with mode 0600, not 0660"),
            ("msgq create @a --max-bytes 4K -m 660", "already exists with mode 0600, not 0660"),
        ],
    ),
    (
        "shm create @a --size 8K",
        &["shm create @a --size 8192", "shm create @a --size 8K -m 600"],
        &[
            ("shm create @a --size 1 -x", "(EEXIST)"),
            ("shm create @a --size 4K", "already exists with 8192 bytes, not 4096"),
            ("shm create @a --size 8193", "already exists with 8192 bytes, not 8193"),
            ("shm create @a --size 8K -m 660", "already exists with mode 0600, not 0660"),
        ],
    ),
    (
        "shm create /@a --size 8K",
        &["shm create /@a --size 8192", "shm create /@a --size 8K -m 600"],
        &[
            ("shm create /@a --size 1 -x", "(EEXIST)"),
            ("shm create /@a --size 8193", "already exists with 8192 bytes, not 8193"),
            ("shm create /@a --size 4K", "already exists with 8192 bytes, not 4096"),
            ("shm create /@a --size 8K -m 660", "already exists with mode 0600, not 0660"),
        ],
    ),
    (
        "fifo create a -m 640",
        &["fifo create a", "fifo create a -m 640"],
        &[("fifo create a -m 660", "already exists with mode 0640, not 0660")],
    ),
];

#[test]
fn create_compares_every_requested_value() {
    for (first, same, different) in CASES {
        let world = World::new();
        let answer = world.call(first).ok();
        for line in *same {
            world.call(line).stdout(answer.clone()).ok();
        }
        for (line, words) in *different {
            world.call(line).fails(4, words);
        }
        world.call(first).stdout(answer).ok();
    }
}

#[test]
fn create_compares_limits_and_mode_of_posix_queue() {
    let world = World::new();
    world.call("msgq create /@a --max-messages 2 --message-size 16").ok();
    world.call("msgq create /@a --max-messages 2 -m 600").ok();
    world.call("msgq create /@b --max-messages 1").ok();
    for (words, message) in [
        ("/@a --max-messages 3", "a limit of 2 messages, not 3"),
        ("/@a --message-size 8", "a limit of 16 bytes in a message, not 8"),
        ("/@a --message-size 17", "a limit of 16 bytes in a message, not 17"),
        ("/@a -m 660", "already exists with mode 0600, not 0660"),
        ("/@a -x", "EEXIST"),
        ("/@b --max-messages 4", "a limit of 1 message, not 4"),
    ] {
        world.call(&format!("msgq create {words}")).fails(4, message);
    }
}

#[test]
fn mode_is_exact_whatever_the_umask() {
    let world = World::new();
    for (create, target, mode) in [
        ("sem create @a", "@a", "0600"),
        ("sem create @b -m 0660", "@b", "0660"),
        ("sem create @c -m 666", "@c", "0666"),
        ("sem create /@a -m 0666", "/@a", "0666"),
        ("msgq create @a -m 0666", "@a", "0666"),
        ("msgq create /@a -m 0666", "/@a", "0666"),
        ("msgq send @b x --create -m 0666", "@b", "0666"),
        ("msgq recv /@b -n --create -m 0666", "/@b", "0666"),
        ("shm create @a --size 9 -m 0666", "@a", "0666"),
        ("shm create /@a --size 0 -m 0666", "/@a", "0666"),
    ] {
        let masked = world.call(create).before(|| {
            umask(Mode::from_bits_truncate(0o077));
            Ok(())
        });
        masked.output();
        let applet = create.split(' ').next().unwrap();
        let shown = world.call(&format!("{applet} stat {target} -J")).ok();
        assert!(shown.contains(&format!("\"mode\":\"{mode}\"")), "{create}: {shown}");
    }
    let file = std::fs::metadata(format!("/dev/shm/sem.{}", &world.posix("a")[1..])).unwrap();
    assert_eq!((file.mode() & 0o7777, file.size()), (0o666, 32));
}
