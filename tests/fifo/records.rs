//! `fifo read --count`: exactly that many lines, to the byte.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::ChildStdout;

use nix::libc;
use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{Child, World, holds};

#[test]
fn rest_stays_for_the_next_reader() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    held.write_all(b"1\n2\n3\n4").unwrap();
    world.call("fifo read f -c 1").stdout("1\n").ok();
    world.call("fifo read f -c 1 --tag").stdout("f: 2\n").ok();
    world.call("fifo read f -c 9 -n").stdout("3\n").ok();
    // An incomplete line is not taken.
    world.call("fifo read f -c 1 -n").stdout("").fails(124, "cannot read f: no complete line\n");
    world.call("fifo read f -c 1 -w 0.05").fails(124, "still no complete line after 50ms");
    held.write_all(b"4\n").unwrap();
    world.call("fifo read f -c 1").stdout("44\n").ok();
    held.write_all(b"a\0b\nc\0").unwrap();
    world.call("fifo read f -0 -c 1").stdout("a\0").ok();
    world.call("fifo read f -c 1").stdout("b\n").ok();
    world.call("fifo read f -0 -c 1 --tag").stdout("f: c\0").ok();
    held.write_all(b"x\n").unwrap();
    world.call("fifo read f -c 3 -w 0.05").stdout("x\n").fails(124, "still only 1 of 3 lines received after 50ms");
    for count in ["0", "-1", "x", "1.5", "18446744073709551616"] {
        world.call("fifo read f -c").arg(count).fails(2, "expected a number of at least 1");
    }
    held.write_all(b"5\n6\n").unwrap();
    world.call("fifo read f --count 1").stdout("5\n").ok();
    world.call("fifo read f --records 1").stdout("6\n").ok();
}

#[test]
fn eof_completes_the_last_line() {
    let world = world();
    let script = "printf 'a\\nb' > f & fifo read f -c 5 > out; cat out; rm out; wait
        printf b > f & fifo read f -c 1; wait";
    world.shell(script).stdout("a\nbb").ok();
    // With --follow the count includes later writers.
    let script = "fifo read f --follow -c 3 & for n in 1 2 3; do echo $n > f; done; wait";
    world.shell(script).stdout("1\n2\n3\n").ok();
}

#[test]
fn line_longer_than_the_fifo_is_taken_whole() {
    let world = world();
    let script = "exec 8<>f
        (yes | head -c 20971520 | tr -d '\\n'; echo; echo next) >&8 &
        fifo read f -c 1 > long; fifo read f --tag -c 1; wc -lc < long";
    let output = world.shell(script).ok();
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(words, ["f:", "next", "1", "10485761"]);
}

#[test]
fn lines_are_found_during_a_long_write() {
    let world = world();
    // A blocked write that adds to a FIFO which is not empty causes no event.
    fs::write(world.dir().join("in"), "line\n".repeat(100_000)).unwrap();
    for _ in 0..5 {
        let script = "dd if=in of=f bs=500000 status=none & fifo read f -c 100000 | cksum; wait";
        let sum = world.shell("cksum < in").ok();
        world.shell(script).stdout(sum).ok();
    }
    let script = "exec 8<>f; dd if=in of=f bs=500000 count=1 status=none &
        for n in 1 2 3 4; do fifo read f -c 25000; done | cksum";
    let sum = world.shell("cksum < in").ok();
    world.shell(script).stdout(sum).ok();
}

#[test]
fn hundred_readers_get_each_line_once() {
    let world = world();
    let _held = hold(&world.dir().join("f"));
    let writer = world.shell("seq 100000 100699 | while read n; do echo $n $n; done > f").start();
    let mut got = String::new();
    for _ in 0..100 {
        got += &world.call("fifo read f -c 7").ok();
    }
    let all: Vec<String> = (100_000..100_700).map(|n| format!("{n} {n}")).collect();
    assert_eq!(got.lines().collect::<Vec<_>>(), all);
    assert_eq!(writer.code(), 0);
    world.call("fifo read f -n").fails(124, "no data");
}

#[test]
fn concurrent_readers_take_turns() {
    let world = world();
    let _held = hold(&world.dir().join("f"));
    let reader = |n: usize| {
        let options = ["", "--tag", "-w 50", "--follow"][n];
        let script = format!("i=0; while [ $i -lt 25 ]; do fifo read f -c 7 {options}; i=$((i + 1)); done > out{n}");
        world.shell(&script).start()
    };
    let readers: Vec<Child> = (0..4).map(reader).collect();
    let writer = world.shell("seq 700 > f").start();
    for reader in readers {
        assert_eq!(reader.code(), 0);
    }
    assert_eq!(writer.code(), 0);
    let mut all = Vec::new();
    for n in 0..4 {
        let text = fs::read_to_string(world.dir().join(format!("out{n}"))).unwrap();
        let got: Vec<u32> = text.lines().map(|line| line.trim_start_matches("f: ").parse().unwrap()).collect();
        for turn in got.chunks(7) {
            assert!(turn.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{turn:?}");
        }
        all.extend(got);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=700).collect::<Vec<_>>());
}

/// A reader of two lines that has taken the first one and is stopped, so that it keeps its lock.
fn in_its_turn(world: &World, held: &mut File) -> (Child, ChildStdout) {
    let mut first = world.call("fifo read f -c 2").start();
    held.write_all(b"1\n").unwrap();
    let mut output = first.output();
    output.read_exact(&mut [0; 2]).unwrap();
    (first.blocked_in(libc::SYS_ppoll).stopped(), output)
}

#[test]
fn turn_is_released_when_its_reader_dies() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    let (first, _output) = in_its_turn(&world, &mut held);
    world.call("fifo read f -c 1 -n").fails(124, "cannot read f: no data\n");
    held.write_all(b"2\n3\n").unwrap();
    world.call("fifo read f -c 1 -n").fails(124, "cannot read f: locked by another reader\n");
    world.call("fifo read f -c 1 -w 0.1").fails(124, "still locked by another reader after 100ms");
    for which in [Signal::SIGTERM, Signal::SIGINT] {
        let waiting = world.call("fifo read f -c 1").start().blocked_in(libc::SYS_flock);
        waiting.signal(which);
        assert_eq!(waiting.code(), 128 + which as i32);
    }
    let mut second = world.call("fifo read f -c 1").start().blocked_in(libc::SYS_flock);
    assert!(holds(|| second.runs()));
    first.signal(Signal::SIGKILL);
    assert_eq!(second.end().stdout, b"2\n");
    world.call("fifo read f -n").stdout("3\n").ok();
}

#[test]
fn waiting_reader_blocks_no_other() {
    let world = world();
    world.call("fifo create g").ok();
    let mut f = hold(&world.dir().join("f"));
    let mut g = hold(&world.dir().join("g"));
    let stopped = |call: &str, syscall| world.call(call).start().blocked_in(syscall).stopped();
    // Readers that wait for a first line, for the rest of a line, or for the lock of another reader.
    let mut waiting = vec![stopped("fifo read f -c 1", libc::SYS_ppoll)];
    waiting.push(stopped("fifo read g f -c 1 --tag", libc::SYS_ppoll));
    f.write_all(b"1").unwrap();
    waiting.push(stopped("fifo read f -c 1", libc::SYS_ppoll));
    f.write_all(b"\n").unwrap();
    world.call("fifo read f -c 1 -n").stdout("1\n").ok();
    let (first, _output) = in_its_turn(&world, &mut f);
    g.write_all(b"a\n").unwrap();
    f.write_all(b"2\n").unwrap();
    waiting.push(stopped("fifo read f g -c 1", libc::SYS_flock));
    world.call("fifo read g -c 1 -n").stdout("a\n").ok();
    first.signal(Signal::SIGCONT);
    assert_eq!(first.code(), 0);
    f.write_all(b"3\n4\n5\n6\n7\n").unwrap();
    world.call("fifo read f -c 1 -n").stdout("3\n").ok();
    // A reader whose output is full.
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(&vec![b'x'; 1 << 16]).unwrap();
    let reader = world.program("/bin/sh").args(["-c", "exec ipcbox fifo read f -c 1 >&8"]);
    waiting.push(reader.passing(&write, 8).start().blocked_in(libc::SYS_ppoll).stopped());
    world.call("fifo read f -c 1 -n").stdout("4\n").ok();
    drop((read, write));
    waiting.pop();
    for (reader, line) in waiting.into_iter().zip(["5\n", "f: 6\n", "7\n"]) {
        reader.signal(Signal::SIGCONT);
        assert_eq!(String::from_utf8(reader.end().stdout).unwrap(), line);
    }
}

#[test]
fn lines_of_several_fifos_count_together() {
    let world = World::new();
    world.call("fifo create f g").ok();
    let (mut f, mut g) = (hold(&world.dir().join("f")), hold(&world.dir().join("g")));
    f.write_all(b"f1\nf2\nf").unwrap();
    g.write_all(b"g1\ng2\ng").unwrap();
    let three = world.call("fifo read g f -c 3").ok();
    assert_eq!(three.lines().count(), 3);
    let rest = world.call("fifo read f g -c 3 -n").ok();
    assert_eq!(rest.lines().count(), 1);
    let mut all: Vec<&str> = three.lines().chain(rest.lines()).collect();
    all.sort_unstable();
    assert_eq!(all, ["f1", "f2", "g1", "g2"]);
    // Two readers that lock both FIFOs in different orders do not block each other.
    let one = world.call("fifo read f g -c 1").start();
    let two = world.call("fifo read g f -c 1").start();
    f.write_all(b"\n").unwrap();
    g.write_all(b"\n").unwrap();
    let mut got = [one.end().stdout, two.end().stdout];
    got.sort();
    assert_eq!(got, [b"f\n", b"g\n"]);
}
