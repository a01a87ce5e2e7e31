//! Descriptors that are passed over a unix socket, SCM_RIGHTS of unix(7).
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io::IoSlice;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrLike, SockaddrStorage, sendmsg, setsockopt};
use nix::sys::statfs::{FsType, fstatfs};

use super::Credentials;
use super::name::Name;
use crate::sys::fds::flags;
use crate::sys::interrupt::retry;

/// Room for the credentials of the sender and the most descriptors of one message, SCM_MAX_FD (253), in units of its
/// alignment.
const ROOM: usize = 4 + 129;
/// The file system of pipes without a path, PIPEFS_MAGIC.
const PIPES: FsType = FsType(0x5049_5045);

/// The option of unix(7) that libc does not have yet.
const SO_PASSRIGHTS: c_int = 83;

/// Received descriptors. They may be sockets with SO_LINGER, which would block the process that is the last to close
/// them.
#[derive(Debug, Default)]
pub struct Files(pub Vec<OwnedFd>);

impl Drop for Files {
    fn drop(&mut self) {
        for file in &self.0 {
            // Others are no sockets.
            let _ = setsockopt(file, Linger, &libc::linger { l_onoff: 0, l_linger: 0 });
        }
    }
}

/// Takes the descriptors that are attached to messages for a unix socket, or refuses them, SO_PASSRIGHTS: then the sender
/// gets EPERM. A connection begins as its listener is. Before Linux 6.16, all are taken.
pub fn take_files(socket: impl AsFd, takes: bool) {
    let (fd, value) = (socket.as_fd().as_raw_fd(), c_int::from(takes));
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the call reads the number, which lives through it.
    let _ = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const value).cast(), length) };
}

/// Sends bytes, with these descriptors attached to the first one. Returns how many bytes fit.
pub fn send(socket: impl AsFd, bytes: &[u8], files: &[BorrowedFd]) -> Result<usize> {
    let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let fd = socket.as_fd().as_raw_fd();
    retry(|| sendmsg::<()>(fd, &[IoSlice::new(bytes)], &rights, MsgFlags::MSG_NOSIGNAL, None))
}

/// Receives bytes, and the descriptors that are attached to them, without waiting. They are close-on-exec. Returns 0 at
/// EOF.
///
/// # Errors
/// `EAGAIN`: nothing has come. `EMFILE`: no descriptor was left for one of those.
pub fn receive(socket: impl AsFd, bytes: &mut [u8]) -> Result<(usize, Files)> {
    let came = message(socket.as_fd(), bytes)?;
    if came.is_cut { Err(Errno::EMFILE) } else { Ok((came.length, came.files)) }
}

/// A message with everything that came with it.
pub(in crate::sys) struct Message {
    /// The number of bytes.
    pub length: usize,
    /// The name of the sender.
    pub from: Name,
    /// The process of the sender.
    pub process: Option<Credentials>,
    /// The descriptors.
    pub files: Files,
    /// Whether some of them are missing.
    pub is_cut: bool,
    /// Whether bytes are missing, because the message is longer than the room for it.
    pub is_short: bool,
}

/// Receives a message, without waiting. nix forgets descriptors if some are missing, and the name of the sender.
pub(in crate::sys) fn message(socket: BorrowedFd, bytes: &mut [u8]) -> Result<Message> {
    let mut room = [0_u64; ROOM];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: plain bytes, for which zeros are valid.
    let mut name: libc::sockaddr_storage = unsafe { zeroed() };
    // SAFETY: a msghdr is plain integers and pointers, for which zeros are valid.
    let mut head: libc::msghdr = unsafe { zeroed() };
    head.msg_name = (&raw mut name).cast();
    head.msg_namelen = size_of::<libc::sockaddr_storage>() as _;
    head.msg_iov = &raw mut part;
    head.msg_iovlen = 1;
    head.msg_control = room.as_mut_ptr().cast();
    head.msg_controllen = size_of::<[u64; ROOM]>() as _;
    let how = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: everything that the head points to lives through the call.
    let length = retry(|| Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut head, how) }))?;
    // SAFETY: the kernel has written this many bytes of the name: none for a sender without one.
    let from = unsafe { SockaddrStorage::from_raw((&raw const name).cast(), Some(head.msg_namelen)) };
    let from = from.as_ref().map_or(Name::Unnamed, Name::of);
    let is_cut = head.msg_flags & libc::MSG_CTRUNC != 0;
    let is_short = head.msg_flags & libc::MSG_TRUNC != 0;
    let mut came =
        Message { length: length.cast_unsigned(), from, process: None, files: Files::default(), is_cut, is_short };
    // SAFETY: the kernel has filled the head and its control data, which still lives.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const head) };
    // SAFETY: a pointer that is not null is to a header within the control data.
    while let Some(header) = unsafe { next.as_ref() } {
        // SAFETY: a computation.
        let length = header.cmsg_len - unsafe { libc::CMSG_LEN(0) } as usize;
        // SAFETY: the data follows the header.
        let data = unsafe { libc::CMSG_DATA(next) };
        // SAFETY: the kernel has written this many bytes there.
        let data = unsafe { std::slice::from_raw_parts(data, length) };
        let numbers = data.as_chunks().0.iter().map(|bytes| RawFd::from_ne_bytes(*bytes));
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                // SAFETY: the kernel has just installed these descriptors, and nothing else owns them.
                came.files.0.extend(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                if let [pid, uid, gid] = *numbers.collect::<Vec<_>>() {
                    came.process = Some(Credentials { pid, uid: uid.cast_unsigned(), gid: gid.cast_unsigned() });
                }
            }
            _ => {}
        }
        // SAFETY: as for the first one.
        next = unsafe { libc::CMSG_NXTHDR(&raw const head, next) };
    }
    Ok(came)
}

/// Returns whether a descriptor is a pipe without a path. A process that gets one neither opens more than was passed with
/// its own permissions, nor shows its own user at the other end, as it does when it writes to a socket.
pub fn is_pipe(file: impl AsFd) -> Result<bool> {
    if flags(&file)?.contains(OFlag::O_PATH) {
        return Ok(false);
    }
    Ok(fstatfs(file)?.filesystem_type() == PIPES)
}

#[cfg(test)]
#[path = "../../../tests/units/sys/socket/pass.rs"]
mod tests;
