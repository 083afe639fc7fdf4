//! The timers that deadlines on this thread use.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::timers::Timers;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Timers>>> = const { RefCell::new(None) };
}

/// A sum that leaves the range of `Instant` becomes one that is centuries away instead.
const FAR: Duration = Duration::from_secs(400 * 365 * 24 * 60 * 60);

/// Puts back the timers that were current before; on the same thread, for it is not `Send`.
#[must_use = "the timers are current only while the guard lives"]
#[derive(Debug)]
pub(crate) struct EnterGuard {
    before: Option<Rc<Timers>>,
    _one_thread: PhantomData<*const ()>,
}

impl Timers {
    /// Makes these the timers of this thread until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> EnterGuard {
        // A runtime in a thread-local is dropped when these locals may be gone already.
        let entered = Some(Rc::clone(self));
        let before = CURRENT.try_with(|current| current.replace(entered)).ok().flatten();
        EnterGuard { before, _one_thread: PhantomData }
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        // The thread may be ending, and its locals gone. What is taken out is dropped at the end
        // of this function: a drop of timers drops wakers.
        let _entered = CURRENT.try_with(|current| current.replace(before));
    }
}

/// The current timers.
pub(super) fn timers() -> Option<Rc<Timers>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// True if `timers` are the current ones.
#[inline]
pub(super) fn is(timers: &Rc<Timers>) -> bool {
    CURRENT
        .try_with(|current| current.borrow().as_ref().is_some_and(|now| Rc::ptr_eq(now, timers)))
        .unwrap_or(false)
}

/// Reads the clock of the current timers; the system's outside of a runtime.
pub(super) fn now() -> Instant {
    timers().map_or_else(Instant::now, |timers| timers.now())
}

/// `start + duration`, or centuries later than `start` if that cannot be expressed.
pub(super) fn later(start: Instant, duration: Duration) -> Instant {
    // The last resort keeps arithmetic on instants given by the user from ever panicking.
    start.checked_add(duration).or_else(|| start.checked_add(FAR)).unwrap_or(start)
}
