//! `--report`: what became of each stage, as JSON Lines.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Error, Result};

use super::crew::Crew;
use super::line::Looked;
use super::stage::{End, Verdict};
use crate::args::signals::name;
use crate::exit::{Cause, Exit};
use crate::output::{self, Cell, Column};
use crate::sys::fds;
use crate::sys::process::ended::Ended;

/// Where the report goes.
pub struct Report {
    file: File,
    path: OsString,
}

/// A stage, whether it ran or not.
struct Record<'a> {
    stage: usize,
    argv: &'a [OsString],
    pid: Option<i32>,
    /// Why it never ran.
    unfound: Option<u8>,
    end: Option<(&'a End, Verdict)>,
}

impl Report {
    /// Opens it before anything has run. One that is `/dev/fd/N` or the like is the descriptor itself, which no stage gets.
    pub fn open(path: &OsStr) -> Result<Self> {
        let opened = match fds::descriptor(path) {
            Some(number) => fds::copy_of(number)
                .map(File::from)
                .and_then(|file| {
                    if number > 2 {
                        fds::keep(number)?;
                    }
                    Ok(file)
                })
                .map_err(Error::from),
            None => File::create(path).map_err(|error| failed(&error)),
        };
        let file =
            opened.with_context(|| format!("cannot write the report to {}", path.display()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Tells of stages that were looked up, and did not run.
    pub fn unrun(&mut self, stages: &[Looked]) -> Result<()> {
        let records = (1..).zip(stages).map(|(stage, looked)| Record {
            stage,
            argv: &looked.argv,
            pid: None,
            unfound: looked.found.as_ref().err().map(|error| Exit::of(error).code()),
            end: None,
        });
        self.write(&records.collect::<Vec<_>>())
    }

    /// Tells of stages that ran, of those of `all` that were started.
    pub fn ran(&mut self, all: &[Vec<OsString>], crew: &Crew) -> Result<()> {
        let verdicts = crew.verdicts();
        let records = all.iter().enumerate().map(|(at, argv)| {
            let ran = crew.stages.get(at);
            Record {
                stage: at + 1,
                argv,
                pid: ran.map(|stage| stage.pid),
                unfound: None,
                end: ran.and_then(|stage| Some((stage.end.as_ref()?, verdicts[at]))),
            }
        });
        self.write(&records.collect::<Vec<_>>())
    }

    fn write(&mut self, records: &[Record]) -> Result<()> {
        let written = self.file.write_all(output::json(&columns(), records).as_bytes());
        let told = || format!("cannot write the report to {}", self.path.display());
        written.map_err(|error| failed(&error)).with_context(told)
    }
}

fn failed(error: &std::io::Error) -> Error {
    let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default());
    Cause::plain(errno).into()
}

impl Record<'_> {
    fn end(&self, get: impl FnOnce(&End) -> Cell) -> Cell {
        Cell::known(self.end.map(|(end, _)| end), get)
    }

    fn status(&self) -> Cell {
        match self.unfound {
            Some(status) => status.into(),
            None => self.end(|end| end.ended.status().into()),
        }
    }

    fn signal(&self) -> Cell {
        self.end(|end| match end.ended {
            Ended::Killed(signal) => Cell::Text(name(signal)),
            Ended::Exited(_) => Cell::Unknown,
        })
    }

    fn forgiven(&self) -> Cell {
        Cell::known(self.end, |(_, verdict)| Cell::Flag(verdict == Verdict::Forgiven))
    }
}

const fn columns<'a>() -> [Column<Record<'a>>; 10] {
    [
        Column::new("stage", |r| number(r.stage)),
        Column::new("argv", |r| Cell::List(r.argv.iter().map(|word| Cell::name(word)).collect())),
        Column::new("pid", |r| Cell::known(r.pid, Cell::from)),
        Column::new("status", Record::status),
        Column::new("signal", Record::signal),
        Column::new("forgiven", Record::forgiven),
        Column::new("wall_s", |r| r.end(|end| Cell::Seconds(end.wall))),
        Column::new("user_s", |r| r.end(|end| Cell::Seconds(end.usage.user))),
        Column::new("system_s", |r| r.end(|end| Cell::Seconds(end.usage.system))),
        Column::new("max_rss_bytes", |r| r.end(|end| number(end.usage.max_rss))),
    ]
}

fn number(count: impl TryInto<i64>) -> Cell {
    count.try_into().map_or(Cell::Unknown, Cell::from)
}
