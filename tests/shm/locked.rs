//! `--lock`: a reader never sees half of a write, even if the writer was killed.

use std::ffi::CString;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use super::{both, missing, rounds};
use crate::support::{BINARY, Call, PATIENCE, World};

const LEN: usize = 1 << 20;

/// Whether a text is a single letter, repeated.
fn is_whole(text: &[u8]) -> bool {
    text.len() == LEN && text.iter().all(|byte| *byte == text[0])
}

fn shm(words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("shm").args(words);
    command
}

#[test]
fn killed_writers_show_no_mix_to_readers() {
    let world = World::new();
    let lock = world.name("lock");
    let events = rounds(1000, 100);
    for letter in "abcdefgh".chars() {
        world.file(&letter.to_string(), &letter.to_string().repeat(LEN));
    }
    for name in both(&world, "a") {
        world.call("shm write --create --lock").args([&lock, &name]).input("a".repeat(LEN)).ok();
        let (over, writes, kills) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for (n, letter) in "abcdefgh".chars().enumerate() {
                let path = world.dir().join(letter.to_string());
                let (over, name, lock) = (&over, &name, &lock);
                let (writes, kills) = (&writes, &kills);
                scope.spawn(move || {
                    let mut delay = 977 * (n as u64 + 1);
                    let mut span = 20_000;
                    while !over.load(Ordering::Relaxed) {
                        let input = std::fs::File::open(&path).unwrap();
                        let mut command = shm(&["write", name, "--lock", lock]);
                        let mut child = command.stdin(input).spawn().unwrap();
                        // The kill comes anywhere in its life or after it; the span follows the speed of the machine.
                        delay = delay.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let moment = Instant::now() + Duration::from_micros((delay >> 33) % span);
                        while Instant::now() < moment && child.try_wait().unwrap().is_none() {
                            std::thread::sleep(Duration::from_micros(100));
                        }
                        let _ = child.kill();
                        if child.wait().unwrap().success() {
                            writes.fetch_add(1, Ordering::Relaxed);
                            span -= span / 4;
                        } else {
                            kills.fetch_add(1, Ordering::Relaxed);
                            span += span / 4;
                        }
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
            let count = || writes.load(Ordering::Relaxed).min(kills.load(Ordering::Relaxed));
            let start = Instant::now();
            while count() < events && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(writes.into_inner() >= events && kills.into_inner() >= events);
        // The next write succeeds and leaves no journal.
        world.call("shm write --lock").args([&lock, &name]).input("z".repeat(LEN)).ok();
        assert!(is_whole(&world.call("shm read").arg(&name).output().stdout));
        world.call("shm rm").arg(&name).ok();
        assert_eq!(segments(&world), 0);
    }
}

#[test]
fn write_that_was_killed_halfway_is_whole() {
    let world = World::new();
    let (name, lock) = (world.posix("a"), world.name("lock"));
    let all = |letter: &str| letter.repeat(LEN);
    world.call("shm write --create").arg(&name).input(all("a")).ok();
    if !half_a_write(&world, &name, &lock, |call| call) {
        return;
    }
    // Every locked read sees it whole.
    let read = || world.call("shm read --lock").args([&lock, &name]);
    for _ in 0..2 {
        assert!(read().ok() == all("b"));
    }
    read().args(["--offset", "1048570", "--length", "3"]).stdout("bbb").ok();
    // The next writer completes it.
    world.call("shm write --lock").args([&lock, &name, "c"]).ok();
    assert!(world.call("shm read").arg(&name).ok() == "c".to_owned() + &"b".repeat(LEN - 1));
    assert_eq!(segments(&world), 0, "a journal stayed");
}

/// A group without members.
const GROUP: u32 = 54400;

/// Runs a call as this user, with this group and one supplementary group.
fn member(call: Call, uid: u32, gid: u32, further: u32) -> Call {
    call.before(move || {
        setgroups(&[Gid::from_raw(further)])?;
        setgid(Gid::from_raw(gid))?;
        Ok(setuid(Uid::from_raw(uid))?)
    })
}

/// Writes `b`s over the `a`s of a POSIX object and is killed halfway. Returns false without strace.
fn half_a_write(world: &World, name: &str, lock: &str, by: impl FnOnce(Call) -> Call) -> bool {
    world.file("b", &"b".repeat(LEN));
    if world.injected("none").is_none() {
        return false;
    }
    // At the ninth step of 64 KiB.
    let kill = "exec strace -D -o /dev/null -e inject=pwrite64:signal=KILL:when=9";
    let script = format!("{kill} ipcbox shm write {name} --foreign --lock {lock} <b");
    let killed = by(world.shell(&script)).start().code();
    assert_eq!(killed, 128 + Signal::SIGKILL as i32);
    let half = world.call("shm read").arg(name).ok();
    assert_eq!(half, "b".repeat(LEN / 2) + &"a".repeat(LEN / 2));
    true
}

/// Returns the number of segments, or 0 if the IPC namespace is not its own.
fn segments(world: &World) -> usize {
    let all = || std::fs::read_to_string("/proc/sysvipc/shm").unwrap().lines().count() - 1;
    if world.is_own() { all() } else { 0 }
}

#[test]
fn journal_of_a_user_without_write_is_ignored() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    let (name, lock) = (world.posix("a"), world.name("lock"));
    let mode = |mode: &str| world.call("shm set -m").args([mode, &name]).ok();
    let read = || world.call("shm read --lock").args([&lock, &name]);
    world.call("shm write --create --lock").args([&lock, &name]).input("a".repeat(LEN)).ok();
    world.call("sem set -m 0666").arg(&lock).ok();
    mode("0666");
    if !half_a_write(&world, &name, &lock, |call| call.user(stranger)) {
        return;
    }
    // The user may write to the object.
    assert!(read().ok() == "b".repeat(LEN));
    // The user may no longer write: the journal is ignored, with a warning.
    mode("0644");
    let warning = "shm: ignored an unfinished write by uid 54321, who lacks write permission\nhint: repeat shm write --lock as the owner of the object\n";
    assert!(read().stderr(warning).ok() == "b".repeat(LEN / 2) + &"a".repeat(LEN / 2));
    let own = || world.call("shm write --lock").args([&lock, &name]);
    own().stderr(warning).input("a".repeat(LEN)).ok();
    assert_eq!(segments(&world), 0, "a journal stayed");
    // The owner's journal is ignored too if a user may write to it who may not write to the object.
    mode("0666");
    if !half_a_write(&world, &name, &lock, |call| call) {
        return;
    }
    mode("0644");
    let warning = warning.replace("uid 54321", "root");
    own().stderr(warning).input("c".repeat(LEN)).ok();
    assert!(read().ok() == "c".repeat(LEN));
    assert_eq!(segments(&world), 0, "a journal stayed");
}

#[test]
fn every_writer_completes_a_killed_write() {
    let world = World::new();
    if world.stranger().is_none() {
        return;
    }
    let (name, lock) = (world.posix("a"), world.name("lock"));
    let owner = format!("0:{GROUP}");
    world.call("shm write --create -m 660 --lock").args([&lock, &name]).input("a".repeat(LEN)).ok();
    world.call("shm set --owner").args([&owner, &name]).ok();
    world.call("sem set -m 660 --owner").args([&owner, &lock]).ok();
    let read = || world.call("shm read --foreign --lock").args([&lock, &name]);
    let write = || world.call("shm write --foreign --lock").args([&lock, &name]);
    let [a, b] = [1, 2].map(|n| move |call| member(call, 54_300 + n, GROUP, GROUP));
    let further = |call| member(call, 54_303, 54_303, GROUP);

    for first in [true, false] {
        if !half_a_write(&world, &name, &lock, |call| if first { a(call) } else { call }) {
            return;
        }
        for whole in [read(), b(read()), further(read())] {
            assert!(whole.ok() == "b".repeat(LEN));
        }
        b(write().arg("xyz")).ok();
        a(write().args(["q", "--offset", "1000"])).ok();
        let text = format!("xyz{}q", "b".repeat(997));
        for all in [read(), a(read()), b(read())] {
            all.args(["--length", "1001"]).stdout(&text).ok();
        }
        // The owner's next write removes the journals of the others.
        write().input("a".repeat(LEN)).ok();
        assert_eq!(segments(&world), 0, "a journal stayed");
    }

    // The journal would get the process's own group, which does not show that the process may write.
    further(write().arg("xyz"))
        .fails(5, "a locked write needs the group of the object (54400), but the group of this process is 54303");
    assert!(read().ok() == "a".repeat(LEN));
    // If every user may write, the group does not matter.
    world.call("shm set -m 666").arg(&name).ok();
    further(write().arg("xyz")).ok();
    b(read()).args(["--length", "4"]).stdout("xyza").ok();
    assert_eq!(segments(&world), 0, "a journal stayed");
}

/// Sets an access control list by which the group reads and `user` writes. Returns whether the file system has them.
fn let_write(path: &str, user: u32) -> bool {
    const VERSION: u32 = 2;
    let (owner, named, group, mask, others) = (0x01, 0x02, 0x04, 0x10, 0x20);
    let none = u32::MAX;
    let mut list = VERSION.to_le_bytes().to_vec();
    let entries = [(owner, 6, none), (named, 6, user), (group, 4, none), (mask, 6, none), (others, 0, none)];
    for (tag, bits, id) in entries {
        list.extend(u16::to_le_bytes(tag));
        list.extend(u16::to_le_bytes(bits));
        list.extend(u32::to_le_bytes(id));
    }
    let (path, name) = (CString::new(path).unwrap(), c"system.posix_acl_access");
    // SAFETY: terminated strings, and a list of `list.len()` bytes.
    #[allow(unsafe_code)]
    let set = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), list.as_ptr().cast(), list.len(), 0) };
    set == 0
}

#[test]
fn group_with_read_only_acl_is_refused() {
    let world = World::new();
    if world.stranger().is_none() {
        return;
    }
    let (name, lock) = (world.posix("a"), world.name("lock"));
    world.call("shm write --create --lock").args([&lock, &name, "old"]).ok();
    world.call("sem set -m 666").arg(&lock).ok();
    world.call("shm set --owner").args([&format!("0:{GROUP}"), &name]).ok();
    if missing("access control list in /dev/shm", !let_write(&format!("/dev/shm{name}"), 54_301)) {
        return;
    }
    world.call("shm stat --no-header --columns mode").arg(&name).stdout("0660\n").ok();
    let write = || world.call("shm write --foreign").args([&name, "new"]);
    let own = "the owner and mode of the object do not allow a locked write by this user";
    for gid in [GROUP, 54_301] {
        let call = write().args(["--lock", &lock]);
        member(call, 54_301, gid, gid).fails(5, own);
    }
    member(write(), 54_302, GROUP, GROUP).fails(5, "(EACCES)");
    member(write(), 54_301, GROUP, GROUP).ok();
    world.call("shm write --lock").args([&lock, &name, "own"]).ok();
}

#[test]
fn journal_outlives_its_lock_but_not_its_object() {
    let world = World::new();
    let (name, lock) = (world.posix("a"), world.name("lock"));
    let other = world.name("other");
    let create = || world.call("shm write --create").arg(&name).input("a".repeat(LEN)).ok();
    create();
    if !half_a_write(&world, &name, &lock, |call| call) {
        return;
    }
    // The journal is not listed as orphaned: it belongs to the object.
    for filter in ["--orphaned", "--unused"] {
        let line = "ipcrm-lite --mine --dry-run --no-header --columns kind,family";
        let found = world.call(&format!("{line} {filter}")).output().stdout;
        let found = String::from_utf8(found).unwrap();
        let is_it = |line: &str| line.split_whitespace().eq(["shm", "sysv"]);
        assert!(!world.is_own() || !found.lines().any(is_it), "{filter}: {found}");
    }
    world.call("sem rm").arg(&lock).ok();
    for lock in [&lock, &other] {
        assert!(world.call("shm read --lock").args([lock, &name]).ok() == "b".repeat(LEN));
    }
    world.call("shm write --lock").args([&other, &name, "c"]).ok();
    assert!(world.call("shm read").arg(&name).ok() == "c".to_owned() + &"b".repeat(LEN - 1));
    assert_eq!(segments(&world), 0, "a journal stayed");
    create();
    if !half_a_write(&world, &name, &lock, |call| call) {
        return;
    }
    world.call("shm rm").arg(&name).ok();
    assert_eq!(segments(&world), 0, "a journal stayed");
}

#[test]
fn readers_share_the_lock_and_writer_excludes() {
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
        // A reader does not overtake a waiting writer.
        world
            .call("shm read -n --lock")
            .args([&lock, &name])
            .fails(124, "it is locked by one holder; an exclusive waiter comes first\n");
        shared.signal(Signal::SIGKILL);
        assert_eq!(writer.code(), 0);
        world.call("shm read --lock").args([&lock, &name]).stdout("new").ok();
        drop(shared);
    }
}

#[test]
fn slow_stream_and_slow_reader_hold_no_lock() {
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
fn private_target_creates_no_lock() {
    let world = World::new();
    for call in ["shm read private --lock @l", "shm write private x --create --lock @l"] {
        world.call(call).fails(2, "valid only with the verb create");
        world.call("sem get @l").fails(3, "no such semaphore set");
    }
}

#[test]
fn missing_object_creates_no_lock() {
    let world = World::new();
    for name in both(&world, "a") {
        for call in ["shm read", "shm write -n"] {
            world.call(call).args([&name, "--lock", &world.name("l")]).fails(3, "(ENOENT)");
            world.call("sem get @l").fails(3, "no such semaphore set");
        }
        world.call("shm write --create --lock @l").args([&name, "x"]).ok();
        world.call("sem rm @l").ok();
    }
}

#[test]
fn refused_object_creates_no_lock() {
    let world = World::new();
    let Some(stranger) = world.stranger() else { return };
    for name in both(&world, "a") {
        world.call("shm create --size 64 -m 644").arg(&name).ok();
        for create in ["", "--create"] {
            let call = world.call(&format!("shm write {create} --lock @l")).args([&name, "x"]);
            call.user(stranger).fails(5, "permission denied; owned by root (EACCES)");
            world.call("sem get @l").fails(3, "no such semaphore set");
        }
        let theirs = name.clone() + "-theirs";
        world.call("shm create --size 64 -m 666").arg(&theirs).user(stranger).ok();
        let call = world.call("shm write --create --lock @l").args([&theirs, "x"]);
        call.fails(5, "already exists and is owned by uid 54321");
        world.call("sem get @l").fails(3, "no such semaphore set");
        world.call("shm rm --force").arg(&theirs).ok();
    }
}

#[test]
fn removal_of_lock_ends_the_waiter() {
    let world = World::new();
    let lock = world.name("l");
    world.call("shm write @a x --create").ok();
    let holder = world.call("sem lock @l -- sleep 1000").start().became("sleep");
    let waiter = world.call("shm write @a y --lock @l").start();
    let waiter = waiter.blocked_in(libc::SYS_semtimedop);
    world.call("sem rm @l --force").ok();
    let output = waiter.end();
    drop(holder);
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let words = format!("cannot lock {lock}: removed by another process (EIDRM)\nhint: set RemoveIPC=no");
    assert!(stderr.contains(&words), "{stderr}");
}

#[test]
fn semaphore_that_is_no_lock_is_refused() {
    let world = World::new();
    world.call("shm write @a x --create").ok();
    world.call("sem create @s").ok();
    world.call("shm read @a --lock @s").fails(4, "a plain semaphore, not a lock");
    world.call("shm read @a --lock /@s").fails(2, "a POSIX semaphore cannot be a lock");
    world.call("shm read @a --lock 999999999").fails(3, "cannot lock 999999999");
    world.call("shm read @none --lock @l").fails(3, "no such shared memory segment");
    world.call("shm write @none x --lock @l").fails(3, "no such shared memory segment");
    world.call("shm write @a xyz --lock @l").fails(1, "beyond the end: the object has 1 byte\n");
    world.call("shm write @a --lock @l").input("xyz").fails(1, "beyond the end: the object has 1 byte\n");
    world.call("shm write @b --lock @l --create -m 0640").input("xyz").ok();
    world.call("shm read @b --lock @l").stdout("xyz").ok();
    world.call("shm write @b --lock @l --clear x").ok();
    world.call("shm read @b --lock @l").stdout("x\0\0").ok();
    world.call("shm read @b --lock @l --text").stdout("x").ok();
}
