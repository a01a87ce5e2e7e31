//! `sem` compared with flock, GNU parallel's sem, and a plain fork and exec.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::table::{BINARY, Goal, Table, calls, find};

fn command(program: &str, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    command
}

fn sem(line: &str) -> Command {
    command(BINARY, &format!("sem {line}"))
}

/// Returns a name that no other run uses.
fn name() -> String {
    format!("bench-{}", std::process::id())
}

/// The same limit in a file.
fn files(table: &mut Table, lock: &str) {
    if !table.concerns("sem run FILE") {
        return;
    }
    if find("flock").is_none() {
        return table.missing("sem run FILE, flock", "flock");
    }
    let flock = || command("flock", &format!("{lock} /bin/true"));
    for slots in [1, 4] {
        let file = format!("{lock}.{slots}");
        let run = || sem(&format!("run {file} --slots {slots} -- /bin/true"));
        let name = format!("sem run FILE, {slots} free, flock");
        table.compare(&name, Goal::Time(0.9), 31, || calls(40, run()), || calls(40, flock()));
        std::fs::remove_file(&file).expect("the file of slots");
    }
    // From one holder to the next, while all slots are taken.
    for (slots, goal) in [(1, 1.1), (64, 3.0)] {
        let file = format!("{lock}.{slots}");
        let line = format!("run {file} --slots {slots}");
        let busy =
            (slots > 1).then(|| sem(&format!("{line} --take {} -- sleep 1000", slots - 1)).spawn().expect("ipcbox"));
        let run = || sem(&format!("{line} -- /bin/true"));
        let name = format!("sem run FILE, next of {slots}, flock");
        table.compare(&name, Goal::Time(goal), 15, || at_once(20, run), || at_once(20, flock));
        if let Some(mut holder) = busy {
            holder.kill().and_then(|()| holder.wait()).expect("a holder");
        }
        std::fs::remove_file(&file).expect("the file of slots");
    }
}

/// Starts all calls at once and waits for them.
fn at_once(count: usize, call: impl Fn() -> Command) -> Duration {
    let start = Instant::now();
    let children: Vec<_> = (0..count).map(|_| call().spawn().expect("a call")).collect();
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
    start.elapsed()
}

pub fn tasks(table: &mut Table) {
    let name = name();
    let file = std::env::temp_dir().join(&name);
    std::fs::write(&file, "").expect("a lock file");
    let lock = file.display().to_string();

    let run = format!("run {name} --slots 2 -- /bin/true");
    let run = || sem(&run);
    table.compare(
        "sem run, plain fork and exec",
        Goal::Shown,
        31,
        || calls(40, run()),
        || calls(40, command("/bin/true", "")),
    );
    match find("flock") {
        Some(_) => {
            let flock = || command("flock", &format!("{lock} /bin/true"));
            table.compare("sem run, flock", Goal::Time(0.75), 31, || calls(40, run()), || calls(40, flock()));
        }
        None => table.missing("sem run, flock", "flock"),
    }
    files(table, &lock);
    match find("parallel") {
        Some(parallel) => {
            // GNU parallel acts as its own sem under that name.
            let theirs = parallel.with_file_name("sem").display().to_string();
            let theirs = || command(&theirs, &format!("--fg --id {name} -j2 /bin/true"));
            table.compare(
                "sem run, GNU sem --fg",
                Goal::Time(1.0 / 40.0),
                7,
                || calls(4, run()),
                || calls(4, theirs()),
            );
        }
        None => table.missing("sem run, GNU sem --fg", "GNU parallel"),
    }
    calls(1, sem(&format!("rm --missing-ok {name}")));
    std::fs::remove_file(&file).expect("the lock file");
}
