//! A write that a killed `shm write --lock` left is never applied to another object with the same device and inode
//! number (POSIX) or the same id (segment).

use std::fs;
use std::sync::{Mutex, PoisonError};

use nix::libc;

use super::missing;
use crate::support::{World, eventually, lines};

const NEXT_ID: &str = "/proc/sys/kernel/shm_next_id";

/// The kernel gives the next mount the lowest free device number.
static MOUNTING: Mutex<()> = Mutex::new(());

/// Runs a script in a mount namespace of its own, if it may mount there.
pub fn mounting(world: &World, script: &str) -> Option<Vec<String>> {
    let namespaces = if world.is_own() { "-m" } else { "-Urmi" };
    let enter = |script: &str| world.shell("exec unshare \"$@\"").args(["sh", namespaces, "sh", "-euc", script]);
    if missing("strace", world.injected("none").is_none())
        || missing("mount namespace", !enter("mount -t tmpfs shm /dev/shm").output().status.success())
    {
        return None;
    }
    // `half` is killed at the ninth step of 64 KiB of a write of `b`s.
    let common = "
        new() { mount -t tmpfs shm /dev/shm; ipcbox shm write /a --create <\"$1\"; }
        kill_at() { inject=$1; shift; strace -o /dev/null -e inject=\"$inject\" \"$@\" || :; } 2>/dev/null
        half() { kill_at pwrite64:signal=KILL:when=9 ipcbox shm write /a --lock l <b; }
        again() {
            place=$(stat -c %d:%i /dev/shm/a); umount /dev/shm; new c
            [ \"$(stat -c %d:%i /dev/shm/a)\" = \"$place\" ]
        }
        remount() {
            for try in $(seq 1000); do
                umount /dev/shm; ipcrm --all=shm; new a; half
                ! again || return 0
            done
            echo 'no place came again' >&2; exit 1
        }
        look() { ipcbox shm read /a --lock l | tr -s 'a-z\\n'; echo; }
        segments() { echo $(($(wc -l </proc/sysvipc/shm) - 1)); }
        new a; half
    ";
    let _alone = MOUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    for letter in ["a", "b", "c"] {
        world.file(letter, &letter.repeat(1 << 20));
    }
    Some(lines(enter(&format!("{common}{script}")).ok().as_bytes()))
}

#[test]
fn remounted_object_is_not_written() {
    let world = World::new();
    let script = "look; segments; remount; look; printf d | ipcbox shm write /a --lock l; look; segments";
    if let Some(shown) = mounting(&world, script) {
        assert_eq!(shown, ["b", "1", "c", "dc", "0"]);
    }
}

#[test]
fn remounted_object_is_whole_after_kills() {
    let world = World::new();
    // The writer that finds the journal of the old object is killed at each system call on segments.
    let script = "
        for call in shmget shmat shmctl shmdt; do
            for nth in 1 2 3 4 5 6 7 8 9; do
                remount
                kill_at $call:signal=KILL:when=$nth ipcbox shm write /a --lock l <a
                look
            done
        done
    ";
    if let Some(shown) = mounting(&world, script) {
        assert!(shown.len() == 36 && shown.iter().all(|all| all == "a" || all == "c"), "{shown:?}");
    }
}

#[test]
fn remounted_object_is_known_by_birth_or_handle() {
    let world = World::new();
    let script = "
        remount
        for inject in statx:error=ENOSYS statx:error=EPERM name_to_handle_at:error=EPERM; do
            strace -o /dev/null -e inject=$inject ipcbox shm read /a --lock l | tr -s 'a-z\\n'; echo
        done
        stat -c %W /dev/shm/a
    ";
    if let Some(shown) = mounting(&world, script) {
        assert_eq!(shown[..2], ["c"; 2]);
        // A file without a time of birth has 0.
        if !missing("birth time in a tmpfs (Linux 5.18)", shown[3] == "0") {
            assert_eq!(shown[2], "c");
        }
    }
}

#[test]
fn rm_of_remounted_object_removes_old_journal() {
    let world = World::new();
    if let Some(shown) = mounting(&world, "remount; ipcbox shm rm /a; segments") {
        assert_eq!(shown, ["0"]);
    }
}

/// Returns the name and the id of a segment whose journal is complete: the writer was killed after copying it.
pub fn left(world: &World) -> Option<(String, String)> {
    let name = world.name("a");
    world.call("shm write @a old --create --lock @l").ok();
    let kill = world.injected("shmdt:signal=KILL:when=1")?;
    kill.args(["shm", "write", &name, "new", "--lock", &world.name("l")]).status(137);
    let id = world.call("shm stat @a --columns id --no-header").ok();
    Some((name, id.trim().to_owned()))
}

/// Whether the test may choose the id of the next segment.
fn can_choose(world: &World) -> bool {
    let can = world.is_own() && fs::OpenOptions::new().write(true).open(NEXT_ID).is_ok();
    !missing("right to choose an id", !can)
}

#[test]
fn segment_with_a_reused_id_is_not_written() {
    let world = World::new();
    if !can_choose(&world) {
        return;
    }
    let Some((_, id)) = left(&world) else { return };
    world.call("ipcrm -m").arg(&id).ok();
    fs::write(NEXT_ID, &id).unwrap();
    world.call("shm write @a abc --create").ok();
    world.call("shm stat @a --columns id --no-header").stdout(format!("{id}\n")).ok();
    world.call("shm read @a --lock @l").stdout("abc").ok();
    world.call("shm write @a A --lock @l").ok();
    world.call("shm read @a --lock @l").stdout("Abc").ok();
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    assert_eq!(segments.lines().count(), 2, "{segments}");
}

#[test]
fn segment_of_the_same_creator_is_not_written() {
    let world = World::new();
    if !can_choose(&world) {
        return;
    }
    // SAFETY: plain integers.
    #[allow(unsafe_code)]
    let create = || unsafe { libc::shmget(libc::IPC_PRIVATE, 3, 0o600) };
    let id = create().to_string();
    world.call("sem lock @l -- true").ok();
    let Some(kill) = world.injected("shmdt:signal=KILL:when=1") else { return };
    kill.args(["shm", "write", &id, "new", "--lock", &world.name("l")]).status(137);
    world.call("shm write").args([&id, "old"]).ok();
    world.call("shm read --lock @l").arg(&id).stdout("new").ok();
    let changed = || {
        let times = world.call("shm stat --json").ok();
        times
            .lines()
            .filter(|line| line.contains("\"sysv\""))
            .filter_map(|line| line.split("change_time\":\"").nth(1)?.get(..20).map(str::to_owned))
            .max()
    };
    let journal = changed().unwrap();
    world.call("ipcrm -m").arg(&id).ok();
    eventually("a second passes", || {
        fs::write(NEXT_ID, &id).unwrap();
        assert_eq!(create().to_string(), id);
        changed().unwrap() > journal || {
            world.call("ipcrm -m").arg(&id).ok();
            false
        }
    });
    world.call("shm read --lock @l").arg(&id).stdout("\0\0\0").ok();
}

#[test]
fn left_write_survives_new_permissions() {
    let world = World::new();
    let Some((name, _)) = left(&world) else { return };
    let read = || world.call("shm read @a --lock @l");
    for nth in 1..20 {
        world.call("shm write @a old").ok();
        let kill = world.injected(&format!("shmctl:signal=KILL:when={nth}")).unwrap();
        let mode = if nth % 2 == 0 { "600" } else { "640" };
        let set = kill.args(["shm", "set", &name, "-m", mode]).output().status;
        read().stdout("new").ok();
        if set.success() {
            assert!(nth > 4);
            return;
        }
    }
    panic!("every call was killed");
}
