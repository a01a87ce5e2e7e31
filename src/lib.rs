//! `ipcbox`: every Linux IPC mechanism for the shell, in one binary.
//!
//! # The house
//! A module uses modules of floors below its own, or of its own floor where that is not the applets', and nothing above.
//! `tests/house.rs` says who broke this, and holds the list of the files that may have `unsafe` in them.
//!
//! | floor | modules | what |
//! |---|---|---|
//! | 4 | [`dispatch`] | who was called, and with which status it ends; the one place that prints an error |
//! | 3 | [`applets`] | what each verb means: resolve the target, act, name the failure |
//! | 2 | [`args`] [`target`] [`semset`] [`supervise`] [`output`] [`exit`] [`objects`] [`text`] | read, show, classify; what a semaphore set can be; a command for each record; every object there is |
//! | 1 | [`sys`] | one function per kernel act; the only floor with libc, `unsafe` and `EINTR` |
//!
//! # A new verb
//! An applet is a const table of verbs ([`applets::Entry`]), a verb a struct of its arguments that implements
//! [`applets::Verb`]. The doc comments of the struct are its help, its manual page and its completions: `BLESS=1 cargo test
//! generated` writes these two. Only the called verb's parser is built.
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
