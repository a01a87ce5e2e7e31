//! Faults: after the start of main, every system call of a verb fails with every errno of its manual page, or moves
//! fewer bytes than requested. [crashes]: the process is killed there.
//!
//! A supervisor (fault.c) runs each line of a table of verbs once per case, in namespaces that it empties afterwards.
//! The oracle judges each outcome and what was left behind. Each exception in it states its reason.
//!
//! `IPCBOX_FULL=1` runs all cases; the default is a sample for each verb. `IPCBOX_LINES=TEXT` runs all cases of the lines
//! that contain TEXT, and no others. The table of verb, call, errno and outcome is written to `target/tmp/faults.txt`.

mod calls;
mod crashes;
mod lines;
mod oracle;
mod supervisor;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc::c_long;

use crate::support::World;
use calls::{CALLS, MOVES, SURE};
use lines::{LINES, Line};
use oracle::{Disturbed, Usual, judge, without_numbers};
use supervisor::{Request, Supervisor, Tools};

/// Lines that run in parallel.
const WORKERS: usize = 2;
/// Without IPCBOX_FULL and IPCBOX_LINES, one in this many cases is run.
const SAMPLE: usize = 15;

/// Runs the line undisturbed.
fn usual(line: &Line, supervisor: &mut Supervisor) -> Usual {
    let before = supervisor.run(Request::only("before")).state;
    let done = supervisor.run(Request::only("none"));
    let again = supervisor.run(Request::only("none"));
    // Other runs do not reach the calls of a run that had to wait longer.
    let is_longer = done.calls.len() > again.calls.len();
    let (done, again) = if is_longer { (again, done) } else { (done, again) };
    assert!(done.status >= 0 && done.after.0 == 0, "{}: {done:#?}", line.words);
    let texts = [(&done.out, &again.out), (&done.err, &again.err), (&done.state, &again.state)];
    let varies = texts.iter().any(|(one, other)| one != other);
    for (one, other) in texts.iter().filter(|_| varies) {
        assert_eq!(without_numbers(one), without_numbers(other), "{}", line.words);
    }
    Usual { before, done, varies }
}

/// Returns every disturbance of every call of the line.
fn cases(line: &Line, usual: &Usual) -> Vec<(Request, Disturbed)> {
    let mut seen: HashMap<(u32, c_long), u32> = HashMap::new();
    let mut cases = Vec::new();
    for (process, call) in &usual.done.calls {
        let known = CALLS.iter().find(|known| known.0 == *call);
        assert!(known.is_some() || SURE.contains(call), "{}: call {call} is unknown", line.words);
        let nth = seen.entry((*process, *call)).or_default();
        let request = |what, number| Request { what, process: *process, call: *call, nth: *nth, number };
        for errno in known.map_or(&[][..], |known| known.2) {
            cases.push((request("fail", *errno as i32), Disturbed::Fails(*errno)));
        }
        if MOVES.contains(call) {
            cases.push((request("short", 0), Disturbed::Short));
        }
        *nth += 1;
    }
    cases
}

fn name(call: c_long) -> &'static str {
    CALLS.iter().find(|known| known.0 == call).map_or("?", |known| known.1)
}

fn is_full() -> bool {
    std::env::var_os("IPCBOX_FULL").is_some() || wanted().is_some()
}

/// Returns the text that a line must contain to be run.
fn wanted() -> Option<String> {
    std::env::var("IPCBOX_LINES").ok()
}

/// Prints a line in spite of the test runner's capture.
fn print(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Calls `act` for each element with a wanted line, its index and a supervisor for that line, some of them in parallel.
fn for_each_line<T: Sync>(
    tools: &Tools,
    all: &[T],
    line: fn(&T) -> &Line,
    act: impl Fn(usize, &T, &mut Supervisor) + Sync,
) {
    let (next, wanted) = (AtomicUsize::new(0), wanted().unwrap_or_default());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(at) else { break };
                    if line(one).words.contains(&wanted) {
                        act(at, one, &mut tools.take(line(one)));
                    }
                }
            });
        }
    });
}

/// The number of cases by verb, call, disturbance and outcome.
type Table = BTreeMap<(String, &'static str, String, String), u32>;

#[test]
fn failed_call_is_reported_and_leaves_nothing() {
    let world = World::new();
    let Some(tools) = Tools::new(&world) else { return };
    let all = AtomicUsize::new(0);
    let (table, wrong) = (Mutex::<Table>::default(), Mutex::new(String::new()));
    for_each_line(
        &tools,
        LINES,
        |line| line,
        |at, line, supervisor| {
            let usual = usual(line, supervisor);
            let cases = cases(line, &usual);
            all.fetch_add(cases.len(), Ordering::Relaxed);
            for (number, (request, how)) in cases.iter().enumerate() {
                if !is_full() && (number + at) % SAMPLE != 0 {
                    continue;
                }
                let report = supervisor.run(*request);
                let outcome = judge(line, &usual, request.call, *how, &report);
                let outcome = outcome.unwrap_or_else(|what| {
                    let (words, call) = (line.words, name(request.call));
                    let Request { process, nth, .. } = request;
                    let case = format!("{words}: {call} {process}.{nth} {how}: {what}: {report:?}\n");
                    wrong.lock().unwrap().push_str(&case);
                    format!("WRONG: {what}")
                });
                let key = (line.verb(), name(request.call), how.to_string(), outcome);
                *table.lock().unwrap().entry(key).or_default() += 1;
            }
        },
    );
    let table = table.into_inner().unwrap();
    let count = |wanted: fn(&str) -> bool| -> u32 {
        table.iter().filter(|(key, _)| wanted(&key.3)).map(|(_, count)| count).sum()
    };
    let (total, missed) = (count(|_| true), count(|outcome| outcome == "not reached"));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.txt");
    let mut text = String::new();
    for ((verb, call, how, outcome), count) in &table {
        writeln!(text, "{verb} | {call} | {how} | {outcome} | {count}").unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let all = all.into_inner();
    print(&format!("faults: {total} of {all} cases, {missed} not reached: {}", path.display()));
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(missed <= total / 20, "{missed} of {total} calls were not reached");
}
