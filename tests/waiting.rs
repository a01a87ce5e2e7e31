//! Every verb that waits, in one table: a late event, a timeout, no wait, signals, and stop and continue.

use std::time::{Duration, Instant};

use ipcbox::applets::APPLETS;
use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{Child, World, eventually, signal};

/// A verb that waits, and how it continues.
pub struct Waits {
    /// The call, which waits after the setup.
    pub call: &'static str,
    /// Calls before it.
    setup: &'static [&'static str],
    /// A call that holds the object until it is killed.
    blocker: &'static str,
    /// A call that ends the wait if there is no blocker, or a script after `sh: `; `WAITER` is the pid of the waiting
    /// call.
    release: &'static str,
    /// Shows the object, which a failed wait must leave unchanged.
    show: &'static str,
    /// The system call of the wait.
    pub blocks_in: i64,
    /// Part of the message with `--verbose`, after "waiting for "; `HOLDER` is the pid of the blocker.
    verbose: &'static str,
    /// Part of the message after a timeout of 120 ms, and with `--nonblock`.
    late: [&'static str; 2],
}

/// The default: a wait in semtimedop(2) on the set `@s`.
const SEM: Waits = Waits {
    call: "",
    setup: &[],
    blocker: "",
    release: "",
    show: "sem get @s --all",
    blocks_in: libc::SYS_semtimedop,
    verbose: "@s: held by HOLDER (sleep)",
    late: [
        "the only slot is still in use after 120ms by HOLDER (sleep)\n",
        "the only slot is in use by HOLDER (sleep)\n",
    ],
};

/// The same for a lock, whose first value changes: the number of the last gate.
const LOCK: Waits = Waits {
    show: "sem stat @s --columns free,held,waiters,stopped",
    late: ["still locked after 120ms by pid HOLDER (sleep 100)\n", "it is locked by pid HOLDER (sleep 100)\n"],
    ..SEM
};

/// The same for a slot and for a lock in a file, whose holder is the CMD of the blocker.
const SLOT_IN_FILE: Waits = Waits {
    show: "sem stat ./s --columns free,held",
    blocks_in: libc::SYS_fcntl,
    verbose: "./s: held by CMD (sleep)",
    late: ["the only slot is still in use after 120ms by CMD (sleep)\n", "the only slot is in use by CMD (sleep)\n"],
    ..SEM
};
const LOCK_IN_FILE: Waits = Waits {
    late: ["still locked after 120ms by pid CMD (sleep 100)\n", "it is locked by pid CMD (sleep 100)\n"],
    ..SLOT_IN_FILE
};

pub const TABLE: &[Waits] = &[
    Waits { call: "sem run ./s -- true", blocker: "sem run ./s --slots 1 -- sleep 100", ..SLOT_IN_FILE },
    Waits {
        call: "sem run ./s -- true",
        blocker: "sem run ./s --slots 2 --take 2 -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        late: ["all 2 slots are still in use after 120ms by CMD (sleep)\n", "all 2 slots are in use by CMD (sleep)\n"],
        ..SLOT_IN_FILE
    },
    Waits {
        call: "sem run ./s --take 2 -- true",
        blocker: "sem run ./s --slots 3 --take 2 -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        late: [
            "only 1 of 3 slots is free after 120ms, but 2 are needed; the others are in use by CMD (sleep)\n",
            "only 1 of 3 slots is free, but 2 are needed; the others are in use by CMD (sleep)\n",
        ],
        ..SLOT_IN_FILE
    },
    Waits {
        call: "sem run ./s -- true",
        blocker: "sem run ./s --slots 17 --take 17 -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        late: [
            "all 17 slots are still in use after 120ms by CMD (sleep)\n",
            "all 17 slots are in use by CMD (sleep)\n",
        ],
        ..SLOT_IN_FILE
    },
    Waits { call: "sem lock ./s -- true", blocker: "sem lock ./s -- sleep 100", ..LOCK_IN_FILE },
    Waits { call: "sem lock ./s -- true", blocker: "sem lock ./s --shared -- sleep 100", ..LOCK_IN_FILE },
    Waits { call: "sem lock ./s --shared -- true", blocker: "sem lock ./s -- sleep 100", ..LOCK_IN_FILE },
    Waits {
        call: "sem hold ./s PID --quiet",
        blocker: "sem run ./s --slots 1 -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        ..SLOT_IN_FILE
    },
    Waits {
        call: "sem hold ./s PID --quiet",
        blocker: "sem run ./s --slots 2 --take 2 -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        late: ["all 2 slots are still in use after 120ms by CMD (sleep)\n", "all 2 slots are in use by CMD (sleep)\n"],
        ..SLOT_IN_FILE
    },
    Waits {
        call: "sem hold ./s PID --lock --quiet",
        blocker: "sem lock ./s -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        ..LOCK_IN_FILE
    },
    Waits { call: "sem run @s -- true", blocker: "sem run @s --slots 1 -- sleep 100", ..SEM },
    Waits {
        call: "sem run @s --take 2 -- true",
        setup: &["sem create @s --slots 3"],
        blocker: "sem run @s --take 2 -- sleep 100",
        late: [
            "only 1 of 3 slots is free after 120ms, but 2 are needed; the others are in use by HOLDER (sleep)\n",
            "only 1 of 3 slots is free, but 2 are needed; the others are in use by HOLDER (sleep)\n",
        ],
        ..SEM
    },
    Waits {
        call: "sem run @s --slots 1 --resize -- true",
        setup: &["sem create @s --slots 2"],
        blocker: "sem run @s --take 2 -- sleep 100",
        late: [
            "all 2 slots are still in use after 120ms by HOLDER (sleep); the set still has 2 slots, not 1\n",
            "all 2 slots are in use by HOLDER (sleep); the set still has 2 slots, not 1\n",
        ],
        ..SEM
    },
    Waits { call: "sem lock @s -- true", blocker: "sem lock @s -- sleep 100", ..LOCK },
    Waits { call: "sem lock @s -- true", blocker: "sem lock @s --shared -- sleep 100", ..LOCK },
    Waits { call: "sem lock @s --shared -- true", blocker: "sem lock @s -- sleep 100", ..LOCK },
    Waits {
        call: "sem hold @s PID --quiet",
        blocker: "sem run @s --slots 1 -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        ..SEM
    },
    Waits {
        call: "sem hold @s PID --lock --quiet",
        blocker: "sem lock @s -- sleep 100",
        blocks_in: libc::SYS_ppoll,
        ..LOCK
    },
    Waits {
        call: "sem barrier @s 2",
        setup: &["sem barrier @s 2 -n -E 0"],
        release: "sem barrier @s 2",
        verbose: "@s: 1 of 2 has arrived",
        late: ["only 1 of 2 arrived within 120ms\n", "only 1 of 2 has arrived\n"],
        ..SEM
    },
    Waits {
        call: "sem wait @s --by 2",
        setup: &["sem create @s --value 1"],
        release: "sem post @s",
        verbose: "@s: the value is 1, but at least 2 is needed",
        late: [
            "the value is still 1 after 120ms, but at least 2 is needed\n",
            "the value is 1, but at least 2 is needed\n",
        ],
        ..SEM
    },
    Waits {
        call: "sem wait @s --zero",
        setup: &["sem create @s --value 1"],
        release: "sem wait @s",
        verbose: "@s: the value is 1, not 0",
        late: ["the value is still 1 after 120ms, not 0\n", "the value is 1, not 0\n"],
        ..SEM
    },
    Waits {
        call: "sem op @s 0:-1 1:+1",
        setup: &["sem create @s --value 0,5"],
        release: "sem post @s",
        verbose: "@s: the values are 0=0 1=5",
        late: ["the values are still 0=0 1=5 after 120ms\n", "the values are 0=0 1=5\n"],
        ..SEM
    },
    Waits {
        call: "sem op @s 0:-1u -- true",
        setup: &["sem create @s --value 0,5"],
        release: "sem post @s",
        verbose: "@s: semaphore 0 is 0",
        late: ["semaphore 0 is still 0 after 120ms\n", "semaphore 0 is 0\n"],
        ..SEM
    },
    Waits {
        call: "sem wait /@s",
        setup: &["sem create /@s"],
        release: "sem post /@s",
        show: "sem get /@s",
        blocks_in: libc::SYS_futex,
        verbose: "/@s: the value is 0, but at least 1 is needed",
        late: [
            "the value is still 0 after 120ms, but at least 1 is needed\n",
            "the value is 0, but at least 1 is needed\n",
        ],
        ..SEM
    },
    Waits {
        call: "shm wait @s 1",
        setup: &["shm create @s --size 4"],
        release: "shm add @s",
        show: "shm get @s",
        blocks_in: libc::SYS_futex,
        verbose: "@s to become 1",
        late: ["the word is 0 after 120ms, not 1\n", "the word is 0, not 1\n"],
        ..SEM
    },
    Waits {
        call: "shm wait /@s 1 --until ge",
        setup: &["shm create /@s --size 4"],
        release: "shm add /@s",
        show: "shm get /@s",
        blocks_in: libc::SYS_futex,
        verbose: "/@s to reach 1",
        late: ["the word is 0 after 120ms, expected at least 1\n", "the word is 0, expected at least 1\n"],
        ..SEM
    },
    Waits {
        call: "shm write @o x --lock @s",
        setup: &["shm create @o --size 4"],
        blocker: "sem lock @s --shared -- sleep 100",
        show: "shm read @o --text",
        late: LOCK.late,
        ..SEM
    },
    Waits {
        call: "shm read @o --text --lock @s",
        setup: &["shm create @o --size 4"],
        blocker: "sem lock @s -- sleep 100",
        late: LOCK.late,
        ..SEM
    },
    Waits {
        call: "fifo read f",
        setup: &["fifo create f"],
        release: "fifo write f x",
        show: "fifo stat f",
        blocks_in: libc::SYS_ppoll,
        verbose: "data in f",
        late: ["still no data after 120ms\n", "no data\n"],
        ..SEM
    },
    Waits {
        call: "fifo read f --follow -c 1",
        setup: &["fifo create f"],
        release: "fifo write f x",
        show: "fifo stat f",
        blocks_in: libc::SYS_ppoll,
        verbose: "data in f",
        late: ["still no data after 120ms\n", "no data\n"],
        ..SEM
    },
    Waits {
        call: "fifo write f x",
        setup: &["fifo create f"],
        release: "fifo read f",
        show: "fifo stat f",
        blocks_in: libc::SYS_openat,
        verbose: "a reader of f",
        late: ["no reader has opened it within 120ms\n", "no reader has opened it\n"],
        ..SEM
    },
    Waits {
        call: "msgq recv @q",
        setup: &["msgq create @q --max-bytes 1"],
        release: "msgq send @q x",
        show: "msgq stat @q --columns messages",
        blocks_in: libc::SYS_msgrcv,
        verbose: "a message in @q",
        late: ["no message received after 120ms\n", "the queue is empty\n"],
        ..SEM
    },
    Waits {
        call: "msgq send @q y",
        setup: &["msgq create @q --max-bytes 1", "msgq send @q x"],
        release: "msgq recv @q",
        show: "msgq stat @q --columns messages",
        blocks_in: libc::SYS_msgsnd,
        verbose: "@q: ",
        late: ["still full after 120ms: ", "the queue is full: "],
        ..SEM
    },
    Waits {
        call: "msgq recv /@q",
        setup: &["msgq create /@q --max-messages 1 --message-size 1"],
        release: "msgq send /@q x",
        show: "msgq stat /@q --columns messages",
        blocks_in: libc::SYS_mq_timedreceive,
        verbose: "a message in /@q",
        late: ["no message received after 120ms\n", "the queue is empty\n"],
        ..SEM
    },
    Waits {
        call: "msgq send /@q y",
        setup: &["msgq create /@q --max-messages 1 --message-size 1", "msgq send /@q x"],
        release: "msgq recv /@q",
        show: "msgq stat /@q --columns messages",
        blocks_in: libc::SYS_mq_timedsend,
        verbose: "/@q: ",
        late: ["still full after 120ms: ", "the queue is full: "],
        ..SEM
    },
    Waits {
        call: "signal wait USR1",
        release: "signal send USR1 WAITER",
        show: "signal list USR1",
        blocks_in: libc::SYS_ppoll,
        verbose: "USR1",
        late: ["no signal arrived after 120ms\n", "no signal arrived\n"],
        ..SEM
    },
    Waits {
        call: "sock connect ./s --await",
        release: "sock serve ./s -c 1 -- true",
        show: "--list",
        blocks_in: libc::SYS_ppoll,
        verbose: "./s: no server yet",
        late: ["still no server after 120ms\n", "no server\n"],
        ..SEM
    },
    Waits {
        call: "sock call ./s --await",
        release: "sock serve ./s -c 1 -- true",
        show: "--list",
        blocks_in: libc::SYS_ppoll,
        verbose: "./s: no server yet",
        late: ["still no server after 120ms\n", "no server\n"],
        ..SEM
    },
    Waits {
        call: "sock recv ./s",
        release: "sock send ./s x",
        show: "--list",
        blocks_in: libc::SYS_ppoll,
        verbose: "data at ./s",
        late: ["no data received after 120ms\n", "no data received\n"],
        ..SEM
    },
    Waits {
        call: "sock send ./s x --await",
        release: "sock serve ./s -c 1 -- sort -o /dev/null",
        show: "--list",
        blocks_in: libc::SYS_ppoll,
        verbose: "./s: no server yet",
        late: ["still no server after 120ms\n", "no server\n"],
        ..SEM
    },
    Waits {
        call: "sock wait ./s",
        release: LISTEN,
        show: "--list",
        blocks_in: libc::SYS_ppoll,
        verbose: "./s: no server yet",
        late: ["still no server after 120ms\n", "no server\n"],
        ..SEM
    },
];

/// Listens until the waiting call has exited.
const LISTEN: &str = "sh: python3 -c '
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind(\"t\")
s.listen()
os.rename(\"t\", \"s\")
def runs():
    try:
        return open(\"/proc/WAITER/stat\").read().rsplit(\")\")[-1][1] != \"Z\"
    except OSError:
        return False
while runs():
    time.sleep(0.01)' >/dev/null 2>&1 & until [ -S s ]; do :; done";

impl Waits {
    /// Returns a world in which the call waits, and the blocker.
    pub fn world(&self) -> (World, Option<Child>) {
        let world = World::new();
        for call in self.setup {
            world.call(call).ok();
        }
        let blocker = (!self.blocker.is_empty()).then(|| {
            let blocker = world.call(self.blocker).start();
            if !self.blocker.contains("./s") {
                return blocker.became("sleep");
            }
            // ipcbox stays as the parent of CMD.
            let pid = blocker.pid();
            eventually("CMD runs", || child_of(pid).is_some_and(|cmd| name(cmd).as_deref() == Some("sleep\n")));
            blocker
        });
        (world, blocker)
    }

    fn line(&self, options: &str) -> String {
        let pid = std::process::id().to_string();
        let call = self.call.replace("PID", &pid);
        match call.split_once(" -- ") {
            Some((before, command)) => format!("{before} {options} -- {command}"),
            None => format!("{call} {options}"),
        }
    }

    /// Starts the call and returns when it waits.
    fn waiting(&self, world: &World, options: &str) -> Child {
        world.call(&self.line(options)).start().blocked_in(self.blocks_in)
    }

    /// The same with a limit. `None`: the limit expired before the wait was seen, on a busy machine.
    fn waiting_at_most(&self, world: &World, limit: Duration) -> Option<Child> {
        let waiting = world.call(&self.line(&format!("-w {}", limit.as_secs()))).start();
        let pid = waiting.pid();
        let number = format!("{} ", self.blocks_in);
        let call = || std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        eventually("it waits, or has exited", || call().starts_with(&number) || state(pid) == Some('Z'));
        (state(pid) != Some('Z')).then_some(waiting)
    }

    /// Ends the wait.
    fn release(&self, world: &World, blocker: Option<Child>, waiting: &Child) {
        let release = self.release.replace("WAITER", &waiting.pid().to_string());
        match blocker {
            Some(blocker) => drop(blocker),
            None => match release.strip_prefix("sh: ") {
                Some(script) => drop(world.shell(script).ok()),
                None => drop(world.call(&release).ok()),
            },
        }
    }
}

/// Replaces the placeholders in part of a message.
fn in_world(world: &World, blocker: Option<&Child>, words: &str) -> String {
    let mut words = words.to_owned();
    for target in ["s", "q"] {
        words = words.replace(&format!("/@{target}"), &world.posix(target));
        words = words.replace(&format!("@{target}"), &world.name(target));
    }
    let pid = blocker.map_or(0, Child::pid);
    let cmd = if words.contains("CMD") { child_of(pid).unwrap_or(0) } else { 0 };
    words.replace("CMD", &cmd.to_string()).replace("HOLDER", &pid.to_string())
}

fn child_of(pid: i32) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn name(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

#[test]
fn verbose_wait_is_explained_when_it_begins() {
    for row in TABLE {
        let (world, blocker) = row.world();
        let applet = row.call.split(' ').next().unwrap();
        let words = format!("{applet}: waiting for {}", in_world(&world, blocker.as_ref(), row.verbose));
        for (options, is_printed) in [("-v", true), ("-q --verbose", true), ("-vq", false), ("", false)] {
            let mut waiting = world.call(&row.line(&format!("{options} -w 60"))).start();
            if is_printed {
                let line = waiting.message();
                assert!(line.starts_with(&words), "{} {options}: {line}", row.call);
            }
            // The message is printed only once.
            let waiting = waiting.blocked_in(row.blocks_in);
            waiting.signal(Signal::SIGTERM);
            let stderr = String::from_utf8(waiting.end().stderr).unwrap();
            assert_eq!(stderr, "", "{} {options}", row.call);
        }
    }
}

#[test]
fn verbose_call_that_need_not_wait_prints_nothing() {
    for row in TABLE.iter().filter(|row| !row.blocker.is_empty() || row.release.starts_with("sem post")) {
        let (world, blocker) = row.world();
        match blocker {
            Some(blocker) => drop(blocker),
            None => drop(world.call(row.release).ok()),
        }
        if row.blocker.contains("./s") {
            // CMD is killed a moment after ipcbox.
            let held = || world.call("sem stat ./s --columns held --no-header").ok();
            eventually("CMD has exited", || held() == "0\n");
        }
        world.call(&row.line("-v")).stderr("").ok();
    }
}

#[test]
fn verb_without_a_holder_explains_its_wait() {
    let pid = std::process::id();
    for (call, verbose, blocks_in) in [
        ("msgq call @q x".to_owned(), "@q: no server has taken the request yet", libc::SYS_msgrcv),
        ("msgq serve @q -v -w 60 -- cat".into(), "a message in @q", libc::SYS_msgrcv),
        (format!("signal join {pid}"), "PID to exit", libc::SYS_ppoll),
        ("sock serve ./s -v -w 60 -- cat".into(), "a client", libc::SYS_ppoll),
        ("sock with ./s -v -w 60 -- sleep 100 ::: true".into(), "./s: no server yet", libc::SYS_ppoll),
    ] {
        let world = World::new();
        world.call("msgq create @q").ok();
        let line = if call.contains("-v") { call } else { call + " -v -w 60" };
        let mut waiting = world.call(&line).start();
        let applet = line.split(' ').next().unwrap();
        let words = in_world(&world, None, verbose).replace("PID", &pid.to_string());
        assert_eq!(waiting.message(), format!("{applet}: waiting for {words}\n"));
        waiting.blocked_in(blocks_in);
    }
}

/// Verbs with `-v` and without a row. `post` never waits, `create` only between two system calls of another process,
/// and the others have a test of their own.
const NO_ROW: &[&str] =
    &["sem create", "sem post", "msgq call", "msgq serve", "signal join", "sock rm", "sock serve", "sock with"];

#[test]
fn waiting_verb_has_a_row_and_verbose() {
    for applet in APPLETS {
        for verb in applet.verbs {
            let parser = verb.parser("x", &[]);
            let has = |long: &str| parser.get_arguments().any(|arg| arg.get_long() == Some(long));
            if !has("timeout") {
                continue;
            }
            let name = format!("{} {}", applet.name, verb.name);
            assert!(has("verbose") && has("quiet"), "{name}");
            let is_row = TABLE.iter().any(|row| row.call.starts_with(&format!("{name} ")));
            let is_locked = applet.name == "shm" && has("lock");
            assert!(is_row || is_locked || NO_ROW.contains(&name.as_str()), "{name} has no row");
        }
    }
}

/// Checks that each call with these options takes a late event.
fn late_event_is_taken_with(options: &str) {
    for row in TABLE {
        let (world, blocker) = row.world();
        let waiting = row.waiting(&world, options);
        row.release(&world, blocker, &waiting);
        assert_eq!(waiting.code(), 0, "{}", row.call);
    }
}

#[test]
fn late_event_is_taken() {
    late_event_is_taken_with("");
}

#[test]
fn timeout_is_124_and_changes_nothing() {
    for row in TABLE {
        let (world, blocker) = row.world();
        let before = world.call(row.show).ok();
        let start = Instant::now();
        let limit = Duration::from_millis(120);
        world.call(&row.line("-w 0.12")).fails(124, &in_world(&world, blocker.as_ref(), row.late[0]));
        assert!(start.elapsed() >= limit, "{}: after {:?}", row.call, start.elapsed());
        // The holder process of a failed `hold` releases when it exits.
        eventually(row.call, || world.call(row.show).ok() == before);
    }
}

#[test]
fn nonblock_and_a_timeout_of_0_do_not_wait() {
    for row in TABLE {
        let (world, blocker) = row.world();
        let before = world.call(row.show).ok();
        let words = in_world(&world, blocker.as_ref(), row.late[1]);
        for options in ["-n", "-w 0", "-w 1h -n", "--nonblock", "-n --timeout 0s"] {
            world.call(&row.line(options)).fails(124, &words);
        }
        world.call(&row.line("-n -E 7")).fails(7, &words);
        world.call(&row.line("-n -E 0")).stderr("").ok();
        // The holder process of a failed `hold` releases when it exits.
        eventually(row.call, || world.call(row.show).ok() == before);
    }
}

#[test]
fn last_of_nonblock_and_timeout_counts() {
    late_event_is_taken_with("-n -w 1h");
}

#[test]
fn limit_beyond_the_clocks_range_is_endless() {
    late_event_is_taken_with("-w 999999999d");
}

#[test]
fn signals_end_a_wait_and_change_nothing() {
    for row in TABLE {
        let (world, _blocker) = row.world();
        let before = world.call(row.show).ok();
        for which in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
            let waiting = row.waiting(&world, "");
            waiting.signal(which);
            assert_eq!(waiting.code(), 128 + which as i32, "{} {which}", row.call);
        }
        eventually("nothing remains", || world.call(row.show).ok() == before);
    }
}

#[test]
fn stop_and_continue_keeps_wait_and_deadline() {
    for row in TABLE {
        let (world, blocker) = row.world();
        let waiting = row.waiting(&world, "-w 1h");
        let pid = waiting.pid();
        for _ in 0..3 {
            signal(pid, Signal::SIGSTOP);
            eventually("it stops", || state(pid) == Some('T'));
            signal(pid, Signal::SIGCONT);
            eventually("it continues", || state(pid) == Some('S'));
        }
        row.release(&world, blocker, &waiting);
        assert_eq!(waiting.code(), 0, "{}", row.call);

        // A call that is stopped past its deadline times out when it continues.
        for limit in [1, 10, 60].map(Duration::from_secs) {
            let (world, _blocker) = row.world();
            let Some(waiting) = row.waiting_at_most(&world, limit) else { continue };
            let pid = waiting.pid();
            signal(pid, Signal::SIGSTOP);
            let start = Instant::now();
            eventually("the deadline passes", || start.elapsed() > limit);
            signal(pid, Signal::SIGCONT);
            assert_eq!(waiting.code(), 124, "{}", row.call);
            break;
        }
    }
}

#[test]
fn event_in_time_reaches_a_waiter_stopped_past_it() {
    let test = |row: &Waits| {
        // On a busy machine it comes too late for a short limit.
        for limit in [2, 10, 60].map(Duration::from_secs) {
            let (world, blocker) = row.world();
            let start = Instant::now();
            let Some(waiting) = row.waiting_at_most(&world, limit) else { continue };
            let pid = waiting.pid();
            let waits = Instant::now();
            signal(pid, Signal::SIGSTOP);
            eventually("it stops", || state(pid) == Some('T'));
            row.release(&world, blocker, &waiting);
            let in_time = start.elapsed() < limit;
            eventually("the deadline passes", || waits.elapsed() > limit);
            signal(pid, Signal::SIGCONT);
            let code = waiting.code();
            if in_time {
                assert_eq!(code, 0, "{}", row.call);
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        // The other verbs can lose the event to another process, or the releasing call waits for them.
        let kinds = ["msgq", "fifo read", "sock wait", "sock recv"];
        let is_of = |row: &&Waits| kinds.iter().any(|kind| row.call.starts_with(kind));
        for row in TABLE.iter().filter(is_of) {
            scope.spawn(|| test(row));
        }
    });
}

fn state(pid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}
