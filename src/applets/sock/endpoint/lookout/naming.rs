//! The addresses of a host name, looked up while other events are waited for.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;

use super::super::client::LOOKUP;
use super::super::unresolved;
use crate::args::timeout::Timeout;
use crate::sys::deadline::Deadline;
use crate::sys::hosts::{self, Lookup, Unresolved};

/// What is known about a host name.
pub struct Naming {
    /// Its addresses, none if it is unknown. `None`: it was not looked up yet.
    found: Option<Vec<IpAddr>>,
    /// The lookup that runs.
    lookup: Option<Lookup>,
    next: Deadline,
}

impl Naming {
    /// Begins with nothing known.
    pub const fn new() -> Self {
        Self { found: None, lookup: None, next: Deadline::Now }
    }

    /// Returns the event that is the answer to a lookup.
    pub fn event(&self) -> Option<BorrowedFd<'_>> {
        self.lookup.as_ref().map(AsFd::as_fd)
    }

    /// Returns the addresses of a host, none if it is unknown. `None`: there is no answer yet. A call that does not wait
    /// starts no lookup.
    pub fn look(&mut self, name: &str, timeout: &Timeout) -> Result<Option<Vec<IpAddr>>> {
        self.ask(name, timeout.deadline()).map_err(|why| unresolved(name, why, Some(timeout)))?;
        Ok(self.found.clone())
    }

    fn ask(&mut self, name: &str, deadline: Deadline) -> Result<(), Unresolved> {
        if self.lookup.is_none() && self.next.is_over() {
            match hosts::known(name) {
                known if !known.is_empty() => self.learn(known),
                _ if deadline == Deadline::Now => {}
                _ => self.lookup = Some(Lookup::start(name)?),
            }
        }
        if let Some(lookup) = &mut self.lookup
            && let Some(found) = lookup.answer()?
        {
            self.learn(found);
        }
        Ok(())
    }

    fn learn(&mut self, found: Vec<IpAddr>) {
        *self = Self { found: Some(found), lookup: None, next: Deadline::after(LOOKUP) };
    }
}
