//! Deadlines of waits.
//!
//! A duration is converted to an instant of the monotonic clock once, when the arguments are parsed. A wait that is
//! interrupted, by a signal handler or by a stop and continue, resumes with the time that is left.

use std::time::{Duration, Instant};

/// A century. Longer limits count as no limit, so that sums of times in the kernel and the C library do not overflow.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// The end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// No limit.
    Forever,
    /// This instant of the monotonic clock.
    At(Instant),
    /// Does not wait.
    Now,
}

impl Deadline {
    /// At most `limit` from now. Zero is [`Now`](Self::Now), more than a century is [`Forever`](Self::Forever).
    pub fn after(limit: Duration) -> Self {
        match limit {
            Duration::ZERO => Self::Now,
            limit if limit > LONGEST => Self::Forever,
            limit => Instant::now().checked_add(limit).map_or(Self::Forever, Self::At),
        }
    }

    /// Like [`after`](Self::after), or [`Forever`](Self::Forever) without a limit.
    pub fn within(limit: Option<Duration>) -> Self {
        limit.map_or(Self::Forever, Self::after)
    }

    /// Returns the time left: `None` without a limit, zero if it is over.
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::At(end) => Some(end.saturating_duration_since(Instant::now())),
            Self::Now => Some(Duration::ZERO),
        }
    }

    /// Moves the deadline by a time that does not count.
    pub fn later(self, by: Duration) -> Self {
        match self {
            Self::At(end) => end.checked_add(by).map_or(Self::Forever, Self::At),
            other => other,
        }
    }

    /// Returns the earlier of two deadlines.
    pub fn earlier(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::Forever, one) | (one, Self::Forever) => one,
            (Self::At(one), Self::At(other)) => Self::At(one.min(other)),
        }
    }

    /// Returns whether no time is left.
    pub fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}
