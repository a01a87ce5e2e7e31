//! `--report`: a record of each command of a call.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use crate::applets::pipe::pipeline::Crew;
use crate::applets::pipe::pipeline::cmdline::{all, look_up};
use crate::applets::pipe::pipeline::stage::Verdict;
use crate::exit::Exit;
use crate::supervise::command::Command;
use crate::supervise::escalation::Limit;
use crate::supervise::report::{CommandRecord, Report};
use crate::sys::fds::write_all;

/// The option.
#[derive(Debug, Clone, Args)]
pub struct Reporting {
    /// Write a JSON record of each command to FILE
    #[arg(long, value_name = "FILE")]
    report: Option<OsString>,
}

pub struct CallReport {
    report: Option<Report>,
    words: Vec<Vec<OsString>>,
}

impl Reporting {
    /// Opens FILE and looks up the commands. If one is missing, reports that none ran. Waits for the reader of a FIFO,
    /// at most for `limit`.
    pub fn find(
        &self,
        words: Vec<Vec<OsString>>,
        key: &'static str,
        limit: &Limit,
    ) -> Result<(Vec<Command>, CallReport)> {
        let report = self.report.as_deref().map(|path| Report::open(path, key, limit)).transpose()?;
        let found = look_up(&words);
        if let Some(report) = report.as_ref().filter(|_| found.iter().any(Result::is_err)) {
            let records = (1..).zip(&words).zip(&found).map(|((number, argv), found)| CommandRecord {
                number,
                argv: argv.clone(),
                unrun: found.as_ref().err().map(|error| Exit::of(error).code()),
                ..CommandRecord::default()
            });
            let text = report.text(&records.collect::<Vec<_>>());
            report.written(write_all(report.outlet(), text.as_bytes()), &Limit::default())?;
        }
        Ok((all(found)?, CallReport { report, words }))
    }
}

impl CallReport {
    /// Writes the report. Commands may not have been started.
    pub fn report(&self, crew: &mut Crew) -> Result<()> {
        let Some(report) = &self.report else { return Ok(()) };
        let verdicts = crew.verdicts();
        let records = (1..).zip(&self.words).enumerate().map(|(at, (number, argv))| {
            let stage = crew.stages.get(at);
            let end = stage.and_then(|stage| stage.end.as_ref());
            CommandRecord {
                number,
                argv: argv.clone(),
                pid: stage.map(|stage| stage.pid),
                unrun: None,
                end: end.map(|end| (end.ended, end.wall, end.usage)),
                forgiven: end.map(|_| verdicts[at] == Verdict::Forgiven),
            }
        });
        let text = report.text(&records.collect::<Vec<_>>());
        let outcome = crew.write(report.outlet(), text.as_bytes())?;
        report.written(outcome, crew.limit())
    }
}
