//! Child processes: a command for each record, its report, its time limit, and job control on a terminal.

pub mod command;
pub mod escalation;
pub mod pool;
pub mod report;
pub mod terminal;
