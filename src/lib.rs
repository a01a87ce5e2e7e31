//! `ipcbox`: every Linux IPC mechanism for the shell, in one binary.
//!
//! # Floors
//! A module imports modules of lower floors and its own submodules. Imports form no cycle, and no applet imports
//! another. `tests/house.rs` checks this and lists the files that may contain `unsafe`.
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 10 | `main` `lib` | pass the arguments on |
//! | 9 | [`dispatch`] | choose the applet and verb, print an error, return the exit status |
//! | 8 | [`applets`] | the verbs: find the target, act, name the failure |
//! | 7 | [`supervise`] | child processes: start, forward signals, job control, time limit, exit status |
//! | 6 | [`objects`] | every IPC object: find, record, columns, users, remove |
//! | 5 | [`semset`] [`fileset`] | semaphore sets as slots, lock, barrier, journal; files as slots and lock |
//! | 4 | [`output`] | standard output and error: records as tables or JSON Lines, messages, the waiting message |
//! | 3 | [`args`] [`target`] | the command line: option groups, values, targets |
//! | 2 | [`exit`] | exit statuses; the status and message of an errno or failure |
//! | 1 | [`text`] | pure text: escape, nearest word, quote, count, width |
//! | 0 | [`sys`] | one function per kernel operation; libc, `unsafe` and `EINTR` occur only here |
//!
//! # A new verb
//! An applet is a const table of verbs ([`applets::Entry`]). A verb is a struct of its arguments that implements
//! [`applets::Verb`]. The doc comments of the struct are its help, and `cargo bless` generates the manual page and the
//! completions from them. A call builds the parser of one verb.
//!
//! # Time
//! [`args::timeout`] turns a time limit into a deadline. Lower floors see no relative times, and floors above [`sys`]
//! no `EINTR`.

pub mod applets;
pub mod args;
pub mod dispatch;
pub mod exit;
pub mod fileset;
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
