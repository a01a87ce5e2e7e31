//! The tests: the real binary against the real kernel.
//!
//! Each test has its own System V objects and POSIX queues if it may create an IPC namespace, and unique names
//! otherwise. `/dev/shm` is shared, so names there are always unique. No test sleeps to synchronise: it waits until
//! `/proc` shows the state it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod collected;
mod completions;
mod create;
mod dispatch;
mod doctor;
mod faults;
mod fifo;
mod file_limit;
mod fuzz;
mod generated;
mod help;
mod hints;
mod hostile;
mod house;
mod init;
mod install;
mod ipcs;
mod limits;
mod load;
mod msgq;
mod names;
mod notice;
mod options;
mod output;
mod parity;
mod pipe;
mod printed;
mod release;
mod report;
mod sem;
mod shm;
mod signal;
mod sock;
mod support;
mod text;
mod waiting;
mod wrong_calls;
