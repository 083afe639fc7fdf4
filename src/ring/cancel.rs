//! How ops end before they are done: asked for by their users, or because nobody waits any more.

use super::completion::{Ask, Completion};
use super::kernel::Wait;
use super::slot::{Abandoned, Asked, Reaper, SlotKey};
use super::{OpId, Ring};
use crate::wake::quietly;

/// What `Ring::begin_cancel` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelBegun {
    /// The kernel has it: the caller is to submit the cancel.
    Send,
    /// The kernel has it, and the ring sees to its cancel already.
    Already,
    /// It had not reached the kernel and has ended now.
    Ended,
    /// There is no such op any more.
    NotFound,
}

/// The answer to `Ring::abandon`.
#[derive(Debug)]
pub(crate) enum Dropped {
    /// The op had ended like this.
    Finished(Completion),
    /// The kernel never saw it.
    NeverSubmitted,
    /// The kernel has it.
    InKernel,
    /// The kernel may have it for ever: forget the op.
    Lost,
}

impl Ring {
    /// Asks for the end of an op. True if it is (or was already) asked for; false if there is no
    /// such op any more.
    pub(crate) fn ask(&self, key: SlotKey, who: Ask) -> bool {
        let asked = self.inner.borrow_mut().slots.ask(key, who);
        self.settle(key, asked)
    }

    fn settle(&self, mut key: SlotKey, mut asked: Asked) -> bool {
        let mut first = true;
        loop {
            match asked {
                Asked::NotFound => return !first,
                Asked::Already => return true,
                Asked::Send => {
                    self.inner.borrow_mut().cancels.push_back(key);
                    return true;
                }
                Asked::Ended { waiter, follower } => {
                    if let Some(waiter) = waiter {
                        self.wake(waiter);
                    }
                    let Some(follower) = follower else { return true };
                    key = follower;
                    asked = self.inner.borrow_mut().slots.fail_follower(follower);
                    first = false;
                }
            }
        }
    }

    /// Like `ask`, by name: an op of another ring is not found.
    pub(crate) fn cancel_by_id(&self, id: OpId) -> bool {
        id.ring == self.id && self.ask(id.key, Ask::Cancel)
    }

    /// All ops on this file are asked to end, by an entry that the caller submits. Only their own
    /// answers end them.
    pub(crate) fn asked_by_fd(&self, fd: i32, fixed: bool) {
        self.inner.borrow_mut().slots.asked_by_fd(fd, fixed);
        self.end_waiting(fd, fixed);
    }

    /// Like `ask`, for a caller that submits the cancel itself, to see its answer. After `Send` the
    /// ring counts on it: what becomes of it has to be told by `cancel_missed`, unless it is found.
    pub(crate) fn begin_cancel(&self, id: OpId) -> CancelBegun {
        if id.ring != self.id {
            return CancelBegun::NotFound;
        }
        let asked = self.inner.borrow_mut().slots.ask(id.key, Ask::Cancel);
        match asked {
            Asked::Send => {
                self.inner.borrow_mut().slots.cancel_sent(id.key);
                CancelBegun::Send
            }
            // A signal had ended it and it would have gone again: now it does not.
            Asked::Already if !self.is_in_flight(id.key) => CancelBegun::Ended,
            Asked::Already => CancelBegun::Already,
            Asked::NotFound => CancelBegun::NotFound,
            ended @ Asked::Ended { .. } => {
                self.settle(id.key, ended);
                CancelBegun::Ended
            }
        }
    }

    /// The cancel that `begin_cancel` left to its caller found nothing, or was never sent: from now
    /// on it is the ring's own affair, as any other cancel.
    pub(crate) fn cancel_missed(&self, key: SlotKey) {
        let mut inner = self.inner.borrow_mut();
        if !inner.slots.is_in_flight(key) {
            return;
        }
        if let Some(key) = inner.slots.cancel_answered(key.index, -libc::ENOENT) {
            inner.cancels.push_back(key);
        }
    }

    /// The future of an op is being dropped. Unless it is `InKernel` the slot is free afterwards;
    /// then `orphan` has to follow.
    pub(crate) fn abandon(&self, key: SlotKey) -> Dropped {
        let abandoned = self.inner.borrow_mut().slots.abandon(key);
        match abandoned {
            Abandoned::Finished(answer, ask) => Dropped::Finished(Completion::new(answer, ask)),
            Abandoned::NeverSubmitted(_waiter) => Dropped::NeverSubmitted,
            Abandoned::InKernel => Dropped::InKernel,
            Abandoned::Lost => Dropped::Lost,
        }
    }

    /// Leaves an op that the kernel has to `reaper`, and asks for its cancel.
    pub(crate) fn orphan(&self, key: SlotKey, reaper: Reaper) {
        self.hand_over(key, reaper, true);
    }

    /// As `orphan`, but the op is to go on.
    pub(crate) fn leave(&self, key: SlotKey, reaper: Reaper) {
        self.hand_over(key, reaper, false);
    }

    /// Brings an op that waits for room into the kernel. False if it is not there in the end.
    pub(crate) fn push_out(&self, key: SlotKey) -> bool {
        const ROUNDS_MAX: u32 = 256;
        for _ in 0..ROUNDS_MAX {
            if self.is_in_flight(key) {
                return true;
            }
            let waits = self.inner.borrow().slots.is_submitted(key);
            if !waits || self.enter(Wait::No).is_err() {
                return false;
            }
        }
        false
    }

    /// A send of a dropped stream has run out of time.
    pub(crate) fn count_abandoned(&self) {
        self.inner.borrow().counters.abandoned.add(1);
    }

    fn hand_over(&self, key: SlotKey, reaper: Reaper, ask: bool) {
        let (effect, waiter) = {
            let mut inner = self.inner.borrow_mut();
            let (effect, asked, waiter) = inner.slots.orphan(key, reaper, ask);
            inner.counters.orphaned.add(1);
            if matches!(asked, Asked::Send) {
                inner.cancels.push_back(key);
            }
            (effect, waiter)
        };
        // A foreign waker's destructor is user code, and this is called in a `drop`.
        let _ = quietly(|| drop(waiter));
        self.act(effect);
    }
}
