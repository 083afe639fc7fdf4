//! What a core counts of its tasks.
//!
//! Written by its thread only but for `notifies`, read by all: see [`Counter`].

use crate::wake::Counter;

/// What the tasks of a core have done since it was made. A cache line apart from what other
/// threads write.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counters {
    pub(crate) turns: Counter,
    /// What left the run queue: turns of tasks and of main.
    pub(crate) polls: Counter,
    pub(crate) spawned: Counter,
    /// Wakes from other threads that put a task into the run queue.
    pub(crate) wakes_remote: Counter,
    /// These three as of the last [`Tasks::publish`](super::Tasks::publish): to count them one by
    /// one would cost a short poll a tenth of its time.
    pub(crate) finished: Counter,
    pub(crate) ready: Counter,
    pub(crate) wakes_local: Counter,
    /// Closures from other threads that were run.
    pub(crate) calls: Counter,
    /// 1 while tasks are polled.
    pub(crate) polling: Counter,
    pub(crate) panics: Counter,
    /// The longest stretch without a look at the clock, in milliseconds of it.
    pub(crate) longest_ms: Counter,
    pub(crate) notifies: Notifies,
}

/// How often another thread had to end the core's sleep. They count it, so it has a line of its
/// own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Notifies(pub(crate) Counter);

/// Says that tasks are polled, for as long as it lives.
pub(super) struct Polling<'a>(&'a Counters);

impl Polling<'_> {
    #[inline]
    pub(super) fn start(counters: &Counters) -> Polling<'_> {
        counters.polling.set(1);
        Polling(counters)
    }
}

impl Drop for Polling<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.polling.set(0);
    }
}
