//! What a client gets when CMD has exited: its status, or the reply to a datagram.

use std::os::fd::AsFd;
use std::path::Path;
use std::slice::from_ref;

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::frame;
use crate::exit::Cause;
use crate::output;
use crate::supervise::pool::{Ended, Receiver};
use crate::sys::fifo::Kind;
use crate::sys::socket::datagram::Sender;
use crate::sys::socket::name::Name;
use crate::sys::socket::{Credentials, Peer, SocketFile, datagram, pass};
use crate::sys::transfer;
use crate::text::counted;

/// The largest datagram. That of UDP is smaller; a unix socket can have a larger buffer.
const LARGEST: u64 = 4 << 20;

/// Sends the status to a caller, or the output to the sender of a datagram. One that has gone is no failure.
pub fn answer(ended: Ended) -> Result<()> {
    let Some(receiver) = ended.reply_to else { return Ok(()) };
    let Some(sender) = &receiver.sender else {
        // The process of CMD could not be created.
        if let Some(greeting) = receiver.greeting {
            let _ = pass::send(&receiver.to, &[greeting], &[]);
        }
        let _ = pass::send(&receiver.to, &[frame::ENDED, ended.status], &[]);
        return Ok(());
    };
    let Some(reply) = ended.printed else { return Ok(()) };
    let length = reply.metadata().context("cannot read the size of a reply")?.len();
    if length == 0 {
        return Ok(());
    }
    let mut bytes = vec![0; usize::try_from(length.min(LARGEST))?];
    let sent = if length > LARGEST {
        Err(too_long(bytes.len()))
    } else {
        transfer::read_at(reply.as_fd(), 0, &mut bytes)?;
        deliver(&receiver, sender, &bytes)
    };
    if let Err(cause) = sent {
        output::warn(format!("cannot deliver a reply to {}: {cause}", sender.name));
    }
    Ok(())
}

fn too_long(length: usize) -> Cause {
    Cause::from_errno(Errno::EMSGSIZE, format!("{} are too long for a datagram", counted(length, "byte")))
}

fn deliver(receiver: &Receiver, sender: &Sender, bytes: &[u8]) -> Result<(), Cause> {
    let file;
    let sent = match &sender.name {
        Name::Unnamed => return Ok(()),
        Name::Path(path) => match SocketFile::open(path) {
            Ok(found) => {
                file = found;
                is_of(&file, sender.process)?;
                datagram::send_to(&receiver.to, bytes, &Peer::File(&file))
            }
            Err(errno) => Err(errno),
        },
        Name::Abstract(name) => datagram::send_to(&receiver.to, bytes, &Peer::Abstract(name)),
        Name::Inet(address) => datagram::send_to(&receiver.to, bytes, &Peer::Inet(from_ref(address))),
    };
    match sent {
        Ok(()) | Err(Errno::ECONNREFUSED | Errno::ENOENT | Errno::ECONNRESET) => Ok(()),
        Err(Errno::EMSGSIZE) => Err(too_long(bytes.len())),
        Err(errno @ Errno::EAGAIN) => Err(Cause::from_errno(errno, "the sender has not read its earlier datagrams")),
        Err(errno) => Err(Cause::plain(errno)),
    }
}

/// Checks that a path still is a socket of the sender. The server could reach sockets that the sender cannot, so the
/// sender must not choose one for it by a link or by another name.
fn is_of(file: &SocketFile, sender: Option<Credentials>) -> Result<(), Cause> {
    let words = match sender {
        _ if file.seen.kind != Kind::Socket => "the path is not a socket any more",
        Some(sender) if sender.uid == file.seen.uid => return Ok(()),
        Some(_) => "the path belongs to another user",
        None => "the user of the sender is unknown",
    };
    Err(Cause::from_errno(Errno::EPERM, words))
}

/// Returns why no reply can reach a sender: its path is one within a directory that is unknown.
pub fn unreachable(sender: &Sender) -> Option<Cause> {
    let Name::Path(path) = &sender.name else { return None };
    let words = || format!("cannot send a reply to the relative path {} of the sender", path.display());
    let cause = || Cause::from_errno(Errno::EDESTADDRREQ, words());
    (!Path::is_absolute(path)).then(cause)
}
