//! `ipcbox`: every Linux IPC mechanism for the shell, in one binary.
//!
//! # The house
//! A module uses modules of floors below its own, and its own room. There is no circle of imports, and no applet
//! imports another. `tests/house.rs` checks that, and holds the list of the files that may have `unsafe` in them.
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 10 | `main` `lib` | pass the words on |
//! | 9 | [`dispatch`] | which applet is called, and with which status it exits; the one place that prints an error |
//! | 8 | [`applets`] | what each verb means: find the target, act, name the failure |
//! | 7 | [`supervise`] | child processes: start, forward signals, job control, time limit, exit status |
//! | 6 | [`objects`] | every IPC object: find, one record, columns, users, remove |
//! | 5 | [`semset`] | recipes on semaphore sets: slots, lock, barrier, journal |
//! | 4 | [`output`] | the one writer: records as tables or JSON Lines, warnings, the waiting message |
//! | 3 | [`args`] [`target`] | what is written on the command line: option groups, values, names of objects |
//! | 2 | [`exit`] | status numbers; an errno or a failure as a status and as words |
//! | 1 | [`text`] | pure text: escape, nearest word, quote, count, width |
//! | 0 | [`sys`] | one function per kernel act; the only floor with libc, `unsafe` and `EINTR` |
//!
//! # A new verb
//! An applet is a const table of verbs ([`applets::Entry`]), a verb a struct of its arguments that implements
//! [`applets::Verb`]. The doc comments of the struct are its help, its manual page and its completions: `BLESS=1 cargo
//! test generated` writes these two. Only the called verb's parser is built.
//!
//! # Time
//! A time limit becomes a deadline once ([`args::timeout`]); below that nobody sees a relative time, and above
//! [`sys`] nobody sees `EINTR`.

pub mod applets;
pub mod args;
pub mod dispatch;
pub mod exit;
#[cfg(test)]
#[path = "../tests/fuzz/run.rs"]
#[allow(clippy::expect_used, clippy::panic)]
mod fuzz;
pub mod objects;
pub mod output;
pub mod semset;
pub mod supervise;
pub mod sys;
pub mod target;
pub mod text;
