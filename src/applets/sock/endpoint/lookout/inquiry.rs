//! Questions about local ports.

use std::net::SocketAddr;

use crate::exit::Cause;
use crate::output;
use crate::sys::socket::Type;
use crate::sys::socket::diag::Diag;

/// Questions to sock_diag(7). If it refuses one, connecting is the test from then on.
#[derive(Default)]
pub struct Inquiry {
    tcp: Option<Diag>,
    udp: Option<Diag>,
    is_refused: bool,
}

impl Inquiry {
    /// Returns whether a port of this machine has a listener; `None` if that is unknown.
    pub fn port(&mut self, kind: Type, at: SocketAddr) -> Option<bool> {
        let known = if kind == Type::Dgram { &mut self.udp } else { &mut self.tcp };
        if known.is_none() && !self.is_refused {
            match Diag::open(kind) {
                Ok(diag) => *known = Some(diag),
                Err(errno) => {
                    self.is_refused = true;
                    let why = Cause::plain(errno);
                    output::warn(format!("sock_diag is not available: {why}; connecting to the server instead"));
                }
            }
        }
        // A failure means that this machine lacks the family.
        known.as_ref()?.listener(at).ok().map(|socket| socket.is_some())
    }
}
