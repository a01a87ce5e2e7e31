//! `pipe`: pipelines that tell the truth, fan out, merge, talk both ways, and show progress.
//!
//! Commands are children that a crew starts, minds and judges; what flows between them flows through the kernel.

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
    summary: "Run pipelines that tell the truth, fan out, merge, show progress",
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
