//! Until when a call may wait.
//!
//! A duration becomes a point on the monotonic clock once, when the arguments are parsed. A wait that a signal handler
//! or a stop and continue interrupts goes on for what is left of it.

use std::time::{Duration, Instant};

/// A century. What is longer is for ever, and the kernel's and the C library's sums of times stay in their range.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// How long a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Until it happens.
    Forever,
    /// Until this instant of the monotonic clock.
    At(Instant),
    /// Not at all.
    Now,
}

impl Deadline {
    /// At most `limit` from now on. Zero is [`Now`](Self::Now), a limit beyond the clock's range [`Forever`](Self::Forever).
    pub fn after(limit: Duration) -> Self {
        match limit {
            Duration::ZERO => Self::Now,
            limit if limit > LONGEST => Self::Forever,
            limit => Instant::now().checked_add(limit).map_or(Self::Forever, Self::At),
        }
    }

    /// The same, or [`Forever`](Self::Forever) without a limit.
    pub fn within(limit: Option<Duration>) -> Self {
        limit.map_or(Self::Forever, Self::after)
    }

    /// The time that is left; `None` is for ever, zero is over.
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::At(end) => Some(end.saturating_duration_since(Instant::now())),
            Self::Now => Some(Duration::ZERO),
        }
    }

    /// The same time left, after so long that does not count.
    pub fn later(self, by: Duration) -> Self {
        match self {
            Self::At(end) => end.checked_add(by).map_or(Self::Forever, Self::At),
            other => other,
        }
    }

    /// The earlier of two.
    pub fn earlier(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::Forever, one) | (one, Self::Forever) => one,
            (Self::At(one), Self::At(other)) => Self::At(one.min(other)),
        }
    }

    /// Whether there is no time left.
    pub fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}
