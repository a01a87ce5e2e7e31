//! Finds, sorts and prints objects.

use anyhow::{Context, Result};

use super::{Ipcs, tables};
use crate::exit::{Exit, each};
use crate::objects::columns::{self, Record};
use crate::objects::usage::Evidence;
use crate::objects::{KINDS, Object, find, posix, system_v};
use crate::output::{self, Cell};
use crate::sys::sysv::Kind;

impl Ipcs {
    fn of_kind(&self, kind: Kind) -> Result<Vec<Object>> {
        self.filter(system_v(kind)?)
    }

    /// Returns the objects that match the filters, and reports how many were left out for lack of proof.
    fn filter(&self, found: Vec<Object>) -> Result<Vec<Object>> {
        let (found, unproved) = self.filters.sift(found)?;
        if let (Some(unproved), None) = (unproved, self.watch) {
            output::warn(format!("left out {unproved}"));
        }
        Ok(found)
    }

    fn posix_of(&self, kinds: &[Kind]) -> Result<Vec<Object>> {
        let mut found = Vec::new();
        for kind in KINDS.iter().filter(|kind| self.posix && kinds.contains(kind)) {
            match posix(*kind)? {
                Some(objects) => found.extend(objects),
                None => find::report_no_queues(),
            }
        }
        self.filter(found)
    }

    /// Returns all requested objects in the requested order, and whether all targets were found.
    pub(super) fn all(&self) -> Result<(Vec<Object>, Result<Exit>)> {
        let kinds = self.kinds();
        let mut found = Vec::new();
        let mut exit = Ok(Exit::Done);
        if self.targets.is_empty() {
            for kind in KINDS.iter().filter(|kind| kinds.contains(kind)) {
                found.extend(self.of_kind(*kind)?);
            }
            found.extend(self.posix_of(&kinds)?);
        } else {
            exit = each(&self.targets, |target| {
                let named = find::named(target, &kinds);
                found.extend(named.with_context(|| format!("cannot show {target}"))?);
                Ok(())
            });
            found = self.filter(found)?;
        }
        if let Some(column) = &self.sort {
            sort(&mut found, column)?;
        }
        Ok((found, exit))
    }

    pub(super) fn list(&self) -> Result<Exit> {
        let kinds = self.kinds();
        let in_a_table = self.in_records() && !self.showing.json;
        if self.holders || self.sort.is_some() || !self.targets.is_empty() || in_a_table {
            let (found, exit) = self.all()?;
            if self.holders {
                self.show_holders(&found)?;
            } else {
                self.print(&found, &kinds)?;
            }
            return exit;
        }
        // One kind at a time, as there can be very many objects.
        for kind in KINDS.iter().filter(|kind| kinds.contains(kind)) {
            self.print(&self.of_kind(*kind)?, &[*kind])?;
        }
        if !self.in_records() {
            output::print(b"\n")?;
        }
        self.show(&self.posix_of(&kinds)?)?;
        Ok(Exit::Done)
    }

    /// Prints objects as records, or in the tables of these kinds, followed by the records of POSIX objects.
    fn print(&self, found: &[Object], kinds: &[Kind]) -> Result<()> {
        if self.in_records() {
            return self.show(found);
        }
        let is_whole = self.targets.is_empty() && self.sort.is_none();
        let names = columns::names(found);
        for kind in KINDS.iter().filter(|kind| kinds.contains(kind)) {
            let of_kind = found.iter().filter(|o| o.kind() == *kind && !o.is_posix());
            if !is_whole && of_kind.clone().next().is_none() {
                continue;
            }
            let mut text = tables::title(*kind, self.table(), self.human);
            for object in of_kind {
                text += &tables::line(object, self.table(), self.human, &names);
                if text.len() > 64 << 10 {
                    output::print(text.as_bytes())?;
                    text.clear();
                }
            }
            output::print(text.as_bytes())?;
        }
        if !is_whole {
            if !found.iter().all(Object::is_posix) {
                output::print(b"\n")?;
            }
            let posix: Vec<Object> = found.iter().filter(|object| object.is_posix()).cloned().collect();
            self.show(&posix)?;
        }
        Ok(())
    }

    fn show(&self, found: &[Object]) -> Result<()> {
        columns::show(columns::OBJECT, found, &self.showing, false)
    }

    fn show_holders(&self, found: &[Object]) -> Result<()> {
        let evidence = Evidence::gather(found);
        let of = |object| evidence.users(object).into_iter().map(move |user| (object, user));
        let users: Vec<_> = found.iter().flat_map(of).collect();
        columns::show_users("kind -family id -key name pid command how", &users, &self.showing, false)
    }
}

/// Sorts objects by a column; those without a value come last.
pub(super) fn sort(objects: &mut Vec<Object>, column: &str) -> Result<()> {
    let columns = columns::pick(columns::OBJECT);
    let column = output::column(&columns, column)?;
    let names = columns::names(&*objects);
    let key = |object| SortKey::of((column.get)(&Record::of(object, &names)));
    // The index keeps the order of equal objects.
    let keys: Vec<(SortKey, usize)> = objects.iter().map(key).zip(0..).collect();
    let mut keyed: Vec<((SortKey, usize), Object)> = keys.into_iter().zip(objects.drain(..)).collect();
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    objects.extend(keyed.into_iter().map(|(_, object)| object));
    Ok(())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum SortKey {
    Number(i64),
    Text(String),
    None,
}

impl SortKey {
    fn of(cell: Cell) -> Self {
        match cell {
            Cell::Number(number) => Self::Number(number),
            Cell::Absent | Cell::Unknown => Self::None,
            cell => Self::Text(cell.text(false)),
        }
    }
}
