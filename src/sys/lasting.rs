//! What is done once a wait has lasted a while.
//!
//! A thread does it. A timer would interrupt the wait, and a caller that waits in semop(2) or msgsnd(2) would lose its
//! place in the kernel's queue. The thread blocks every signal, so that the waiting thread gets them all, and so that
//! printing in the background stops no process (SIGTTOU). It ends with the process, or when that becomes a command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use super::signal::{Set, block, set_mask};

/// Does something once, when one of the waits of this process has lasted for `after`.
pub struct Lasting {
    after: Duration,
    act: Arc<dyn Fn() + Send + Sync>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When the present wait began.
    since: Option<Instant>,
    /// Whether there is a thread.
    is_watched: bool,
    is_done: bool,
}

/// A wait that goes on. Dropped, it is over.
pub struct Begun<'a>(&'a Mutex<State>);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        lock(self.0).since = None;
    }
}

impl Lasting {
    /// Does `act` in the thread.
    pub fn new(after: Duration, act: impl Fn() + Send + Sync + 'static) -> Self {
        Self { after, act: Arc::new(act), state: Arc::default() }
    }

    /// A wait begins. Many short ones after each other take one thread a second at most. If there can be no thread,
    /// nothing is done.
    pub fn begin(&self) -> Begun<'_> {
        let mut state = lock(&self.state);
        state.since = Some(Instant::now());
        if !(state.is_done || state.is_watched) {
            state.is_watched = self.watch();
        }
        drop(state);
        Begun(&self.state)
    }

    fn watch(&self) -> bool {
        let (after, act, state) = (self.after, Arc::clone(&self.act), Arc::clone(&self.state));
        let Ok(before) = block(Set::ALL) else {
            return false;
        };
        let started = Builder::new().spawn(move || {
            loop {
                // The lock is not held while it sleeps.
                let left = left(&mut lock(&state), after);
                match left {
                    Some(left) => sleep(left),
                    None => break,
                }
            }
            if lock(&state).is_done {
                act();
            }
        });
        set_mask(before).is_ok() && started.is_ok()
    }
}

/// How long the thread has to sleep before it looks again; `None` if it has nothing to wait for.
fn left(state: &mut State, after: Duration) -> Option<Duration> {
    let left = state.since.map(|since| after.saturating_sub(since.elapsed()));
    state.is_done = left == Some(Duration::ZERO);
    let left = left.filter(|left| !left.is_zero());
    state.is_watched = left.is_some();
    left
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
