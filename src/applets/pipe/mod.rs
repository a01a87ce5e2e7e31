//! `pipe`: pipelines with reliable statuses, fan-out, merging, two-way pipes and progress.
//!
//! A crew starts the commands, supervises them and judges how they exited. Their data flows through the kernel.

mod duplex;
mod merge;
mod meter;
mod pipeline;
mod resize;
mod run;
mod stat;
mod tee;

use super::{Applet, Entry};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "pipe",
    summary: "Run pipelines, copy to many, merge by line, show progress",
    example: "ipcbox pipe run -- make test ::: tee log ::: tail -3",
    verbs: &[
        Entry::of::<run::Run>(),
        Entry::of::<tee::Tee>(),
        Entry::of::<merge::Merge>(),
        Entry::of::<duplex::Duplex>(),
        Entry::of::<meter::Meter>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<resize::Resize>(),
    ],
};
