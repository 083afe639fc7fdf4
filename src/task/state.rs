//! How a task stands: a word for all threads, a count and a byte for its own.
//!
//! ```text
//!  State (atomic)   | references ............ 30 bits | ABORTED | NOTIFIED |
//!  Local (plain)    | local references ...... 32 bits |
//!  Flags (plain)    | BOUND | OUTPUT | HANDLE | COMPLETE | CLOSED | QUEUED |
//! ```
//!
//! All local references together hold one reference of `State` while there are any (T5), so that
//! the task's own thread counts without atomics.

use super::sync::{AtomicU32, Cell, Ordering, fence};

/// What every thread may touch.
pub(super) struct State(AtomicU32);

/// Set from the wake that pushes the task into the inbox until the drain that takes it out.
const NOTIFIED: u32 = 1;
/// Somebody asked for the end of the task.
const ABORTED: u32 = 2;
const REFERENCE: u32 = 4;

/// The count from which on no reference is given out. `mem::forget` of clones is safe code, so the
/// count can be driven anywhere; what is left above the limit is room for threads that are between
/// their addition and their look at its result.
const REFERENCE_LIMIT: u32 = if cfg!(test) { REFERENCE << 10 } else { REFERENCE << 29 };

impl State {
    /// One reference, nothing asked.
    pub(super) fn new() -> State {
        State(AtomicU32::new(REFERENCE))
    }

    /// Adds a reference. Aborts the process, as `Arc` does, rather than let the count wrap.
    #[inline]
    pub(super) fn add_reference(&self) {
        // Relaxed: whoever adds has a reference already, so nothing can be freed meanwhile.
        if self.0.fetch_add(REFERENCE, Ordering::Relaxed) >= REFERENCE_LIMIT {
            std::process::abort();
        }
    }

    /// Gives a reference back. True if it was the last one: the caller frees.
    #[inline]
    pub(super) fn drop_reference(&self) -> bool {
        // Release: what this thread did with the task happens before the free.
        if self.0.fetch_sub(REFERENCE, Ordering::Release) / REFERENCE != 1 {
            return false;
        }
        fence(Ordering::Acquire);
        true
    }

    /// True if the caller's reference is the only one. Nobody can add another then, for that takes
    /// one to begin with: the caller may free without a read-modify-write.
    #[inline]
    pub(super) fn is_only_reference(&self) -> bool {
        // Acquire: pairs with the release of whoever gave the last other one back.
        self.0.load(Ordering::Acquire) / REFERENCE == 1
    }

    /// True for the one caller that has to push the task into the inbox.
    #[inline]
    pub(super) fn set_notified(&self) -> bool {
        // Release for the waker that finds the bit set and skips the push: the drain's
        // read-modify-write acquires what it did before.
        self.0.fetch_or(NOTIFIED, Ordering::AcqRel) & NOTIFIED == 0
    }

    /// Before the poll, and a read-modify-write: a plain store would not synchronise with the
    /// waker that found the bit set.
    #[inline]
    pub(super) fn clear_notified(&self) {
        self.0.fetch_and(!NOTIFIED, Ordering::AcqRel);
    }

    /// Asks for the end. A wake has to follow.
    pub(super) fn set_aborted(&self) {
        // Relaxed: the wake that follows changes the same word, and the drain reads it after.
        self.0.fetch_or(ABORTED, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ABORTED != 0
    }
}

/// What holds of the task. Only its own thread touches them.
///
/// A byte of their own: were they bits of the count, a narrow store would stand before a wide load
/// of the same word in nearly every step, and each such load waits for the store to leave the
/// core's buffer (10 ns of a spawn and join).
pub(super) struct Flags(Cell<u8>);

/// In the run queue, once (T2).
pub(super) const QUEUED: u8 = 1;
/// The future is gone, or going: wakes and aborts do nothing any more.
pub(super) const CLOSED: u8 = 2;
/// The result can be read.
pub(super) const COMPLETE: u8 = 4;
/// A join handle wants the result.
pub(super) const HANDLE: u8 = 8;
/// The memory of the future holds the output (T4).
pub(super) const OUTPUT: u8 = 16;
/// The task is polled under bindings of its own.
pub(super) const BOUND: u8 = 32;

impl Flags {
    pub(super) fn new(flags: u8) -> Flags {
        Flags(Cell::new(flags))
    }

    /// True if one of `flags` is set.
    #[inline]
    pub(super) fn has(&self, flags: u8) -> bool {
        self.0.get() & flags != 0
    }

    #[inline]
    pub(super) fn set(&self, flags: u8) {
        self.0.set(self.0.get() | flags);
    }

    #[inline]
    pub(super) fn clear(&self, flags: u8) {
        self.0.set(self.0.get() & !flags);
    }

    /// Clears `flag`; true if it was set.
    #[inline]
    pub(super) fn take(&self, flag: u8) -> bool {
        let had = self.has(flag);
        self.clear(flag);
        had
    }
}

/// The count of local references (T5). Only the task's own thread touches it.
pub(super) struct Local(Cell<u32>);

impl Local {
    /// One reference.
    pub(super) fn new() -> Local {
        Local(Cell::new(1))
    }

    /// Adds a reference. True if there was none, so that the shared one has to be taken.
    #[inline]
    pub(super) fn add_reference(&self) -> bool {
        let count = self.0.get();
        let Some(more) = count.checked_add(1) else { std::process::abort() };
        self.0.set(more);
        count == 0
    }

    /// Gives a reference back. True if none is left, so that the shared one goes too.
    #[inline]
    pub(super) fn drop_reference(&self) -> bool {
        let count = self.0.get();
        debug_assert!(count > 0, "T5: a local reference too many was given back");
        self.0.set(count - 1);
        count == 1
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.get() == 0
    }
}
