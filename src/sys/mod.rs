//! Floor 0: one function per kernel operation.
//!
//! No other floor contains `unsafe`, calls libc or sees `EINTR`. Every function returns the bare
//! [`Errno`](nix::errno::Errno); the floors above turn it into a message.
// The kernel fixes the widths of its structures and registers, so these casts cannot truncate.
#![allow(clippy::cast_possible_truncation)]

pub mod blocked_open;
pub mod child;
pub mod collect;
pub mod deadline;
pub mod epoll;
pub mod exec;
pub mod fds;
pub mod features;
pub mod fifo;
pub mod file_limit;
pub mod futex;
pub mod glob;
pub mod holder;
pub mod holders;
pub mod hosts;
pub mod init;
pub mod inotify;
pub mod input;
pub mod interrupt;
pub mod lasting;
pub mod local;
pub mod lock_watcher;
pub mod mapping;
pub mod memfd;
pub mod memory;
pub mod message;
pub mod name_file;
pub mod namespace;
pub mod pipe;
pub mod posix;
pub mod process;
pub mod record_lock;
pub mod regular;
pub mod reply_pipe;
pub mod rlimit;
pub mod signal;
pub mod socket;
pub mod sysv;
pub mod terminal;
pub mod transfer;
pub mod users;
pub mod wait;
pub mod written;

/// Returns the errno of an error of the standard library, `EIO` if it has none.
pub fn errno(error: impl std::borrow::Borrow<std::io::Error>) -> nix::errno::Errno {
    error.borrow().raw_os_error().map_or(nix::errno::Errno::EIO, nix::errno::Errno::from_raw)
}
