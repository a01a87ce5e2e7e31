//! Whether servers accept, found out without connecting where the kernel knows.
//!
//! A server that is connected to for a test logs a failure, and a server of one connection is used up. A closed port
//! that is connected to in a loop is connected to itself at some time.

mod inquiry;
mod naming;
mod spot;

use std::os::fd::BorrowedFd;

use anyhow::{Error, Result, bail};

use self::inquiry::Inquiry;
use self::spot::Spot;
use super::{or_file, servers};
use crate::args::address::Address;
use crate::args::timeout::Timeout;
use crate::exit::Failures;
use crate::objects::users;
use crate::sys::deadline::Deadline;
use crate::sys::wait::Want;

/// What is known about the server of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It accepts.
    Accepts,
    /// It has accepted a connection.
    Accepted,
    /// It does not accept; this is there instead.
    Lacks(&'static str),
    /// The host name was not looked up yet.
    Unresolved,
}

/// What a [`Lookout`] is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Awaited {
    /// That servers do not accept any more.
    pub gone: bool,
    /// One address is enough.
    pub any: bool,
}

/// The addresses of servers, watched together.
pub struct Lookout<'a> {
    spots: Vec<Spot<'a>>,
    awaited: Awaited,
    inquiry: Inquiry,
}

/// Which addresses to ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of which something may have changed.
    Due,
    /// All.
    All,
}

impl<'a> Lookout<'a> {
    /// Begins with nothing known.
    pub fn new(addresses: impl IntoIterator<Item = &'a Address>, awaited: Awaited) -> Self {
        Self { spots: addresses.into_iter().map(Spot::new).collect(), awaited, inquiry: Inquiry::default() }
    }

    /// Asks about the addresses, and returns whether they are as awaited.
    ///
    /// # Errors
    /// A file that is not a socket, a socket of another type, or one that may not be connected to.
    pub fn look(&mut self, which: Which, timeout: &Timeout) -> Result<bool> {
        let Awaited { gone, any } = self.awaited;
        for spot in &mut self.spots {
            if which == Which::All || spot.is_due()? {
                match spot.look(&mut self.inquiry, timeout) {
                    Ok(seen) => spot.plan(seen, gone),
                    Err(error) => spot.fail(error.context(cannot(spot.address))),
                }
            }
        }
        let failed = self.spots.iter().filter(|spot| spot.failure.is_some()).count();
        // If one is enough, the others can still be as awaited.
        if failed == self.spots.len() || failed > 0 && !any {
            bail!(Failures(self.spots.iter_mut().filter_map(|spot| spot.failure.take()).collect()));
        }
        if !self.is_over() || self.spots.len() == 1 {
            return Ok(self.is_over());
        }
        // One that accepted a while ago can have exited.
        for spot in &mut self.spots {
            if spot.presence == Presence::Accepts {
                let seen = spot.look(&mut self.inquiry, timeout)?;
                spot.plan(seen, gone);
            }
        }
        Ok(self.is_over())
    }

    fn is_over(&self) -> bool {
        let missing = self.spots.iter().filter(|spot| spot.is_missing(self.awaited.gone)).count();
        if self.awaited.any { missing < self.spots.len() } else { missing == 0 }
    }

    /// Returns the failures of the addresses that were not as awaited in time.
    pub fn late(&mut self, timeout: &Timeout) -> Failures {
        let gone = self.awaited.gone;
        let missing = self.spots.iter_mut().filter(|spot| spot.is_missing(gone));
        let late = |spot: &mut Spot| spot.failure.take().unwrap_or_else(|| late(spot.address, spot.presence, timeout));
        Failures(missing.map(late).collect())
    }

    /// Returns the events that can be changes.
    pub fn events(&self) -> Vec<(BorrowedFd<'_>, Want)> {
        self.spots.iter().flat_map(Spot::events).collect()
    }

    /// Returns when to ask again without an event.
    pub fn due(&self) -> Deadline {
        self.spots.iter().fold(Deadline::Forever, |due, spot| due.earlier(spot.due))
    }
}

/// Returns the failure that a server was not as awaited in time.
fn late(address: &Address, seen: Presence, timeout: &Timeout) -> Error {
    let (still, after) = (timeout.still(), timeout.after());
    let cause = match seen {
        Presence::Lacks(words) => or_file(timeout.expired(format!("{still} {words}{after}").trim_start()), address),
        Presence::Accepts | Presence::Accepted => {
            let by = if timeout.is_silent() { None } else { users::list(&servers(address)) };
            let by = by.map_or_else(String::new, |users| format!(": {users}"));
            timeout.expired(format!("a server{still} accepts{after}{by}"))
        }
        Presence::Unresolved => timeout.missed("the host was not looked up"),
    };
    Error::from(cause).context(cannot(address))
}

/// Returns the context of a failure.
fn cannot(address: &Address) -> String {
    format!("cannot wait for {address}")
}
