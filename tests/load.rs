//! All verbs under load at once: senders, receivers, workers, lockers and a lister on one machine. No message is lost
//! or duplicated, no lock is held twice, long-running processes neither grow nor keep descriptors, and nothing is left
//! behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{BINARY, Call, Child, World, eventually, skip};

const SENDERS: usize = 8;
const RECEIVERS: usize = 8;
const WORKERS: usize = 4;
const LOCKERS: usize = 200;
/// Messages per call.
const BATCH: usize = 50;
/// The growth in KiB allowed after the warm-up.
const GROWTH: i64 = 256;

fn duration() -> Duration {
    Duration::from_secs(if std::env::var_os("IPCBOX_FULL").is_some() { 120 } else { 8 })
}

/// Returns resident memory in KiB, and the number of open descriptors.
fn size(pid: i32) -> (i64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let anonymous = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib = anonymous.split_whitespace().nth(1).unwrap().parse().unwrap();
    (kib, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
}

/// Sends batches of numbered messages until `over` is set, and returns their number.
fn send(queue: &str, who: usize, over: &AtomicBool) -> usize {
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        let lines: Vec<String> = (sent..sent + BATCH).map(|n| format!("{who}-{n}")).collect();
        Call::new(BINARY).args(["msgq", "send", queue, "--lines"]).input(lines.join("\n")).ok();
        sent += BATCH;
    }
    sent
}

/// Counts how often each message was received.
fn came(dir: &Path, prefix: &str, count: usize) -> BTreeMap<String, usize> {
    let mut came = BTreeMap::new();
    for n in 0..count {
        let text = fs::read_to_string(dir.join(format!("{prefix}{n}"))).unwrap();
        text.lines().for_each(|line| *came.entry(line.to_owned()).or_default() += 1);
    }
    came
}

#[test]
fn load_loses_nothing_and_leaves_nothing() {
    let world = World::new();
    if !world.is_own() {
        return skip("needs an IPC namespace of its own");
    }
    let before = objects();
    let (messages, jobs) = (world.name("q"), world.name("j"));
    for queue in [&messages, &jobs] {
        world.call("msgq create").arg(queue).ok();
    }
    world.file("n", "0\n");
    let run = |script: String| world.shell(&script).start();
    let receivers = (0..RECEIVERS).map(|n| run(format!("exec ipcbox msgq recv {messages} --follow >received{n}")));
    let workers = (0..WORKERS).map(|n| run(format!("exec ipcbox msgq serve {jobs} -j 2 -- echo {{}} >served{n}")));
    let measured: Vec<Child> = receivers.chain(workers).collect();
    // Without the lock two processes would write the same number.
    let count = "read n <n; echo $((n + 1)) >n";
    let locks =
        format!("c=0; until [ -e over ]; do ipcbox sem lock $NAME-l -- sh -c '{count}'; c=$((c + 1)); done; echo $c");
    let lockers: Vec<Child> = (0..LOCKERS).map(|_| run(locks.clone())).collect();

    let over = AtomicBool::new(false);
    let (sent, sizes) = std::thread::scope(|scope| {
        let (over, jobs, messages) = (&over, &jobs, &messages);
        let senders: Vec<_> = (0..SENDERS).map(|who| scope.spawn(move || send(messages, who, over))).collect();
        let filler = scope.spawn(move || send(jobs, 0, over));
        scope.spawn(move || {
            let lists = [&["ipcs-lite", "--json"][..], &["sem", "stat"], &["msgq", "stat"]];
            while !over.load(Ordering::Relaxed) {
                for words in lists {
                    Call::new(BINARY).args(words).ok();
                }
            }
        });
        // The only place that sleeps on purpose: load takes time.
        std::thread::sleep(duration() / 3);
        let warm: Vec<_> = measured.iter().map(|child| size(child.pid())).collect();
        std::thread::sleep(duration() * 2 / 3);
        over.store(true, Ordering::Relaxed);
        let sent: Vec<usize> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        ((sent, filler.join().unwrap()), warm)
    });

    for queue in [&messages, &jobs] {
        let stat = || world.call("msgq stat --columns messages --no-header").arg(queue).ok();
        eventually("the queue is empty", || stat().trim() == "0");
    }
    // An idle worker has no children.
    let quiet =
        |child: &Child| fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.pid())).unwrap().is_empty();
    eventually("the workers are idle", || measured.iter().all(quiet));
    for (child, (kib, fds)) in measured.iter().zip(sizes) {
        let (now, open) = size(child.pid());
        assert!(now - kib <= GROWTH, "{kib} KiB grew to {now}");
        // It may have been running jobs when it was first measured.
        assert!(open <= fds, "{fds} descriptors grew to {open}");
        child.signal(Signal::SIGTERM);
    }
    for child in measured {
        assert!(matches!(child.code(), 0 | 143));
    }
    world.file("over", "");
    let entered: usize = lockers
        .into_iter()
        .map(|locker| String::from_utf8(locker.end().stdout).unwrap().trim().parse::<usize>().unwrap())
        .sum();
    let counted = fs::read_to_string(world.dir().join("n")).unwrap();
    assert_eq!(counted.trim(), entered.to_string());

    let (sent, filled) = sent;
    for (prefix, count, sent) in [("received", RECEIVERS, &sent[..]), ("served", WORKERS, &[filled])] {
        let came = came(world.dir(), prefix, count);
        assert!(came.values().all(|times| *times == 1), "{prefix}: duplicated");
        assert_eq!(came.len(), sent.iter().sum::<usize>(), "{prefix}");
    }
    println!("{} messages, {filled} jobs, {entered} locks", sent.iter().sum::<usize>());
    world.call("msgq rm").args([&messages, &jobs]).ok();
    world.call("sem rm @l").ok();
    assert_eq!(objects(), before);
}

/// Lists every System V object of the namespace.
fn objects() -> String {
    ["shm", "msg", "sem"].map(|kind| fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap()).concat()
}
