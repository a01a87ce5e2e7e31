//! POSIX semaphores whose file another process has corrupted: each is refused, and none crashes a caller.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, symlink};

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::World;

const NONE: &str = "the file is not a POSIX semaphore (E";

fn file(name: &str) -> String {
    format!("/dev/shm/sem.{}", &name[1..])
}

/// Checks that every verb refuses it, stat does not list it, and rm removes it.
fn is_refused(world: &World, name: &str, what: &str) {
    for verb in ["post", "wait", "wait -n", "wait -w 5", "get", "stat", "stat --waiters"] {
        println!("{what}: {verb}");
        world.call(&format!("sem {verb}")).arg(name).fails(3, NONE);
    }
    let listed = world.call("sem stat").ok();
    assert!(!listed.contains(name), "{what}: {listed}");
    world.call("ipcs-lite --posix --sem").ok();
    world.call("sem create --value 1").arg(name).fails(3, NONE);
    world.call("sem rm").arg(name).ok();
    world.call("sem get").arg(name).fails(3, "no such semaphore (ENOENT)");
}

#[test]
fn corrupt_bytes_are_refused() {
    let world = World::new();
    let name = world.posix("a");
    // The futex mode, a private futex, and a value above the maximum.
    let spoils: &[(u64, &[u8])] =
        &[(8, &[0xff; 4]), (8, &[0; 4]), (8, &[1, 0, 0, 0]), (11, &[0x80]), (3, &[0x80]), (0, &[0xff; 32])];
    for (at, bytes) in spoils {
        world.call("sem create --value 1").arg(&name).ok();
        let spoiled = OpenOptions::new().write(true).open(file(&name)).unwrap();
        spoiled.write_all_at(bytes, *at).unwrap();
        is_refused(&world, &name, &format!("{bytes:?} at {at}"));
    }
    // Padding and the number of waiters do not matter.
    world.call("sem create --value 1").arg(&name).ok();
    let padded = OpenOptions::new().write(true).open(file(&name)).unwrap();
    padded.write_all_at(&[0xff; 20], 12).unwrap();
    padded.write_all_at(&[0xff; 4], 4).unwrap();
    for verb in ["wait", "post", "wait -n"] {
        world.call(&format!("sem {verb}")).arg(&name).ok();
    }
    world.call("sem wait -n").arg(&name).fails(124, "the value is 0, but at least 1 is needed");
}

#[test]
fn wrong_sizes_and_kinds_of_file_are_refused() {
    let world = World::new();
    let name = world.posix("a");
    for len in [0, 1, 8, 31, 33, 4096] {
        fs::write(file(&name), vec![0; len]).unwrap();
        is_refused(&world, &name, &format!("{len} bytes"));
        world.call("sem create").arg(&name).ok();
        let sized = OpenOptions::new().write(true).open(file(&name)).unwrap();
        sized.set_len(len as u64).unwrap();
        is_refused(&world, &name, &format!("cut to {len} bytes"));
    }
    mkfifo(file(&name).as_str(), Mode::S_IRWXU).unwrap();
    is_refused(&world, &name, "a FIFO");
    symlink("/dev/zero", file(&name)).unwrap();
    is_refused(&world, &name, "a link");
}

#[test]
fn directory_is_refused() {
    let world = World::new();
    let name = world.posix("a");
    fs::create_dir(file(&name)).unwrap();
    for verb in ["post", "wait", "get", "stat", "create"] {
        world.call(&format!("sem {verb}")).arg(&name).fails(3, NONE);
    }
    let listed = world.call("sem stat").ok();
    fs::remove_dir(file(&name)).unwrap();
    assert!(!listed.contains(&name), "{listed}");
}

#[test]
fn waiter_survives_later_corruption() {
    let world = World::new();
    let name = world.posix("a");
    world.call("sem create").arg(&name).ok();
    let waiting = world.call("sem wait").arg(&name).start().blocked_in(libc::SYS_futex);
    let spoiled = OpenOptions::new().read(true).write(true).open(file(&name)).unwrap();
    spoiled.write_all_at(&[0xff; 4], 8).unwrap();
    // SAFETY: the kernel chooses the address, and the file is that long.
    #[allow(unsafe_code)]
    let first = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), 32, access, libc::MAP_SHARED, spoiled.as_raw_fd(), 0)
    };
    // A spurious wake-up: it sleeps again.
    let state = || fs::read_to_string(format!("/proc/{}/status", waiting.pid())).unwrap();
    let switches = |status: &str| {
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt"));
        line.unwrap().split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = switches(&state());
    // SAFETY: the first is mapped.
    #[allow(unsafe_code)]
    let woken = unsafe { libc::syscall(libc::SYS_futex, first, libc::FUTEX_WAKE, 9) };
    assert_eq!(woken, 1);
    crate::support::eventually("it slept again", || switches(&state()) > before);
    let waiting = waiting.blocked_in(libc::SYS_futex);
    spoiled.write_all_at(&[0x80, 0, 0, 0], 8).unwrap();
    world.call("sem post").arg(&name).ok();
    assert_eq!(waiting.code(), 0);
    world.call("sem stat --columns value,waiters --no-header").arg(&name).stdout("0  0\n").ok();
}

#[test]
fn stopped_waiter_keeps_no_post_from_others() {
    let world = World::new();
    let name = world.posix("a");
    world.call("sem create").arg(&name).ok();
    let wait = || world.call("sem wait").arg(&name).start().blocked_in(libc::SYS_futex);
    let (first, second) = (wait(), wait());
    first.signal(Signal::SIGSTOP);
    world.call("sem post").arg(&name).ok();
    assert_eq!(second.code(), 0);
}
