//! Addresses of a host name: from `/etc/hosts`, otherwise from one call of getent(1). In a static binary, the C
//! library's getaddrinfo(3) would load modules.

use std::ffi::OsString;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::child::{self, Change, Group, Standard, Unstarted};
use crate::sys::deadline::Deadline;
use crate::sys::signal::{Signal, kill};
use crate::sys::wait::{Wake, ready_or_signal};
use crate::sys::{exec, fds, pipe};

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unresolved {
    /// It is not known.
    Unknown,
    /// It is not in `/etc/hosts`, and getent(1) is not installed.
    NoGetent,
    /// getent(1) was not started.
    NotStarted(Errno),
    /// A call failed. `EAGAIN`: no answer before the deadline. `EINTR`: a
    /// [caught](crate::sys::interrupt::catch) signal came.
    Failed(Errno),
}

impl From<Errno> for Unresolved {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

/// Returns the addresses of a host, in the order in which to try them.
pub fn find(name: &str, deadline: Deadline) -> Result<Vec<IpAddr>, Unresolved> {
    let known = known(name);
    if !known.is_empty() {
        return Ok(known);
    }
    // It would have to be waited for.
    if deadline == Deadline::Now {
        return Err(Errno::EAGAIN.into());
    }
    let mut lookup = Lookup::start(name)?;
    loop {
        match lookup.answer()? {
            Some(none) if none.is_empty() => return Err(Unresolved::Unknown),
            Some(found) => return Ok(found),
            None => {}
        }
        match ready_or_signal(&[lookup.as_fd()], deadline)? {
            Wake::Ready(_) => {}
            Wake::Signal => return Err(Errno::EINTR.into()),
            Wake::Late => return Err(Errno::EAGAIN.into()),
        }
    }
}

/// Returns the addresses of a host in `/etc/hosts`.
pub fn known(name: &str) -> Vec<IpAddr> {
    let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
    in_hosts(&String::from_utf8_lossy(&hosts), name)
}

/// A call of getent(1). Its descriptor is readable when more of the answer has come. Dropping it ends the call.
pub struct Lookup {
    child: i32,
    from: OwnedFd,
    text: Vec<u8>,
}

impl Lookup {
    /// Starts it.
    ///
    /// # Errors
    /// getent(1) is missing, or was not started.
    pub fn start(name: &str) -> Result<Self, Unresolved> {
        let program = exec::find("getent".as_ref()).map_err(|_| Unresolved::NoGetent)?;
        let words = ["getent", "ahosts", name].map(OsString::from);
        let (from, to) = pipe::new()?;
        pipe::set_blocking(&to)?;
        let nothing = File::open("/dev/null").map_err(crate::sys::errno)?;
        let standard = Standard { input: Some(nothing.as_fd()), output: Some(to.as_fd()), error: None };
        let started = child::start_program(&program, &words, &[], standard, Group::Same);
        let child =
            started.map_err(|(Unstarted::Fork(errno) | Unstarted::Run(errno))| Unresolved::NotStarted(errno))?;
        Ok(Self { child, from, text: Vec::new() })
    }

    /// Returns the addresses of the host, none if it is not known. `None`: the answer is not complete.
    pub fn answer(&mut self) -> nix::Result<Option<Vec<IpAddr>>> {
        let mut block = [0; 4096];
        loop {
            match fds::read(&self.from, &mut block) {
                Ok(0) => return Ok(Some(in_answer(&String::from_utf8_lossy(&self.text)))),
                Ok(count) => self.text.extend_from_slice(&block[..count]),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        // A supervisor may have reaped it, and then its pid can be that of another process.
        if matches!(child::change_of(self.child), Ok(None | Some((_, Change::Stopped(_), _)))) {
            let _ = kill(self.child, Signal::KILL);
            let _ = child::reap(self.child);
        }
    }
}

/// Returns the addresses of a name in hosts(5): an address, then its names.
fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|known| known.eq_ignore_ascii_case(name)).then_some(address)
    };
    once_each(text.lines().filter_map(address))
}

/// Returns the addresses in an answer of `getent ahosts`: one at the start of each line, with a line for each type of
/// socket.
fn in_answer(text: &str) -> Vec<IpAddr> {
    once_each(text.lines().filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok()))
}

fn once_each(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in addresses {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
#[path = "../../tests/units/sys/hosts.rs"]
mod tests;
