//! The benchmark: `cargo bench`, or `cargo bench -- WORD` for the tasks whose name contains WORD.
//!
//! Each task and its peer are measured in turn after a warm-up, and both check their results. The machines are noisy,
//! so only ratios are compared. A task without its peer is skipped; `tests/bench/peers` installs the peers.
//!
//! The guard (`cargo bench -- guard`) counts instead of measuring time, and is the only part that can fail. .ci/run
//! runs it.

#![allow(clippy::cast_precision_loss, clippy::expect_used, clippy::print_stdout)]

mod awaiting;
mod count;
mod fifo;
mod growth;
mod ipcs;
mod latency;
mod listing;
mod msgq;
mod pipe;
mod sem;
mod shm;
mod signal;
mod sock;
mod start;
mod table;

use std::process::ExitCode;

use table::Table;

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let mut table = Table::new(filter);
    let holds = start::tasks(&mut table);
    msgq::tasks(&mut table);
    fifo::tasks(&mut table);
    pipe::tasks(&mut table);
    sem::tasks(&mut table);
    shm::tasks(&mut table);
    signal::tasks(&mut table);
    listing::tasks(&mut table);
    sock::tasks(&mut table);
    awaiting::tasks(&mut table);
    latency::tasks(&mut table);
    growth::tasks(&mut table);
    // Last, because it stays in an IPC namespace of its own.
    ipcs::tasks(&mut table);
    table.finish();
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
