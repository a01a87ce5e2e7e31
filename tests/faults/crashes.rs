//! Crashes: SIGKILL before and after every system call of an ipcbox process, and the state that the next caller finds.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc::c_long;

use super::lines::{FIFO, LONG_FILE, Line, PORT, QUEUE, SEGMENT, STALE, line};
use super::supervisor::{Report, Request, Tools};
use super::{for_each_line, is_full, name, print};
use crate::support::World;

/// A line, and a condition on the state afterwards. In addition, its `after` must succeed and no process may be left.
struct Crash {
    line: Line,
    holds: fn(&Report) -> bool,
}

/// A condition: the `after` of the line prints this.
macro_rules! prints {
    ($text:literal) => {
        |report| report.after.1 == $text
    };
}

/// Returns whether a reader saw the whole write or none of it, and whether the next writer left the object usable.
fn whole(report: &Report) -> bool {
    let (before, rest) = report.after.1.split_once('\n').unwrap_or_default();
    let after = format!("next{}\n16\n", before.get(4..).unwrap_or_default());
    ["0123456789abcdef", "NEW-NEW-NEW-NEW-"].contains(&before) && rest == after
}

/// The next caller creates an object, and one file of names is left, which is short.
const NAMES: &str = "ipcbox sem create next -q; ipcbox sem stat --columns name --no-header | sort; [ \"$(ls -A /dev/shm)\" = .ipcbox-names.$(id -u) ]";

const CRASHES: &[Crash] = &[
    Crash {
        line: line("sem run s --slots 1 -- true", "")
            .next("ipcbox sem run s --slots 1 -n -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sem run s --slots 2 --resize -- true", "ipcbox sem create s --slots 3")
            .next("ipcbox sem run s --slots 2 --resize --take 2 -n -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sem lock l -- true", "").next("ipcbox sem lock l -n -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sem lock l --shared -- true", "").next("ipcbox sem lock l -n -- echo next"),
        holds: prints!("next\n"),
    },
    // CMD is killed with its parent, a moment later.
    Crash {
        line: line("sem run ./f --slots 2 -- true", "")
            .next("ipcbox sem run ./f --slots 2 --take 2 -w 9s -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sem lock ./f --shared -- true", "").next("ipcbox sem lock ./f -w 9s -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sem lock ./f -- true", "").next("ipcbox sem lock ./f --shared -w 9s -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sem create ./f --slots 2", "")
            .next("ipcbox sem run ./f --slots 2 --take 2 -n -- echo next"),
        holds: prints!("next\n"),
    },
    // A holder that lives has been reported, and then it holds.
    Crash {
        line: line("sem hold ./f 1 --lock", "")
            .next("ipcbox sem lock ./f -n -E 0 -- echo next")
            .leaves(),
        holds: |report| match report.left {
            0 => report.after.1 == "next\n",
            _ => !report.out.is_empty() && report.after.1.is_empty(),
        },
    },
    Crash {
        line: line("sem hold h 1 --lock", "")
            .next("ipcbox sem lock h -n -E 0 -- echo next")
            .leaves(),
        holds: |report| match report.left {
            0 => report.after.1 == "next\n",
            _ => !report.out.is_empty() && report.after.1.is_empty(),
        },
    },
    // Either the round was completed and two new callers meet, or the waiter meets the next caller.
    Crash {
        line: line("sem barrier b 2", "ipcbox sem barrier b 2 & until ipcbox sem stat b --waiters 2>/dev/null | grep -q waiter; do :; done")
            .next("ipcbox sem barrier b 2 -w 50ms 2>/dev/null || { ipcbox sem barrier b 2 -w 2s & ipcbox sem barrier b 2 -w 2s; }; echo met"),
        holds: prints!("met\n"),
    },
    // The work that the killed process began is completed.
    Crash {
        line: line("msgq create q --max-bytes 1000 -m 640", "")
            .next("ipcbox msgq create q --max-bytes 1000 -m 640 >/dev/null; ipcbox msgq stat q --columns max_bytes,mode --no-header"),
        holds: |report| report.after.1.split_whitespace().eq(["1000", "0640"]),
    },
    // The name of an object is known if the object exists, and the next name is recorded.
    Crash {
        line: line("sem create s", "ipcbox sem create first").next(NAMES),
        holds: |report| ["first\nnext\n", "first\nnext\ns\n"].contains(&&*report.after.1),
    },
    // Likewise if the file of names is replaced.
    Crash {
        line: line("sem create s", LONG_FILE).next(NAMES),
        holds: |report| ["first\nnext\n", "first\nnext\ns\n"].contains(&&*report.after.1),
    },
    // A message is run at most once.
    Crash {
        line: line("msgq serve q -c 1 -- cat", QUEUE)
            .next("ipcbox msgq send q new; ipcbox msgq recv q --drain"),
        holds: |report| {
            let all = report.out.clone() + &report.after.1;
            all.matches("one").count() <= 1 && report.after.1.ends_with("two\nnew\n")
        },
    },
    // The caller of a server that dies gets an answer, at its timeout at the latest. 137: CMD was killed.
    Crash {
        line: line("msgq serve q -c 1 -w 2s -- cat", "ipcbox msgq create q; rm -f ../status; { s=0; ipcbox msgq call q hello -w 300ms >../answer 2>&1 || s=$?; echo $s >../status; } & until [ -s ../status ] || [ \"$(ipcbox msgq stat q --columns messages --no-header)\" = 1 ]; do :; done")
            .next("until [ -s ../status ]; do :; done; cat ../status; ipcbox msgq send q new; ipcbox msgq recv q --drain"),
        holds: |report| {
            ["0\nnew\n", "124\nnew\n", "125\nnew\n", "137\nnew\n"].contains(&&*report.after.1)
        },
    },
    // The server carries on, and does not run the request of a killed caller when it reaches it.
    Crash {
        line: line("msgq call q hello -w 2s", "ipcbox msgq create q; ipcbox msgq serve q -- tr a-z A-Z &")
            .next("ipcbox msgq call q next -w 2s"),
        holds: prints!("NEXT"),
    },
    // The write is complete or absent, and the next writer leaves no copy behind.
    Crash {
        line: line("shm write m NEW-NEW-NEW-NEW- --lock l", SEGMENT)
            .next("ipcbox shm read m --lock l -n; echo; ipcbox shm write m next --lock l -n; ipcbox shm read m --lock l -n; echo; ipcbox shm stat --no-header --columns size"),
        holds: whole,
    },
    // Likewise if the copy belongs to another user, or is under another lock.
    Crash {
        line: line("shm write m NEW-NEW-NEW-NEW- --lock l", "printf '0123456789abcdef' | ipcbox shm write m --create; [ $(id -u) != 0 ] || ipcbox shm set m --owner 1:1 -m 660")
            .next("ipcbox sem rm l --missing-ok; ipcbox shm read m --lock k -n; echo; ipcbox shm write m next --lock k -n; ipcbox shm read m --lock k -n; echo; ipcbox shm stat --no-header --columns size"),
        holds: whole,
    },
    Crash {
        line: line("fifo read f --create --rm -w 10ms", "")
            .next("ipcbox fifo read f --create -w 10ms -E 0; ipcbox fifo rm f"),
        holds: prints!(""),
    },
    // No line is output twice. A line that was taken but not yet written is lost.
    Crash {
        line: line("fifo read f -c 1", FIFO).next("ipcbox fifo read f -c 1 -n"),
        holds: |report| {
            let all = report.out.clone() + &report.after.1;
            ["a\n", "b\n", "a\nb\n"].contains(&&*all)
        },
    },
    // The next one replaces the path.
    Crash {
        line: line("sock recv ./s -w 10ms", "").next("ipcbox sock recv ./s -w 10ms -E 0; ls -A"),
        holds: prints!(""),
    },
    // The next server takes the path. A waiting caller is served by it; one that was connected gets 125, the status of CMD,
    // or 137 because CMD was killed.
    Crash {
        line: line("sock serve ./s -c 1 -w 2s -- cat", "rm -f ../status; { s=0; ipcbox sock call ./s hello --await -w 60s >../answer 2>&1 || s=$?; echo $s >../status; } & until grep -q . /proc/$!/task/$!/children; do :; done")
            .next("ipcbox sock serve ./s -w 9s -- cat & ipcbox sock call ./s next --await -w 9s; echo; until [ -s ../status ]; do :; done; cat ../status; kill $!; wait $!; ls -A"),
        holds: |report| ["next\n0\n", "next\n125\n", "next\n137\n"].contains(&&*report.after.1),
    },
    // The server carries on, and nothing is left of the call of a killed caller.
    Crash {
        line: line("sock call ./s hello -w 5s", "ipcbox sock serve ./s -- sh -c 'read line; echo $line' & until [ -S s ]; do :; done")
            .next("ipcbox sock call ./s next -w 5s"),
        holds: prints!("next\n"),
    },
    // The path of CMD stays, and the next one takes it.
    Crash {
        line: line("sock activate ./s -- true", STALE).next("ipcbox sock activate ./s -- true; ls -A"),
        holds: prints!("s\n"),
    },
    Crash {
        line: line("sock with ./s --pass -- sleep 60 ::: true", STALE)
            .next("ipcbox sock with ./s --pass -- sleep 60 ::: echo next; ls -A"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sock activate $(cat ../address) --reserve -- true", PORT)
            .next("ipcbox sock activate $(cat ../address) --reserve -- echo next"),
        holds: prints!("next\n"),
    },
    Crash {
        line: line("sock rm s", STALE).next("ipcbox sock rm s --missing-ok; ls -A"),
        holds: prints!(""),
    },
    Crash {
        line: line("pipe run --max-time 30ms -- sleep 60 ::: cat", ""),
        holds: prints!(""),
    },
    Crash {
        line: line("pipe run -- echo one ::: cat", ""),
        holds: |report| ["", "one\n"].contains(&&*report.out),
    },
    Crash {
        line: line("signal run --kill-tree --max-time 30ms -- sleep 60", ""),
        holds: prints!(""),
    },
];

#[test]
fn killed_process_leaves_objects_usable() {
    let world = World::new();
    let Some(tools) = Tools::new(&world) else { return };
    let (total, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(String::new());
    let places: &[i32] = if is_full() { &[0, 1] } else { &[0] };
    for_each_line(
        &tools,
        CRASHES,
        |crash| &crash.line,
        |_, crash, supervisor| {
            let usual = supervisor.run(Request::only("none"));
            let mut seen: HashMap<(u32, c_long), u32> = HashMap::new();
            for (process, call) in usual.calls.iter().copied() {
                let nth = seen.entry((process, call)).or_default();
                for number in places.iter().copied() {
                    let request = Request { what: "kill", process, call, nth: *nth, number };
                    let report = supervisor.run(request);
                    total.fetch_add(1, Ordering::Relaxed);
                    missed.fetch_add(usize::from(report.did.is_none()), Ordering::Relaxed);
                    let is_clean = report.left == 0 || crash.line.leaves;
                    if !is_clean || report.status < 0 || report.after.0 != 0 || !(crash.holds)(&report) {
                        let case = format!("{}: {}: {request:?}: {report:?}\n", crash.line.words, name(call));
                        wrong.lock().unwrap().push_str(&case);
                    }
                }
                *nth += 1;
            }
        },
    );
    let (total, missed, wrong) = (total.into_inner(), missed.into_inner(), wrong.into_inner().unwrap());
    print(&format!("crashes: {total} kills, {missed} not reached"));
    assert!(wrong.is_empty(), "{wrong}");
    assert!(missed <= total / 10, "{missed} of {total} calls were not reached");
}
