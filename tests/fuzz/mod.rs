//! Fuzzing: arbitrary words on the command line, and arbitrary bytes from `/proc` and from other processes.
//!
//! By default each target runs a fixed number of cases from fixed seeds. `IPCBOX_FUZZ_SECONDS=N` runs each target for
//! that time, starting with seed `IPCBOX_FUZZ_SEED` (default: 0). A failing case is printed with its words. Former
//! findings are in `corpus` and run first. Parsers of `/proc` and of queued messages are fuzzed next to their code.

mod run;
mod texts;
mod vectors;
