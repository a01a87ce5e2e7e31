//! Takes slots or a lock, in the order of the callers.
//!
//! The kernel queues the requests for a lock, so the callers that wait for the only slot, or for a lock, wait for its
//! bytes themselves. One that is stopped leaves the queue. All others wait through a [`Watcher`]:
//!
//! - Of up to [`DIRECT`] slots, each waiter has a request for every slot.
//! - Of more, for several slots at once, and behind a waiter for several, only the caller whose [`TURN`] it is has
//!   requests.
//! - A sharer of a lock would overtake exclusive waiters, because the kernel grants it whatever other sharers leave
//!   free. Those lock [`AWAITED`] while they wait. A sharer that finds it locked, and requests of waiters that are not
//!   stopped, queues as an exclusive caller, and then shares. Sharers behind it wait for their turn, and look again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::Result;
use nix::errno::Errno;

use super::bytes::{ALL, AWAITED, COLLECTS, TURN, of_ipcbox, slot};
use super::{Kept, SlotFile};
use crate::output::in_use::Wanted;
use crate::sys::deadline::Deadline;
use crate::sys::lock_watcher::{Watched, Watcher, Woken};
use crate::sys::record_lock::{Bytes, Listed, Mode, conflict, listed, lock, lock_pair, unlock};

/// The most slots for which every waiter has a request.
const DIRECT: u16 = 16;
/// How long a caller that collects slots may take, which makes one system call for each.
const COLLECTION: Duration = Duration::from_millis(100);
/// How often a caller looks for the request of an exclusive waiter, and the time between.
const LOOKS: usize = 3;
const BETWEEN: Duration = Duration::from_millis(1);
/// How long a caller that cannot have a watcher waits before it looks again.
const PAUSE: Duration = Duration::from_secs(1);
/// A watcher that exits within this time cannot work.
const QUICK: Duration = Duration::from_millis(100);

impl SlotFile {
    /// Takes what is wanted without waiting, and returns the numbers of the slots; 1 for a lock. `woken` is how the wait
    /// of a watcher ended, which may have locked it, and more.
    ///
    /// # Errors
    /// `EAGAIN`: it is not free, or others come first. Nothing is held then.
    fn attempt(&self, wanted: Wanted, woken: Option<Woken>) -> Result<Vec<u16>> {
        let outcome = match wanted {
            // A later caller may have its turn when this one gets its slot.
            Wanted::Slots(_) if woken != Some(Woken::Granted) && self.gives_way()? => Err(Errno::EAGAIN),
            Wanted::Slots(count) => self.attempt_slots(count),
            Wanted::Lock { shared: false } => self.lock_now(1, Mode::Exclusive).map(|()| vec![1]),
            Wanted::Lock { shared: true } => self.attempt_shared().map(|()| vec![1]),
        };
        if woken.is_some() || outcome.is_err() {
            self.keep_only(outcome.as_deref().unwrap_or_default())?;
        }
        outcome
    }

    fn attempt_slots(&self, count: u16) -> Result<Vec<u16>> {
        if count == 1 {
            match self.collect(1) {
                Err(Errno::EAGAIN) => {}
                outcome => return outcome,
            }
        }
        // Another caller may hold slots for a moment, because it collects several and is about to find too few.
        match lock(&self.file, COLLECTS, Mode::Exclusive, Deadline::Now) {
            Err(Errno::EAGAIN) => match lock(&self.file, COLLECTS, Mode::Exclusive, Deadline::after(COLLECTION)) {
                Ok(()) | Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            },
            locked => locked?,
        }
        let numbers = self.collect(count)?;
        unlock(&self.file, COLLECTS)?;
        Ok(numbers)
    }

    /// Takes the first slots that are free.
    ///
    /// # Errors
    /// `EAGAIN`: they are too few. The caller releases them.
    fn collect(&self, count: u16) -> Result<Vec<u16>> {
        let mut numbers = Vec::new();
        for number in 1..=self.kept.capacity() {
            match self.lock_now(number, Mode::Exclusive) {
                Ok(()) => numbers.push(number),
                Err(Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
            if numbers.len() == usize::from(count) {
                return Ok(numbers);
            }
        }
        Err(Errno::EAGAIN)
    }

    fn attempt_shared(&self) -> Result<()> {
        if self.has_queue()? {
            // The lock is free if only stopped processes wait for it.
            self.lock_now(1, Mode::Exclusive)?;
        }
        self.lock_now(1, Mode::Shared)
    }

    fn lock_now(&self, number: u16, mode: Mode) -> Result<()> {
        lock_pair(&self.file, slot(number), mode, Deadline::Now)
    }

    /// Whether an exclusive waiter of a lock, or a sharer behind one, waits.
    fn has_queue(&self) -> Result<bool> {
        Ok(self.is_taking_turns()? || self.is_awaited(0)?)
    }

    /// Whether a new caller of slots waits behind another one.
    fn gives_way(&self) -> Result<bool> {
        Ok(self.kept.capacity() > 1 && self.is_taking_turns()?)
    }

    /// Whether a waiter has its turn.
    fn is_taking_turns(&self) -> Result<bool> {
        Ok(conflict(&self.file, TURN, Mode::Exclusive)?.is_some())
    }

    /// Whether an exclusive waiter of a lock waits. One that is stopped has no request in the kernel. `own` is how many
    /// requests this caller has.
    fn is_awaited(&self, own: usize) -> Result<bool> {
        for _ in 0..LOOKS {
            if conflict(&self.file, AWAITED, Mode::Exclusive)?.is_none() {
                return Ok(false);
            }
            let firsts = slot(1).map(|bytes| bytes.first);
            let waits = |line: &&Listed| line.waits && line.mode == Mode::Exclusive && firsts.contains(&line.first);
            if listed(&self.file).is_none_or(|lines| lines.iter().filter(waits).count() > own) {
                return Ok(true);
            }
            // It may be about to make its request.
            sleep(BETWEEN);
        }
        Ok(false)
    }

    /// Releases everything but these slots, whose numbers ascend.
    fn keep_only(&self, numbers: &[u16]) -> Result<()> {
        let mut from = ALL.first;
        for number in numbers {
            let kept = of_ipcbox(*number);
            if from < kept.first {
                unlock(&self.file, Bytes { first: from, len: kept.first - from })?;
            }
            from = kept.first + kept.len;
        }
        unlock(&self.file, Bytes { first: from, len: 0 })
    }

    /// Takes what is wanted without waiting. If it is taken, kills the holders whose process has exited and tries again.
    ///
    /// # Errors
    /// `EAGAIN`: it is not free.
    pub fn take_at_once(&self, wanted: Wanted) -> Result<Vec<u16>> {
        loop {
            match self.attempt(wanted, None) {
                Err(Errno::EAGAIN) if self.kill_stale() > 0 => {}
                outcome => return outcome,
            }
        }
    }

    /// Takes what is wanted, without a message.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn take(&self, wanted: Wanted, deadline: Deadline) -> Result<Vec<u16>> {
        match self.take_at_once(wanted) {
            Err(Errno::EAGAIN) if deadline != Deadline::Now => {}
            outcome => return outcome,
        }
        match self.own_wait(wanted)? {
            Some(mode) => self.wait(mode, wanted, deadline),
            None => self.watch(wanted, deadline, || Deadline::Forever),
        }
    }

    /// Returns how this process can wait for it without a watcher.
    pub fn own_wait(&self, wanted: Wanted) -> Result<Option<Mode>> {
        Ok(match wanted {
            Wanted::Slots(_) if self.kept == Kept::Slots(1) => Some(Mode::Exclusive),
            Wanted::Lock { shared: false } => Some(Mode::Exclusive),
            Wanted::Lock { shared: true } if !self.has_queue()? => Some(Mode::Shared),
            _ => None,
        })
    }

    /// Waits for the only slot or the lock.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn wait(&self, mode: Mode, wanted: Wanted, deadline: Deadline) -> Result<Vec<u16>> {
        loop {
            if wanted == (Wanted::Lock { shared: false }) {
                // It fails if another process removes the file at this moment.
                let _ = lock(&self.file, AWAITED, Mode::Shared, Deadline::Now);
            }
            match self.wait_once(mode, deadline) {
                Ok(false) => {}
                outcome => {
                    self.keep_only(if outcome.is_ok() { &[1] } else { &[] })?;
                    return outcome.map(|_| vec![1]);
                }
            }
        }
    }

    /// Waits for the bytes of the only slot or the lock. Returns whether this process has the first one, and the second
    /// one is free.
    fn wait_once(&self, mode: Mode, deadline: Deadline) -> Result<bool> {
        let [first, second] = slot(1);
        lock(&self.file, first, mode, deadline)?;
        if conflict(&self.file, second, mode)?.is_none() {
            return Ok(true);
        }
        // The CMD of an ipcbox that was killed goes on. This process must not keep the first byte if it is stopped, but
        // otherwise keeps its place.
        let alone_if = (mode == Mode::Shared).then_some(&|_| Ok(false));
        let watched = Watched { first: None, any: vec![slot(1)], count: 1, alone_if: alone_if.map(|asks| asks as _) };
        if let Ok(watcher) = Watcher::start(&self.file, &watched) {
            let woken = watcher.wait(deadline, || Deadline::Forever);
            if watcher.end() && woken? == Woken::Granted {
                return Ok(true);
            }
        }
        unlock(&self.file, first)?;
        lock(&self.file, second, mode, deadline)?;
        unlock(&self.file, second)?;
        Ok(false)
    }

    /// Waits in a child. Calls `waits` repeatedly, which returns when to call it again.
    ///
    /// # Errors
    /// `EAGAIN`: not in time.
    pub fn watch(&self, wanted: Wanted, deadline: Deadline, mut waits: impl FnMut() -> Deadline) -> Result<Vec<u16>> {
        let (queues, count) = match wanted {
            // Behind a waiter for several slots, a waiter for one takes its turn too.
            Wanted::Slots(1) if self.kept.capacity() <= DIRECT => (self.is_taking_turns()?, 1),
            Wanted::Slots(count) => (true, count.into()),
            Wanted::Lock { .. } => (true, 1),
        };
        let any = (1..=self.kept.capacity()).map(slot).collect();
        let is_awaited = |own| self.is_awaited(own);
        let alone_if = matches!(wanted, Wanted::Lock { .. }).then_some(&is_awaited as _);
        let watched = Watched { first: queues.then_some(TURN), any, count, alone_if };
        loop {
            let began = Instant::now();
            // Without a process, a descriptor or memory for the watcher, this looks again now and then.
            let mut woken = Woken::Ended;
            let mut is_shared = false;
            if let Ok(watcher) = Watcher::start(&self.file, &watched) {
                let outcome = watcher.wait(deadline, &mut waits);
                let is_kept = watcher.end();
                woken = outcome?;
                is_shared = is_kept && woken == Woken::Granted && wanted == Wanted::Lock { shared: true };
            }
            if is_shared {
                // It may be exclusive until now. A new attempt would give way to later callers.
                match self.lock_now(1, Mode::Shared) {
                    // The watcher has lost its place to the CMD of an ipcbox that was killed.
                    Err(Errno::EAGAIN) => {}
                    outcome => {
                        outcome?;
                        self.keep_only(&[1])?;
                        return Ok(vec![1]);
                    }
                }
            }
            match self.attempt(wanted, Some(woken)) {
                Err(Errno::EAGAIN) if !deadline.is_over() => {}
                outcome => return outcome,
            }
            if woken == Woken::Ended && began.elapsed() < QUICK {
                sleep(deadline.left().map_or(PAUSE, |left| left.min(PAUSE)));
            }
        }
    }
}
