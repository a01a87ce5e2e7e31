//! `sock`: unix and TCP sockets.
//!
//! An address is parsed by its text alone (`args::address`). A client reaches a unix socket through the file that it has
//! checked, and refuses the server of another user.

mod activate;
mod call;
mod connect;
mod endpoint;
mod recv;
mod rm;
mod send;
mod serve;
mod stat;
mod wait;
mod with;

use super::{Applet, Entry};

/// The applet.
pub const APPLET: Applet = Applet {
    name: "sock",
    summary: "Connect to unix and TCP sockets without losing a byte",
    example: "ipcbox sock connect ./db.sock <request >reply",
    verbs: &[
        Entry::of::<connect::Connect>(),
        Entry::of::<serve::Serve>(),
        Entry::of::<call::Call>(),
        Entry::of::<send::Send>(),
        Entry::of::<recv::Recv>(),
        Entry::of::<wait::Wait>(),
        Entry::of::<with::With>(),
        Entry::of::<activate::Activate>(),
        Entry::of::<stat::Stat>(),
        Entry::of::<rm::Rm>(),
    ],
};
