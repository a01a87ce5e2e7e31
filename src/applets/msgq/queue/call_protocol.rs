//! A call: the request in the queue, and the answer that comes by a pipe.
//!
//! The request is a line of text, `ipcbox-call-1 PID FD INODE`, and then the payload. On a System V queue its type is
//! [`KIND`] plus the inode, by which the caller takes it back; on a POSIX queue its priority is the highest. PID and FD
//! lead to the caller's pipe and the inode proves it. What comes by the pipe is [`ACCEPTED`], and when the work is done
//! the status in a byte, the length of the reply in eight bytes, the lowest first, and the reply.

use crate::sys::posix::mq::MAX_PRIORITY;
use crate::sys::reply_pipe::Address;

/// Types from here on are for calls, one for each.
pub const KIND: i64 = 1 << 62;
/// The type of nobody's: no pipe has the inode 0.
pub const NOBODY: i64 = KIND;
/// What a server writes first: it has the request.
pub const ACCEPTED: u8 = b'A';
/// The bytes before the reply itself.
pub const HEAD: usize = 9;

const MARK: &[u8] = b"ipcbox-call-1 ";

/// The type of a caller's requests.
pub fn kind(address: Address) -> i64 {
    KIND + (address.inode.cast_signed() & (KIND - 1))
}

/// A request as it lies in the queue.
pub fn request(address: Address, payload: &[u8]) -> Vec<u8> {
    let Address { pid, fd, inode } = address;
    let mut bytes = MARK.to_vec();
    bytes.extend_from_slice(format!("{pid} {fd} {inode}\n").as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// What a message is to a server.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Nobody waits for an answer.
    Plain,
    /// Somebody does, for an answer to this payload.
    Call(Address, &'a [u8]),
}

/// Tells a call from a plain message.
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

/// What stands before a reply.
pub fn head(status: u8, length: u64) -> [u8; HEAD] {
    let mut head = [status; HEAD];
    head[1..].copy_from_slice(&length.to_le_bytes());
    head
}

/// The status, and the length of the reply.
pub fn read_head(head: [u8; HEAD]) -> (u8, u64) {
    let [status, length @ ..] = head;
    (status, u64::from_le_bytes(length))
}

#[cfg(test)]
#[path = "../../../../tests/units/applets/msgq/queue/call_protocol.rs"]
mod tests;
