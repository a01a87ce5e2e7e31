//! `ipcs-lite` and `ipcrm-lite` against util-linux's, on as many objects as a system may have.
//!
//! It works in an IPC namespace of its own, where the caller may make one.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use crate::table::{BINARY, Goal, Table, calls, compiled, find};

fn command(program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    command
}

/// The most memory that a call takes, in KiB.
fn peak(line: &str) -> u64 {
    let time = find("time").expect("GNU time");
    let mut timed = command(&time.display().to_string(), &format!("-f %M {BINARY} {line}"));
    let output = timed.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().last().and_then(|line| line.parse().ok()).expect("a number")
}

pub fn tasks(table: &mut Table) {
    let many = "ipcs-lite, ipcs: 66,000 objects";
    if !table.wants("ipcs") {
        return;
    }
    let (Some(_), Some(_), Some(make)) = (find("ipcs"), find("ipcrm"), compiled("objects.c"))
    else {
        return table.missing(many, "ipcs, ipcrm or cc");
    };
    if unshare(CloneFlags::CLONE_NEWIPC).is_err() {
        return table.missing(many, "right to make an IPC namespace");
    }
    let make = make.display().to_string();
    let fill = |queues: u32, sets: u32, segments: u32| {
        calls(1, command(&make, &format!("{queues} {sets} {segments}")));
    };
    let ipcs = |line: &'static str| move || calls(1, command(BINARY, line));
    let theirs = || calls(1, command("ipcs", ""));
    fill(31_000, 31_000, 4_000);
    let ours = command(BINARY, "ipcs").output().expect("it runs").stdout;
    assert_eq!(ours, command("ipcs", "").output().expect("it runs").stdout, "they differ");
    table.compare(many, Goal::Time(0.4), 7, ipcs("ipcs-lite"), theirs);
    table.compare("ipcs-lite --json, ipcs", Goal::Time(0.6), 7, ipcs("ipcs-lite --json"), theirs);
    table.compare(
        "ipcs-lite --sort size, ipcs",
        Goal::Shown,
        5,
        ipcs("ipcs-lite --sort size"),
        theirs,
    );
    table.compare(
        "ipcs-lite --orphaned, ipcs",
        Goal::Shown,
        5,
        ipcs("ipcs-lite --orphaned"),
        theirs,
    );
    if find("time").is_some() {
        for line in ["ipcs-lite", "ipcs-lite --json"] {
            println!("{:44} {} KiB of 8192", format!("{line}: memory"), peak(line));
        }
    }
    // A thousand objects and 66,000: what one costs stays as it is.
    for line in ["ipcs-lite", "ipcs-lite --json", "ipcs-lite --unused", "ipcs-lite --sort size"] {
        let best = || (0..3).map(|_| calls(1, command(BINARY, line))).min().expect("some");
        let large = best().as_secs_f64() / 66_000.0;
        calls(1, command("ipcrm", "-a"));
        fill(400, 400, 200);
        let small = best().as_secs_f64() / 1_000.0;
        let (small, large) = (small * 1e6, large * 1e6);
        println!("{line:44} {small:.2} us an object of 1,000, {large:.2} us of 66,000");
        fill(30_600, 30_600, 3_800);
    }
    let refill = || {
        calls(1, command("ipcrm", "-a"));
        fill(31_000, 31_000, 4_000);
    };
    let removal = |program: &str, line: &str| {
        refill();
        calls(1, command(program, line))
    };
    table.compare(
        "ipcrm -a",
        Goal::Time(1.0),
        5,
        || removal(BINARY, "ipcrm -a"),
        || removal("ipcrm", "-a"),
    );
    calls(1, command("ipcrm", "-a"));
}
