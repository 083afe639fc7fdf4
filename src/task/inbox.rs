//! What other threads may touch of a core: its inbox, its sleep, its notifier.
//!
//! ```text
//!  any thread: wake ---> NOTIFIED? ---no---> push --> head --> task --> task --> null
//!                                                      |
//!  the core:   drain <--- takes all of it -------------+        sleeping? --> notify, once
//! ```
//!
//! The inbox is a Treiber stack through `Header::inbox_next`, taken whole, so a wake allocates
//! nothing. Sleeping and pushing are ordered by two fences: the core writes `sleeping` and then
//! reads the head, a waker writes the head and then reads `sleeping`; one of them sees the other.
//!
//! Each header holds an `Arc` of this, so the notifier closes after the last waker.
//!
//! # Safety
//!
//! I1: a header in the stack has NOTIFIED set and one shared reference that is the stack's. Only
//! who turned NOTIFIED on writes its link until the drain turns NOTIFIED off.

#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::sync::PoisonError;

use super::counters::Counters;
use super::header::Header;
use super::raw::drop_shared;
use super::sync::{AtomicBool, AtomicPtr, Mutex, MutexGuard, Ordering, fence};
use crate::wake::{CoreId, Notify};

/// The part of a core that other threads share. `core` stands first: headers point to it (W1).
#[repr(C)]
pub(crate) struct CoreShared {
    core: CoreId,
    head: AtomicPtr<Header>,
    sleeping: AtomicBool,
    /// A hint for the drain; the truth is under the lock.
    has_closures: AtomicBool,
    closures: Mutex<Closures>,
    notify: Box<dyn Notify>,
    counters: Counters,
}

/// Work for a core from another thread.
pub(crate) type Closure = Box<dyn FnOnce() + Send>;

/// The core is gone. The closure comes back.
pub(crate) struct Closed(
    #[cfg_attr(loom, allow(dead_code, reason = "given back to be dropped"))] pub(crate) Closure,
);

struct Closures {
    waiting: Vec<Closure>,
    closed: bool,
}

/// The head of an inbox that takes nothing any more. No header has this address.
fn closed_mark() -> *mut Header {
    std::ptr::without_provenance_mut(1)
}

impl CoreShared {
    pub(super) fn new(core: CoreId, notify: Box<dyn Notify>) -> CoreShared {
        CoreShared {
            core,
            head: AtomicPtr::new(std::ptr::null_mut()),
            sleeping: AtomicBool::new(false),
            has_closures: AtomicBool::new(false),
            closures: Mutex::new(Closures { waiting: Vec::new(), closed: false }),
            notify,
            counters: Counters::default(),
        }
    }

    pub(crate) fn core(&self) -> CoreId {
        self.core
    }

    /// Has the core run `closure`, in the order of the calls. Does not wait for it.
    ///
    /// # Errors
    ///
    /// The core has shut down: the closure comes back. One that was taken but not run before the
    /// shutdown is dropped on the core.
    pub(crate) fn send(&self, closure: Closure) -> Result<(), Closed> {
        let mut closures = self.lock();
        if closures.closed {
            return Err(Closed(closure));
        }
        closures.waiting.push(closure);
        self.has_closures.store(true, Ordering::Relaxed);
        drop(closures);
        self.end_sleep();
        Ok(())
    }

    /// What the core has counted. Any thread may look.
    #[inline]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True if the core sleeps, or is about to: it has nothing to do. Any thread may ask.
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(crate) fn is_asleep(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed)
    }

    /// Has the core look at a task. NOTIFIED was turned on by the caller.
    ///
    /// # Safety
    ///
    /// I1: the caller got `true` from `set_notified`. It holds a shared reference of its own until
    /// this returns: that keeps `self` too.
    pub(super) unsafe fn push(&self, header: NonNull<Header>) {
        // SAFETY: T3: the caller holds a reference.
        let fields = unsafe { header.as_ref() };
        fields.state.add_reference();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == closed_mark() {
                // SAFETY: the reference added above, given back once.
                unsafe { drop_shared(header) };
                return;
            }
            fields.inbox_next.store(head, Ordering::Relaxed);
            // Release: the link, and what the waker did before, for the drain's acquire.
            let (done, failed) = (Ordering::Release, Ordering::Relaxed);
            match self.head.compare_exchange_weak(head, header.as_ptr(), done, failed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.end_sleep();
    }

    /// Takes all that was pushed, the oldest first, and shows each to `look` with NOTIFIED off.
    ///
    /// On the core's thread only: it alone takes and closes.
    pub(super) fn drain(&self, mut look: impl FnMut(&NonNull<Header>)) {
        let head = self.head.load(Ordering::Relaxed);
        if head.is_null() || head == closed_mark() {
            return;
        }
        let mut next = reverse(self.head.swap(std::ptr::null_mut(), Ordering::Acquire));
        while let Some(header) = NonNull::new(next) {
            // SAFETY: I1: the stack's reference, now ours, keeps the header.
            let fields = unsafe { header.as_ref() };
            // The link is read first: once NOTIFIED is off the task may be pushed again.
            next = fields.inbox_next.load(Ordering::Relaxed);
            fields.state.clear_notified();
            look(&header);
            // SAFETY: I1: the stack's reference, given back once.
            unsafe { drop_shared(header) };
        }
    }

    /// Takes the closures that were sent.
    pub(super) fn take_closures(&self) -> Vec<Closure> {
        // Relaxed: a hint. `prepare_sleep` looks again behind its fence.
        if !self.has_closures.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut closures = self.lock();
        self.has_closures.store(false, Ordering::Relaxed);
        std::mem::take(&mut closures.waiting)
    }

    /// Takes no closures any more. Answers those that were not run.
    pub(crate) fn refuse(&self) -> Vec<Closure> {
        let mut closures = self.lock();
        closures.closed = true;
        self.has_closures.store(false, Ordering::Relaxed);
        std::mem::take(&mut closures.waiting)
    }

    /// Takes nothing any more. Answers the closures that were not run.
    ///
    /// On the core's thread only. NOTIFIED stays on in what was in the inbox, so later wakes of
    /// those tasks end early.
    pub(super) fn close(&self) -> Vec<Closure> {
        let mut next = self.head.swap(closed_mark(), Ordering::Acquire);
        if next == closed_mark() {
            return Vec::new();
        }
        while let Some(header) = NonNull::new(next) {
            // SAFETY: I1: the stack's reference, now ours, keeps the header.
            next = unsafe { header.as_ref() }.inbox_next.load(Ordering::Relaxed);
            // SAFETY: I1: the stack's reference, given back once.
            unsafe { drop_shared(header) };
        }
        self.refuse()
    }

    /// Announces a sleep. False if there is work: the sleep is off.
    pub(super) fn prepare_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        // With the fence of `end_sleep`: either we see the push, or the pusher sees `sleeping`.
        fence(Ordering::SeqCst);
        let head = self.head.load(Ordering::Relaxed);
        let empty = head.is_null() || head == closed_mark();
        if empty && !self.has_closures.load(Ordering::Relaxed) {
            return true;
        }
        self.awake();
        false
    }

    /// True if a wake or a closure waits here. A hint: the sleep looks again behind its fence.
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(super) fn has_remote(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        (!head.is_null() && head != closed_mark()) || self.has_closures.load(Ordering::Relaxed)
    }

    /// Ends the announcement.
    pub(super) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Notifies the core if it sleeps: the first of many callers does.
    fn end_sleep(&self) {
        fence(Ordering::SeqCst);
        // Relaxed: a notify carries the order by itself, and a sleep that is over needs none.
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.counters.notifies.0.add_shared(1);
            self.notify.notify();
        }
    }

    /// No user code runs under this lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Closures> {
        self.closures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns the stack, newest first, into a list, oldest first.
fn reverse(mut rest: *mut Header) -> *mut Header {
    let mut list = std::ptr::null_mut();
    while let Some(header) = NonNull::new(rest) {
        // SAFETY: I1: the stack's reference, now ours, keeps the header.
        let fields = unsafe { header.as_ref() };
        rest = fields.inbox_next.load(Ordering::Relaxed);
        // NOTIFIED is on, so nobody else writes the link (I1).
        fields.inbox_next.store(list, Ordering::Relaxed);
        list = header.as_ptr();
    }
    list
}

impl fmt::Debug for CoreShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreShared").field("core", &self.core).finish_non_exhaustive()
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed")
    }
}
