//! `--watch`: redraws the list on a terminal, prints changes elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;

use super::Ipcs;
use super::list::sort;
use crate::args::format::Streaming;
use crate::exit::Exit;
use crate::objects::columns::{self, Record};
use crate::objects::{Identity, Object};
use crate::output::{self, Stream};
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::wait::ready;

/// Lists the objects until a signal kills ipcbox.
pub fn run(ipcs: &Ipcs, interval: Duration) -> Result<Exit> {
    let is_terminal = fds::is_terminal(fds::stdout());
    let how = Streaming { json: ipcs.showing.json, columns: ipcs.showing.columns.clone() };
    let mut before: HashMap<Identity, Object> = HashMap::new();
    let mut is_first = true;
    loop {
        let shown = if is_terminal {
            output::print(b"\x1b[H\x1b[2J")?;
            ipcs.list()
        } else {
            let (found, exit) = ipcs.all()?;
            before = changes(before, found, &how)?;
            exit
        };
        // A TARGET may vanish after it was found.
        shown.or_else(|error| match Exit::of(&error) {
            Exit::Missing if !is_first => Ok(Exit::Done),
            _ => Err(error),
        })?;
        is_first = false;
        ready(&[], Deadline::after(interval))?;
    }
}

/// Prints the objects that are new, gone or changed since `before`, and returns the present ones.
fn changes(
    mut before: HashMap<Identity, Object>,
    found: Vec<Object>,
    how: &Streaming,
) -> Result<HashMap<Identity, Object>> {
    let all: Vec<Object> = before.values().chain(&found).cloned().collect();
    let names = columns::names(&all);
    let record = |object, verdict| Record { verdict: Some(verdict), ..Record::of(object, &names) };
    let mut now = HashMap::new();
    let mut lines = Vec::new();
    for object in found {
        let verdict = match before.remove(&object.identity()) {
            None => Some("new"),
            Some(was) if was != object => Some("changed"),
            Some(_) => None,
        };
        lines.extend(verdict.map(|verdict| (object.clone(), verdict)));
        now.insert(object.identity(), object);
    }
    let mut gone: Vec<Object> = before.into_values().collect();
    sort(&mut gone, "id")?;
    let records: Vec<Record> = gone
        .iter()
        .map(|object| record(object, "gone"))
        .chain(lines.iter().map(|(object, verdict)| record(object, verdict)))
        .collect();
    Stream::new(&columns::pick(columns::OBJECT), how)?.print(&records)?;
    Ok(now)
}
