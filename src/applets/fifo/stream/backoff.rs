//! Looking again at growing intervals, for the few things of which the kernel does not tell.

use std::time::Duration;

use crate::sys::deadline::Deadline;

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);

/// The time until the next look: 1 ms at first, and then twice as long each time, up to a second.
#[derive(Debug, Clone, Copy)]
pub struct Backoff(Duration);

impl Backoff {
    /// The first one.
    pub const FIRST: Self = Self(FIRST);

    /// To wait for this pause, but no longer than until `deadline`.
    pub fn within(self, deadline: Deadline) -> Deadline {
        Deadline::after(self.0).earlier(deadline)
    }

    /// The next one.
    pub fn longer(self) -> Self {
        Self(LONGEST.min(self.0 * 2))
    }
}
