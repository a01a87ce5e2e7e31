//! Words and bytes that nobody thought of: what is read from the command line, from `/proc` and from other processes.
//!
//! Each target runs so many cases of fixed seeds in the test command. `IPCBOX_FUZZ_SECONDS=N` makes each run for so
//! long, on from `IPCBOX_FUZZ_SEED` (0), and a case that fails is shown with the words that show it. What was found so
//! stands in `corpus`, and is run first. What is read from `/proc` and in queues is tried beside the code that reads
//! it.

mod run;
mod texts;
mod vectors;
