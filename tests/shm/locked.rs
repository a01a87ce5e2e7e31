//! `--lock`: a reader never sees half a write, not even of a writer that was killed.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::{both, missing, rounds};
use crate::support::{BINARY, World};

const LEN: usize = 1 << 20;

/// Whether a text is one letter, again and again.
fn is_whole(text: &[u8]) -> bool {
    text.len() == LEN && text.iter().all(|byte| *byte == text[0])
}

fn shm(words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("shm").args(words);
    command
}

#[test]
fn eight_writers_and_eight_readers_under_kills_see_no_mix() {
    let world = World::new();
    let lock = world.name("lock");
    let time = Duration::from_secs(rounds(15, 3) as u64);
    for letter in "abcdefgh".chars() {
        world.file(&letter.to_string(), &letter.to_string().repeat(LEN));
    }
    for name in both(&world, "a") {
        world.call("shm write --create --lock").args([&lock, &name]).input("a".repeat(LEN)).ok();
        let (over, writes, kills) =
            (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for (n, letter) in "abcdefgh".chars().enumerate() {
                let path = world.dir().join(letter.to_string());
                let (over, name, lock) = (&over, &name, &lock);
                let (writes, kills) = (&writes, &kills);
                scope.spawn(move || {
                    let mut delay = 977 * (n as u64 + 1);
                    while !over.load(Ordering::Relaxed) {
                        let input = std::fs::File::open(&path).unwrap();
                        let mut command = shm(&["write", name, "--lock", lock]);
                        let mut child = command.stdin(input).spawn().unwrap();
                        // The moment is anywhere in its life, or after it.
                        delay = delay.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let moment = Instant::now() + Duration::from_micros((delay >> 33) % 20_000);
                        while Instant::now() < moment && child.try_wait().unwrap().is_none() {
                            std::thread::yield_now();
                        }
                        let _ = child.kill();
                        let ended = if child.wait().unwrap().success() { writes } else { kills };
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                });
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let read = shm(&["read", name, "--lock", lock]).output().unwrap();
                        assert!(read.status.success(), "{read:?}");
                        assert!(is_whole(&read.stdout), "a mix of {} bytes", read.stdout.len());
                    }
                });
            }
            std::thread::sleep(time);
            over.store(true, Ordering::Relaxed);
        });
        assert!(writes.load(Ordering::Relaxed) > 0 && kills.load(Ordering::Relaxed) > 0);
        // The next writer finds nothing in its way, and leaves nothing but the object.
        world.call("shm write --lock").args([&lock, &name]).input("z".repeat(LEN)).ok();
        assert!(is_whole(&world.call("shm read").arg(&name).output().stdout));
        if world.is_own() {
            let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap().lines().count();
            assert_eq!(segments, if name.starts_with('/') { 1 } else { 2 });
            world.call("shm rm --missing-ok").arg(world.name("a")).ok();
        }
    }
}

#[test]
fn a_write_that_was_killed_in_the_middle_is_whole() {
    let world = World::new();
    let (name, lock) = (world.posix("a"), world.name("lock"));
    let all = |letter: &str| letter.repeat(LEN);
    world.call("shm write --create").arg(&name).input(all("a")).ok();
    world.file("b", &all("b"));
    // The kernel ends it where it would write beyond the limit of a file's size, in the middle of the copy.
    let script =
        format!("ulimit -c 0; ulimit -f 1024; exec ipcbox shm write {name} --lock {lock} <b");
    assert_eq!(world.shell(&script).start().code(), 128 + Signal::SIGXFSZ as i32);
    let half = world.call("shm read").arg(&name).ok();
    assert_eq!(half, "b".repeat(LEN / 2) + &"a".repeat(LEN / 2));
    // Whoever has the lock sees it whole, again and again, and in part.
    let read = || world.call("shm read --lock").args([&lock, &name]);
    for _ in 0..2 {
        assert!(read().ok() == all("b"));
    }
    read().args(["--offset", "1048570", "--length", "3"]).stdout("bbb").ok();
    // The next writer completes it.
    world.call("shm write --lock").args([&lock, &name, "c"]).ok();
    assert!(world.call("shm read").arg(&name).ok() == "c".to_owned() + &"b".repeat(LEN - 1));
    if world.is_own() {
        let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap().lines().count();
        assert_eq!(segments, 1, "a journal stayed");
    }
}

#[test]
fn what_a_stranger_puts_there_is_not_believed() {
    let world = World::new();
    let Some(stranger) = world.stranger() else {
        missing("right to be somebody else", true);
        return;
    };
    let (name, lock) = (world.posix("a"), world.name("lock"));
    world
        .call("shm write --create -m 0666 --lock")
        .args([&lock, &name])
        .input("a".repeat(LEN))
        .ok();
    world.file("b", &"b".repeat(LEN));
    let script =
        format!("ulimit -c 0; ulimit -f 1024; exec ipcbox shm write {name} --lock {lock} <b");
    // May write: believed, although it is another user's, who alone can remove what is left.
    world.shell(&script).user(stranger).start().code();
    assert!(world.call("shm read --lock").args([&lock, &name]).ok() == "b".repeat(LEN));
    // May no longer write: not believed.
    world.call("shm set -m 0644").arg(&name).ok();
    let read = world.call("shm read --lock").args([&lock, &name]).ok();
    assert!(read == "b".repeat(LEN / 2) + &"a".repeat(LEN / 2));
    // Neither is in the way of the next writer.
    world.call("shm write --lock").args([&lock, &name]).input("c".repeat(LEN)).ok();
    assert!(world.call("shm read --lock").args([&lock, &name]).ok() == "c".repeat(LEN));
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let world = World::new();
    let lock = world.name("lock");
    for name in both(&world, "a") {
        world.call("shm write --create").args([&name, "old"]).ok();
        let shared = world.call("sem lock -s").args([&lock, "--", "sleep", "1000"]).start();
        let shared = shared.became("sleep");
        world.call("shm read -n --lock").args([&lock, &name]).stdout("old").ok();
        let words = "cannot lock ";
        world.call("shm write -n --lock").args([&lock, &name, "new"]).fails(124, words);
        world.call("shm write -w 0.05 -E 0 --lock").args([&lock, &name, "new"]).ok();
        let writer = world.call("shm write --lock").args([&lock, &name, "new"]).start();
        let writer = writer.blocked_in(libc::SYS_semtimedop);
        // Who comes after a writer that waits does not overtake it.
        world.call("shm read -n --lock").args([&lock, &name]).fails(124, "not unlocked at once");
        shared.signal(Signal::SIGKILL);
        assert_eq!(writer.code(), 0);
        world.call("shm read --lock").args([&lock, &name]).stdout("new").ok();
        drop(shared);
    }
}

#[test]
fn a_slow_stream_and_a_slow_reader_hold_no_lock() {
    let world = World::new();
    let (name, lock) = (world.name("a"), world.name("lock"));
    world.call("shm write --create").arg(&name).input("a".repeat(LEN)).ok();
    let mut command = shm(&["write", &name, "--lock", &lock]);
    let mut writer = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut command = shm(&["read", &name, "--lock", &lock]);
    let reader = command.stdout(Stdio::piped()).spawn().unwrap();
    crate::support::eventually("the reader blocks", || {
        let call = std::fs::read_to_string(format!("/proc/{}/syscall", reader.id()));
        call.is_ok_and(|line| line.starts_with(&format!("{} ", libc::SYS_write)))
    });
    world.call("shm write -n --lock").args([&lock, &name]).input("b".repeat(LEN)).ok();
    assert!(is_whole(&reader.wait_with_output().unwrap().stdout));
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
}

#[test]
fn for_what_cannot_be_no_lock_is_made() {
    let world = World::new();
    for call in ["shm read private --lock @l", "shm write private x --create --lock @l"] {
        world.call(call).fails(2, "found by its id");
        world.call("sem get @l").fails(3, "no such semaphore set");
    }
}

#[test]
fn what_is_no_lock_is_refused() {
    let world = World::new();
    world.call("shm write @a x --create").ok();
    world.call("sem create @s").ok();
    world.call("shm read @a --lock @s").fails(4, "a plain semaphore, not a lock");
    world.call("shm read @a --lock /@s").fails(2, "a POSIX semaphore is no lock");
    world.call("shm read @a --lock 999999999").fails(3, "cannot lock 999999999");
    world.call("shm read @none --lock @l").fails(3, "no such shared memory segment");
    world.call("shm write @none x --lock @l").fails(3, "no such shared memory segment");
    world.call("shm write @a xyz --lock @l").fails(1, "beyond its 1 byte\n");
    world.call("shm write @a --lock @l").input("xyz").fails(1, "beyond its 1 byte\n");
    world.call("shm write @b --lock @l --create -m 0640").input("xyz").ok();
    world.call("shm read @b --lock @l").stdout("xyz").ok();
    world.call("shm write @b --lock @l --clear x").ok();
    world.call("shm read @b --lock @l").stdout("x\0\0").ok();
    world.call("shm read @b --lock @l --text").stdout("x").ok();
}
