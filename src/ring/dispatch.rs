//! Completions to slots, and from there to wakers and reapers: R3 is kept here.

use std::cell::Cell;

use super::completion::Answer;
use super::kernel::{self, Cqe, Kernel};
use super::slot::{Effect, Filed, Reaper, SlotKey};
use super::user_data::UserData;
use super::{Inner, Ring};
use crate::wake::{LocalWaker, quietly};

impl Ring {
    /// Takes the completions that are there, one by one: publishes the head, lets go, then acts.
    /// Answers how many.
    pub(crate) fn dispatch(&self) -> usize {
        let count = Cell::new(0);
        // A panic in a waker or reaper loses nothing: its completion was taken, the next waits.
        while quietly(|| self.dispatch_ready(&count)).is_none() {
            self.inner.borrow().counters.panics.add(1);
        }
        self.inner.borrow().counters.completed.add(count.get() as u64);
        self.call_for_buffers();
        count.get()
    }

    fn dispatch_ready(&self, count: &Cell<usize>) {
        // One queue full at a time: user code gets its turn.
        let limit = self.capabilities.cq_entries as usize;
        while count.get() < limit {
            let mut inner = self.inner.borrow_mut();
            let Some(cqe) = inner.kernel.as_mut().and_then(Kernel::pop) else { return };
            count.set(count.get() + 1);
            if let UserData::Op { index, sequence_low } = UserData::decode(cqe.user_data) {
                let answer = Answer { result: cqe.result, flags: cqe.flags };
                if let Filed::Done(waiter) = inner.slots.complete(index, sequence_low, answer) {
                    drop(inner);
                    if let Some(waiter) = waiter {
                        waiter.wake();
                    }
                    continue;
                }
            }
            drop(inner);
            self.dispatch_rare(cqe);
        }
    }

    #[cold]
    fn dispatch_rare(&self, cqe: Cqe) {
        let (effect, resend) = self.inner.borrow_mut().file(cqe);
        if let Some(key) = resend {
            self.inner.borrow_mut().cancels.push_back(key);
        }
        self.act(effect);
    }

    pub(super) fn act(&self, mut effect: Effect) {
        loop {
            match effect {
                Effect::None => return,
                Effect::Stale => {
                    self.inner.borrow().counters.stale.add(1);
                    return;
                }
                Effect::Wake(waiter) => {
                    waiter.wake();
                    return;
                }
                Effect::Reap { mut reaper, completion, key, last } => {
                    let call = match &mut reaper {
                        Reaper::Single(call) | Reaper::Multi(call) => call,
                    };
                    let panicked = quietly(|| call(completion)).is_none();
                    let mut inner = self.inner.borrow_mut();
                    inner.counters.panics.add(u64::from(panicked));
                    effect = match inner.slots.reaped(key, reaper, last) {
                        Ok(effect) => effect,
                        Err(done) => {
                            drop(inner);
                            drop(done);
                            return;
                        }
                    };
                }
            }
        }
    }

    /// Wakes where a panic would keep others from being told.
    pub(super) fn wake(&self, waiter: LocalWaker) {
        if quietly(|| waiter.wake()).is_none() {
            self.inner.borrow().counters.panics.add(1);
        }
    }
}

impl Inner {
    fn file(&mut self, cqe: Cqe) -> (Effect, Option<SlotKey>) {
        match UserData::decode(cqe.user_data) {
            UserData::Op { index, sequence_low } => {
                let answer = Answer { result: cqe.result, flags: cqe.flags };
                self.slots.complete_any(index, sequence_low, answer)
            }
            UserData::Notifier => {
                self.notifier_armed = cqe.flags & kernel::CQE_F_MORE != 0;
                (Effect::None, None)
            }
            UserData::Cancel { index } => {
                if cqe.result < 0 {
                    self.counters.cancels_failed.add(1);
                }
                (Effect::None, self.slots.cancel_answered(index, cqe.result))
            }
            UserData::Unknown => (Effect::Stale, None),
        }
    }
}
