//! Words and bytes that nobody thought of: what is read from the command line, from `/proc` and from other processes.
//!
//! Each target runs so many cases of fixed seeds in the test command. `IPCBOX_FUZZ_SECONDS=N` makes each run for so long, on
//! from `IPCBOX_FUZZ_SEED` (0), and a case that fails is shown with the words that show it. What was found so stands
//! in `corpus`, and is run first.

mod vectors;

use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Tries `cases` values of a strategy; or, where the environment says so, as many as there is time for.
fn fuzz<S: Strategy>(cases: u32, values: &S, check: impl Fn(S::Value) -> TestCaseResult) {
    let seconds = variable("IPCBOX_FUZZ_SECONDS");
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = variable("IPCBOX_FUZZ_SEED").unwrap_or(0);
    for seed in first.. {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, random);
        if let Err(failure) = runner.run(values, &check) {
            panic!("seed {seed}: {failure}");
        }
        if end.is_none_or(|end| Instant::now() > end) {
            break;
        }
    }
}
