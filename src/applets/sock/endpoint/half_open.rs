//! Connections of clients that call, until CMD starts.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::geteuid;

use super::allow::Origin;
use super::frame::{self, Begun};
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::socket::pass::{self, Files};

/// How long a call may take to come.
const PATIENCE: Duration = Duration::from_secs(1);
/// The number of standard files.
const FILES: usize = 3;
/// How many more descriptors it takes to start CMD.
const SPARE: usize = 2;
/// How many such connections there may be.
pub const MOST: usize = 64;

/// A connection whose CMD has not started.
#[derive(Debug)]
pub struct HalfOpen {
    /// The connection.
    pub connection: OwnedFd,
    /// The client.
    pub origin: Origin,
    /// The address of the listener.
    pub address: String,
    /// The call, when all of it has come. It then waits for a place.
    pub call: Option<Whole>,
    /// Descriptors in place of those that the client will pass, and of those that start CMD. Without room, the kernel
    /// would drop the first ones.
    room: Vec<OwnedFd>,
    until: Deadline,
    bytes: Vec<u8>,
    files: Files,
}

/// MESSAGE, and standard input, output and error.
type Whole = (Option<Vec<u8>>, [OwnedFd; FILES]);

/// Why a call is dropped.
#[derive(Debug)]
pub enum Dropped {
    /// The client has gone.
    Gone,
    /// It is no call, for this reason.
    Wrong(&'static str),
}

impl HalfOpen {
    /// A connection that has just been accepted.
    pub fn new(connection: OwnedFd, origin: Origin, address: String) -> Self {
        let (room, bytes, files) = (Vec::new(), Vec::new(), Files::default());
        Self { connection, origin, address, call: None, room, until: Deadline::Forever, bytes, files }
    }

    /// Whether the client may send its call.
    pub fn is_ready(&self) -> bool {
        self.until != Deadline::Forever
    }

    /// Lets the client send its call.
    ///
    /// # Errors
    /// `EMFILE`: no descriptors are left for its files.
    pub fn make_ready(&mut self) -> nix::Result<()> {
        let copy = |_| fds::copy_of(self.connection.as_raw_fd());
        self.room = (0..FILES + SPARE).map(copy).collect::<nix::Result<_>>()?;
        pass::take_files(&self.connection, true);
        pass::send(&self.connection, &[frame::READY], &[])?;
        self.until = Deadline::after(PATIENCE);
        Ok(())
    }

    /// Returns when the connection is given up if the call has not come.
    pub const fn until(&self) -> Deadline {
        if self.call.is_some() { Deadline::Forever } else { self.until }
    }

    /// Reads what has come, without waiting.
    pub fn read(&mut self) -> Result<(), Dropped> {
        let mut block = vec![0; 16 << 10];
        self.room.truncate(SPARE);
        loop {
            match pass::receive(&self.connection, &mut block) {
                Ok((0, _)) => return Err(Dropped::Gone),
                Ok(_) if self.call.is_some() => return Err(Dropped::Wrong(WRONG)),
                Ok((count, mut files)) => {
                    self.bytes.extend_from_slice(&block[..count]);
                    self.files.0.append(&mut files.0);
                }
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EMFILE) => return Err(Dropped::Wrong("no descriptor is left for the files of the caller")),
                Err(_) => return Err(Dropped::Gone),
            }
            match frame::parse(&self.bytes) {
                Begun::Part if self.files.0.len() <= FILES => {}
                Begun::Whole(message) => {
                    pass::take_files(&self.connection, false);
                    self.call = Some((message, self.trusted_files().map_err(Dropped::Wrong)?));
                    return Ok(());
                }
                Begun::Part | Begun::Wrong => return Err(Dropped::Wrong(WRONG)),
            }
        }
    }

    fn trusted_files(&mut self) -> Result<[OwnedFd; FILES], &'static str> {
        let wrong = "the caller did not pass three descriptors";
        let files = &mut self.files.0;
        // CMD could open another user's file once more, with permissions that the caller lacks. To the other end of a
        // socket, what CMD writes would come from the user of CMD.
        let is_trusted = self.origin.uid.is_some_and(|uid| uid == 0 || uid == geteuid().as_raw());
        if files.len() != FILES {
            return Err(wrong);
        }
        if !is_trusted && !files.iter().all(|file| pass::is_pipe(file) == Ok(true)) {
            return Err("another user may pass only pipes");
        }
        <[OwnedFd; FILES]>::try_from(std::mem::take(files)).map_err(|_| wrong)
    }
}

const WRONG: &str = "the caller does not follow the protocol";
