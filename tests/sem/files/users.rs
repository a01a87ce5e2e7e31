//! Callers of several users.

use super::holder;
use crate::support::World;

#[test]
fn two_users_share_a_file_on_request() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let run = "sem run ./s --slots 1 -m 666 --foreign";
    let theirs = world.call(run).args(["-q", "--", "sh", "-c", "echo >ready; exec sleep 1000"]).user(stranger).start();
    crate::support::eventually("CMD runs", || world.dir().join("ready").exists());
    std::fs::remove_file(world.dir().join("ready")).unwrap();
    world.call(run).args(["-n", "--", "true"]).fails(124, "the only slot is in use by ");
    drop(theirs);
    let ours = holder(&world, &format!("{run} -w 60"));
    world.call(run).args(["-n", "--", "true"]).user(stranger).fails(124, "the only slot is in use by ");
    drop(ours);
}

#[test]
fn file_of_another_user_is_refused() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    world.call("sem create ./s --slots 1 -q").user(stranger).ok();
    // Root may write to it, and does not without --foreign.
    let hint = "\nhint: add --foreign; create the file with -m 666, or run all callers as one user\n";
    for (line, status) in [("sem run ./s -- true", 125), ("sem create ./s --slots 1", 5), ("sem hold ./s 1", 5)] {
        world.call(line).fails(status, "already exists and is owned by uid 54321");
        world.call(line).fails(status, hint);
    }
    world.call("sem run ./s --foreign -- true").ok();
    world.call("sem create ./t --slots 1 -q").ok();
    let words = "no write permission; owned by root, mode 0600 (EACCES)";
    world.call("sem run ./t -- true").user(stranger).fails(125, words);
    world.call("sem create ./t --slots 1").user(stranger).fails(5, words);
}
