//! The end of ops that somebody asks for, and the cancels that it takes. Pure.

use super::answer::Asked;
use super::{CANCEL_ATTEMPTS_MAX, CancelState, SlotKey, Slots, Stage};
use crate::ring::completion::{Answer, Ask, is_interrupted, is_restart};

impl Slots {
    /// Somebody wants the op to end.
    pub(crate) fn ask(&mut self, key: SlotKey, who: Ask) -> Asked {
        let Some(slot) = self.find_key(key) else { return Asked::NotFound };
        let queued = slot.is_queued();
        if !queued && slot.stage.is_in_kernel() {
            if let Some(stream) = slot.stream()
                && stream.ended
            {
                let last = stream.items.back().map_or(0, |answer| answer.result);
                if !slot.ask.is_by_nobody() || !is_interrupted(last) {
                    return Asked::NotFound;
                }
                // It ended for want of room: now it will not be armed again.
                slot.ask = who;
                return Asked::Already;
            }
            if slot.ask.is_by_nobody() {
                slot.ask = who;
            }
            if slot.cancel != CancelState::Unasked {
                return Asked::Already;
            }
            slot.cancel = CancelState::Wanted(0);
            return Asked::Send;
        }
        if slot.stage == Stage::Completed
            && slot.ask == Ask::Nobody
            && is_restart(slot.answer.result)
        {
            // Interrupted and not yet polled: now it will not go again.
            slot.ask = who;
            return Asked::Already;
        }
        if !queued && slot.stage != Stage::Reserved {
            return Asked::NotFound;
        }
        slot.ask = who;
        slot.stage = Stage::Completed;
        slot.answer = Answer::synthetic(libc::ECANCELED);
        let waiter = slot.waiter.take();
        let (follower, soft) = match slot.extra.take() {
            Some(extra) => (extra.follower, extra.soft),
            None => (None, false),
        };
        let opcode = slot.opcode;
        if queued {
            self.counters.awaited.sub(1);
            self.counters.op_ended(opcode);
        }
        self.leave_gate(key.index);
        let follower = follower.filter(|follower| {
            self.find_key(*follower).is_some_and(|slot| {
                slot.leader_pending = false;
                soft
            })
        });
        Asked::Ended { waiter, follower }
    }

    /// The member before this one ended without reaching the kernel: so does this one. Answers
    /// like `ask`, but nobody asked.
    pub(crate) fn fail_follower(&mut self, key: SlotKey) -> Asked {
        let ask = self.find_key(key).map_or(Ask::Nobody, |slot| slot.ask);
        self.ask(key, ask)
    }

    /// Somebody ends all ops on this file by an entry of his own: what a signal ends from now on
    /// does not go again, nor does a stream that had to pause. A cancel of one of them is still
    /// sent.
    pub(crate) fn asked_by_fd(&mut self, fd: i32, fixed: bool) {
        for slot in &mut self.slots {
            let goes_again = slot.stage == Stage::Completed && is_restart(slot.answer.result);
            let meta = slot.meta();
            if fd >= 0
                && (meta.fd, meta.fixed) == (fd, fixed)
                && (goes_again || slot.stage == Stage::Streaming || slot.is_in_flight())
                && slot.ask.is_by_nobody()
            {
                slot.ask = Ask::Cancel;
            }
        }
    }

    /// Whether a cancel still has to be sent for this op.
    pub(crate) fn wants_cancel(&self, key: SlotKey) -> bool {
        self.is_in_flight(key)
            && matches!(self.slots[key.index as usize].cancel, CancelState::Wanted(_))
    }

    /// The cancel is in the submission queue, behind the op.
    pub(crate) fn cancel_sent(&mut self, key: SlotKey) {
        if let Some(slot) = self.find_key(key)
            && let CancelState::Wanted(attempts) = slot.cancel
        {
            slot.cancel = CancelState::Sent(attempts);
        }
    }

    /// Teardown: what a signal ended, and nobody has looked at yet, does not go again.
    pub(crate) fn end_interrupted(&mut self) {
        for slot in &mut self.slots {
            let goes_again = slot.stage == Stage::Completed && is_restart(slot.answer.result);
            if goes_again && slot.ask == Ask::Nobody {
                slot.ask = Ask::Cancel;
            }
        }
    }

    /// A cancel that was left to a future may have been lost with it: it is the ring's now. True:
    /// it has to be sent.
    pub(crate) fn cancel_again(&mut self, key: SlotKey) -> bool {
        let sent = self.is_in_flight(key)
            && matches!(self.slots[key.index as usize].cancel, CancelState::Sent(_));
        if sent {
            self.slots[key.index as usize].cancel = CancelState::Wanted(0);
        }
        sent
    }

    /// The answer to a cancel that the ring sent. Only the op's own answer ends an op; but a chain
    /// member that had not started has to be cancelled again later: the key, if that is now.
    pub(crate) fn cancel_answered(&mut self, index: u32, result: i32) -> Option<SlotKey> {
        let slot = self.slots.get_mut(index as usize)?;
        let CancelState::Sent(attempts) = slot.cancel else { return None };
        // A zero-copy send whose memory is still read cannot be cancelled any more.
        if result != -libc::ENOENT || slot.stage == Stage::AwaitsNotif {
            return None;
        }
        if slot.leader_pending {
            slot.cancel = CancelState::Deferred;
            return None;
        }
        if attempts >= CANCEL_ATTEMPTS_MAX {
            return None;
        }
        slot.cancel = CancelState::Wanted(attempts + 1);
        Some(SlotKey { index, sequence: slot.sequence })
    }

    /// The member of a chain at `index` is done: what of its follower?
    pub(super) fn leader_done(&mut self, index: u32) -> Option<SlotKey> {
        let follower = self.slots[index as usize].extra.as_mut()?.follower.take()?;
        let slot = self.find_key(follower)?;
        slot.leader_pending = false;
        if slot.cancel != CancelState::Deferred {
            return None;
        }
        slot.cancel = CancelState::Wanted(0);
        Some(follower)
    }
}
