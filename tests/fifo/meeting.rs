//! Readers and writers in every order, with and without timeouts, and killed at every stage.

use std::fs;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{Child, World, eventually};

/// Options of a reader, and its status if there is no data.
const READERS: &[(&str, Option<i32>)] = &[
    ("", None),
    ("-w 0.3", Some(124)),
    ("-n", Some(124)),
    ("--follow", None),
    ("--follow -w 0.3", Some(124)),
    ("--follow -n", Some(124)),
    ("-c 2", None),
    ("-c 2 -w 0.3", Some(124)),
    ("--tag", None),
    ("--tag -w 0.3", Some(124)),
];

const WRITERS: &[(&str, Option<i32>)] = &[
    ("", None),
    ("-w 0.3", Some(124)),
    ("-n", Some(124)),
    ("--lines", None),
    ("--lines -w 0.3", Some(124)),
    ("--readers 2", None),
    ("--readers 2 -w 0.3", Some(124)),
    ("--readers 2 -n", Some(124)),
];

fn waits(options: &str) -> bool {
    !options.contains("-n")
}

fn reader(world: &World, options: &str) -> Child {
    world.call(&format!("fifo read f {options}")).start()
}

fn writer(world: &World, options: &str) -> Child {
    world.call(&format!("fifo write f one {options}")).start()
}

/// A plain writer, blocked in open(2).
fn plain_writer(world: &World) -> Child {
    let script = "exec dd if=in of=f status=none";
    world.file("in", "plain\n");
    world.shell(script).start().became("dd").blocked_in(libc::SYS_openat)
}

fn plain_reader(world: &World) -> Child {
    world.shell("exec cat f").start().became("cat").blocked_in(libc::SYS_openat)
}

/// The output without tags.
fn text(child: Child) -> (i32, String) {
    let output = child.end();
    let status = output.status.code().unwrap_or(-1);
    (status, String::from_utf8(output.stdout).unwrap().replace("f: ", ""))
}

#[test]
fn lone_side_waits_until_timeout_or_signal() {
    for (call, options, status) in
        READERS.iter().map(|(o, s)| ("read f", o, s)).chain(WRITERS.iter().map(|(o, s)| ("write f x", o, s)))
    {
        let world = world();
        let start = Instant::now();
        let child = world.call(&format!("fifo {call} {options}")).start();
        if let Some(status) = status {
            assert_eq!(child.code(), *status, "{call} {options}");
            let limit = Duration::from_millis(if waits(options) { 300 } else { 0 });
            assert!(start.elapsed() >= limit);
        } else {
            let blocks_in = if call == "read f" { libc::SYS_ppoll } else { libc::SYS_openat };
            let child = child.blocked_in(blocks_in);
            child.signal(Signal::SIGTERM);
            assert_eq!(child.code(), 143, "{call} {options}");
        }
    }
}

#[test]
fn early_writer_is_read() {
    for (options, _) in READERS.iter().filter(|(options, _)| waits(options)) {
        let world = world();
        let writer = plain_writer(&world);
        let limit = if options.contains("--follow") { "2" } else { "50" };
        let reader = reader(&world, &options.replace("0.3", limit));
        assert_eq!(writer.code(), 0, "{options}");
        let late = options.contains("-w") && options.contains("--follow");
        if options.contains("--follow") && !late {
            eventually("it is read", || world.call("fifo stat f --columns bytes --no-header").ok() == "0\n");
            let reader = reader.blocked_in(libc::SYS_ppoll);
            reader.signal(Signal::SIGTERM);
            assert_eq!(text(reader), (-1, "plain\n".into()), "{options}");
        } else {
            let status = if late { 124 } else { 0 };
            assert_eq!(text(reader), (status, "plain\n".into()), "{options}");
        }
    }
}

#[test]
fn early_reader_is_written_to() {
    for (options, _) in WRITERS.iter().filter(|(options, _)| !options.contains("--readers")) {
        for is_plain in [true, false] {
            let world = world();
            let reader = if is_plain { plain_reader(&world) } else { reader(&world, "").blocked_in(libc::SYS_ppoll) };
            assert_eq!(writer(&world, options).code(), 0, "{options}");
            assert_eq!(text(reader), (0, "one\n".into()), "{options}");
        }
    }
}

#[test]
fn early_writer_waits_for_the_reader() {
    for (options, _) in WRITERS.iter().filter(|(options, _)| waits(options)) {
        let world = world();
        let options = options.replace("0.3", "50");
        let writer = writer(&world, &options).blocked_in(libc::SYS_openat);
        let readers = if options.contains("--readers") { 2 } else { 1 };
        let readers: Vec<Child> = (0..readers).map(|_| reader(&world, "")).collect();
        assert_eq!(writer.code(), 0, "{options}");
        let all: String = readers.into_iter().map(|reader| text(reader).1).collect();
        assert_eq!(all, "one\n", "{options}");
    }
}

#[test]
fn present_data_is_read() {
    for (options, _) in READERS {
        let world = world();
        let held = hold(&world.dir().join("f"));
        fs::write(world.dir().join("f"), "a\nb\n").unwrap();
        let reader = reader(&world, options);
        let (expected, ends) = match *options {
            "-n" | "--follow -n" | "-c 2" | "-c 2 -w 0.3" => (0, true),
            "-w 0.3" | "--tag -w 0.3" | "--follow -w 0.3" => (124, true),
            _ => (-1, false),
        };
        if !ends {
            let reader = reader.blocked_in(if *options == "--tag" { libc::SYS_ppoll } else { libc::SYS_splice });
            eventually("all is read", || unread(&held) == 0);
            reader.signal(Signal::SIGTERM);
            assert_eq!(text(reader), (-1, "a\nb\n".into()), "{options}");
            continue;
        }
        assert_eq!(text(reader), (expected, "a\nb\n".into()), "{options}");
    }
}

fn unread(fifo: &fs::File) -> usize {
    ipcbox::sys::pipe::unread(fifo).unwrap()
}

#[test]
fn writer_that_dies_is_eof() {
    // One writer dies blocked in open(2), another one after it.
    for (options, _) in READERS.iter().filter(|(options, _)| waits(options) && !options.contains("--follow")) {
        let world = world();
        plain_writer(&world).signal(Signal::SIGKILL);
        let reader = reader(&world, &options.replace("0.3", "50")).blocked_in(libc::SYS_ppoll);
        // The first one never opened it. Now another one opens it and dies.
        let writer = world.shell("exec sleep 100 > f").start().became("sleep");
        writer.signal(Signal::SIGKILL);
        assert_eq!(text(reader), (0, String::new()), "{options}");
    }
}

#[test]
fn data_of_a_dead_writer_is_read() {
    for (options, _) in READERS.iter().filter(|(options, _)| !options.contains("--follow")) {
        let world = world();
        let script = "exec 8<>f; exec 9>f; exec 8>&-; printf 'whole\\npart' >&9; exec sleep 100";
        // Held open, so that the writer can write before there is a reader.
        let held = hold(&world.dir().join("f"));
        let writer = world.shell(script).start().became("sleep");
        let reader = reader(&world, &options.replace("0.3", "50"));
        if !waits(options) {
            assert_eq!(text(reader), (0, "whole\npart".into()), "{options}");
            continue;
        }
        // With --count the incomplete line stays.
        eventually("what is whole is read", || unread(&held) <= "part".len());
        drop(held);
        writer.signal(Signal::SIGKILL);
        let end = if options.starts_with("--tag") { "whole\npart\n" } else { "whole\npart" };
        assert_eq!(text(reader), (0, end.into()), "{options}");
    }
}

#[test]
fn writer_notices_a_dead_reader() {
    for (options, _) in WRITERS.iter().filter(|(options, _)| waits(options) && !options.contains("--readers")) {
        let world = world();
        let options = options.replace("0.3", "50");
        // A reader that dies before the writer starts: the next one is read from.
        let reader_one = reader(&world, "").blocked_in(libc::SYS_ppoll);
        reader_one.signal(Signal::SIGKILL);
        assert_eq!(reader_one.code(), 137);
        let writer_one = writer(&world, &options).blocked_in(libc::SYS_openat);
        let reader_two = reader(&world, "");
        assert_eq!((writer_one.code(), text(reader_two)), (0, (0, "one\n".into())), "{options}");
        // A reader that dies in the middle is reported.
        let script = format!("seq 100000 | fifo write f {options}");
        let writer_two = world.shell(&script).start();
        let reader_three = world.shell("exec dd if=f bs=1 count=1 of=out status=none").start();
        assert_eq!(reader_three.code(), 0);
        assert_eq!(writer_two.code(), 3, "{options}");
        // The writer exits without waiting for its data to be read.
        let reader_four = world.shell("exec 7<f; exec sleep 100").start();
        assert_eq!(writer(&world, &options).code(), 0, "{options}");
        drop(reader_four);
    }
}

#[test]
fn waiting_writer_that_dies_leaves_nothing() {
    for (options, _) in WRITERS.iter().filter(|(options, _)| waits(options)) {
        for which in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let world = world();
            let writer = writer(&world, &options.replace("0.3", "50")).blocked_in(libc::SYS_openat);
            writer.signal(which);
            assert_eq!(writer.code(), 128 + which as i32, "{options}");
            world.call("fifo read f -n").stdout("").fails(124, "cannot read f: no data\n");
        }
    }
}
