//! `shm wait`.

use nix::libc;
use nix::sys::signal::Signal;

use super::{both, rounds};
use crate::support::{World, holds};

#[test]
fn wait_lasts_until_the_comparison_holds() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 8K").arg(&name).ok();
        for (until, start, other, value) in
            [("eq", "0", "1", "5"), ("ne", "5", "5", "6"), ("ge", "4", "3", "9"), ("le", "6", "7", "-9")]
        {
            world.call("shm set").arg(&name).arg(start).ok();
            let wait = world.call("shm wait --until").args([until, &name, "5"]).start();
            let mut wait = wait.blocked_in(libc::SYS_futex);
            world.call("shm set").arg(&name).arg(other).ok();
            assert!(holds(|| wait.runs()), "{until}");
            world.call("shm set").arg(&name).arg(value).ok();
            assert_eq!(wait.code(), 0, "{until}");
            world.call("shm wait -n --until").args([until, &name, "5"]).ok();
        }
    }
}

#[test]
fn every_change_of_a_word_wakes() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm create --size 8K").arg(&name).ok();
        for (offset, change) in [
            (0, vec!["set", "1"]),
            (0, vec!["add", "--by", "2"]),
            (0, vec!["cas", "3", "4"]),
            (12, vec!["set", "--bits", "64", "--offset", "8", "4294967296"]),
            (4092, vec!["write", "--offset", "4000", "--clear", &"x".repeat(93)]),
            (8, vec!["write", "--offset", "11", "x"]),
            (4100, vec!["write", "--offset", "4100", "--clear", "x"]),
            (8188, vec!["write", "--offset", "8000", "--clear", "y"]),
        ] {
            let offset = offset.to_string();
            world.call("shm set").args([&name, "--offset", "8188", "7"]).ok();
            let old = world.call("shm get --offset").args([&offset, &name]).ok();
            let wait = world.call("shm wait --until ne --offset");
            let wait = wait.args([&offset, &name, old.trim_end()]).start();
            let wait = wait.blocked_in(libc::SYS_futex);
            let mut words = change.into_iter();
            let verb = words.next().unwrap();
            world.call(&format!("shm {verb}")).arg(&name).args(words).ok();
            assert_eq!(wait.code(), 0, "{verb} at {offset}");
        }
        // A write that is truncated at the end of the object wakes too.
        world.call("shm set --offset 8188").args([&name, "7"]).ok();
        let wait = world.call("shm wait --offset 8188 --until ne").args([&name, "7"]).start();
        let wait = wait.blocked_in(libc::SYS_futex);
        let more = world.call("shm write --offset 8188").arg(&name).input("12345");
        more.fails(1, "input truncated after 4 bytes");
        assert_eq!(wait.code(), 0);
        // A longer write wakes no waiter.
        world.call("shm set").args([&name, "0"]).ok();
        let mut wait = world.call("shm wait --until ne").args([&name, "0"]).start().blocked_in(libc::SYS_futex);
        world.call("shm write").arg(&name).input(vec![1; 4097]).ok();
        assert!(holds(|| wait.runs()));
        world.call("shm write").arg(&name).input(vec![2; 4096]).ok();
        assert_eq!(wait.code(), 0);
    }
    let help = world.call("shm wait --help").ok();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("of more than 4 KiB does not wake waiters"), "{help}");
}

#[test]
fn timeout_names_the_value_and_signals_end_wait() {
    let world = World::new();
    for name in both(&world, "a") {
        let wait = |words: &str| world.call(&format!("shm wait {words}")).args([&name, "1"]);
        world.call("shm create --size 4K").arg(&name).ok();
        wait("-n").fails(124, ": the word is 0, not 1\n");
        wait("-w 0.05").fails(124, ": the word is 0 after 50ms, not 1\n");
        wait("-w 50ms -E 0").ok();
        wait("-w 0.05 --until ge").fails(124, ": the word is 0 after 50ms, expected at least 1\n");
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let waiter = wait("").start().blocked_in(libc::SYS_futex);
            waiter.signal(signal);
            assert_eq!(waiter.code(), 128 + signal as i32);
        }
        // A stop and continue neither ends it nor gives it more time.
        let waiter = wait("-w 60").start().blocked_in(libc::SYS_futex);
        waiter.signal(Signal::SIGSTOP);
        waiter.signal(Signal::SIGCONT);
        world.call("shm set").args([&name, "1"]).ok();
        assert_eq!(waiter.code(), 0);
        let waiter = world.call("shm wait -w 1").args([&name, "2"]).start();
        let waiter = waiter.blocked_in(libc::SYS_futex);
        waiter.signal(Signal::SIGSTOP);
        waiter.signal(Signal::SIGCONT);
        assert_eq!(waiter.code(), 124);
    }
}

#[test]
fn ping_pong_of_two_shells_loses_no_wake_up() {
    let world = World::new();
    let count = rounds(1000, 250);
    for name in both(&world, "a") {
        let script = format!(
            "ipcbox shm create {name} --size 4K >/dev/null
            play() {{
                n=$1
                while [ $n -lt {} ]; do
                    ipcbox shm wait {name} $n -w 60
                    ipcbox shm add {name} >/dev/null
                    n=$((n + 2))
                done
            }}
            play 1 & play 0; wait; ipcbox shm get {name}",
            2 * count
        );
        world.shell(&script).stdout(format!("{}\n", 2 * count)).ok();
    }
}

#[test]
fn object_that_shrinks_is_an_error_not_a_sigbus() {
    let world = World::new();
    let name = world.posix("a");
    let shrink = |size| {
        let file = std::fs::File::options().write(true).open(format!("/dev/shm{name}"));
        file.unwrap().set_len(size).unwrap();
    };
    world.call("shm create --size 8K").arg(&name).ok();
    // It reads the word once more at its deadline.
    let wait = world.call("shm wait -w 0.3 --offset 4096").args([&name, "1"]).start();
    let wait = wait.blocked_in(libc::SYS_futex);
    shrink(4096);
    let output = wait.end();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let why = "truncated by another process, or /dev/shm is full (SIGBUS)";
    assert_eq!(stderr, format!("shm: cannot wait for {name}: {why}\n"));
    // The kernel reads it when the wait continues after a stop.
    shrink(8192);
    let wait = world.call("shm wait --offset 4096").args([&name, "1"]).start();
    let wait = wait.blocked_in(libc::SYS_futex);
    wait.signal(Signal::SIGSTOP);
    shrink(4096);
    wait.signal(Signal::SIGCONT);
    let output = wait.end();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("truncated by another process"), "{stderr}");
}

#[test]
fn word_of_64_bits_cannot_be_waited_for() {
    let world = World::new();
    for name in both(&world, "a") {
        world.call("shm wait 1 --bits 64").fails(2, "");
        world.call("shm wait --bits 64").args([&name, "1"]).fails(2, "the kernel can wait only for 32-bit words");
    }
}

#[test]
fn changed_word_wakes_whatever_its_value() {
    let world = World::new();
    for name in both(&world, "c") {
        world.call("shm create --size 8").arg(&name).ok();
        for (from, to) in [("0", "5"), ("5", "0"), ("-2147483648", "7")] {
            world.call("shm set --offset 4").args([&name, from]).ok();
            let wait = world.call("shm wait --changed --offset 4").arg(&name).start();
            let mut wait = wait.blocked_in(libc::SYS_futex);
            // The same value, and another word, are no change.
            world.call("shm set --offset 4").args([&name, from]).ok();
            world.call("shm set").args([&name, to]).ok();
            assert!(holds(|| wait.runs()), "{from}");
            world.call("shm set --offset 4").args([&name, to]).ok();
            assert_eq!(wait.code(), 0, "{from}");
        }
        world.call("shm set --offset 4").args([&name, "7"]).ok();
        let late = world.call("shm wait --changed --offset 4 -w 0.01").arg(&name);
        late.fails(124, ": the word is still 7 after 10ms\n");
        world.call("shm wait -n --changed").arg(&name).fails(124, ": the word is still 7\n");
        world.call("shm wait --changed").args([&name, "7"]).fails(2, "cannot be used together");
        let both = world.call("shm wait --changed --until ge").arg(&name);
        both.fails(2, "cannot be used together");
        world.call("shm wait").arg(&name).fails(2, "VALUE or --changed is missing");
    }
}
