//! `sem barrier`.

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{Child, World, eventually};

/// Checks the values of an unused barrier: the parties, the mark, one open round, and no caller in any round.
pub fn assert_at_rest_for(parties: u16, values: &str) {
    let values: Vec<u16> = values.split_whitespace().map(|value| value.parse().unwrap()).collect();
    assert_eq!(values[..2], [parties, 16946]);
    let (rounds, _) = values[2..].as_chunks::<2>();
    assert_eq!(rounds.iter().map(|[gathers, _]| gathers).sum::<u16>(), 1, "{rounds:?}");
    assert!(rounds.iter().all(|[_, places]| *places == parties - 1), "{rounds:?}");
}

fn comer(world: &World, parties: u8) -> Child {
    world.call(&format!("sem barrier @b {parties}")).start().blocked_in(libc::SYS_semtimedop)
}

#[test]
fn all_callers_leave_when_the_last_arrives() {
    let world = World::new();
    let first: Vec<Child> = (0..2).map(|_| comer(&world, 3)).collect();
    let record = world.call("sem stat @b --json").ok();
    assert!(
        record.contains(r#""purpose":"barrier","free":1,"capacity":3,"held":2,"used":2,"holders":null,"waiting":2"#),
        "{record}"
    );
    world.call("sem barrier @b 3").ok();
    for child in first {
        assert_eq!(child.code(), 0);
    }
    let record = world.call("sem stat @b --json").ok();
    assert!(record.contains(r#""held":0,"used":0,"holders":null,"waiting":0"#), "{record}");
}

#[test]
fn late_or_killed_caller_does_not_count() {
    let world = World::new();
    for _ in 0..2 {
        world.call("sem barrier @b 2 -w 0.05").fails(124, "only 1 of 2 arrived within 50ms");
        let dead = comer(&world, 2);
        dead.signal(Signal::SIGKILL);
        assert_eq!(dead.code(), 137);
        let first = comer(&world, 2);
        world.call("sem barrier @b 2").ok();
        assert_eq!(first.code(), 0);
        assert_at_rest_for(2, &world.call("sem get --all @b").ok());
    }
}

#[test]
fn barrier_is_read_again_only_for_a_message() {
    let world = World::new();
    world.call("sem barrier @b 2 -n -E 0").ok();
    let reads = |words: &[&str], code: i32| {
        let call = world.traced("semctl")?.args(["sem", "barrier", &world.name("b"), "2", "-n"]).args(words);
        call.status(code);
        let trace = std::fs::read_to_string(world.dir().join("trace")).unwrap();
        Some(trace.matches("GETALL").count())
    };
    let Some(silent) = reads(&["-E", "0"], 0) else { return };
    assert_eq!(reads(&[], 124), Some(silent + 1));
    assert_eq!(reads(&["-v"], 124), Some(silent + 1));
}

#[test]
fn other_number_of_parties_is_refused() {
    let world = World::new();
    world.call("sem barrier @b 2 -n -E 0").ok();
    world.call("sem barrier @b 3").fails(4, "is a barrier for 2, not for 3");
    let words = format!("is a barrier for 2, not for 1\nhint: ipcbox sem barrier {} 2\n", world.name("b"));
    world.call("sem barrier @b 1").fails(4, &words);
    assert_at_rest_for(2, &world.call("sem get --all @b").ok());
    world.call("sem barrier @one 1").ok();
}

#[test]
fn next_round_waits_for_its_own_callers() {
    let world = World::new();
    // A caller of the next round waits while the last round is leaving.
    for _ in 0..30 {
        let children: Vec<Child> = (0..6).map(|_| world.call("sem barrier @b 3").start()).collect();
        for child in children {
            assert_eq!(child.code(), 0);
        }
    }
    eventually("it is at rest", || world.call("sem stat @b --columns held --no-header").ok() == "0\n");
}
