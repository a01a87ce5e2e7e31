//! `fifo write`.

use std::fs;

use nix::libc;
use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{Call, eventually, holds};

#[test]
fn texts_are_lines_else_input_is_copied() {
    let world = world();
    let script = |words: &str| world.shell(&format!("fifo read f & {words}; wait"));
    script("fifo write f one 'two words' ''").stdout("one\ntwo words\n\n").ok();
    script("fifo write f -- -x --").stdout("-x\n--\n").ok();
    script("fifo write f --lines 'a\nb'").stdout("a\nb\n").ok();
    script("printf 'a\\n\\nb' | fifo write f").stdout("a\n\nb").ok();
    script("printf 'a\\n\\nb' | fifo write f --lines").stdout("a\n\nb\n").ok();
    // An empty input still opens and closes the FIFO.
    script("fifo write f < /dev/null").stdout("").ok();
    script("fifo write f --lines < /dev/null").stdout("").ok();
    script("fifo write f --create 1").stdout("1\n").ok();
    let script = "(fifo write g --create -m 640 x &); until [ -p g ]; do :; done
        stat -c %a g; fifo read g";
    world.shell(script).stdout("640\nx\n").ok();
}

#[test]
fn bytes_pass_from_any_standard_input() {
    let world = world();
    let all: Vec<u8> = (0..=255).cycle().take(300_001).collect();
    fs::write(world.dir().join("in"), &all).unwrap();
    for (from, before) in [("< in", ""), ("< pipe", "mkfifo pipe; cat in > pipe &"), ("<> in", "")] {
        world.shell(&format!("{before} cat f > out & fifo write f {from}; wait")).ok();
        assert!(fs::read(world.dir().join("out")).unwrap() == all, "{from}");
    }
    // Not every file supports splice(2).
    let cmdline = world.shell("fifo read f & fifo write f < /proc/self/status; wait").ok();
    assert!(cmdline.contains("Name:\tsh"), "{cmdline}");
    world
        .shell("fifo read f & fifo write f < . && exit 9; wait")
        .stderr("fifo: cannot write to f: cannot read standard input: is a directory (EISDIR)\n")
        .ok();
    world
        .shell("fifo read f & fifo write f <&- && exit 9; wait")
        .stderr("fifo: cannot write to f: cannot read standard input: bad file descriptor (EBADF)\n")
        .ok();
}

#[test]
fn too_long_line_is_refused() {
    let world = world();
    let fits = "x".repeat(4095);
    let long = "x".repeat(4096);
    let words = "line 2 has 4097 bytes including the newline; --lines allows at most 4096";
    // A long TEXT is refused before anything is written or waited for.
    world.call("fifo write f --lines ok").arg(&long).fails(1, words);
    let input = |last: &str| {
        let read = world.call("fifo read f").start();
        let write = world.call("fifo write f --lines").input(format!("{fits}\n{last}")).output();
        let text = String::from_utf8(write.stderr).unwrap();
        (write.status.code().unwrap(), text, read.end().stdout.len())
    };
    assert_eq!(input(&fits), (0, String::new(), 8192));
    for (last, length) in [(long.clone(), 4097), (format!("{long}\nmore\n"), 4097), ("y".repeat(10 << 20), 10_485_761)]
    {
        let (code, text, read) = input(&last);
        let shown = format!("fifo: cannot write to f: line 2 has {length} bytes");
        assert!(text.starts_with(&shown), "{text}");
        assert_eq!((code, read), (1, 4096));
    }
    // Without --lines a line may have any length.
    let read = world.shell("fifo read f | wc -c").start();
    world.call("fifo write f").arg("x".repeat(100_000)).ok();
    assert_eq!(read.end().stdout, b"100001\n");
}

#[test]
fn lost_reader_is_status_3_with_bytes_read() {
    let world = world();
    let shown = |call: Call, input: Vec<u8>, bytes: usize| {
        let read = world.shell(&format!("exec dd if=f of=out bs={bytes} count=1 iflag=fullblock status=none"));
        let read = read.start();
        let output = call.input(input).output();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(read.code(), 0);
        String::from_utf8(output.stderr).unwrap()
    };
    let lines = "0123456789abcde\n".repeat(100_000).into_bytes();
    for call in ["fifo write f", "fifo write f --lines", "fifo write f -w 50"] {
        let text = shown(world.call(call), lines.clone(), 80_000);
        assert!(text.contains("the last reader closed the FIFO after 80000 bytes (EPIPE)"), "{text}");
    }
    // Bytes in the FIFO are lost, and counted.
    let held = hold(&world.dir().join("f"));
    let write = world.call("fifo write f").arg("x".repeat(100_000)).start();
    let write = write.blocked_in(libc::SYS_ppoll);
    drop(held);
    let output = write.end();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "fifo: cannot write to f: the last reader closed the FIFO after 0 bytes (EPIPE); \
         65536 more bytes were written but not read\n"
    );
    // From a file, when splice(2) waits, and as an argument.
    fs::write(world.dir().join("in"), &lines).unwrap();
    let read = world.shell("exec dd if=f of=out bs=4096 count=1 status=none").start();
    world.shell("fifo write f < in").fails(3, "the last reader closed the FIFO after 4096 bytes (EPIPE)");
    assert_eq!(read.code(), 0);
    let read = world.shell("exec dd if=f of=out bs=4096 count=1 status=none").start();
    world.call("fifo write f").arg("x".repeat(120_000)).fails(3, "(EPIPE)");
    assert_eq!(read.code(), 0);
}

#[test]
fn lost_reader_is_noticed_without_input() {
    let world = world();
    for options in ["", "--lines"] {
        let read = world.call("fifo read f").start().blocked_in(libc::SYS_ppoll);
        let script = format!("mkfifo in; exec 9<>in; fifo write f {options} < in || echo $?");
        let write = world.shell(&script).start();
        eventually("the writer has opened it", || {
            world.call("fifo stat f --columns writing --no-header").ok().contains(" open ")
        });
        read.signal(Signal::SIGKILL);
        let output = write.end();
        assert_eq!(output.stdout, b"3\n");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text, "fifo: cannot write to f: the last reader closed the FIFO after 0 bytes (EPIPE)\n");
        fs::remove_file(world.dir().join("in")).unwrap();
    }
}

#[test]
fn end_of_input_decides_after_the_reader_closed() {
    let world = world();
    // Descriptor 9 of the test's shell is the input, which it ends after the reader has read all and closed.
    let script = |options: &str, rest: &str| {
        format!(
            "rm -f in; mkfifo in; fifo write f {options} <in & exec 9>in; echo one >&9; fifo read f -c 1 || exit
             {rest} exec 9>&-; wait $!"
        )
    };
    for options in ["", "--lines"] {
        world.shell(&script(options, "")).stdout("one\n").ok();
        world
            .shell(&script(options, "echo two >&9;"))
            .fails(3, "the last reader closed the FIFO after 4 bytes (EPIPE)");
    }
    // Nothing was written, and nothing is lost.
    let closes = "kill -STOP $!; exec 9>&-; exec 8<&-; kill -CONT $!; wait $!";
    world.shell(&format!("rm in; mkfifo in; fifo write f <in & exec 9>in; exec 8<f; {closes}")).ok();
    // A regular file, of which the rest is looked at.
    let file = |lines: &str| format!("printf {lines} >two; fifo write f <two & fifo read f -c 2; wait $!");
    world.shell(&file("'1\\n2\\n'")).stdout("1\n2\n").ok();
}

#[test]
fn reader_of_all_lines_lets_the_writer_succeed() {
    let world = world();
    for (rounds, write) in [
        (100, "seq 2 | fifo write f"),
        (20, "seq 2 | fifo write f --lines"),
        (20, "fifo write f <two"),
        (20, "fifo write f 1 2"),
    ] {
        let round = format!("{write} & fifo read f -c 2 >out || exit; wait $! || exit");
        world.shell(&format!("seq 2 >two; for n in $(seq {rounds}); do {round}; done")).ok();
    }
}

#[test]
fn timeout_limits_a_full_fifo() {
    let world = world();
    // A reader that does not read.
    let _read = hold(&world.dir().join("f"));
    fs::write(world.dir().join("in"), vec![b'\n'; 200_000]).unwrap();
    for script in ["fifo write f -w 0.1 < in", "cat in | fifo write f -w 0.1", "fifo write f -w 0.1 --lines < in"] {
        let output = world.shell(script).output();
        assert_eq!(output.status.code(), Some(124), "{script}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("still no room after 100ms; "), "{text}");
        world.call("fifo read f -n").ok();
    }
    world.shell("fifo write f -n < in").fails(124, "cannot write to f: no room; 65536 bytes were written\n");
}

#[test]
fn reading_input_does_not_count_as_waiting() {
    let world = world();
    let script = "fifo read f > out & (sleep 3; seq 20000) | fifo write f -w 2; wait; wc -l < out";
    world.shell(script).stdout("20000\n").ok();
}

#[test]
fn readers_option_waits_for_n_readers() {
    let world = world();
    world.call("fifo write f x --readers 2 -n").fails(124, "no reader has opened it\n");
    world.call("fifo write f x --readers 2 -w 0.05").fails(124, "no reader has opened it within 50ms");
    // Two readers that are blocked in open(2), and one that already reads.
    let cats = [0, 1].map(|_| world.shell("exec cat f").start().became("cat").blocked_in(libc::SYS_openat));
    let write = world.call("fifo write f x --readers 3").start().blocked_in(libc::SYS_ppoll);
    eventually("both are let in", || {
        let reading = world.call("fifo stat f --columns reading --no-header").ok();
        reading.matches(" open ").count() == 2
    });
    world
        .call("fifo write f x --readers 4 -n")
        .fails(124, "cannot write to f: only 2 of 4 readers have the FIFO open\n");
    world
        .call("fifo write f y --readers 4 -w 0.1")
        .fails(124, "still only 2 of 4 readers have the FIFO open after 100ms");
    let read = world.call("fifo read f").start();
    assert_eq!(write.code(), 0);
    let mut all = read.end().stdout;
    for cat in cats {
        all.extend(cat.end().stdout);
    }
    assert_eq!(all, b"x\n");
    // A reader that has died does not count.
    let cat = world.shell("exec cat f").start().became("cat").blocked_in(libc::SYS_openat);
    let mut write = world.call("fifo write f x --readers 2").start().blocked_in(libc::SYS_ppoll);
    cat.signal(Signal::SIGKILL);
    assert_eq!(cat.code(), 137);
    let one = world.call("fifo read f").start();
    assert!(holds(|| write.runs()));
    let two = world.call("fifo read f").start();
    assert_eq!(write.code(), 0);
    assert_eq!([one.end().stdout, two.end().stdout].concat(), b"x\n");
    // A reader that inherits its descriptor causes no event.
    let script = "fifo write f x --readers 2 & write=$!; exec 7< f; sleep 100 & sleep=$!
        wait $write; kill $sleep; cat <&7";
    world.shell(script).stdout("x\n").ok();
    for n in ["0", "-1", "x"] {
        world.call("fifo write f x --readers").arg(n).fails(2, "expected a number");
    }
}

#[test]
fn unreadable_fifo_can_be_written_to() {
    let world = world();
    let Some(stranger) = world.stranger() else { return };
    nix::unistd::chown(&world.dir().join("f"), Some(stranger.into()), None).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    fs::set_permissions(world.dir().join("f"), mode(0o622)).unwrap();
    let other = stranger + 1;
    let read = world.call("fifo read f").user(stranger).start().blocked_in(libc::SYS_ppoll);
    world.call("fifo write f x").user(other).ok();
    assert_eq!(read.end().stdout, b"x\n");
    // It does not see readers of other users, but its timeout holds.
    let _read = world.call("fifo read f").user(stranger).start().blocked_in(libc::SYS_ppoll);
    world.call("fifo write f x --readers 2 -w 0.1").user(other).fails(124, "only 0 of 2 readers");
}
