//! How entries come into the submission queue: at once, or by way of the backlog.
//!
//! ```text
//!  push: queue free, nothing before it? --yes--> submission queue
//!              | no                                    ^
//!              v             each turn: notifier, cancels, backlog
//!           backlog -----------------------------------+
//! ```
//!
//! # Safety
//!
//! Pushes of entries, whose memory is the op's promise (O1, O2).

#![allow(unsafe_code)]

use super::kernel::{EventFd, IOSQE_CQE_SKIP_SUCCESS, OP_ASYNC_CANCEL, Sqe};
use super::slot::SlotKey;
use super::user_data::UserData;
use super::{Inner, closed, notifier};

impl Inner {
    /// True: it went to the backlog. Inlined, and the entry's address never taken: see
    /// [`Sqe::to_words`].
    ///
    /// # Safety
    ///
    /// O1 and O2 hold for the entry.
    #[inline(always)]
    pub(super) unsafe fn push_one(&mut self, sqe: Sqe) -> bool {
        if let Some(kernel) = &mut self.kernel
            && self.backlog.is_empty()
            // A cancel that waits for room goes first, or a full queue in each turn starves it.
            && self.cancels.is_empty()
            // SAFETY: the caller's promise.
            && unsafe { kernel.push_one(sqe.to_words()) }.is_ok()
        {
            return false;
        }
        self.push_back(sqe.to_words())
    }

    #[cold]
    #[inline(never)]
    fn push_back(&mut self, words: [u64; 8]) -> bool {
        assert!(self.kernel.is_some(), "{}", closed());
        self.backlog.push(&[Sqe::from_words(words)]);
        self.count_backlog();
        true
    }

    /// True: it went to the backlog.
    ///
    /// # Safety
    ///
    /// O1 and O2 hold for each entry.
    #[inline]
    pub(super) unsafe fn push(&mut self, chain: &[Sqe]) -> bool {
        let Some(kernel) = &mut self.kernel else { panic!("{}", closed()) };
        // A cancel that waits for room goes first, or a queue that is full in each turn starves it.
        let first = self.backlog.is_empty() && self.cancels.is_empty();
        // SAFETY: the caller's promise.
        if first && unsafe { kernel.push(chain) }.is_ok() {
            return false;
        }
        self.backlog.push(chain);
        self.count_backlog();
        true
    }

    fn count_backlog(&self) {
        let len = self.backlog.len() as u64;
        self.counters.backlog.set(len);
        self.counters.backlog_max.raise(len);
    }

    /// Moves cancels and backlog into the submission queue. False: not all of it fitted.
    pub(super) fn fill_queue(&mut self, notifier: &EventFd, cqe_skip: bool) -> bool {
        let Some(kernel) = &mut self.kernel else { return true };
        if !self.notifier_armed {
            // SAFETY: the entry has no pointers; the notifier lives as long as the ring (O1).
            if unsafe { kernel.push(&[notifier::poll(notifier)]) }.is_err() {
                return false;
            }
            self.notifier_armed = true;
        }
        while let Some(key) = self.cancels.front().copied() {
            if self.slots.wants_cancel(key) {
                // SAFETY: a cancel has no pointers (O1).
                if unsafe { kernel.push(&[cancel_entry(key, cqe_skip)]) }.is_err() {
                    return false;
                }
                self.slots.cancel_sent(key);
                self.counters.cancels_sent.add(1);
            }
            self.cancels.pop_front();
        }
        self.gate.let_in(&mut self.slots, &mut self.backlog);
        if self.backlog.is_empty() {
            return true;
        }
        let all_moved = self.move_backlog();
        self.count_backlog();
        all_moved
    }

    /// Moves the backlog into the submission queue. False: not all of it fitted.
    fn move_backlog(&mut self) -> bool {
        let Some(kernel) = &mut self.kernel else { return true };
        let slots = &mut self.slots;
        while let Some(chain) = self.backlog.front(&mut |sqe| match UserData::decode(sqe.user_data)
        {
            UserData::Op { index, sequence_low } => slots.is_queued(index, sequence_low),
            _ => false,
        }) {
            // SAFETY: the ops of these entries are queued, so their futures still hold them; when
            // they were pushed here, O1 and O2 were promised.
            if unsafe { kernel.push(chain) }.is_err() {
                return false;
            }
            for sqe in chain {
                if let UserData::Op { index, sequence_low } = UserData::decode(sqe.user_data) {
                    slots.sent(index, sequence_low);
                }
            }
            self.backlog.advance();
        }
        true
    }
}

/// A cancel of exactly this op. Only its failure posts a completion, where the kernel can do that.
fn cancel_entry(target: SlotKey, cqe_skip: bool) -> Sqe {
    let mut sqe = Sqe::new(OP_ASYNC_CANCEL);
    sqe.addr = UserData::of_op(target);
    sqe.user_data = UserData::of_cancel(target);
    sqe.flags = if cqe_skip { IOSQE_CQE_SKIP_SUCCESS } else { 0 };
    sqe
}
