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
mod tests {
    use super::*;

    const ADDRESS: Address = Address { pid: 7, fd: 3, inode: 99 };

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let bytes = request(ADDRESS, b"a\nb");
        assert_eq!(bytes, b"ipcbox-call-1 7 3 99\na\nb");
        let call = Request::Call(ADDRESS, &b"a\nb"[..]);
        assert_eq!(read(kind(ADDRESS), false, &bytes), call);
        assert_eq!(read(32767, true, &bytes), call);
        assert_eq!(read_head(head(42, 1 << 40)), (42, 1 << 40));
    }

    #[test]
    fn a_plain_message_stays_one() {
        let bytes = request(ADDRESS, b"x");
        for (number, is_posix) in [(1, false), (KIND - 1, false), (0, true), (32766, true)] {
            assert_eq!(read(number, is_posix, &bytes), Request::Plain);
        }
        for bytes in [
            &b""[..],
            b"x",
            b"ipcbox-call-1 7 3\n",
            b"ipcbox-call-1 7 3 9 9\n",
            b"ipcbox-call-1 -7 3 9\n",
            b"ipcbox-call-1 7 3 9",
        ] {
            assert_eq!(read(KIND, false, bytes), Request::Plain, "{bytes:?}");
        }
        assert!(is_reserved(32767, &bytes) && !is_reserved(32766, &bytes) && !is_reserved(32767, b"x"));
    }

    #[test]
    fn any_message_is_plain_or_the_call_that_was_made() {
        use proptest::prelude::*;
        let payload = || proptest::collection::vec(any::<u8>(), 0..60);
        let address = (1..=i32::MAX, 0..=i32::MAX, any::<u64>());
        crate::fuzz::fuzz(2000, &(address, payload()), |((pid, fd, inode), payload)| {
            let address = Address { pid, fd, inode };
            let bytes = request(address, &payload);
            prop_assert_eq!(read(kind(address), false, &bytes), Request::Call(address, &payload));
            prop_assert!(kind(address) >= KIND);
            Ok(())
        });
        let near = ("(ipcbox-call-1 )?[-0-9 ]{0,30}\n?", payload(), any::<(i64, bool)>());
        crate::fuzz::fuzz(2000, &near, |(start, end, (number, is_posix))| {
            let bytes = [start.as_bytes(), &end].concat();
            if let Request::Call(address, payload) = read(number, is_posix, &bytes) {
                prop_assert!(address.pid > 0 && address.fd >= 0 && bytes.ends_with(payload));
            }
            Ok(())
        });
        crate::fuzz::fuzz(2000, &any::<(u8, u64)>(), |(status, length)| {
            prop_assert_eq!(read_head(head(status, length)), (status, length));
            Ok(())
        });
    }
}
