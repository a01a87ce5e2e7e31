//! `ipcs-lite` and `ipcrm-lite` compared with util-linux, with as many objects as a system allows.
//!
//! Runs in an IPC namespace of its own, if the caller may create one.

use nix::sched::{CloneFlags, unshare};

use crate::table::{BINARY, Goal, Table, calls, command, compiled, find};

fn printed(program: &str, line: &str) -> String {
    let output = command(program, line).output().expect("it runs");
    assert!(output.status.success(), "{program} {line}");
    String::from_utf8(output.stdout).expect("text")
}

/// Counts the objects in a table or a list of records.
fn listed(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("0x") || line.starts_with('{')).count()
}

/// Returns the maximum memory of a call in KiB.
fn peak(line: &str) -> Option<f64> {
    let time = find("time")?;
    let mut timed = command(&time.display().to_string(), &format!("-f %M {BINARY} {line}"));
    let output = timed.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().last().and_then(|line| line.parse().ok())
}

/// Counts the objects in the kernel.
fn left() -> usize {
    let lines = |kind| std::fs::read_to_string(format!("/proc/sysvipc/{kind}"));
    let count = |kind| lines(kind).expect("/proc/sysvipc").lines().skip(1).count();
    ["msg", "sem", "shm"].into_iter().map(count).sum()
}

/// Creates this many queues, sets and segments, and nothing else.
fn fill(make: &str, queues: usize, sets: usize, segments: usize) {
    calls(1, command("ipcrm", "-a"));
    assert_eq!(left(), 0);
    calls(1, command(make, &format!("{queues} {sets} {segments}")));
    assert_eq!(left(), queues + sets + segments);
}

pub fn tasks(table: &mut Table) {
    let many = "ipcs-lite, ipcs: 66,000 objects";
    if !table.wants("ipcs") && !table.wants("ipcrm") {
        return;
    }
    let (Some(_), Some(_), Some(make)) = (find("ipcs"), find("ipcrm"), compiled("objects.c")) else {
        return table.missing(many, "ipcs, ipcrm or cc");
    };
    if unshare(CloneFlags::CLONE_NEWIPC).is_err() {
        return table.missing(many, "permission to create an IPC namespace");
    }
    let make = make.display().to_string();
    fill(&make, 31_000, 31_000, 4_000);
    listing(table, many);
    per_object(table, &make);
    let removal = |program: &str, line: &str| {
        fill(&make, 31_000, 31_000, 4_000);
        let time = calls(1, command(program, line));
        assert_eq!(left(), 0, "{program} {line}");
        time
    };
    let theirs = || removal("ipcrm", "-a");
    table.compare("ipcrm -a", Goal::Time(1.0), 7, || removal(BINARY, "ipcrm -a"), theirs);
    let by_filter = || removal(BINARY, "ipcrm-lite -a --yes");
    table.compare("ipcrm-lite -a --yes, ipcrm -a", Goal::Shown, 3, by_filter, theirs);
}

fn listing(table: &mut Table, many: &str) {
    let whole = printed("ipcs", "");
    assert_eq!(printed(BINARY, "ipcs"), whole, "ipcbox prints the same as ipcs");
    assert_eq!(listed(&whole), 66_000);
    assert_eq!(printed(BINARY, "ipcs-lite --unused"), whole);
    assert_eq!(listed(&printed(BINARY, "ipcs-lite --sort size")), 66_000);
    // The process that created them has exited, and only segments are then proved to be orphaned.
    assert_eq!(listed(&printed(BINARY, "ipcs-lite --orphaned")), 4_000);
    let ids = |text: &str, id: fn(&str) -> Option<&str>| -> Vec<String> {
        text.lines().filter_map(id).map(str::to_owned).collect()
    };
    let from_table = ids(&whole, |line| line.strip_prefix("0x")?.split_whitespace().nth(1));
    let from_json = ids(&printed(BINARY, "ipcs-lite --json"), |line| line.split_once("\"id\":")?.1.split(',').next());
    assert_eq!(from_table, from_json);

    let theirs = || calls(1, command("ipcs", ""));
    let ours = |line: &'static str| move || calls(1, command(BINARY, line));
    table.compare(many, Goal::Time(0.4), 7, ours("ipcs-lite"), theirs);
    table.compare("ipcs-lite --json, ipcs", Goal::Time(0.6), 7, ours("ipcs-lite --json"), theirs);
    for (task, line) in [
        ("ipcs-lite --sort size, ipcs", "ipcs-lite --sort size"),
        ("ipcs-lite --unused, ipcs", "ipcs-lite --unused"),
        ("ipcs-lite --orphaned, ipcs", "ipcs-lite --orphaned"),
    ] {
        table.compare(task, Goal::Shown, 3, ours(line), theirs);
    }
    for line in ["ipcs-lite", "ipcs-lite --json"] {
        match peak(line) {
            Some(peak) => table.bound(&format!("{line}: memory in KiB"), peak, 8192.0),
            None => table.missing(line, "GNU time"),
        }
    }
}

/// Compares the cost of one object, in microseconds, among 1,000 and among 66,000.
fn per_object(table: &mut Table, make: &str) {
    const LINES: [(&str, bool); 5] = [
        ("ipcs-lite", false),
        ("ipcs-lite --json", false),
        ("ipcs-lite --sort size", false),
        ("ipcs-lite --unused --mine --older-than 0", false),
        // Only the segments are listed.
        ("ipcs-lite --orphaned", true),
    ];
    let costs = |count: usize, segments: usize| {
        let rest = (count - segments) / 2;
        fill(make, rest, rest, segments);
        LINES.map(|(line, is_part)| {
            let expected = if is_part { segments } else { count };
            assert_eq!(listed(&printed(BINARY, line)), expected, "{line}");
            let best = (0..5).map(|_| calls(1, command(BINARY, line))).min().expect("some");
            best.as_secs_f64() * 1e6 / count as f64
        })
    };
    let (small, large) = (costs(1_000, 60), costs(66_000, 4_000));
    for (((line, _), small), large) in LINES.into_iter().zip(small).zip(large) {
        let task = format!("{line}: us each");
        // More objects must not cost more each. The start of the call matters only for the 1,000.
        table.bound(&task, large, small * 1.25);
    }
}
