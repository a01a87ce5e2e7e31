//! The same event through every verb that supervises a CMD.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid, setpgid, setsid};

use crate::support::{BINARY, Call, Child, World, eventually, session_leader, skip};

/// A verb that supervises a CMD: the words before CMD, and after it.
struct Verb {
    before: &'static str,
    after: &'static str,
    /// It takes --max-time.
    limited: bool,
}

const VERBS: [Verb; 7] = [
    Verb { before: "sem run ./slots --slots 2", after: "", limited: false },
    Verb { before: "signal run --reap", after: "", limited: true },
    Verb { before: "pipe run", after: "", limited: true },
    Verb { before: "pipe merge", after: "", limited: true },
    Verb { before: "pipe duplex", after: "::: cat", limited: true },
    Verb { before: "pipe tee", after: "", limited: false },
    Verb { before: "ipcs-lite --leaks -q", after: "", limited: false },
];

impl Verb {
    /// All words after `ipcbox`.
    fn words(&self, options: &str, cmd: &[&str]) -> Vec<String> {
        let before = self.before.split(' ').chain(options.split_whitespace()).chain(["--"]);
        let words = before.chain(cmd.iter().copied()).chain(self.after.split_whitespace());
        words.map(str::to_owned).collect()
    }
}

/// Tests each verb; without `--leaks` if the test has no IPC namespace of its own.
fn each(act: impl Fn(&World, &Verb)) {
    for verb in &VERBS {
        let world = World::new();
        if verb.before.contains("leaks") && !world.is_own() {
            return skip("--leaks needs an IPC namespace of its own");
        }
        println!("{}", verb.before);
        act(&world, verb);
    }
}

/// A CMD that writes the signals it takes to a file, and exits after `count` of them.
struct Taker {
    ready: PathBuf,
    log: PathBuf,
    script: String,
}

impl Taker {
    fn new(world: &World, signals: &str, count: u32) -> Self {
        let file = |name| world.dir().join(name);
        let (ready, log) = (file("ready"), file("log"));
        let wait = format!("signal wait {signals} --count {count} --json");
        // Descriptor 3 keeps the pipe to the next stage open: if that stage exited now, its SIGCHLD could merge with
        // one that is sent.
        let script = format!("exec {BINARY} {wait} --ready {} 3>&1 >{}", ready.display(), log.display());
        Self { ready, log, script }
    }

    fn cmd(&self) -> [&str; 3] {
        ["sh", "-c", &self.script]
    }

    fn is_ready(&self) {
        eventually("CMD waits for signals", || fs::read_to_string(&self.ready).is_ok_and(|pid| pid.ends_with('\n')));
    }

    /// Waits until it has taken this signal, with this value.
    fn takes(&self, signal: &str, value: &str) {
        let has = |line: &str| {
            line.contains(&format!("\"signal\":\"{signal}\"")) && line.contains(&format!("\"value\":{value}}}"))
        };
        eventually(&format!("CMD takes {signal}"), || {
            fs::read_to_string(&self.log).is_ok_and(|log| log.lines().any(has))
        });
    }
}

/// Starts it with CMD in a process group of its own, so that it can be stopped.
fn started(world: &World, verb: &Verb, options: &str, taker: &Taker) -> Child {
    let call = world.call("").args(verb.words(options, &taker.cmd()));
    let own_group = || Ok(setpgid(Pid::from_raw(0), Pid::from_raw(0))?);
    let child = call.before(own_group).start();
    taker.is_ready();
    child
}

#[test]
fn signal_that_kills_cmd_sets_the_status() {
    each(|world, verb| {
        let taker = Taker::new(world, "USR1", 1);
        for (which, status) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
            let _ = fs::remove_file(&taker.ready);
            let child = started(world, verb, "", &taker);
            child.signal(which);
            assert_eq!(child.code(), status, "{}", verb.before);
        }
    });
}

#[test]
fn closed_terminal_hangs_up_cmd() {
    each(|world, verb| {
        let taker = Taker::new(world, "HUP,CONT", 2);
        let Some((mut child, terminal)) = session_leader(world, &verb.words("", &taker.cmd())) else { return };
        taker.is_ready();
        drop(terminal);
        taker.takes("HUP", "null");
        taker.takes("CONT", "null");
        eventually("it exits", || child.try_wait().unwrap().is_some());
    });
}

#[test]
fn chld_that_is_sent_reaches_cmd() {
    each(|world, verb| {
        let taker = Taker::new(world, "CHLD", 1);
        let child = started(world, verb, "", &taker);
        child.signal(Signal::SIGCHLD);
        taker.takes("CHLD", "null");
        child.signal(Signal::SIGTERM);
        child.code();
    });
}

#[test]
fn value_of_a_queued_signal_reaches_cmd() {
    each(|world, verb| {
        let taker = Taker::new(world, "RTMIN+3", 2);
        let child = started(world, verb, "", &taker);
        for value in ["77", "78"] {
            world.call(&format!("signal send RTMIN+3 {} --value {value}", child.pid())).ok();
            taker.takes("RTMIN+3", value);
        }
        child.signal(Signal::SIGTERM);
        child.code();
    });
}

/// A value cannot be sent to a group, but a request to exit has to reach all of it.
#[test]
fn queued_term_reaches_children_of_cmd() {
    each(|world, verb| {
        // It forwards to CMD alone by default.
        if verb.before.starts_with("signal") {
            return;
        }
        let taker = Taker::new(world, "TERM", 1);
        let below = taker.script.trim_start_matches("exec ");
        let call = world.call("").args(verb.words("", &["sh", "-c", &format!("{below} & wait")]));
        let child = call.before(|| Ok(setpgid(Pid::from_raw(0), Pid::from_raw(0))?)).start();
        taker.is_ready();
        world.call(&format!("signal send TERM {} --value 7", child.pid())).ok();
        taker.takes("TERM", "null");
        child.code();
    });
}

/// Without a terminal there is no job control: a CMD that another process has stopped is left alone.
#[test]
fn stopped_cmd_stays_stopped_without_a_terminal() {
    each(|world, verb| {
        if !verb.before.starts_with("pipe") {
            return;
        }
        let (ready, alone) = (world.dir().join("ready"), || Ok(setsid().map(drop)?));
        let script = format!("echo $$ >{}; exec sleep 1000", ready.display());
        let child = world.call("").args(verb.words("", &["sh", "-c", &script])).before(alone).start();
        let name = || fs::read_to_string(&ready).unwrap_or_default();
        eventually("CMD runs", || name().ends_with('\n'));
        let cmd = name().trim().to_owned();
        let status = |key: &str| {
            let text = fs::read_to_string(format!("/proc/{cmd}/status")).unwrap_or_default();
            text.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned)).unwrap_or_default()
        };
        world.call(&format!("signal send TSTP {cmd}")).ok();
        eventually("CMD stops", || status("State:").contains('T'));
        // ipcbox forwards the second one after it has noticed the stop.
        let mut pending = status("ShdPnd:");
        for signal in ["RTMIN+3", "RTMIN+4"] {
            world.call(&format!("signal send {signal} {}", child.pid())).ok();
            eventually("it is passed on", || status("ShdPnd:") != pending || !status("State:").contains('T'));
            pending = status("ShdPnd:");
        }
        assert!(status("State:").contains('T'), "{}", verb.before);
        world.call(&format!("signal send KILL {cmd}")).ok();
        child.code();
    });
}

#[test]
fn stopped_verb_terminates_cmd_in_time() {
    each(|world, verb| {
        if !verb.limited {
            return;
        }
        let taker = Taker::new(world, "USR1", 1);
        let child = started(world, verb, "--max-time 1", &taker);
        child.signal(Signal::SIGTSTP);
        assert_eq!(child.code(), 124, "{}", verb.before);
    });
}

#[test]
fn cmd_killed_by_int_kills_the_verb_by_int() {
    each(|world, verb| {
        let words = verb.words("", &["sh", "-c", "kill -INT $$"]);
        let end = world.call("").args(words).output();
        assert_eq!(end.status.signal(), Some(Signal::SIGINT as i32), "{}", verb.before);
    });
}

#[test]
fn unsignallable_cmd_is_reported() {
    if !geteuid().is_root() {
        return skip("only root can start what an ordinary user may not signal");
    }
    each(|world, verb| {
        let Some(user) = world.stranger().filter(|_| verb.limited) else { return };
        // A set-uid program that starts another one as root.
        let su = world.copy("/usr/bin/setpriv", "su").display().to_string();
        Call::new("chmod").args(["4755", &su]).ok();
        let up = world.dir().join("up").display().to_string();
        let script = format!("echo $$ >{up}; exec sleep 1000");
        let words = verb.words("--max-time 0.5 --then TERM:0", &[&su, "--ruid=0", "sh", "-c", &script]);
        let redirected = world.program("sh").args(["-c", "exec \"$@\" 2>err", "sh", BINARY]);
        let mut child = redirected.args(words).user(user).start();
        let read = |name: &str| fs::read_to_string(world.dir().join(name)).unwrap_or_default();
        eventually("CMD runs as root", || read("up").ends_with('\n'));
        let pid: i32 = read("up").trim().parse().unwrap();
        let message = format!("cannot signal {pid} (sleep 1000): operation not permitted (EPERM)\n");
        eventually("it is reported", || read("err").contains(&message));
        assert!(child.runs());
        nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        assert_eq!(child.code(), 124, "{}", verb.before);
    });
}
