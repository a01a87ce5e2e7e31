//! Shared by the verbs: the targets of a signal, the fate of a process, and the supervision of CMD.

pub mod outcome;
pub mod target;
pub mod translate;
