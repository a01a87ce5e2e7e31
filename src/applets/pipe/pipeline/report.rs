//! `--report`: what became of the commands of a call.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use crate::applets::pipe::pipeline::Crew;
use crate::applets::pipe::pipeline::cmdline::LookedUp;
use crate::applets::pipe::pipeline::stage::Verdict;
use crate::exit::Exit;
use crate::supervise::escalation::Limit;
use crate::supervise::report::{CommandRecord, Report};
use crate::sys::fds::write_all;

/// Where it is wanted.
#[derive(Debug, Clone, Args)]
pub struct Reporting {
    /// Write what became of each command to FILE
    #[arg(long, value_name = "FILE")]
    report: Option<OsString>,
}

impl Reporting {
    /// Opens it before anything has run. A FIFO's reader is waited for, at most as long as this.
    pub fn open(&self, key: &'static str, limit: &Limit) -> Result<Option<Report>> {
        let path = self.report.as_deref();
        path.map(|path| Report::open(path, key, limit)).transpose()
    }
}

/// Reports that none of the commands that were looked up ran, if one was not found.
pub fn reported(report: Option<&Report>, looked: &[LookedUp]) -> Result<()> {
    let Some(report) = report.filter(|_| looked.iter().any(|one| one.found.is_err())) else {
        return Ok(());
    };
    let records = (1..).zip(looked).map(|(number, looked)| CommandRecord {
        number,
        argv: looked.argv.clone(),
        unrun: looked.found.as_ref().err().map(|error| Exit::of(error).code()),
        ..CommandRecord::default()
    });
    let text = report.text(&records.collect::<Vec<_>>());
    report.written(write_all(report.outlet(), text.as_bytes()), &Limit::default())
}

/// Reports commands that ran, of those of `all` that were started.
pub fn ran(report: Option<&Report>, all: &[Vec<OsString>], crew: &mut Crew) -> Result<()> {
    let Some(report) = report else { return Ok(()) };
    let verdicts = crew.verdicts();
    let records = (1..).zip(all).enumerate().map(|(at, (number, argv))| {
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
