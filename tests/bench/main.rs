//! The benchmark: `cargo bench`, or `cargo bench -- WORD` for the tasks that have WORD in their name.
//!
//! Each task is measured in turn with its peer in one run, after a warm-up, and both check what they did: these machines
//! are noisy, so only ratios are compared. A missing peer is named and skipped.

#![allow(clippy::cast_precision_loss, clippy::expect_used, clippy::print_stdout)]

mod pipe;
mod sem;
mod table;

use table::Table;

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let mut table = Table::new(filter);
    pipe::tasks(&mut table);
    sem::tasks(&mut table);
    table.finish();
}
