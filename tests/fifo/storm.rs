//! Many writers at once, some killed at random times: every line that arrives is whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{Child, World, eventually};

const WRITERS: usize = 16;
const LINES: usize = 2000;

/// The `line`th line of a writer: both numbers, and letters computed from them; at most 4095 bytes.
fn line(writer: usize, line: usize) -> String {
    let head = format!("{writer} {line} ");
    let length = (writer * 7919 + line * 104_729) % (4096 - head.len());
    let letter = char::from(b'a' + u8::try_from((writer + line) % 26).unwrap());
    let mut text = head;
    text.extend(std::iter::repeat_n(letter, length));
    text
}

/// Checks that each line is whole. Returns the numbers of the lines of each writer, in their order.
fn check(text: &str) -> BTreeMap<usize, Vec<usize>> {
    let mut came: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    assert!(text.is_empty() || text.ends_with('\n'));
    for got in text.lines() {
        let mut words = got.splitn(3, ' ').map(str::parse);
        let (Some(Ok(writer)), Some(Ok(number))) = (words.next(), words.next()) else {
            panic!("not whole: {got:?}");
        };
        assert!(got == line(writer, number), "not whole: {got:?}");
        came.entry(writer).or_default().push(number);
    }
    came
}

fn input(world: &World, writer: usize) {
    let mut text = String::new();
    for number in 0..LINES {
        let _ = writeln!(text, "{}", line(writer, number));
    }
    fs::write(world.dir().join(format!("in{writer}")), text).unwrap();
}

fn start(world: &World, writer: usize) -> Child {
    world.shell(&format!("exec fifo write f --lines < in{writer}")).start()
}

#[test]
fn lines_of_sixteen_writers_stay_whole() {
    let world = world();
    let held = hold(&world.dir().join("f"));
    let reader = world.shell("exec fifo read f > out").start();
    let writers: Vec<Child> = (0..WRITERS)
        .map(|writer| {
            input(&world, writer);
            start(&world, writer)
        })
        .collect();
    for writer in writers {
        assert_eq!(writer.code(), 0);
    }
    drop(held);
    assert_eq!(reader.code(), 0);
    let came = check(&fs::read_to_string(world.dir().join("out")).unwrap());
    assert_eq!(came.len(), WRITERS);
    for numbers in came.values() {
        assert!(numbers.iter().copied().eq(0..LINES), "{} lines", numbers.len());
    }
}

#[test]
fn lines_stay_whole_if_writers_are_killed() {
    let world = world();
    let held = hold(&world.dir().join("f"));
    let reader = world.shell("exec fifo read f --tag > out").start();
    (0..WRITERS).for_each(|writer| input(&world, writer));
    let mut writers: Vec<Child> = (0..WRITERS).map(|writer| start(&world, writer)).collect();
    let mut killed = 0;
    let out = world.dir().join("out");
    for round in 1..=120_u64 {
        // How much arrives before the kill varies with the machine.
        let size = || fs::metadata(&out).map_or(0, |meta| meta.len());
        let before = size();
        eventually("more lines come", || size() > before + round % 7 * 10_000);
        let which = usize::try_from(round * 7 % 16).unwrap();
        let old = std::mem::replace(&mut writers[which], start(&world, which));
        old.signal(Signal::SIGKILL);
        killed += usize::from(old.code() == 137);
    }
    for writer in writers {
        writer.signal(Signal::SIGKILL);
        writer.code();
    }
    drop(held);
    assert_eq!(reader.code(), 0);
    let text = fs::read_to_string(out).unwrap();
    let came = check(&text.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.strip_prefix("f: ").expect("a tag"));
        text
    }));
    assert!(killed > 0 && came.len() > WRITERS / 2, "{killed} killed, {} writers", came.len());
}
