//! The waiting message: it names the holder after a second on a terminal, and at once if that is an ancestor.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;

use crate::support::{BINARY, Child, World, eventually, lines, signal};

/// A call whose standard error is a terminal.
struct OnTerminal {
    child: std::process::Child,
    terminal: File,
}

impl OnTerminal {
    fn start(world: &World, words: &str) -> Self {
        // No child of another test inherits it, so EOF comes when the call has exited.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let pty = posix_openpt(flags).expect("a pseudo-terminal");
        grantpt(&pty).and_then(|()| unlockpt(&pty)).expect("its other side");
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY);
        let slave = options.open(ptsname_r(&pty).expect("its name")).expect("its other side");
        let words = words.split_whitespace().map(|word| match word.split_once('@') {
            Some(("", rest)) => world.name(rest),
            Some(("/", rest)) => world.posix(rest),
            _ => word.to_owned(),
        });
        let mut command = Command::new(BINARY);
        let output = File::create(world.dir().join("out")).expect("a file");
        command.args(words).current_dir(world.dir()).env("NO_COLOR", "1").stdin(Stdio::null()).stdout(output);
        let child = command.stderr(Stdio::from(slave)).spawn().expect("it runs");
        Self { child, terminal: File::from(OwnedFd::from(pty)) }
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Returns the next line, which can come in pieces.
    fn line(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\n") {
            let mut byte = [0];
            self.terminal.read_exact(&mut byte).expect("a line");
            text.extend(byte);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until it exits, and returns the status and the rest of its output.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it exits");
        let mut text = Vec::new();
        // EIO is the EOF of a terminal that no process has open.
        let _ = self.terminal.read_to_end(&mut text);
        (status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn holder(world: &World, line: &str) -> Child {
    world.call(line).start().became("sleep")
}

/// A holder, and a call that waits for it.
const WAITS: [(&str, &str); 9] = [
    ("sem run @s --slots 1 -- sleep 100", "sem run @s -- true"),
    ("sem run @s --slots 2 --take 2 -- sleep 100", "sem run @s --slots 1 --resize -- true"),
    ("sem run @s --slots 1 -- sleep 100", "sem hold @s PID"),
    ("sem lock @s -- sleep 100", "sem lock @s -- true"),
    ("sem lock @s -- sleep 100", "sem lock @s --shared -- true"),
    ("sem lock @s --shared -- sleep 100", "sem lock @s -- true"),
    ("sem lock @s -- sleep 100", "sem hold @s PID --lock"),
    ("sem lock @s -- sleep 100", "shm read @o --text --lock @s"),
    ("sem lock @s --shared -- sleep 100", "shm write @o x --lock @s"),
];

/// Returns a world in which `holds` runs, and the line of a call that waits.
fn waiting(holds: &str, waits: &str) -> (World, Child, String) {
    let world = World::new();
    world.call("shm create @o --size 8").ok();
    let holder = holder(&world, holds);
    (world, holder, waits.replace("PID", &std::process::id().to_string()))
}

#[test]
fn wait_of_a_second_names_the_holder() {
    std::thread::scope(|scope| {
        for (holds, waits) in WAITS {
            scope.spawn(move || {
                let (world, holder, waits) = waiting(holds, waits);
                let start = Instant::now();
                let mut call = OnTerminal::start(&world, &waits);
                let name = world.name("s");
                let applet = waits.split(' ').next().unwrap();
                let line = format!("{applet}: waiting for {name}: held by {} (sleep)\r\n", holder.pid());
                assert_eq!(call.line(), line, "{waits}");
                assert!(start.elapsed() >= Duration::from_secs(1), "{waits}");
                drop(holder);
                // The message is printed once, and the wait continues.
                assert_eq!(call.end(), (Some(0), String::new()), "{waits}");
            });
        }
    });
}

/// A stopped process simulates one that gets no processor.
#[test]
fn short_wait_that_is_seen_late_prints_nothing() {
    std::thread::scope(|scope| {
        for (holds, waits) in WAITS {
            scope.spawn(move || {
                let (world, _holder, waits) = waiting(holds, waits);
                let (verb, rest) = waits.split_once(" @").unwrap();
                let line = format!("{verb} -w 0.9 -E 7 @{rest}");
                let start = Instant::now();
                let mut call = OnTerminal::start(&world, &line);
                eventually("it waits", || {
                    let has_ended = call.child.try_wait().unwrap().is_some();
                    let file = read_to_string(format!("/proc/{}/syscall", call.pid())).unwrap_or_default();
                    let calls = [libc::SYS_semtimedop, libc::SYS_ppoll];
                    has_ended || calls.iter().any(|number| file.starts_with(&format!("{number} ")))
                });
                signal(call.pid(), Signal::SIGSTOP);
                eventually("a message would be due", || start.elapsed() > Duration::from_millis(2500));
                signal(call.pid(), Signal::SIGCONT);
                let (status, text) = call.end();
                assert_eq!(status, Some(7), "{line}");
                assert!(!text.contains("waiting for") && text.lines().count() == 1, "{text}");
            });
        }
    });
}

#[test]
fn short_wait_and_quiet_wait_print_nothing() {
    std::thread::scope(|scope| {
        for (holds, waits) in WAITS {
            for options in ["-w 0.3", "-q -w 1.3", "-n", "--quiet --nonblock"] {
                scope.spawn(move || {
                    let (world, _holder, waits) = waiting(holds, waits);
                    let (verb, rest) = waits.split_once(" @").unwrap();
                    let line = format!("{verb} {options} -E 7 @{rest}");
                    let (status, text) = OnTerminal::start(&world, &line).end();
                    assert_eq!(status, Some(7), "{line}");
                    assert!(!text.contains("waiting for") && text.lines().count() == 1, "{text}");
                });
            }
            // Without a terminal there is no message.
            scope.spawn(move || {
                let (world, _holder, waits) = waiting(holds, waits);
                let (verb, rest) = waits.split_once(" @").unwrap();
                world.call(&format!("{verb} -w 1.3 -E 0 @{rest}")).stderr("").ok();
            });
        }
    });
}

#[test]
fn waiter_with_a_message_keeps_its_place() {
    let world = World::new();
    world.script("first", "#!/bin/sh\necho first >>order\n");
    let holder = holder(&world, "sem lock @s -- sleep 100");
    let mut first = OnTerminal::start(&world, "sem lock @s -- ./first");
    let blocked = |pid: i32| {
        let file = format!("/proc/{pid}/syscall");
        let call = format!("{} ", libc::SYS_semtimedop);
        eventually("it waits", || read_to_string(&file).is_ok_and(|line| line.starts_with(&call)));
    };
    blocked(first.pid());
    // The thread that prints the message does not disturb a stop.
    signal(first.pid(), Signal::SIGSTOP);
    signal(first.pid(), Signal::SIGCONT);
    blocked(first.pid());
    let append = ["sem", "lock", &world.name("s"), "--", "sh", "-c", "echo second >>order"];
    let second = world.call("").args(append).start();
    blocked(second.pid());
    assert!(first.line().contains("held by"));
    drop(holder);
    assert_eq!(second.code(), 0);
    assert_eq!(first.end().0, Some(0));
    assert_eq!(read_to_string(world.dir().join("order")).unwrap(), "first\nsecond\n");
}

#[test]
fn cmd_after_a_message_has_one_thread_and_no_mask() {
    let world = World::new();
    let holder = holder(&world, "sem run @s --slots 1 -- sleep 100");
    let mut call = OnTerminal::start(&world, "sem run @s -- grep -E Threads|SigBlk /proc/self/status");
    assert!(call.line().contains("held by"));
    drop(holder);
    assert_eq!(call.end().0, Some(0));
    let status = read_to_string(world.dir().join("out")).unwrap();
    assert_eq!(status, "Threads:\t1\nSigBlk:\t0000000000000000\n");
}

#[test]
fn full_queue_names_its_limit() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let world = World::new();
            world.call("msgq create @q --max-bytes 40").ok();
            world.call("msgq send @q 12345678901234567890 12345678901234567890").ok();
            let mut messages = "2 messages";
            for line in ["msgq send @q more", "msgq send @q more and again", "msgq call @q x -w 1h"] {
                let mut call = OnTerminal::start(&world, line);
                let name = world.name("q");
                let is = format!("(40 of 40 bytes, {messages})");
                let receive = format!("receive messages at the same time: ipcbox msgq recv {name}");
                let text = format!("msgq: waiting for {name}: the queue is full {is}; {receive}\r\n");
                assert_eq!(call.line(), text, "{line}");
                if !line.contains("call") {
                    world.call("msgq recv @q --count 2").ok();
                    let (status, text) = call.end();
                    assert_eq!((status, text.as_str()), (Some(0), ""), "{line}");
                    world.call("msgq recv @q --drain").ok();
                    world.call("msgq send @q 1234567890123456789012345678901234567890").ok();
                    messages = "1 message";
                }
            }
        });
        scope.spawn(|| {
            let world = World::new();
            world.call("msgq create /@q --max-messages 2").ok();
            world.call("msgq send /@q a b").ok();
            let mut call = OnTerminal::start(&world, "msgq send /@q c");
            let name = world.posix("q");
            let receive = format!("receive messages at the same time: ipcbox msgq recv {name}");
            let text = format!("msgq: waiting for {name}: the queue is full (2 of 2 messages); {receive}\r\n");
            assert_eq!(call.line(), text);
            world.call("msgq recv /@q").stdout("a\n").ok();
            assert_eq!(call.end(), (Some(0), String::new()));
            // With -n it neither waits nor blocks.
            world.call("msgq send /@q d -n").fails(124, "the queue is full: 2 of 2 messages");
        });
    });
}

#[test]
fn own_ancestor_is_named_at_once() {
    let world = World::new();
    for (outer, inner) in [
        ("sem lock $NAME-l", "sem lock $NAME-l"),
        ("sem lock $NAME-l", "sem lock $NAME-l --shared"),
        ("sem lock $NAME-l --shared", "sem lock $NAME-l"),
        ("sem run $NAME-s --slots 1", "sem run $NAME-s"),
        ("sem run $NAME-s3 --slots 3 --take 2", "sem run $NAME-s3 --take 2"),
    ] {
        let late = |how: &str| format!("{outer} -- {how}{inner} -w 0.1 -E 9 -- true");
        let name = inner.split(' ').nth(2).unwrap().strip_prefix("$NAME-").unwrap();
        let begins = format!("sem: waiting for {}: held by ", world.name(name));
        // CMD is the same process as the holder, or a descendant.
        for (how, words) in [
            ("ipcbox ", "is this process, in an outer call of ipcbox"),
            ("sh -c 'ipcbox \"$@\"; exit $?' - ", "is an ancestor of this process"),
            ("sh -c '(ipcbox \"$@\"; exit $?); exit $?' - ", "is an ancestor of this process"),
        ] {
            let output = world.shell(&format!("ipcbox {}", late(how))).output();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(9), "{how}: {stderr}");
            let lines: Vec<&str> = stderr.lines().collect();
            assert_eq!(lines.len(), 2, "{stderr}");
            assert!(lines[0].starts_with(&begins) && lines[0].ends_with(words), "{stderr}");
            assert!(lines[1].contains(" after 100ms"), "{stderr}");
            // With -n the failure names it; with -q -E 0 nothing is printed.
            let now = late(how).replace("-w 0.1", "-n");
            let output = world.shell(&format!("ipcbox {now}")).output();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(stderr.ends_with(&format!("{words}\n")) && !stderr.contains("held by"), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            let quiet = late(how).replace("-E 9", "-q -E 0");
            world.shell(&format!("ipcbox {quiet}")).stderr("").ok();
            world.shell(&format!("ipcbox {}", now.replace("-E 9", "-E 0"))).stderr("").ok();
        }
    }
}

#[test]
fn ancestor_is_named_by_hold_and_by_shm() {
    let world = World::new();
    world.call("shm create @o --size 8").ok();
    for inner in ["sem hold $NAME-l $$ --lock -w 0.1", "shm write $NAME-o x --lock $NAME-l -w 0.1"] {
        let script = format!("ipcbox sem lock $NAME-l -- sh -c 'ipcbox {inner}; exit $?'");
        let output = world.shell(&script).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(124), "{stderr}");
        let first = stderr.lines().next().unwrap();
        assert!(first.ends_with("(sh), which is an ancestor of this process"), "{stderr}");
    }
}

#[test]
fn ancestor_that_is_served_by_a_holder_is_named() {
    let world = World::new();
    for (hold, waits) in [
        ("--lock", "sem lock $NAME-l"),
        ("--lock --shared", "sem lock $NAME-l"),
        ("--lock", "sem lock $NAME-l --shared"),
        ("--slots 1", "sem run $NAME-s"),
        ("--slots 2 --take 2", "sem hold $NAME-s2 $$"),
    ] {
        let target = waits.split(' ').nth(2).unwrap();
        let cmd = if waits.contains("hold") { "" } else { "-- true" };
        let hold = format!("holder=$(ipcbox sem hold {target} $$ {hold})");
        let script = format!("{hold}; echo \"$holder $$\"; (ipcbox {waits} -w 0.1 {cmd})");
        let output = world.shell(&script).output();
        let (text, stderr) = (lines(&output.stdout), lines(&output.stderr));
        let (holder, shell) = text[0].split_once(' ').unwrap();
        assert_eq!(output.status.code(), Some(124), "{script} {stderr:?}");
        let words = format!("which is the holder process of {shell} (sh), an ancestor of this process");
        assert!(stderr[0].contains(&format!("held by {holder} (")), "{script} {stderr:?}");
        assert!(stderr[0].ends_with(&words), "{script} {stderr:?}");
        assert_eq!(stderr.len(), 2, "{script} {stderr:?}");
    }
}

#[test]
fn slot_that_others_can_release_names_no_ancestor() {
    let world = World::new();
    let other = holder(&world, "sem run @s --slots 2 -- sleep 100");
    let script = "ipcbox sem run $NAME-s -- ipcbox sem run $NAME-s -w 0.1 -E 9 -- true";
    let output = world.shell(script).output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("ancestor") && stderr.lines().count() == 1, "{stderr}");
    drop(other);
}
