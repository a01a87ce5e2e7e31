//! The wire format of a call: a request in the queue, and a reply through a pipe of the caller.
//!
//! The request is the line `ipcbox-call-1 PID FD INODE`, followed by the payload. On a System V queue its type is
//! [`KIND`] plus the inode, so that the caller can take it back; on a POSIX queue it has the highest priority. PID and
//! FD locate the caller's pipe, and the inode confirms it. The server writes [`ACCEPTED`] to the pipe, and after CMD
//! has exited the status (one byte), the length of the reply (eight bytes, little-endian) and the reply.

use crate::sys::posix::mq::MAX_PRIORITY;
use crate::sys::reply_pipe::Address;

/// The lowest type of calls; each call has its own.
pub const KIND: i64 = 1 << 62;
/// A type that no call has, as no pipe has the inode 0.
pub const UNUSED: i64 = KIND;
/// The first byte of the server, when it has taken the request.
pub const ACCEPTED: u8 = b'A';
/// The length of the head of a reply.
pub const HEAD: usize = 9;

const MARK: &[u8] = b"ipcbox-call-1 ";

/// Returns the type of the requests of a caller.
pub fn kind(address: Address) -> i64 {
    KIND + (address.inode.cast_signed() & (KIND - 1))
}

pub fn request(address: Address, payload: &[u8]) -> Vec<u8> {
    let Address { pid, fd, inode } = address;
    let mut bytes = MARK.to_vec();
    bytes.extend_from_slice(format!("{pid} {fd} {inode}\n").as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A message, as a server understands it.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A message that was sent.
    Plain,
    /// A call with this payload.
    Call(Address, &'a [u8]),
}

/// Parses a message; one that is no well-formed call is plain.
pub fn read(number: i64, is_posix: bool, data: &[u8]) -> Request<'_> {
    let least = if is_posix { MAX_PRIORITY.into() } else { KIND };
    let call = || {
        let rest = data.strip_prefix(MARK).filter(|_| number >= least)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let mut words = std::str::from_utf8(&rest[..end]).ok()?.split(' ');
        let pid = words.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let fd = words.next()?.parse().ok().filter(|fd| *fd >= 0)?;
        let inode = words.next()?.parse().ok()?;
        words.next().is_none().then_some((Address { pid, fd, inode }, &rest[end + 1..]))
    };
    call().map_or(Request::Plain, |(address, payload)| Request::Call(address, payload))
}

/// Whether a plain message of this priority would be taken for a call.
pub fn is_reserved(priority: i64, data: &[u8]) -> bool {
    priority >= MAX_PRIORITY.into() && data.starts_with(MARK)
}

pub fn head(status: u8, length: u64) -> [u8; HEAD] {
    let mut head = [status; HEAD];
    head[1..].copy_from_slice(&length.to_le_bytes());
    head
}

/// Parses the head of a reply: the status and the length.
pub fn read_head(head: [u8; HEAD]) -> (u8, u64) {
    let [status, length @ ..] = head;
    (status, u64::from_le_bytes(length))
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/msgq/queue/call_protocol.rs"]
mod tests;
