//! Options of the verbs that run CMD once per record.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use super::Pool;
use crate::args::numbers::count;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::report::Report;

/// The CMD for each record, how many run at once, and the report.
#[derive(Debug, Args)]
pub struct Serving {
    /// Run at most N CMDs at once (default: 1)
    #[arg(short, long, value_name = "N", value_parser = count, default_value_t = 1)]
    jobs: u16,
    /// Write a JSON record of each CMD to FILE
    #[arg(long, value_name = "FILE")]
    report: Option<OsString>,
    /// Command and its arguments, run without a shell
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

impl Serving {
    /// Looks CMD up, opens the report and catches signals. Appends `end` to each record on the standard input of CMD.
    pub fn pool(&mut self, end: &'static [u8]) -> Result<Pool> {
        let command = Command::find(std::mem::take(&mut self.command))?.with_interpreter()?;
        let report = self.report.as_deref().map(|path| Report::open(path, "record", &Limit::default()));
        Pool::new(command.ending_records_in(end), self.jobs, report.transpose()?)
    }
}
