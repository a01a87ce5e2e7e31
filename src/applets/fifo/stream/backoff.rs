//! Polling at growing intervals, for the few changes that cause no event.

use std::time::Duration;

use crate::sys::deadline::Deadline;

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(1);

/// The time until the next look: 1 ms at first, doubled each time up to 1 s.
#[derive(Debug, Clone, Copy)]
pub struct Backoff(Duration);

impl Backoff {
    pub const FIRST: Self = Self(FIRST);

    /// Returns the end of this pause, or `deadline` if that is earlier.
    pub fn within(self, deadline: Deadline) -> Deadline {
        Deadline::after(self.0).earlier(deadline)
    }

    /// Returns the next pause.
    pub fn longer(self) -> Self {
        Self(LONGEST.min(self.0 * 2))
    }
}
