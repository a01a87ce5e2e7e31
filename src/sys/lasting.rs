//! Acts once when a wait has lasted a while.
//!
//! This takes a thread. A timer would interrupt the wait, and a waiter in semop(2) or msgsnd(2) would lose its place in
//! the kernel's queue. The thread blocks every signal: the waiting thread then gets them all, and printing from the
//! background does not stop the process (SIGTTOU). It disappears when the process exits or runs CMD.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use super::signal::{Set, block, set_mask};

/// Acts once, when a wait of this process has lasted for `after`.
pub struct Lasting {
    after: Duration,
    act: Arc<dyn Fn() + Send + Sync>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When the current wait began.
    since: Option<Instant>,
    /// Whether the thread exists.
    is_watched: bool,
    is_done: bool,
}

/// A wait in progress. Dropping it ends the wait.
pub struct Begun<'a>(&'a Mutex<State>);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        lock(self.0).since = None;
    }
}

impl Lasting {
    /// Calls `act` in the thread.
    pub fn new(after: Duration, act: impl Fn() + Send + Sync + 'static) -> Self {
        Self { after, act: Arc::new(act), state: Arc::default() }
    }

    /// Begins a wait. Successive short waits start at most one thread per `after`. Without a thread, nothing is done.
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
                // The lock must not be held while the thread sleeps.
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

/// Returns how long the thread sleeps before it looks again, or `None` if no wait is left to watch.
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
