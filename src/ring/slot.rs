//! The slot table: the place of each op in flight. Pure: no system call, no unsafe, no user code.
//!
//! ```text
//!            reserve              insert / start
//!   Free ------------> Reserved ----------------> Queued (entry in the backlog)
//!    ^                    | ask                      | sent        | ask
//!    |                    v                          v             v
//!    |  take         Completed <---- complete --- InKernel     Completed (ECANCELED)
//!    +---------------    ^                         |     |
//!    |                   +---- AwaitsNotif <-------+     | orphan (its future was dropped)
//!    |                         (zero copy)               v
//!    +------------------------ complete ------------- Orphaned
//! ```
//!
//! `Streaming` is `InKernel` for an op with many answers. `Lost` is where teardown puts what the
//! kernel may still own: never freed, never reused.
//!
//! Each transition that has consequences outside *returns* them; the ring lets go of the table and
//! then acts (R3). A slot is known by index and sequence. Sequences are never used twice.

use std::collections::VecDeque;
use std::panic::Location;
use std::task::Waker;

use super::completion::{Answer, Ask, Completion, is_restart};
use super::kernel::{CQE_F_MORE, CQE_F_NOTIF};
use crate::wake::LocalWaker;

/// The name of one op in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey {
    pub(crate) index: u32,
    pub(crate) sequence: u64,
}

/// What a dump says of an op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) opcode: u8,
    pub(crate) fd: i32,
    /// The turn's coarse clock when it was submitted.
    pub(crate) started_ns: u64,
    pub(crate) site: &'static Location<'static>,
}

/// What is left of an op whose future is gone: it takes the answers and drops what they carry.
pub(crate) enum Reaper {
    /// For an op with one answer.
    Single(Box<dyn FnMut(Completion)>),
    /// For an op with many: called for each, up to the last.
    Multi(Box<dyn FnMut(Completion)>),
}

/// What to do after a completion, with nothing borrowed.
pub(crate) enum Effect {
    None,
    Wake(LocalWaker),
    /// Call the reaper; if this was not the last answer, give it back by [`Slots::reaped`].
    Reap { reaper: Reaper, completion: Completion, key: SlotKey, last: bool },
    /// The completion answers nothing that this table knows.
    Stale,
}

/// The answer to `poll`.
pub(crate) enum Polled {
    /// Not yet. If `waker` is not yet the one that is kept, `set_waiter` has to follow: cloning
    /// it may be user code and must not happen in here.
    Pending { kept: bool },
    /// The slot is free again.
    Ready(Answer, Ask),
    /// A signal came between and nobody had asked for the end: the slot is reserved again, under
    /// the same key, for another try.
    Restart,
    /// The ring is gone and the kernel may still own the op's memory.
    Lost,
}

/// The answer to `ask`.
pub(crate) enum Asked {
    /// It had not reached the kernel and has ended now. `follower` is a member of its chain that
    /// must end with it.
    Ended { waiter: Option<LocalWaker>, follower: Option<SlotKey> },
    /// A cancel has to be sent.
    Send,
    /// A cancel was asked for before.
    Already,
    /// There is no such op any more.
    NotFound,
}

/// The answer to `abandon`.
pub(crate) enum Abandoned {
    /// It had ended: the slot is free; this was its outcome.
    Finished(Answer, Ask),
    /// It never reached the kernel; the slot is free.
    NeverSubmitted(#[allow(dead_code, reason = "carried out to be dropped")] Option<LocalWaker>),
    /// The kernel has it: call `orphan`.
    InKernel,
    /// The kernel may still own it and nobody will say when it is done.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CancelState {
    Unasked,
    /// To be sent. The number counts the attempts that found nothing.
    Wanted(u8),
    Sent(u8),
    /// Sent too early: the chain member before it is still running.
    Deferred,
}

/// A chain member whose cancel finds nothing although its leader is done is between two states of
/// the kernel. It is found after a few rounds of task work; what is not, cannot be cancelled.
const CANCEL_ATTEMPTS_MAX: u8 = 16;

enum Stage {
    Free { next: u32 },
    Reserved,
    Queued { waiter: Option<LocalWaker> },
    InKernel { waiter: Option<LocalWaker> },
    AwaitsNotif { waiter: Option<LocalWaker>, first: Answer },
    Streaming { waiter: Option<LocalWaker>, stream: Box<Stream> },
    Completed { answer: Answer },
    Orphaned { orphan: Box<Orphan> },
    Lost,
}

struct Stream {
    items: VecDeque<Answer>,
    ended: bool,
    /// In the backlog, not in the kernel.
    queued: bool,
}

struct Orphan {
    /// `None` while it is being called.
    reaper: Option<Reaper>,
    first: Option<Answer>,
    late: VecDeque<Answer>,
}

struct Slot {
    sequence: u64,
    stage: Stage,
    meta: Option<Meta>,
    ask: Ask,
    cancel: CancelState,
    /// The next member of the chain.
    follower: Option<SlotKey>,
    /// The member before it has not completed.
    leader_pending: bool,
    /// A member behind it dies with it.
    soft: bool,
}

const NONE: u32 = u32::MAX;

/// The slot table of one ring.
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: u32,
    sequence: u64,
    /// Queued, InKernel, AwaitsNotif, Streaming with a live future.
    awaited: usize,
    /// Orphaned.
    orphans: usize,
}

impl Slots {
    pub(crate) fn new() -> Slots {
        Slots { slots: Vec::new(), free: NONE, sequence: 0, awaited: 0, orphans: 0 }
    }

    /// Ops that a live future may wait for.
    pub(crate) fn awaited(&self) -> usize {
        self.awaited
    }

    /// Ops whose futures are gone and that have not ended.
    pub(crate) fn orphans(&self) -> usize {
        self.orphans
    }

    /// R4: nothing is left that the kernel may own.
    pub(crate) fn is_drained(&self) -> bool {
        self.awaited == 0 && self.orphans == 0
    }

    /// Takes a slot for an op that is not prepared yet.
    #[inline]
    pub(crate) fn reserve(&mut self) -> SlotKey {
        let sequence = self.sequence;
        self.sequence += 1;
        let index = self.free;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            let Stage::Free { next } = slot.stage else { unreachable!("free list") };
            self.free = next;
            slot.sequence = sequence;
            slot.stage = Stage::Reserved;
            return SlotKey { index, sequence };
        }
        self.grow(sequence)
    }

    #[cold]
    fn grow(&mut self, sequence: u64) -> SlotKey {
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        assert!(
            index < super::user_data::SLOTS_MAX,
            "more than 2^31 ops in flight on one ring: nothing was submitted"
        );
        self.slots.push(Slot {
            sequence,
            stage: Stage::Reserved,
            meta: None,
            ask: Ask::Nobody,
            cancel: CancelState::Unasked,
            follower: None,
            leader_pending: false,
            soft: false,
        });
        SlotKey { index, sequence }
    }

    /// Reserved -> InKernel, or Queued if the entry went to the backlog; then `sent` tells when it
    /// has left it.
    #[inline]
    pub(crate) fn start(&mut self, key: SlotKey, waiter: LocalWaker, meta: Meta, queued: bool) {
        let slot = self.slot_mut(key);
        debug_assert!(matches!(slot.stage, Stage::Reserved));
        slot.meta = Some(meta);
        let waiter = Some(waiter);
        slot.stage = if queued { Stage::Queued { waiter } } else { Stage::InKernel { waiter } };
        self.awaited += 1;
    }

    /// Reserved -> Streaming.
    pub(crate) fn start_streaming(
        &mut self,
        key: SlotKey,
        waiter: LocalWaker,
        meta: Meta,
        queued: bool,
    ) {
        let slot = self.slot_mut(key);
        debug_assert!(matches!(slot.stage, Stage::Reserved));
        slot.meta = Some(meta);
        let stream = Box::new(Stream { items: VecDeque::new(), ended: false, queued });
        slot.stage = Stage::Streaming { waiter: Some(waiter), stream };
        self.awaited += 1;
    }

    /// Welds `follower` to `key`: it starts when `key` is done, and with `soft` dies with it.
    pub(crate) fn link(&mut self, key: SlotKey, follower: SlotKey, soft: bool) {
        let leader = self.slot_mut(key);
        leader.follower = Some(follower);
        leader.soft = soft;
        self.slot_mut(follower).leader_pending = true;
    }

    /// The entry of this slot leaves the backlog for the submission queue. False: it was ended
    /// meanwhile and must not be sent.
    #[inline]
    pub(crate) fn sent(&mut self, index: u32, sequence_low: u32) -> bool {
        let Some(slot) = self.find(index, sequence_low) else { return false };
        match &mut slot.stage {
            Stage::Queued { waiter } => {
                let waiter = waiter.take();
                slot.stage = Stage::InKernel { waiter };
                true
            }
            Stage::Streaming { stream, .. } if stream.queued => {
                stream.queued = false;
                true
            }
            _ => false,
        }
    }

    /// Whether `sent` would say yes.
    pub(crate) fn is_queued(&self, index: u32, sequence_low: u32) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| {
            slot.sequence as u32 == sequence_low
                && match &slot.stage {
                    Stage::Queued { .. } => true,
                    Stage::Streaming { stream, .. } => stream.queued,
                    _ => false,
                }
        })
    }

    /// Asks for the outcome. `waker` is only compared.
    #[inline]
    pub(crate) fn poll(&mut self, key: SlotKey, waker: &Waker, restartable: bool) -> Polled {
        let slot = self.slot_mut(key);
        match &mut slot.stage {
            Stage::Completed { answer } => {
                let (answer, ask) = (*answer, slot.ask);
                if answer.result < 0
                    && restartable
                    && ask == Ask::Nobody
                    && is_restart(answer.result)
                {
                    slot.stage = Stage::Reserved;
                    return Polled::Restart;
                }
                self.free(key.index);
                Polled::Ready(answer, ask)
            }
            Stage::Queued { waiter }
            | Stage::InKernel { waiter }
            | Stage::AwaitsNotif { waiter, .. } => Polled::Pending { kept: is_kept(waiter, waker) },
            Stage::Lost => Polled::Lost,
            Stage::Free { .. }
            | Stage::Reserved
            | Stage::Streaming { .. }
            | Stage::Orphaned { .. } => unreachable!("a future polled a slot that is not its own"),
        }
    }

    /// Keeps whom to wake. Answers what is to be dropped with nothing borrowed: the waiter before,
    /// or `Err` with the new one if the op has ended meanwhile.
    pub(crate) fn set_waiter(
        &mut self,
        key: SlotKey,
        new: LocalWaker,
    ) -> Result<Option<LocalWaker>, LocalWaker> {
        match &mut self.slot_mut(key).stage {
            Stage::Streaming { stream, .. } if !stream.items.is_empty() => Err(new),
            Stage::Queued { waiter }
            | Stage::InKernel { waiter }
            | Stage::AwaitsNotif { waiter, .. }
            | Stage::Streaming { waiter, .. } => Ok(waiter.replace(new)),
            _ => Err(new),
        }
    }

    /// If an op that was never prepared has been cancelled: its outcome, and the slot is free.
    pub(crate) fn take_if_ended(&mut self, key: SlotKey) -> Option<(Answer, Ask)> {
        let slot = self.slot_mut(key);
        let Stage::Completed { answer } = slot.stage else { return None };
        let ask = slot.ask;
        self.free(key.index);
        Some((answer, ask))
    }

    /// The next answer of an op with many, if one is there.
    pub(crate) fn next_item(&mut self, key: SlotKey, waker: &Waker) -> Item {
        let slot = self.slot_mut(key);
        let ask = slot.ask;
        match &mut slot.stage {
            Stage::Streaming { waiter, stream } => {
                if let Some(answer) = stream.items.pop_front() {
                    let last = stream.ended && stream.items.is_empty();
                    if last {
                        self.free(key.index);
                    }
                    return Item::Ready { answer, ask, last };
                }
                Item::Pending { kept: is_kept(waiter, waker) }
            }
            // Cancelled while it was queued.
            Stage::Completed { answer } => {
                let answer = *answer;
                self.free(key.index);
                Item::Ready { answer, ask, last: true }
            }
            Stage::Lost => Item::Lost,
            _ => unreachable!("a stream polled a slot that is not its own"),
        }
    }

    /// How many answers wait to be taken.
    pub(crate) fn items_waiting(&self, key: SlotKey) -> usize {
        match &self.slots[key.index as usize].stage {
            Stage::Streaming { stream, .. } => stream.items.len(),
            _ => 0,
        }
    }

    /// Files a completion. The second value is a cancel that has to be sent (again) now.
    #[inline]
    pub(crate) fn complete(
        &mut self,
        index: u32,
        sequence_low: u32,
        answer: Answer,
    ) -> (Effect, Option<SlotKey>) {
        let Some(slot) = self.find(index, sequence_low) else { return (Effect::Stale, None) };
        if answer.flags & CQE_F_MORE == 0 {
            if let Stage::InKernel { waiter } = &mut slot.stage {
                let waiter = waiter.take();
                slot.stage = Stage::Completed { answer };
                let chained = slot.follower.is_some();
                self.awaited -= 1;
                let resend = if chained { self.leader_done(index) } else { None };
                return (waiter.map_or(Effect::None, Effect::Wake), resend);
            }
        }
        self.complete_rare(index, answer)
    }

    fn complete_rare(&mut self, index: u32, answer: Answer) -> (Effect, Option<SlotKey>) {
        let more = answer.flags & CQE_F_MORE != 0;
        let slot = &mut self.slots[index as usize];
        let key = SlotKey { index, sequence: slot.sequence };
        let effect = match &mut slot.stage {
            Stage::InKernel { waiter } => {
                // The result of a zero-copy send: its memory is still being read.
                let waiter = waiter.take();
                slot.stage = Stage::AwaitsNotif { waiter, first: answer };
                return (Effect::None, None);
            }
            Stage::AwaitsNotif { waiter, first } => {
                if more {
                    return (Effect::None, None);
                }
                debug_assert!(answer.flags & CQE_F_NOTIF != 0);
                let (waiter, first) = (waiter.take(), *first);
                slot.stage = Stage::Completed { answer: first };
                self.awaited -= 1;
                waiter.map_or(Effect::None, Effect::Wake)
            }
            Stage::Streaming { waiter, stream } => {
                stream.items.push_back(answer);
                if !more {
                    stream.ended = true;
                    self.awaited -= 1;
                }
                waiter.take().map_or(Effect::None, Effect::Wake)
            }
            Stage::Orphaned { .. } => self.complete_orphan(key, answer, more),
            Stage::Free { .. }
            | Stage::Reserved
            | Stage::Queued { .. }
            | Stage::Completed { .. }
            | Stage::Lost => return (Effect::Stale, None),
        };
        let resend = if more { None } else { self.leader_done(index) };
        (effect, resend)
    }

    fn complete_orphan(&mut self, key: SlotKey, answer: Answer, more: bool) -> Effect {
        let slot = &mut self.slots[key.index as usize];
        let Stage::Orphaned { orphan } = &mut slot.stage else { unreachable!("checked") };
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
        let completion = Completion::new(answer, slot.ask);
        if !more {
            self.orphans -= 1;
        }
        Effect::Reap { reaper, completion, key, last: !more }
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
        let Stage::Orphaned { orphan } = &mut slot.stage else { return Err(reaper) };
        if last {
            self.free(key.index);
            return Err(reaper);
        }
        let Some(answer) = orphan.late.pop_front() else {
            orphan.reaper = Some(reaper);
            return Ok(Effect::None);
        };
        let completion = Completion::new(answer, slot.ask);
        let last = answer.flags & CQE_F_MORE == 0;
        if last {
            self.orphans -= 1;
        }
        Ok(Effect::Reap { reaper, completion, key, last })
    }

    /// The member of a chain at `index` is done: what of its follower?
    fn leader_done(&mut self, index: u32) -> Option<SlotKey> {
        let follower = self.slots[index as usize].follower.take()?;
        let slot = self.find_key(follower)?;
        slot.leader_pending = false;
        if slot.cancel != CancelState::Deferred {
            return None;
        }
        slot.cancel = CancelState::Wanted(0);
        Some(follower)
    }

    /// Somebody wants the op to end.
    pub(crate) fn ask(&mut self, key: SlotKey, who: Ask) -> Asked {
        let Some(slot) = self.slots.get_mut(key.index as usize) else { return Asked::NotFound };
        if slot.sequence != key.sequence {
            return Asked::NotFound;
        }
        let waiter = match &mut slot.stage {
            Stage::Reserved => None,
            Stage::Queued { waiter } => {
                self.awaited -= 1;
                waiter.take()
            }
            Stage::Streaming { waiter, stream } if stream.queued => {
                self.awaited -= 1;
                waiter.take()
            }
            Stage::Streaming { stream, .. } if stream.ended => return Asked::NotFound,
            Stage::InKernel { .. }
            | Stage::AwaitsNotif { .. }
            | Stage::Streaming { .. }
            | Stage::Orphaned { .. } => {
                if slot.ask == Ask::Nobody {
                    slot.ask = who;
                }
                if slot.cancel != CancelState::Unasked {
                    return Asked::Already;
                }
                slot.cancel = CancelState::Wanted(0);
                return Asked::Send;
            }
            Stage::Free { .. } | Stage::Completed { .. } | Stage::Lost => return Asked::NotFound,
        };
        slot.ask = who;
        slot.stage = Stage::Completed { answer: Answer::synthetic(libc::ECANCELED) };
        let soft = slot.soft;
        let follower = slot.follower.take().filter(|follower| {
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
        let ask = self.slots.get(key.index as usize).map_or(Ask::Nobody, |slot| slot.ask);
        self.ask(key, ask)
    }

    /// Whether a cancel still has to be sent for this op.
    pub(crate) fn wants_cancel(&self, key: SlotKey) -> bool {
        self.is_in_flight(key)
            && matches!(self.slots[key.index as usize].cancel, CancelState::Wanted(_))
    }

    /// The cancel is in the submission queue, behind the op.
    pub(crate) fn cancel_sent(&mut self, key: SlotKey) {
        if let Some(slot) = self.find_key(key) {
            if let CancelState::Wanted(attempts) = slot.cancel {
                slot.cancel = CancelState::Sent(attempts);
            }
        }
    }

    /// The answer to a cancel that the ring sent. Only the op's own answer ends an op; but a chain
    /// member that had not started has to be cancelled again later: the key, if that is now.
    pub(crate) fn cancel_answered(&mut self, index: u32, result: i32) -> Option<SlotKey> {
        let slot = self.slots.get_mut(index as usize)?;
        let CancelState::Sent(attempts) = slot.cancel else { return None };
        if result != -libc::ENOENT {
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

    /// True if the kernel has the op.
    pub(crate) fn is_in_flight(&self, key: SlotKey) -> bool {
        self.slots.get(key.index as usize).is_some_and(|slot| {
            slot.sequence == key.sequence
                && matches!(
                    slot.stage,
                    Stage::InKernel { .. }
                        | Stage::AwaitsNotif { .. }
                        | Stage::Streaming { .. }
                        | Stage::Orphaned { .. }
                )
        })
    }

    /// The future of this op is being dropped.
    pub(crate) fn abandon(&mut self, key: SlotKey) -> Abandoned {
        let slot = self.slot_mut(key);
        match &mut slot.stage {
            Stage::Completed { answer } => {
                let (answer, ask) = (*answer, slot.ask);
                self.free(key.index);
                Abandoned::Finished(answer, ask)
            }
            Stage::Reserved => {
                self.free(key.index);
                Abandoned::NeverSubmitted(None)
            }
            Stage::Queued { waiter } => {
                let waiter = waiter.take();
                self.awaited -= 1;
                self.free(key.index);
                Abandoned::NeverSubmitted(waiter)
            }
            Stage::Streaming { waiter, stream } if stream.queued => {
                let waiter = waiter.take();
                self.awaited -= 1;
                self.free(key.index);
                Abandoned::NeverSubmitted(waiter)
            }
            Stage::InKernel { .. } | Stage::AwaitsNotif { .. } | Stage::Streaming { .. } => {
                Abandoned::InKernel
            }
            Stage::Lost => Abandoned::Lost,
            Stage::Free { .. } | Stage::Orphaned { .. } => {
                unreachable!("a future dropped a slot that is not its own")
            }
        }
    }

    /// InKernel -> Orphaned: the reaper stays until the last answer, and a cancel is asked for.
    /// Effects: answers that a stream had not taken; the waiter, to be dropped.
    pub(crate) fn orphan(
        &mut self,
        key: SlotKey,
        reaper: Reaper,
    ) -> (Effect, Asked, Option<LocalWaker>) {
        let slot = self.slot_mut(key);
        let mut orphan =
            Orphan { reaper: Some(reaper), first: None, late: VecDeque::new() };
        let mut counted = true;
        let waiter = match std::mem::replace(&mut slot.stage, Stage::Lost) {
            Stage::InKernel { waiter } => waiter,
            Stage::AwaitsNotif { waiter, first } => {
                orphan.first = Some(first);
                waiter
            }
            Stage::Streaming { waiter, stream } => {
                counted = !stream.ended;
                orphan.late = stream.items;
                waiter
            }
            _ => unreachable!("only what the kernel has is orphaned"),
        };
        slot.stage = Stage::Orphaned { orphan: Box::new(orphan) };
        if counted {
            self.awaited -= 1;
        }
        self.orphans += 1;
        let asked = if counted { self.ask(key, Ask::Drop) } else { Asked::NotFound };
        (self.first_late(key), asked, waiter)
    }

    fn first_late(&mut self, key: SlotKey) -> Effect {
        let slot = &mut self.slots[key.index as usize];
        let Stage::Orphaned { orphan } = &mut slot.stage else { return Effect::None };
        if orphan.late.is_empty() {
            return Effect::None;
        }
        match orphan.reaper.take().map(|reaper| self.reaped(key, reaper, false)) {
            Some(Ok(effect)) => effect,
            _ => Effect::None,
        }
    }

    /// Every op that has not reached the kernel, and every op that the kernel has, oldest first.
    pub(crate) fn in_flight(&self) -> Vec<SlotKey> {
        let mut keys: Vec<SlotKey> = (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.stage.is_in_flight())
            .map(|(index, slot)| SlotKey { index, sequence: slot.sequence })
            .collect();
        keys.sort_by_key(|key| key.sequence);
        keys
    }

    /// Visits the ops in flight for dumps: key, meta, waiter, whether it is an orphan.
    pub(crate) fn for_each(&self, visit: &mut dyn FnMut(SlotKey, &Meta, Option<&LocalWaker>)) {
        for (index, slot) in (0_u32..).zip(&self.slots) {
            let waiter = match &slot.stage {
                Stage::Queued { waiter }
                | Stage::InKernel { waiter }
                | Stage::AwaitsNotif { waiter, .. }
                | Stage::Streaming { waiter, .. } => waiter.as_ref(),
                Stage::Orphaned { .. } => None,
                _ => continue,
            };
            if let Some(meta) = &slot.meta {
                visit(SlotKey { index, sequence: slot.sequence }, meta, waiter);
            }
        }
    }

    /// Teardown gave up: what the kernel may still own is marked `Lost` and its reapers are
    /// leaked. Answers what they were, for the log, and whom to wake.
    pub(crate) fn lose(&mut self) -> (Vec<Meta>, Vec<LocalWaker>) {
        let mut lost = Vec::new();
        let mut waiters = Vec::new();
        for slot in &mut self.slots {
            if !slot.stage.is_in_flight() {
                continue;
            }
            lost.extend(slot.meta);
            match std::mem::replace(&mut slot.stage, Stage::Lost) {
                Stage::Orphaned { orphan } => {
                    Box::leak(orphan);
                }
                Stage::InKernel { waiter }
                | Stage::AwaitsNotif { waiter, .. }
                | Stage::Queued { waiter }
                | Stage::Streaming { waiter, .. } => waiters.extend(waiter),
                _ => {}
            }
        }
        self.awaited = 0;
        self.orphans = 0;
        (lost, waiters)
    }

    #[inline]
    fn find(&mut self, index: u32, sequence_low: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize).filter(|slot| slot.sequence as u32 == sequence_low)
    }

    fn find_key(&mut self, key: SlotKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.sequence == key.sequence)
    }

    #[inline]
    fn slot_mut(&mut self, key: SlotKey) -> &mut Slot {
        let slot = &mut self.slots[key.index as usize];
        debug_assert_eq!(slot.sequence, key.sequence, "a key outlived its slot");
        slot
    }

    #[inline]
    fn free(&mut self, index: u32) {
        let next = self.free;
        let slot = &mut self.slots[index as usize];
        slot.stage = Stage::Free { next };
        slot.ask = Ask::Nobody;
        slot.cancel = CancelState::Unasked;
        slot.follower = None;
        slot.leader_pending = false;
        slot.soft = false;
        self.free = index;
    }
}

/// The answer to `next_item`.
pub(crate) enum Item {
    Pending { kept: bool },
    Ready { answer: Answer, ask: Ask, last: bool },
    Lost,
}

fn is_kept(waiter: &Option<LocalWaker>, waker: &Waker) -> bool {
    waiter.as_ref().is_some_and(|kept| kept.will_wake(waker))
}

impl Stage {
    fn is_in_flight(&self) -> bool {
        match self {
            Stage::Queued { .. }
            | Stage::InKernel { .. }
            | Stage::AwaitsNotif { .. }
            | Stage::Orphaned { .. } => true,
            Stage::Streaming { stream, .. } => !stream.ended,
            Stage::Free { .. } | Stage::Reserved | Stage::Completed { .. } | Stage::Lost => false,
        }
    }
}
