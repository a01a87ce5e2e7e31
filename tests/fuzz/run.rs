//! Runs properties with fixed seeds, so that failures are reproducible.

use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Checks `cases` values of a strategy. With `IPCBOX_FUZZ_SECONDS`, checks as many as fit in that time, starting with
/// seed `IPCBOX_FUZZ_SEED` (default: 0).
#[allow(clippy::print_stdout, reason = "the test runner keeps it")]
pub fn fuzz<S: Strategy>(cases: u32, values: &S, check: impl Fn(S::Value) -> TestCaseResult) {
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
            let seeds = seed - first + 1;
            println!("{} values of {seeds} seeds, starting with {first}", seeds * u64::from(cases));
            break;
        }
    }
}
