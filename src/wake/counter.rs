//! Numbers that one thread writes and every thread may read.
//!
//! A core counts all the time and is asked now and then, also by threads that cannot wait for it:
//! how it stands must be seen while it is blocked. So what it counts lies in shared blocks, and is
//! written by a plain load and a plain store, which cost no more than those of a `Cell`. A reader
//! may see one number older than another; each by itself is true.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number of one core. std's atomic under loom too, for no order hangs on it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// From any thread.
    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// On the core's own thread only: of two writers one would be lost.
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// On the core's own thread only.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.value().wrapping_add(more));
    }

    /// On the core's own thread only.
    #[inline]
    pub(crate) fn sub(&self, less: u64) {
        self.set(self.value().wrapping_sub(less));
    }

    /// Keeps the largest. On the core's own thread only.
    #[inline]
    pub(crate) fn raise(&self, value: u64) {
        if value > self.value() {
            self.set(value);
        }
    }

    /// From any thread, at the price of a read-modify-write: for counters that have several
    /// writers, all of which come this way.
    #[inline]
    pub(crate) fn add_shared(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}
