//! Operations on files beyond a limit, and how they come to their turn.
//!
//! ```text
//!  submit_file --> fewer than the limit? --yes--> submission queue, or backlog
//!                        | no
//!                        v                 each turn: as many as others have ended
//!                  Gate, first in first out ------------------------------> backlog
//! ```
//!
//! What waits is an entry, not a future: its op is prepared and stays where it is, as one in the
//! backlog does, and its slot says that it is queued. So nobody has to be polled for the next to
//! start, a place is free as soon as the kernel has answered, whoever takes the answer and when,
//! and who leaves leaves nothing behind but bytes that are left out.
//!
//! # Safety
//!
//! One unsafe call, the push of an entry: O1 and O2 are the caller's promises.

#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::panic::Location;

use super::slot::{SlotKey, Slots};
use super::{Ask, Inner, Ring, Sqe};
use crate::ring::backlog::Backlog;
use crate::wake::LocalWaker;

/// The entries of operations on files that wait for others to end.
#[derive(Debug)]
pub(super) struct Gate {
    limit: usize,
    /// Also some whose op has ended meanwhile. By the whole sequence: they may wait for long.
    entries: VecDeque<(SlotKey, Sqe)>,
}

/// How many operations on files there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileOps {
    /// With the kernel now, also those whose future is gone.
    pub(crate) in_flight: usize,
    /// The most there were at a time.
    pub(crate) in_flight_max: usize,
    /// Those that wait for others to end.
    pub(crate) waiting: usize,
}

impl Gate {
    /// `None`: no limit, and nothing is counted.
    pub(super) fn new(limit: Option<usize>) -> Gate {
        let limit = limit.map_or(usize::MAX, |limit| limit.max(1));
        Gate { limit, entries: VecDeque::new() }
    }

    fn is_open(&self) -> bool {
        self.limit == usize::MAX
    }

    /// Whether somebody waits, and need not.
    #[inline]
    fn lets_in(&self, slots: &Slots) -> bool {
        let counts = slots.file_ops();
        counts.waiting > 0 && counts.in_flight < self.limit
    }

    /// Moves as many as the limit lets into the backlog, where they wait for room like others.
    pub(super) fn let_in(&mut self, slots: &mut Slots, backlog: &mut Backlog) {
        while slots.file_ops().in_flight < self.limit {
            let Some((key, sqe)) = self.entries.pop_front() else { return };
            if slots.let_in(key) {
                backlog.push(&[sqe]);
            }
        }
    }

    /// Those that have ended are left out at the latest when they are as many as the others: a
    /// deadline may end many while nobody comes through.
    fn wait(&mut self, key: SlotKey, sqe: Sqe, slots: &Slots) {
        const FEW: usize = 64;
        let waiting = slots.file_ops().waiting;
        if self.entries.len() > FEW && self.entries.len() / 2 > waiting {
            self.entries.retain(|(key, _)| slots.waits_at_gate(*key));
        }
        self.entries.push_back((key, sqe));
    }
}

impl Ring {
    /// As `submit`, for an operation on a file: beyond the limit it waits for others to end.
    ///
    /// # Safety
    ///
    /// As for `submit`.
    pub(crate) unsafe fn submit_file(
        &self,
        reserved: Option<SlotKey>,
        mut sqe: Sqe,
        waiter: LocalWaker,
        site: &'static Location<'static>,
    ) -> SlotKey {
        let mut inner = self.inner.borrow_mut();
        if inner.gate.is_open() {
            drop(inner);
            // SAFETY: the caller's promises.
            return unsafe { self.submit(reserved, sqe, waiter, site) };
        }
        let inner = &mut *inner;
        assert!(inner.kernel.is_some(), "{}", super::closed());
        let key = reserved.unwrap_or_else(|| inner.slots.reserve());
        let meta = self.adopt(&mut sqe, key, site);
        let counts = inner.slots.file_ops();
        let waits = counts.waiting > 0 || counts.in_flight >= inner.gate.limit;
        let queued = if waits {
            inner.gate.wait(key, sqe, &inner.slots);
            true
        } else {
            // SAFETY: the caller's promises.
            unsafe { inner.push_one(sqe) }
        };
        inner.slots.start(key, waiter, meta, queued);
        inner.slots.enter_gate(key, waits);
        key
    }

    /// Whether operations on files have a limit.
    pub(crate) fn limits_files(&self) -> bool {
        !self.inner.borrow().gate.is_open()
    }

    /// Ends those on this file that wait: an entry of somebody's own that ends all of them would
    /// come before them.
    pub(super) fn end_waiting(&self, fd: i32, fixed: bool) {
        let keys = self.inner.borrow().slots.waiting_on(fd, fixed);
        for key in keys {
            self.ask(key, Ask::Cancel);
        }
    }
}

impl Inner {
    /// Whether anything waits in user space that `fill_queue` could move.
    #[inline]
    pub(super) fn has_waiting(&self) -> bool {
        !self.backlog.is_empty() || !self.cancels.is_empty() || self.gate.lets_in(&self.slots)
    }
}
