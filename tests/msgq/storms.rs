//! No message is lost or doubled, whatever happens to senders and receivers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{full, messages};
use crate::support::{BINARY, World, eventually, signal};

const SENDERS: usize = 4;
const RECEIVERS: usize = 4;
/// Messages of one call, all of one type or priority.
const CALL: usize = 250;

/// The disturbance of senders and receivers.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    /// Receivers get SIGTERM.
    Terms,
    /// Timeouts expire.
    Limits,
}

/// A random generator with the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

fn msgq(words: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("msgq").args(words.split_whitespace());
    command
}

/// Sends `count` messages of 0 to 2,000 bytes, and returns a hash of each as it is printed.
fn send(target: &str, seed: u64, count: usize, trouble: Trouble) -> Vec<u64> {
    let mut random = Random(seed * 7919 + 1);
    let option = if target.starts_with('/') { "--priority" } else { "-t" };
    let limit = if trouble == Trouble::Limits { "-w 300us" } else { "" };
    let mut sent = Vec::with_capacity(count);
    while sent.len() < count {
        let number = 1 + random.below(9);
        let messages: Vec<Vec<u8>> = (0..CALL.min(count - sent.len()))
            .map(|_| {
                let length = random.below(2001);
                // Every byte but the newline.
                (0..length).map(|_| (random.below(255) + 11).to_le_bytes()[0]).collect()
            })
            .collect();
        let mut left = &messages[..];
        while !left.is_empty() {
            let mut child = msgq(&format!("send {target} --lines {option} {number} {limit}"))
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut text = left.join(&b'\n');
            text.push(b'\n');
            // It may exit before it has read everything.
            let _ = child.stdin.take().unwrap().write_all(&text);
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            let done = match output.status.code() {
                Some(0) => left.len(),
                Some(124) if trouble == Trouble::Limits => match stderr.split_once("; ") {
                    Some((_, count)) => count.split(' ').next().unwrap().parse().unwrap(),
                    None => 0,
                },
                other => panic!("{other:?} {stderr}"),
            };
            left = &left[done..];
        }
        sent.extend(
            messages.iter().map(|message| hash(&[format!("{number} {} ", message.len()).as_bytes(), message].concat())),
        );
    }
    sent
}

/// Receives until `done`, and returns a hash of each line.
fn receive(target: &str, seed: u64, trouble: Trouble, pid: &AtomicI32, done: &AtomicBool) -> Vec<u64> {
    let mut random = Random(seed * 104_729 + 5);
    let number = if target.starts_with('/') { "%p" } else { "%t" };
    let limit = if trouble == Trouble::Limits { "-w 300us" } else { "" };
    let mut got = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let format = format!("{number} %l %d%n");
        let mut child = msgq(&format!("recv {target} --follow {limit} --format"))
            .arg(format)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        pid.store(child.id().cast_signed(), Ordering::SeqCst);
        let most = 1 + random.below(300);
        let output = BufReader::new(child.stdout.take().unwrap());
        for (n, line) in (1..).zip(output.split(b'\n')) {
            got.push(hash(&line.unwrap()));
            if trouble == Trouble::Terms && n == most {
                signal(child.id().cast_signed(), Signal::SIGTERM);
            }
        }
        pid.store(0, Ordering::SeqCst);
        let status = child.wait().unwrap();
        assert!(status.code() == Some(124) || status.signal() == Some(15), "{status}");
    }
    got
}

fn storm(world: &World, target: &str, trouble: Trouble) {
    let total = full(8_000, 400_000);
    let name = if target.starts_with('/') { world.posix("storm") } else { world.name("storm") };
    world.call(&format!("msgq create {name}")).ok();
    let pids: [AtomicI32; RECEIVERS] = Default::default();
    let done = AtomicBool::new(false);
    let (mut sent, mut got) = thread::scope(|scope| {
        let (name, done, pids) = (&name, &done, &pids);
        let receivers: Vec<_> =
            (1..).zip(pids).map(|(seed, pid)| scope.spawn(move || receive(name, seed, trouble, pid, done))).collect();
        let count = total / SENDERS;
        let senders: Vec<_> =
            (1..).take(SENDERS).map(|seed| scope.spawn(move || send(name, seed, count, trouble))).collect();
        let sent: Vec<u64> = senders.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        eventually("all is received", || messages(world, name) == 0);
        done.store(true, Ordering::SeqCst);
        while receivers.iter().any(|thread| !thread.is_finished()) {
            for pid in pids.iter().map(|pid| pid.load(Ordering::SeqCst)).filter(|pid| *pid > 0) {
                signal(pid, Signal::SIGTERM);
            }
            thread::sleep(Duration::from_millis(5));
        }
        let got: Vec<u64> = receivers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (sent, got)
    });
    assert_eq!(sent.len(), total);
    sent.sort_unstable();
    got.sort_unstable();
    assert!(sent == got, "{} sent, {} received", sent.len(), got.len());
}

#[test]
fn system_v_loses_and_doubles_no_message() {
    storm(&World::new(), "q", Trouble::None);
}

#[test]
fn posix_loses_and_doubles_no_message() {
    storm(&World::new(), "/q", Trouble::None);
}

#[test]
fn system_v_loses_no_message_on_sigterm() {
    storm(&World::new(), "q", Trouble::Terms);
}

#[test]
fn posix_loses_no_message_on_sigterm() {
    storm(&World::new(), "/q", Trouble::Terms);
}

#[test]
fn system_v_loses_no_message_on_timeouts() {
    storm(&World::new(), "q", Trouble::Limits);
}

#[test]
fn posix_loses_no_message_on_timeouts() {
    storm(&World::new(), "/q", Trouble::Limits);
}
