//! Holder processes of a file: a caller that finds everything taken kills those whose process has exited.

use nix::Result;
use nix::errno::Errno;

use super::SlotFile;
use crate::sys::holder::seen::{Seen, among_holders_of_file, kill};

impl SlotFile {
    /// Kills the holders whose process has exited, and returns how many have released.
    pub fn kill_stale(&self) -> usize {
        kill(self.holder_processes().into_iter().filter(Seen::is_stale).collect())
    }

    /// Kills the holders that serve the process `pid`, and waits until they have released.
    ///
    /// # Errors
    /// `ESRCH`: there is none. `EPERM`: one cannot be killed. `EBUSY`: one has not exited within a second, because it is
    /// frozen.
    pub fn release(&self, pid: i32) -> Result<()> {
        let serving: Vec<Seen> = self.holder_processes().into_iter().filter(|holder| holder.serves(pid)).collect();
        serving.iter().try_for_each(Seen::may_be_killed)?;
        match serving.len() {
            0 => Err(Errno::ESRCH),
            count if kill(serving) < count => Err(Errno::EBUSY),
            _ => Ok(()),
        }
    }

    fn holder_processes(&self) -> Vec<Seen> {
        among_holders_of_file(self.holders().unwrap_or_default().iter().filter_map(|held| held.pid).collect())
    }
}
