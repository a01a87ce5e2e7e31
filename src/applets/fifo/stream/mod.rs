//! Shared by the verbs: a FIFO at its path, its users, and the bytes and lines that pass through it.

pub mod backoff;
pub mod path;
pub mod peek;
pub mod readers;
pub mod reading;
pub mod records;
pub mod sink;
pub mod source;
pub mod watched_path;
pub mod writer;
