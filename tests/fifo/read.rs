//! `fifo read`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::{hold, world};
use crate::support::{World, eventually, holds};

#[test]
fn read_lasts_until_all_writers_close() {
    let world = world();
    let read = world.call("fifo read f").start().blocked_in(libc::SYS_ppoll);
    let one = fs::OpenOptions::new().write(true).open(world.dir().join("f")).unwrap();
    let mut two = fs::OpenOptions::new().write(true).open(world.dir().join("f")).unwrap();
    drop(one);
    two.write_all(b"two").unwrap();
    let mut read = read.blocked_in(libc::SYS_splice);
    assert!(holds(|| read.runs()));
    drop(two);
    let output = read.end();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"two"[..]));
}

#[test]
fn bytes_reach_any_standard_output() {
    let world = world();
    let all: Vec<u8> = (0..=255).cycle().take(300_001).collect();
    fs::write(world.dir().join("in"), &all).unwrap();
    for to in ["> out", ">> out", "| cat > out", "| dd of=out status=none"] {
        let _ = fs::remove_file(world.dir().join("out"));
        world.shell(&format!("cat in > f & fifo read f {to}")).ok();
        assert!(fs::read(world.dir().join("out")).unwrap() == all, "{to}");
    }
    // The file is appended to, not overwritten.
    world.shell("echo 1 > out; echo 2 > f & fifo read f >> out; wait; cat out").stdout("1\n2\n").ok();
}

#[test]
fn follow_stays_until_timeout_or_signal() {
    let world = world();
    let script = "fifo read f --follow -w 5 > out & read=$!
        for n in 1 2 3; do echo $n > f; done
        status=0; wait $read || status=$?; cat out; echo $status";
    let call = world.shell(script).stderr("fifo: cannot read f: still no data after 5s\n");
    call.stdout("1\n2\n3\n124\n").ok();
    world.call("fifo read f -f -w 0.05 -E 0").stderr("").ok();
    for which in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let read = world.call("fifo read f --follow --tag").start().blocked_in(libc::SYS_ppoll);
        fs::write(world.dir().join("f"), "a\nb").unwrap();
        let read = read.blocked_in(libc::SYS_ppoll);
        // Data that was read is delivered first.
        eventually("it has been read", || {
            let stat = world.call("fifo stat f --columns bytes --no-header").ok();
            stat.trim() == "0"
        });
        read.signal(which);
        let output = read.end();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "f: a\nf: b\n");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(which as i32));
    }
}

#[test]
fn data_restarts_the_timeout_of_follow() {
    let world = world();
    let script = "fifo read f --follow -w 5 > out & read=$!
        exec 8> f
        for n in 1 2 3 4; do echo $n >&8; sleep 1.5; done
        exec 8>&-; status=0; wait $read || status=$?; cat out; echo $status";
    let output = world.shell(script).output();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n2\n3\n4\n124\n");
}

#[test]
fn nonblock_takes_present_data() {
    let world = world();
    world.call("fifo read f -n").stdout("").fails(124, "cannot read f: no data\n");
    let mut held = hold(&world.dir().join("f"));
    world.call("fifo read f -n").stdout("").fails(124, "cannot read f: no data\n");
    held.write_all(b"a\nb").unwrap();
    world.call("fifo read f -n").stdout("a\nb").ok();
    held.write_all(b"a\nb").unwrap();
    world.call("fifo read f -n --tag --follow").stdout("f: a\nf: b\n").ok();
    world.call("fifo read f -n").fails(124, "cannot read f: no data\n");
}

#[test]
fn lines_of_several_fifos_do_not_mix() {
    let world = world();
    world.call("fifo create g").ok();
    // f has an incomplete line, and lines of g are written in between.
    let script = "fifo read f g --tag > out & read=$!
        exec 8>f 9>g; printf a1 >&8; echo b1 >&9
        until grep -q b1 out; do :; done
        echo a2 >&8; printf 'b2\\nb3' >&9; exec 9>&-
        until grep -q b3 out; do :; done
        printf a3 >&8; exec 8>&-; wait $read; sort out";
    world.shell(script).stdout("f: a1a2\nf: a3\ng: b1\ng: b2\ng: b3\n").ok();
    let script = "printf 'x\\0y' > f & printf 'z' > g & fifo read f g -0 > out; wait
        tr '\\0' '\\n' < out | sort";
    world.shell(script).stdout("x\ny\nz\n").ok();
    world.call("fifo read f f").fails(2, "given twice");
    world.call("fifo read f ./f").fails(2, "given twice");
}

/// Checked before the FIFO is opened, because that unblocks a writer.
#[test]
fn closed_output_takes_no_data() {
    let world = world();
    for closed in [">&-", "1</dev/null"] {
        let script = format!(
            "echo a >f & s=0; timeout 5 ipcbox fifo read f {closed} || s=$?; timeout 5 ipcbox fifo read f; exit $s"
        );
        world.shell(&script).stdout("a\n").fails(1, "cannot write to standard output: bad file descriptor (EBADF)");
    }
}

#[test]
fn timeout_names_an_incomplete_line() {
    let world = world();
    let part = "exec 8<>f; printf abc >f; exec ipcbox fifo read f -c 1 -w 50ms";
    world.shell(part).fails(124, "still no complete line after 50ms");
}

#[test]
fn full_output_stops_the_timer() {
    let world = world();
    let script = "head -c 2000000 /dev/zero >f & exec 8<>f; until [ $(ipcbox fifo stat f --columns bytes --no-header) != 0 ]; do :; done
        strace -o trace ipcbox fifo read f --follow -w 0.5 -E 0 8<&- | {
            exec 8<&-; until n=$(grep -cs SIGALRM trace); do :; done
            until sleep 0.5; m=$n; n=$(grep -c SIGALRM trace); [ $n = $m ]; do :; done
            cat | wc -c
        }
        wait";
    if crate::support::Call::new("strace").arg("true").output().status.success() {
        world.shell(script).stdout("2000000\n").ok();
    } else {
        crate::support::skip("no process may be traced here (strace)");
    }
}

#[test]
fn long_line_is_not_broken() {
    let world = world();
    world.call("fifo create g").ok();
    // 10 MiB without a newline beside many short lines.
    let script = "(yes | head -c 10485760 | tr -d '\\n' | tr y x; echo) > f &
        (i=0; while [ $i -lt 2000 ]; do echo short; i=$((i + 1)); done) > g &
        fifo read f g > out; wait
        grep -cx short out; grep -vx short out | wc -lc";
    let output = world.shell(script).ok();
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(words, ["2000", "1", "5242881"]);
}

#[test]
fn rm_removes_only_what_this_call_created() {
    let world = World::new();
    let f = world.dir().join("f");
    let start = |options: &str| {
        let call = format!("fifo read f --create --rm {options}");
        world.call(&call).start().blocked_in(libc::SYS_ppoll)
    };
    let read = start("");
    fs::write(&f, "x").unwrap();
    assert_eq!(read.code(), 0);
    assert!(!f.exists());
    for (which, follow) in [(Signal::SIGINT, ""), (Signal::SIGTERM, "--follow"), (Signal::SIGHUP, "-c 5")] {
        let read = start(follow);
        assert!(f.exists());
        read.signal(which);
        assert_eq!(read.code(), 128 + which as i32);
        assert!(!f.exists(), "{which}");
    }
    world.call("fifo read f --create --rm -w 0.05").fails(124, "no data");
    assert!(!f.exists());
    // After SIGPIPE too.
    let script = "fifo read f --create --rm | true & read=$!
        until [ -p f ]; do :; done; yes > f || :; wait $read; [ ! -e f ]";
    world.shell(script).stderr("").output();
    assert!(!f.exists());
    // An existing FIFO is kept, and so is a file that has replaced the new one.
    world.call("fifo create f").ok();
    world.call("fifo read f --create --rm -n").fails(124, "no data");
    assert!(f.exists());
    fs::remove_file(&f).unwrap();
    let read = start("");
    fs::rename(&f, world.dir().join("elsewhere")).unwrap();
    fs::write(&f, "mine").unwrap();
    read.signal(Signal::SIGTERM);
    assert_eq!(read.code(), 143);
    assert_eq!(fs::read_to_string(&f).unwrap(), "mine");
    world.call("fifo read g --rm").fails(2, "--rm needs --create\nhint: ipcbox fifo read --create g --rm\n");
}

#[test]
fn inherited_ignored_signal_has_no_effect() {
    let world = world();
    let script = "trap '' INT HUP; fifo read f --create --rm & read=$!
        sleep 0.1; kill -INT $read; kill -HUP $read; echo x > f; wait $read";
    world.shell(script).stdout("x\n").ok();
}

#[test]
fn unwritable_output_fails_or_kills() {
    let world = world();
    let full: OwnedFd = fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into();
    let writer = world.shell("echo x > f").start();
    let output = world.call("fifo read f").onto(full);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot write to standard output: no space left"), "{text}");
    drop(writer);
    let script = "yes > f & (fifo read f || echo $? >&2) | head -n1; wait || :";
    let output = world.shell(script).output();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "y\n");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("141\n") && !text.contains("fifo:"), "{text}");
    // With SIGPIPE ignored it is an error.
    let script = "trap '' PIPE; yes 2>/dev/null > f & (fifo read f --tag || echo $? >&2) | head -n1; wait || :";
    let text = String::from_utf8(world.shell(script).output().stderr).unwrap();
    assert!(text.contains("broken pipe (EPIPE)\n1\n"), "{text}");
    // A FIFO read into itself would never reach EOF.
    let held = hold(&world.dir().join("f"));
    let output = world.call("fifo read f").onto(held.try_clone().unwrap().into());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn nonblocking_output_is_waited_for() {
    let world = world();
    let text = "line\n".repeat(100_000);
    fs::write(world.dir().join("in"), &text).unwrap();
    for (options, tagged) in [("", false), ("--tag", true), ("-c 100000", false)] {
        let writer = world.shell("cat in > f").start();
        let (from, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        fcntl(&to, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let slow = std::thread::spawn(move || {
            let mut got = String::new();
            File::from(from).read_to_string(&mut got).unwrap();
            got
        });
        let output = world.call(&format!("fifo read f {options}")).onto(to);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(writer.code(), 0);
        let got = slow.join().unwrap();
        assert!(if tagged { got.replace("f: ", "") } else { got } == text, "{options}");
    }
}

/// A pipe whose content is read once it is full and `then` has been called with its write end.
fn filled(then: impl FnOnce(OwnedFd) + Send + 'static) -> (OwnedFd, std::thread::JoinHandle<Vec<u8>>) {
    let (from, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let copy = to.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let polled = |fd: &OwnedFd| {
            let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
            poll(&mut polled, PollTimeout::ZERO).unwrap() == 1
        };
        eventually("the pipe is full", || !polled(&copy));
        then(copy);
        let mut got = Vec::new();
        File::from(from).read_to_end(&mut got).unwrap();
        got
    });
    (to, reader)
}

fn zeros(reader: std::thread::JoinHandle<Vec<u8>>) -> usize {
    let (zeros, _): (Vec<u8>, Vec<u8>) = reader.join().unwrap().into_iter().partition(|byte| *byte == 0);
    zeros.len()
}

#[test]
fn output_turned_nonblocking_is_waited_for() {
    let world = world();
    let writer = world.shell("head -c 300000 /dev/zero > f").start();
    let (to, reader) = filled(|to| {
        fcntl(&to, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    });
    let output = world.call("fifo read f").onto(to);
    assert_eq!((output.status.code(), writer.code()), (Some(0), 0), "{output:?}");
    assert_eq!(reader.join().unwrap().len(), 300_000);
}

#[test]
fn full_output_is_not_silence() {
    let world = world();
    let mut held = hold(&world.dir().join("f"));
    for options in ["", "--tag -0"] {
        let writer = world.shell("head -c 300000 /dev/zero > f").start();
        let (to, reader) = filled(|_| assert!(holds(|| true)));
        let bytes = || world.call("fifo stat f --columns bytes --no-header").ok();
        eventually("something has come", || bytes().trim() != "0");
        let output = world.call(&format!("fifo read f --follow -w 100ms {options}")).onto(to);
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(shown, "fifo: cannot read f: still no data after 100ms\n", "{options}");
        assert_eq!((output.status.code(), writer.code()), (Some(124), 0));
        assert_eq!(zeros(reader), 300_000);
        // Without --follow the timeout limits everything, and no data is taken.
        let (_from, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        File::from(to.try_clone().unwrap()).write_all(&vec![0; 65536]).unwrap();
        held.write_all(b"x").unwrap();
        let output = world.call(&format!("fifo read f -w 50ms {options}")).onto(to);
        let shown = String::from_utf8(output.stderr).unwrap();
        let words = "fifo: cannot read f: still unable to write to standard output after 50ms\n";
        assert_eq!((output.status.code(), &*shown), (Some(124), words));
        world.call("fifo read f -n").stdout("x").ok();
    }
}

#[test]
fn signal_kills_a_read_onto_a_full_pipe() {
    let world = world();
    let _held = hold(&world.dir().join("f"));
    let fill = "mkfifo full; exec 3<>full; head -c 65536 /dev/zero >&3; echo a >f";
    let read = world.shell(&format!("{fill}; exec ipcbox fifo read f --tag >&3")).start();
    let read = read.blocked_in(libc::SYS_ppoll);
    read.signal(Signal::SIGTERM);
    assert_eq!(read.code(), 143);
    // No data was taken.
    world.call("fifo read f -n").stdout("a\n").ok();
}

#[test]
fn unopened_fifo_is_reported_at_once() {
    let world = world();
    let shown = "fifo: cannot read none: no such FIFO (ENOENT)\nhint: add --create to create the FIFO\n";
    let late = "fifo: cannot read f: no data\n";
    world.call("fifo read none f -n").stderr(format!("{shown}{late}")).status(3);
    let script = "exec ipcbox fifo read none f --follow 2>err";
    let read = world.shell(script).start();
    let err = world.dir().join("err");
    eventually("it is reported", || fs::read_to_string(&err).is_ok_and(|err| err == shown));
    read.signal(Signal::SIGTERM);
    assert_eq!(read.code(), 143);
    assert_eq!(fs::read_to_string(&err).unwrap(), shown);
}

#[test]
fn tag_is_the_exact_path() {
    let world = world();
    world
        .shell("f=$(printf 'f\\377'); mkfifo \"$f\"; echo a >\"$f\" & ipcbox fifo read --tag \"$f\" | od -An -tx1")
        .stdout(" 66 ff 3a 20 61 0a\n")
        .ok();
}
