//! The timers of one core: who is to be woken when, and how long the core may sleep.
//!
//! ```text
//!  Deadline --poll--> heap {deadline, waker} --fire(now)--> wake, in the order of the deadlines
//!                       |
//!                       +--next_wait(now)--> the kernel's wait
//! ```
//!
//! Nothing in here reads a clock to decide: `now` is always given. The clock that `Timers` carries
//! is only read for those who make a deadline ([`Timers::now`]). So the tests run on simulated
//! time, and so can a simulated kernel.
//!
//! # Promises
//!
//! - **Never early.** A deadline has elapsed only if some reading of the clock, kept as `known_ns`,
//!   is not before it. Every reading that passes through here is kept, so that polls read none.
//! - **No user code while the heap is borrowed.** Wakers are cloned, woken and dropped outside of
//!   the borrow; `fire` takes them one by one and may be re-entered.
//! - **A waker that panics loses no other wake.** It is caught and counted.
//! - **Bounded turns.** `fire` wakes at most 1024; the rest is still reported as due.
//!
//! # How long to wait: exactness against cost
//!
//! To sleep in the kernel and to be woken costs 5 to 30 us of CPU, far more than the 0.2 us of
//! setting and firing a timer. One wait per deadline is right while deadlines are rare. With 10 000
//! of them in 100 ms it would be the core's main work. So:
//!
//! - If fewer than 4 timers lie within the slack (1 ms unless configured) from the first deadline
//!   on, the wait ends exactly at the first deadline.
//! - Otherwise each timer in that window (at most 64 are looked at) is worth 16 us of waiting. If
//!   so much waiting serves 4 timers or more, the wait ends at the last of them that was seen. So
//!   timers are late in proportion to how many there are, and at most by the slack. Many equal
//!   deadlines are no reason to wait at all: their last is their first.
//!
//! The decision depends on the timers alone, not on what happened before: there is no mode to get
//! stuck in, and a lone timer after a storm is exact again. A core that is awake for other reasons
//! fires what is due on every turn, whatever was decided here. A slack of zero means always exact.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::heap::{Heap, Key};
use crate::wake::{LocalWaker, quietly};

/// How much later than its deadline a timer may fire for the sake of a common wake.
pub(crate) const SLACK_DEFAULT: Duration = Duration::from_millis(1);

/// So many timers within the slack are worth one common wake.
const CLUSTER_MIN: usize = 4;
/// So much waiting a timer in the cluster is worth.
const WAIT_PER_TIMER_NS: u64 = 16_000;
/// Wakes of one `fire`.
const FIRE_MAX: usize = 1024;
/// So many deadlines may be found elapsed at their first poll before one has to go through the
/// loop. Without it `loop { sleep(Duration::ZERO).await }` would never let go of the core.
const AT_ONCE_MAX: u32 = 128;
/// The longest wait. The kernel refuses what does not fit its own time type.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The timers of one core.
pub(crate) struct Timers {
    clock: fn() -> Instant,
    /// Nanosecond 0.
    base: Instant,
    /// The latest reading of the clock that anybody had.
    known_ns: Cell<u64>,
    slack_ns: Cell<u64>,
    /// Deadlines that had elapsed at their first poll, since the last `fire`.
    at_once: Cell<u32>,
    counters: Arc<Counters>,
    heap: RefCell<Heap<LocalWaker>>,
}

/// What the loop may hand to the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NextWait {
    /// No timer is set.
    Forever,
    /// A timer is due: do not wait, call `fire`.
    Due,
    /// Wait so long at most. Never zero.
    For(Duration),
}

impl Timers {
    /// No timers; time starts at what `clock` says now. `clock` must never go back.
    pub(crate) fn new(clock: fn() -> Instant) -> Rc<Timers> {
        Rc::new(Timers {
            clock,
            base: clock(),
            known_ns: Cell::new(0),
            slack_ns: Cell::new(nanoseconds(SLACK_DEFAULT)),
            at_once: Cell::new(0),
            counters: Arc::default(),
            heap: RefCell::new(Heap::new()),
        })
    }

    /// How much later than its deadline a timer may fire for the sake of a common wake.
    /// `Duration::ZERO`: each wait ends at the next deadline.
    pub(crate) fn set_slack(&self, slack: Duration) {
        self.slack_ns.set(nanoseconds(slack));
    }

    /// Reads the clock.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        let now = (self.clock)();
        self.observe(now);
        now
    }

    /// True if a timer is set.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.len() > 0
    }

    /// How many timers are set.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.heap.borrow().len()
    }

    /// What they have counted, for all threads.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// How many wakers panicked in `fire` or when they were dropped.
    #[cfg(test)]
    pub(super) fn waker_panics(&self) -> u64 {
        self.counters.panics.value()
    }

    /// How long the core may wait if nothing else happens. `now` must be fresh.
    pub(crate) fn next_wait(&self, now: Instant) -> NextWait {
        let now_ns = self.observe(now);
        let heap = self.heap.borrow();
        let Some(first_ns) = heap.first_ns() else { return NextWait::Forever };
        if first_ns <= now_ns {
            return NextWait::Due;
        }
        let until_ns = match heap.cluster(self.slack_ns.get()) {
            Some(near) if near.len >= CLUSTER_MIN => {
                let worth_ns = (near.len as u64 * WAIT_PER_TIMER_NS).min(self.slack_ns.get());
                match heap.cluster(worth_ns) {
                    Some(served) if served.len >= CLUSTER_MIN => served.last_ns,
                    _ => first_ns,
                }
            }
            _ => first_ns,
        };
        NextWait::For(Duration::from_nanos(until_ns - now_ns).min(WAIT_MAX))
    }

    /// Wakes those whose deadline is not after `now`, earliest first. Answers how many.
    pub(crate) fn fire(&self, now: Instant) -> usize {
        let now_ns = self.observe(now);
        self.at_once.set(0);
        let mut fired = 0;
        while fired < FIRE_MAX {
            let due = self.heap.borrow_mut().pop_due(now_ns);
            let Some(waker) = due else { break };
            fired += 1;
            self.counters.set.sub(1);
            self.count_panic(quietly(|| waker.wake()));
        }
        self.counters.fired.add(fired as u64);
        fired
    }

    /// Forgets the timers and drops their wakers: the runtime ends. A deadline that is polled
    /// later sets its timer again, here or where it is polled then.
    pub(crate) fn clear(&self) {
        // Not "until none is left": a waker's destructor may set another one, for ever.
        for _ in 0..self.len() {
            let left = self.heap.borrow_mut().pop_any();
            self.counters.set.sub(u64::from(left.is_some()));
            self.count_panic(quietly(|| drop(left)));
        }
    }

    /// True if `deadline` has passed; otherwise `waker` is woken when it does, and `key` names the
    /// timer that will.
    #[inline]
    pub(super) fn poll(&self, deadline: Instant, key: &mut Option<Key>, waker: &Waker) -> Poll<()> {
        let deadline_ns = self.since_base(deadline);
        if deadline_ns <= self.known_ns.get() && (key.is_some() || self.may_be_at_once()) {
            self.cancel(key);
            return Poll::Ready(());
        }
        if key.is_some_and(|key| self.keep(key, waker)) {
            return Poll::Pending;
        }
        // Clones: user code, before the borrow.
        let waker = LocalWaker::new(waker);
        *key = Some(self.heap.borrow_mut().insert(deadline_ns, waker));
        self.counters.set.add(1);
        Poll::Pending
    }

    /// Takes the timer away if it has not fired.
    #[inline]
    pub(super) fn cancel(&self, key: &mut Option<Key>) {
        if let Some(key) = key.take() {
            // The borrow ends with the statement; the waker is dropped after it.
            let waker = self.heap.borrow_mut().remove(key);
            self.counters.set.sub(u64::from(waker.is_some()));
            drop(waker);
        }
    }

    /// Sees to it that the live timer `key` wakes `waker`; false if it is not live.
    fn keep(&self, key: Key, waker: &Waker) -> bool {
        let same = self.heap.borrow().value(key).map(|kept| kept.will_wake(waker));
        match same {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        let new = LocalWaker::new(waker);
        let mut heap = self.heap.borrow_mut();
        // The clone was user code: the timer may be gone.
        let Some(kept) = heap.value_mut(key) else {
            drop(heap);
            drop(new);
            return false;
        };
        let old = mem::replace(kept, new);
        drop(heap);
        drop(old);
        true
    }

    #[inline]
    fn may_be_at_once(&self) -> bool {
        let count = self.at_once.get();
        self.at_once.set(count.saturating_add(1));
        count < AT_ONCE_MAX
    }

    #[inline]
    fn observe(&self, now: Instant) -> u64 {
        let now_ns = self.since_base(now);
        self.known_ns.set(self.known_ns.get().max(now_ns));
        now_ns
    }

    /// 0 for what was before the runtime, the largest number for what is centuries away.
    #[inline]
    fn since_base(&self, instant: Instant) -> u64 {
        nanoseconds(instant.saturating_duration_since(self.base))
    }

    #[inline]
    fn count_panic(&self, outcome: Option<()>) {
        if outcome.is_none() {
            self.counters.panics.add(1);
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("heap", &self.heap.borrow()).finish_non_exhaustive()
    }
}

#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    // 2^64 ns are 584 years.
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
