//! `sem` compared with flock, GNU parallel's sem, and a plain fork and exec.

use std::process::Command;

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
