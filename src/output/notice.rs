//! The waiting message: one line that names what is waited for, and which process holds it.
//!
//! A call prints it at most once:
//! - with `--verbose`, when the wait begins;
//! - if the caller may wait forever, when the wait begins;
//! - otherwise on a terminal, when a wait has lasted one second and the holder is known.
//!
//! `--quiet` suppresses it.

use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use crate::args::timeout::Timeout;
use crate::exit::is_late;
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::lasting::{Begun, Lasting};

/// How long a wait may last without a message.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a child gets to take what is free.
const AT_ONCE: Duration = Duration::from_millis(20);

/// When a message is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Before the wait begins, terminal or not: only words about a wait that may last forever.
    AtOnce,
    /// When it has lasted.
    Later,
}

/// What is known about a wait: "held by 812 (cc)". Not called before a message is due.
type Words = dyn Fn(Due) -> Option<String> + Send + Sync;

/// The message of one call.
pub struct Notice {
    text: Arc<Text>,
    is_verbose: bool,
    state: NoticeState,
}

struct Text {
    what: String,
    words: Box<Words>,
}

enum NoticeState {
    Fresh,
    /// It is unwanted or was printed.
    Off,
    /// It is printed when a wait has lasted.
    On(Lasting),
}

impl Text {
    /// Prints the words that are due; returns whether there were any.
    fn print(&self, due: Due) -> bool {
        let words = (self.words)(due);
        if let Some(words) = &words {
            output::warn(format!("waiting for {}: {words}", self.what));
        }
        words.is_some()
    }

    fn explain(&self) {
        if !self.print(Due::AtOnce) && !self.print(Due::Later) {
            output::warn(format!("waiting for {}", self.what));
        }
    }
}

impl Notice {
    /// Returns the message about a wait for `what`.
    pub fn new(
        what: &impl ToString,
        timeout: &Timeout,
        words: impl Fn(Due) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let text = Text { what: what.to_string(), words: Box::new(words) };
        let state = if timeout.is_quiet() { NoticeState::Off } else { NoticeState::Fresh };
        Self { text: Arc::new(text), is_verbose: timeout.is_verbose(), state }
    }

    /// Returns the message about a wait for `what` that no known process ends: only `--verbose` prints it.
    pub fn verbose(timeout: &Timeout, what: impl FnOnce() -> String) -> Self {
        if timeout.is_verbose() {
            return Self::new(&what(), timeout, |_| None);
        }
        let text = Text { what: String::new(), words: Box::new(|_| None) };
        Self { text: Arc::new(text), is_verbose: false, state: NoticeState::Off }
    }

    /// Calls `act`, which waits until `deadline`. If there may be a message it is tried without waiting first.
    ///
    /// # Errors
    /// Those of `act`; one that [is late](MayBeLate::is_late) comes after the wait.
    pub fn during<T, E: MayBeLate>(
        &mut self,
        deadline: Deadline,
        mut act: impl FnMut(Deadline) -> Result<T, E>,
    ) -> Result<T, E> {
        if matches!(self.state, NoticeState::Off) || deadline == Deadline::Now {
            return act(deadline);
        }
        match act(Deadline::Now) {
            Err(error) if error.is_late() => {}
            outcome => return outcome,
        }
        let _wait = self.begin(deadline);
        act(deadline)
    }

    /// Whether the first wait would print a message.
    pub const fn is_fresh(&self) -> bool {
        matches!(self.state, NoticeState::Fresh)
    }

    /// Begins a wait until `deadline`.
    pub fn begin(&mut self, deadline: Deadline) -> Option<Begun<'_>> {
        if deadline == Deadline::Now {
            return None;
        }
        if self.is_fresh() {
            self.state = if self.is_verbose {
                self.text.explain();
                NoticeState::Off
            } else if self.text.print(Due::AtOnce) || !fds::is_terminal(fds::stderr()) {
                NoticeState::Off
            } else {
                let text = Arc::clone(&self.text);
                NoticeState::On(Lasting::new(SILENCE, move || {
                    text.print(Due::Later);
                }))
            };
        }
        match &self.state {
            NoticeState::On(lasting) if may_last(deadline) => Some(lasting.begin()),
            _ => None,
        }
    }

    /// For a caller whose child waits until `deadline`: each call prints what is due, and returns when the next is due.
    pub fn of_child(self, deadline: Deadline) -> impl FnMut() -> Deadline {
        let is_off = matches!(self.state, NoticeState::Off) || deadline == Deadline::Now;
        let mut times = 0;
        move || {
            times += 1;
            match times {
                _ if is_off => Deadline::Forever,
                // By then the child has taken what is free.
                1 => Deadline::after(AT_ONCE),
                2 if self.is_verbose => {
                    self.text.explain();
                    Deadline::Forever
                }
                2 if self.text.print(Due::AtOnce) || !fds::is_terminal(fds::stderr()) => Deadline::Forever,
                2 if may_last(deadline) => Deadline::after(SILENCE),
                3 => {
                    self.text.print(Due::Later);
                    Deadline::Forever
                }
                _ => Deadline::Forever,
            }
        }
    }
}

/// Whether a message can be due before a wait until `deadline` ends. On a busy machine the wait can end much later.
fn may_last(deadline: Deadline) -> bool {
    deadline.left().is_none_or(|left| left > SILENCE)
}

/// A failure that can be a timeout.
pub trait MayBeLate {
    /// Whether it is one.
    fn is_late(&self) -> bool;
}

impl MayBeLate for Errno {
    fn is_late(&self) -> bool {
        *self == Self::EAGAIN
    }
}

impl MayBeLate for anyhow::Error {
    fn is_late(&self) -> bool {
        is_late(self)
    }
}
