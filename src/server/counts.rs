//! What a core counts: written by itself only, read by all.

use std::sync::atomic::{AtomicU64, Ordering};

use super::report::Totals;

/// A number that one thread writes and all may read. Relaxed, without a locked instruction.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// On its own core only.
    #[inline]
    pub(super) fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of a core for one server; on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counts {
    pub(super) accepted: Count,
    pub(super) handed_over: Count,
    pub(super) received: Count,
    pub(super) refused: Count,
    pub(super) finished: Count,
    pub(super) failed: Count,
    pub(super) panicked: Count,
    pub(super) idle_closed: Count,
    pub(super) drained: Count,
    pub(super) cut: Count,
    pub(super) accept_errors: Count,
}

impl Counts {
    pub(super) fn totals(&self) -> Totals {
        Totals {
            accepted: self.accepted.value(),
            handed_over: self.handed_over.value(),
            received: self.received.value(),
            refused: self.refused.value(),
            finished: self.finished.value(),
            failed: self.failed.value(),
            panicked: self.panicked.value(),
            idle_closed: self.idle_closed.value(),
            drained: self.drained.value(),
            cut: self.cut.value(),
            accept_errors: self.accept_errors.value(),
        }
    }
}
