//! One deadline and its timer: what sleeps, timeouts, intervals and the ops' `.timeout` are made
//! of.
//!
//! ```text
//!  made ---poll: has passed----------------------------> elapsed
//!    |                                                      ^
//!    +-----poll: has not--> timer set ---fired, polled------+
//!                              |
//!                              +--drop, disarm, reset: timer taken away
//! ```
//!
//! It costs no allocation, is `Unpin`, and finds its timers at the first poll. Polled under other
//! timers than before, because its runtime ended or because it was carried to another one on the
//! same thread, it takes its timer away there and sets it anew.

use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::current;
use super::heap::Key;
use super::timers::Timers;

/// A point in time that somebody can wait for.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    timers: Option<Rc<Timers>>,
    key: Option<Key>,
    /// The bound timers may not know yet that `at` has passed: the next poll reads the clock.
    /// False if the clock was read when `at` was made, which saves the second reading.
    unseen: bool,
}

impl Deadline {
    /// At `at`, which may have passed.
    pub(crate) fn new_at(at: Instant) -> Deadline {
        Deadline { at, timers: None, key: None, unseen: true }
    }

    /// `duration` after now. Reads the clock.
    pub(crate) fn after(duration: Duration) -> Deadline {
        match current::timers() {
            Some(timers) => {
                let at = current::later(timers.now(), duration);
                Deadline { at, timers: Some(timers), key: None, unseen: false }
            }
            None => Deadline::new_at(current::later(Instant::now(), duration)),
        }
    }

    /// The point in time.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Ready if the deadline has passed, and from then on; otherwise `waker` is woken when it does.
    ///
    /// # Panics
    ///
    /// If there is no runtime on this thread.
    #[inline]
    pub(crate) fn poll_elapsed(&mut self, waker: &Waker) -> Poll<()> {
        if !self.timers.as_ref().is_some_and(current::is) {
            self.rebind();
        }
        let Some(timers) = &self.timers else { no_runtime() };
        if self.unseen {
            self.unseen = false;
            timers.now();
        }
        timers.poll(self.at, &mut self.key, waker)
    }

    /// True if the deadline has passed. Reads the clock.
    pub(crate) fn is_elapsed(&self) -> bool {
        current::now() >= self.at
    }

    /// Puts another deadline in its place. Nobody is woken before the next poll.
    pub(crate) fn reset(&mut self, at: Instant) {
        self.disarm();
        self.at = at;
        self.unseen = true;
    }

    /// Takes the timer away. The next poll sets it again.
    pub(crate) fn disarm(&mut self) {
        if let Some(timers) = &self.timers {
            timers.cancel(&mut self.key);
        }
    }

    #[cold]
    fn rebind(&mut self) {
        self.disarm();
        self.key = None;
        self.timers = current::timers();
        self.unseen = true;
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.disarm();
    }
}

#[cold]
fn no_runtime() -> ! {
    panic!(
        "there is no ringspun runtime on this thread: a sleep, timeout or interval may be made \
         anywhere, but has to be polled inside a runtime; put it under `#[ringspun::main]`, \
         `Runtime::block_on` or `ringspun::spawn`"
    )
}
