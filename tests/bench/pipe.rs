//! `pipe` compared with pv, mbuffer, tee with process substitution, pee, dash, and a splice loop in C.

use std::process::Command;
use std::time::Duration;

use crate::table::{BINARY, Goal, Table, calls, compiled, find};

/// MiB per round.
const AMOUNT: u32 = 1024;

fn shell(program: &str, line: &str) -> Duration {
    let mut command = Command::new(program);
    command.args(["-c", line]);
    calls(1, command)
}

pub fn tasks(table: &mut Table) {
    let (Some(flow), Some(splice)) = (compiled("flow.c"), compiled("splice.c")) else {
        return table.missing("pipe", "C compiler");
    };
    let (flow, splice) = (flow.display(), splice.display());
    let through = |program: &str| {
        let line = format!("set -o pipefail; {flow} write {AMOUNT} | {program} | {flow} read {AMOUNT}");
        shell("bash", &line)
    };
    let meter = format!("{BINARY} pipe meter");
    for (task, program, line, goal) in
        [("pipe meter, pv -q", "pv", "pv -q", 5.0), ("pipe meter, mbuffer", "mbuffer", "mbuffer -q", 3.0)]
    {
        match find(program) {
            Some(_) => {
                table.compare(task, Goal::Speed(goal), 7, || through(&meter), || through(line));
            }
            None => table.missing(task, program),
        }
    }
    let splice = splice.to_string();
    let task = "pipe meter, bare splice loop";
    table.compare(task, Goal::Speed(0.9), 15, || through(&meter), || through(&splice));

    let reader = format!("{flow} read {AMOUNT}");
    let tee =
        format!("set -o pipefail; {flow} write {AMOUNT} | {BINARY} pipe tee --shell 'exec {reader}' 'exec {reader}'");
    let tee = || shell("bash", &tee);
    let theirs = format!("{flow} write {AMOUNT} | tee >({reader}) | {reader}");
    let task = "pipe tee, coreutils tee >( )";
    table.compare(task, Goal::Speed(2.5), 7, tee, || shell("bash", &theirs));
    match find("pee") {
        Some(_) => {
            let theirs = format!("{flow} write {AMOUNT} | pee '{reader}' '{reader}'");
            let task = "pipe tee, moreutils pee";
            table.compare(task, Goal::Speed(2.5), 7, tee, || shell("bash", &theirs));
        }
        None => table.missing("pipe tee, moreutils pee", "pee"),
    }
    match find("dash") {
        Some(dash) => {
            let line = "/bin/true|/bin/true|/bin/true";
            let ours = || {
                let mut ours = Command::new(BINARY);
                ours.args("pipe run -- /bin/true ::: /bin/true ::: /bin/true".split(' '));
                calls(40, ours)
            };
            table.compare("pipe run of three, dash", Goal::Time(1.1), 31, ours, || {
                let mut theirs = Command::new(&dash);
                theirs.args(["-c", line]);
                calls(40, theirs)
            });
        }
        None => table.missing("pipe run of three, dash", "dash"),
    }
}
