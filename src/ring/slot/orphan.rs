//! Ops whose futures are gone, and ops that teardown gives up. Pure.

use std::collections::VecDeque;

use super::answer::{Abandoned, Asked, Effect, Reaper};
use super::gate::Gate;
use super::{Meta, Orphan, SlotKey, Slots, Stage};
use crate::ring::completion::{Answer, Ask, Completion};
use crate::ring::kernel::{CQE_F_MORE, OP_POLL_ADD, OP_TIMEOUT};
use crate::wake::LocalWaker;

impl Slots {
    /// The future of this op is being dropped.
    pub(crate) fn abandon(&mut self, key: SlotKey) -> Abandoned {
        let slot = self.slot_mut(key);
        let queued = slot.is_queued();
        match slot.stage {
            Stage::Completed => {
                let (answer, ask) = (slot.answer, slot.ask);
                self.free(key.index);
                Abandoned::Finished(answer, ask)
            }
            Stage::Reserved | Stage::Queued | Stage::Streaming
                if queued || slot.stage == Stage::Reserved =>
            {
                let (waiter, opcode) = (slot.waiter.take(), slot.opcode);
                if queued {
                    self.counters.awaited.sub(1);
                    self.counters.op_ended(opcode);
                }
                self.free(key.index);
                Abandoned::NeverSubmitted(waiter)
            }
            Stage::InKernel | Stage::AwaitsNotif | Stage::Streaming => Abandoned::InKernel,
            Stage::Lost => Abandoned::Lost,
            _ => unreachable!("a future dropped a slot that is not its own"),
        }
    }

    /// InKernel -> Orphaned: the reaper stays until the last answer; with `ask` a cancel is wanted.
    /// Effects: answers that a stream had not taken; the waiter, to be dropped.
    pub(crate) fn orphan(
        &mut self,
        key: SlotKey,
        reaper: Reaper,
        ask: bool,
    ) -> (Effect, Asked, Option<LocalWaker>) {
        let slot = self.slot_mut(key);
        let waiter = slot.waiter.take();
        let first = (slot.stage == Stage::AwaitsNotif).then_some(slot.answer);
        let stream = slot.extra_mut().stream.take();
        let ended = stream.as_ref().is_some_and(|stream| stream.ended);
        let late = stream.map_or_else(VecDeque::new, |stream| stream.items);
        slot.extra_mut().orphan = Some(Orphan { reaper: Some(reaper), first, late });
        slot.stage = Stage::Orphaned;
        self.counters.awaited.sub(u64::from(!ended));
        self.counters.orphans.add(1);
        let asked = if ended || !ask { Asked::NotFound } else { self.ask(key, Ask::Drop) };
        (self.first_late(key), asked, waiter)
    }

    /// Ops that go on without a future, and are meant to.
    pub(crate) fn has_left(&self) -> bool {
        self.left() > 0
    }

    /// How many.
    pub(crate) fn left(&self) -> u64 {
        let left = self.slots.iter().filter(|slot| {
            // Their timers are not meant, nor polls for what may never come (`op/keep.rs`).
            let is_meant = !matches!(slot.opcode, OP_TIMEOUT | OP_POLL_ADD);
            slot.stage == Stage::Orphaned && slot.ask == Ask::Nobody && is_meant
        });
        left.count() as u64
    }

    fn first_late(&mut self, key: SlotKey) -> Effect {
        let Some(orphan) = self.slots[key.index as usize].orphan_mut() else {
            return Effect::None;
        };
        if orphan.late.is_empty() {
            return Effect::None;
        }
        match orphan.reaper.take().map(|reaper| self.reaped(key, reaper, false)) {
            Some(Ok(effect)) => effect,
            _ => Effect::None,
        }
    }

    pub(super) fn complete_orphan(&mut self, key: SlotKey, answer: Answer, more: bool) -> Effect {
        let slot = &mut self.slots[key.index as usize];
        let ask = slot.ask;
        let Some(orphan) = slot.orphan_mut() else { unreachable!("an orphan has its remains") };
        let answer = match &orphan.reaper {
            Some(Reaper::Single(_)) if more => {
                orphan.first = Some(answer);
                return Effect::None;
            }
            Some(Reaper::Single(_)) => orphan.first.take().unwrap_or(answer),
            Some(Reaper::Multi(_)) => answer,
            None => {
                orphan.late.push_back(answer);
                return Effect::None;
            }
        };
        let Some(reaper) = orphan.reaper.take() else { unreachable!("matched above") };
        self.counters.orphans.sub(u64::from(!more));
        Effect::Reap { reaper, completion: Completion::new(answer, ask), key, last: !more }
    }

    /// A reaper has been called. If that was the last time the slot is free and the reaper comes
    /// back as an error, to be dropped with nothing borrowed; else it is kept, or called again.
    pub(crate) fn reaped(
        &mut self,
        key: SlotKey,
        reaper: Reaper,
        last: bool,
    ) -> Result<Effect, Reaper> {
        let Some(slot) = self.find_key(key) else { return Err(reaper) };
        let ask = slot.ask;
        if slot.stage != Stage::Orphaned {
            return Err(reaper);
        }
        if last {
            self.free(key.index);
            return Err(reaper);
        }
        let Some(orphan) = slot.orphan_mut() else { return Err(reaper) };
        let Some(answer) = orphan.late.pop_front() else {
            orphan.reaper = Some(reaper);
            return Ok(Effect::None);
        };
        let last = answer.flags & CQE_F_MORE == 0;
        self.counters.orphans.sub(u64::from(last));
        Ok(Effect::Reap { reaper, completion: Completion::new(answer, ask), key, last })
    }

    /// Teardown gave up: what the kernel may still own is marked `Lost` and its reapers are
    /// leaked. Answers what they were, for the log, and whom to wake.
    pub(crate) fn lose(&mut self) -> (Vec<Meta>, Vec<LocalWaker>) {
        let mut lost = Vec::new();
        let mut waiters = Vec::new();
        for slot in &mut self.slots {
            if !slot.is_in_flight() {
                continue;
            }
            lost.push(slot.meta());
            waiters.extend(slot.waiter.take());
            slot.stage = Stage::Lost;
            slot.gate = Gate::Outside;
            if let Some(extra) = slot.extra.take() {
                Box::leak(extra);
            }
        }
        (self.file_ops.in_flight, self.file_ops.waiting) = (0, 0);
        self.publish_file_ops();
        self.counters.ops_lost();
        (lost, waiters)
    }
}
