//! The protocol of a call, between `sock call` and `sock serve`.
//!
//! A client that calls has bound its socket to an abstract name that begins with [`MARKER`], so that the server knows it
//! when it accepts the connection. The server answers [`READY`], or [`DENIED`] to a user that it does not accept. Only then
//! does the client send its message: a descriptor that waits in a backlog stays open even if the client exits. It is
//! - `C`, or `M`, four bytes with the length of MESSAGE (lowest first), and MESSAGE;
//! - with the first byte, three descriptors for standard input, output and error of CMD.
//!
//! The server answers [`ACCEPTED`] before it starts CMD, and [`ENDED`] with the exit status when CMD has exited. Each byte
//! that follows from the client is a signal for CMD. EOF is SIGHUP.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use nix::Result;
use nix::errno::Errno;
use nix::unistd::getpid;

use crate::sys::socket::pass;

/// The beginning of the name of a client that calls.
pub const MARKER: &[u8] = b"ipcbox-call-1 ";
/// The first byte of the message of a client without MESSAGE.
const PLAIN: u8 = b'C';
/// The same with MESSAGE.
const MESSAGE: u8 = b'M';
/// The answer that the server has accepted the connection.
pub const READY: u8 = b'R';
/// The answer that CMD starts now.
pub const ACCEPTED: u8 = b'A';
/// The answer that CMD has exited.
pub const ENDED: u8 = b'S';
/// The answer that the user of the client is not accepted.
pub const DENIED: u8 = b'D';
/// The longest MESSAGE, in bytes: that of an argument, MAX_ARG_STRLEN of the kernel without its NUL.
pub const LONGEST: usize = (128 << 10) - 1;

/// Returns a name for a client.
pub fn marker() -> Vec<u8> {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
    [MARKER, format!("{} {now:x}", getpid()).as_bytes()].concat()
}

/// Returns the message of a client.
pub fn request(message: Option<&[u8]>) -> Vec<u8> {
    let Some(message) = message else { return vec![PLAIN] };
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[MESSAGE][..], &length.to_le_bytes(), message].concat()
}

/// The beginning of a message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// More bytes follow.
    Part,
    /// All of it, with MESSAGE.
    Whole(Option<Vec<u8>>),
    /// It is no call.
    Wrong,
}

/// Parses the bytes that have come from a client.
pub fn parse(bytes: &[u8]) -> Begun {
    match bytes {
        [] | [MESSAGE] | [MESSAGE, _] | [MESSAGE, _, _] | [MESSAGE, _, _, _] => Begun::Part,
        [PLAIN] => Begun::Whole(None),
        [MESSAGE, a, b, c, d, message @ ..] => match u32::from_le_bytes([*a, *b, *c, *d]) as usize {
            length if length > LONGEST || length < message.len() => Begun::Wrong,
            length if length == message.len() => Begun::Whole(Some(message.to_vec())),
            _ => Begun::Part,
        },
        _ => Begun::Wrong,
    }
}

/// An answer of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The server has accepted the connection.
    Ready,
    /// CMD starts now.
    Accepted,
    /// CMD has exited with this status.
    Ended(u8),
    /// The user of the client is not accepted.
    Denied,
    /// The server has closed the connection.
    Gone,
    /// It does not follow the protocol.
    Strange,
}

/// The answers of a server, as they come.
#[derive(Debug, Default)]
pub struct Answers {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Answers {
    /// Reads what has come, without waiting.
    pub fn read(&mut self, socket: &OwnedFd) -> Result<()> {
        let mut block = [0; 16];
        match pass::receive(socket, &mut block) {
            Err(Errno::EAGAIN) => {}
            Err(Errno::ECONNRESET) | Ok((0, _)) => self.is_over = true,
            came => self.bytes.extend_from_slice(&block[..came?.0]),
        }
        Ok(())
    }

    /// Returns the next answer; `None` if it has not come whole.
    pub fn next(&mut self) -> Option<Answer> {
        let (answer, length) = match *self.bytes {
            [READY, ..] => (Answer::Ready, 1),
            [ACCEPTED, ..] => (Answer::Accepted, 1),
            [ENDED, status, ..] => (Answer::Ended(status), 2),
            [DENIED, ..] => (Answer::Denied, 1),
            [] | [ENDED] if self.is_over => return Some(Answer::Gone),
            [] | [ENDED] => return None,
            _ => return Some(Answer::Strange),
        };
        self.bytes.drain(..length);
        Some(answer)
    }
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/sock/endpoint/frame.rs"]
mod tests;
