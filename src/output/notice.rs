//! The waiting message: one line on a terminal once a wait has lasted a second, or at once where the caller may wait forever.

use std::sync::Arc;
use std::time::Duration;

use nix::Result;
use nix::errno::Errno;

use crate::args::timeout::Timeout;
use crate::exit::Cause;
use crate::output;
use crate::sys::deadline::Deadline;
use crate::sys::fds;
use crate::sys::lasting::{Begun, Lasting};

/// How long a wait may last without a message.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a child is given to take what is free.
const AT_ONCE: Duration = Duration::from_millis(20);

/// When a message is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Before the wait begins, whether there is a terminal or not.
    AtOnce,
    /// When it has lasted.
    Later,
}

/// What is known of a wait, in words: "held by 812 (cc)". Nothing is looked up before a message is due.
type Words = dyn Fn(Due) -> Option<String> + Send + Sync;

/// The message of one call, which is printed at most once.
pub struct Notice {
    /// The beginning of the line, and what else is known.
    text: Arc<Text>,
    state: NoticeState,
}

struct Text {
    target: String,
    words: Box<Words>,
}

enum NoticeState {
    /// Nothing was waited for yet.
    Fresh,
    /// It is not wanted, was printed at once, or nobody would see it.
    Off,
    /// It is printed when a wait lasts.
    On(Lasting),
}

impl Text {
    /// Prints what is due, and whether there was anything.
    fn print(&self, due: Due) -> bool {
        let words = (self.words)(due);
        if let Some(words) = &words {
            output::warn(format!("waiting for {}: {words}", self.target));
        }
        words.is_some()
    }
}

impl Notice {
    /// A message about a wait for `target`.
    pub fn new(
        target: &impl ToString,
        timeout: &Timeout,
        words: impl Fn(Due) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let text = Text { target: target.to_string(), words: Box::new(words) };
        let state = if timeout.is_quiet() { NoticeState::Off } else { NoticeState::Fresh };
        Self { text: Arc::new(text), state }
    }

    /// Does `act`, which waits until `deadline`. It is tried without waiting first, so that nothing is done for a message
    /// unless it has to wait.
    ///
    /// # Errors
    /// Those of `act`; `EAGAIN`: not in time.
    pub fn during<T>(&mut self, deadline: Deadline, mut act: impl FnMut(Deadline) -> Result<T>) -> Result<T> {
        if matches!(self.state, NoticeState::Off) || deadline == Deadline::Now {
            return act(deadline);
        }
        match act(Deadline::Now) {
            Err(Errno::EAGAIN) => {}
            outcome => return outcome,
        }
        let _wait = self.begin(deadline);
        act(deadline)
    }

    /// A wait until `deadline` begins.
    pub fn begin(&mut self, deadline: Deadline) -> Option<Begun<'_>> {
        if matches!(self.state, NoticeState::Fresh) {
            self.state = if self.text.print(Due::AtOnce) || !fds::is_terminal(fds::stderr()) {
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

    /// The failure to be in time: `what` did not happen. Where nothing was waited for it has what a message would have had at
    /// once.
    pub fn missed(&self, what: &str, timeout: &Timeout) -> Cause {
        let cause = timeout.missed(what);
        let is_wanted = timeout.deadline() == Deadline::Now && !timeout.is_silent();
        match is_wanted.then(|| (self.text.words)(Due::AtOnce)).flatten() {
            Some(words) => cause.note(&words),
            None => cause,
        }
    }

    /// For a caller whose child waits until `deadline`: what is called again and again, prints what is due by then, and returns until when
    /// nothing more is.
    pub fn of_child(self, deadline: Deadline) -> impl FnMut() -> Deadline {
        let mut times = 0;
        move || {
            times += 1;
            let is_off = matches!(self.state, NoticeState::Off);
            match times {
                _ if is_off => Deadline::Forever,
                // What is free has been taken by then.
                1 => Deadline::after(AT_ONCE),
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

/// Whether a message can be due before a wait is over: on a busy machine its end can come much later.
fn may_last(deadline: Deadline) -> bool {
    deadline.left().is_none_or(|left| left > SILENCE)
}
