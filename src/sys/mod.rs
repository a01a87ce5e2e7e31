//! Floor 0: one function per kernel act.
//!
//! The only floor that holds `unsafe` or calls libc, and the only one that sees `EINTR`. Every function
//! returns the bare [`Errno`](nix::errno::Errno); the floors above say what it means.
// The kernel's structures and registers have the widths that they have; what is cast here fits.
#![allow(clippy::cast_possible_truncation)]

pub mod blocked_open;
pub mod child;
pub mod collect;
pub mod deadline;
pub mod epoll;
pub mod exec;
pub mod fds;
pub mod fifo;
pub mod file_limit;
pub mod futex;
pub mod holder;
pub mod holders;
pub mod init;
pub mod inotify;
pub mod input;
pub mod interrupt;
pub mod lasting;
pub mod local;
pub mod mapping;
pub mod memfd;
pub mod memory;
pub mod message;
pub mod namespace;
pub mod pipe;
pub mod posix;
pub mod process;
pub mod reply_pipe;
pub mod signal;
pub mod sysv;
pub mod terminal;
pub mod transfer;
pub mod users;
pub mod wait;
pub mod written;

/// The errno of a failure of the standard library's, `EIO` where it has none.
pub fn errno(error: impl std::borrow::Borrow<std::io::Error>) -> nix::errno::Errno {
    error.borrow().raw_os_error().map_or(nix::errno::Errno::EIO, nix::errno::Errno::from_raw)
}
