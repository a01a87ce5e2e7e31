//! The classic problems, as shell scripts in `tests/scripts`: each prints its counts, and never hangs.

use std::path::Path;

use crate::support::World;

fn run(script: &str, words: &[&str]) -> String {
    let world = World::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(script);
    world.program("timeout").arg("240").arg("/bin/sh").arg(path).args(words).ok()
}

#[test]
fn dining_philosophers_all_eat() {
    assert_eq!(run("philosophers.sh", &["5", "20"]), "5 philosophers, 100 meals\n");
}

#[test]
fn barrier_of_8_parties_keeps_100_rounds_in_step() {
    assert_eq!(run("barrier.sh", &["8", "100"]), "8 parties, 100 rounds, 0 out of step\n");
}

#[test]
fn readers_see_no_torn_text() {
    assert_eq!(run("readers-writers.sh", &["4", "3", "20"]), "60 writes, 80 reads, 0 torn\n");
}

#[test]
fn producer_and_consumers_lose_nothing() {
    assert_eq!(run("producer-consumer.sh", &["3", "4", "80"]), "240 produced, 240 taken, 0 lost, 0 duplicated\n");
}
