//! An attacker creates an object before the user does.

use crate::support::World;

/// The attacker's call, and a call that would create the same object.
const TABLE: &[(&str, &str)] = &[
    ("sem create @x --slots 2 -m 666", "sem run @x --slots 2 -- touch DONE"),
    ("sem create @x --slots 2 -m 666", "sem hold @x PID --slots 2"),
    ("sem lock @x -m 666 -- true", "sem lock @x -- touch DONE"),
    ("sem lock @x -m 666 -- true", "sem hold @x PID --lock"),
    ("sem barrier @x 2 -m 666 -n -E 0", "sem barrier @x 2 -n"),
    ("sem create ./x --slots 2 -m 666", "sem run ./x --slots 2 -- touch DONE"),
    ("sem create ./x --slots 2 -m 666", "sem hold ./x PID --slots 2"),
    ("sem create ./x --slots 2 -m 666", "sem create ./x --slots 2"),
    ("sem create ./x --lock -m 666", "sem lock ./x -- touch DONE"),
    ("sem create ./x --lock -m 666", "sem lock ./x --shared -- touch DONE"),
    ("sem create ./x --lock -m 666", "sem hold ./x PID --lock"),
    ("sem create @x -m 666", "sem create @x"),
    ("sem create /@x -m 666", "sem create /@x"),
    ("shm create @x --size 64 -m 666", "shm create @x --size 64"),
    ("shm create /@x --size 64 -m 666", "shm create /@x --size 64"),
    ("shm create @x --size 64 -m 666", "shm write @x secret --create"),
    ("shm create /@x --size 64 -m 666", "shm write /@x secret --create"),
    ("shm create @x --size 64 -m 666", "shm add @x --create"),
    ("shm create /@x --size 64 -m 666", "shm add /@x --create"),
    ("sem lock @x -m 666 -- true", "shm write @o secret --create --lock @x"),
    ("msgq create @x -m 666", "msgq create @x"),
    ("msgq create /@x -m 666", "msgq create /@x"),
    ("msgq create @x -m 666", "msgq send @x secret --create"),
    ("msgq create /@x -m 666", "msgq send /@x secret --create"),
    ("msgq send @x evil --create -m 666", "msgq recv @x --create"),
    ("msgq send /@x evil --create -m 666", "msgq recv /@x --create"),
    ("msgq send @x evil --create -m 666", "msgq serve @x --create -c 1 -- touch DONE"),
    ("msgq send /@x evil --create -m 666", "msgq serve /@x --create -c 1 -- touch DONE"),
    ("fifo create f -m 666", "fifo create f"),
    ("fifo create f -m 666", "fifo read f --create -n"),
    ("fifo create f -m 666", "fifo write f secret --create -n"),
    ("fifo create f -m 666", "fifo serve f --create -- touch DONE"),
];

/// An object of another user must not be taken for the user's own.
#[test]
fn foreign_object_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    drop(world);
    for (theirs, ours) in TABLE {
        let world = World::new();
        world.stranger();
        world.call(theirs).user(stranger).ok();
        let status = if ours.starts_with("sem run") || ours.starts_with("sem lock") { 125 } else { 5 };
        let ours = ours.replace("PID", &std::process::id().to_string());
        world.call(&ours).fails(status, "owned by uid 54321");
        assert!(!world.dir().join("DONE").exists(), "{ours}");
    }
}
