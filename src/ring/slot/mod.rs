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

mod answer;
mod cancel;
mod gate;
mod orphan;

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

pub(crate) use self::answer::{Abandoned, Asked, Effect, Filed, Item, Polled, Reaper};
use self::gate::Gate;
use super::completion::{Answer, Ask, is_restart};
use super::counters::Counters;
use super::gate::FileOps;
use super::kernel::{CQE_F_BUFFER, CQE_F_MORE, names_descriptor};
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
    /// -1 if the entry names none.
    pub(crate) fd: i32,
    /// `fd` is the index of a registered file.
    pub(crate) fixed: bool,
    /// The turn's coarse clock when it was submitted, in milliseconds.
    pub(crate) started_ms: u32,
    pub(crate) site: &'static Location<'static>,
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

/// Where an op stands. What belongs to a stage lies beside it in the slot, so that a transition
/// is a few plain stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Free,
    Reserved,
    Queued,
    InKernel,
    /// `answer` is the result of a zero-copy send; its memory is still being read.
    AwaitsNotif,
    /// `extra` holds the stream.
    Streaming,
    /// `answer` waits to be taken.
    Completed,
    /// `extra` holds the orphan.
    Orphaned,
    Lost,
}

impl Stage {
    /// The kernel has it.
    fn is_in_kernel(self) -> bool {
        matches!(self, Stage::InKernel | Stage::AwaitsNotif | Stage::Streaming | Stage::Orphaned)
    }
}

/// What few ops need.
#[derive(Default)]
struct Extra {
    stream: Option<Stream>,
    orphan: Option<Orphan>,
    /// The next member of the chain.
    follower: Option<SlotKey>,
    /// A member behind it dies with it.
    soft: bool,
}

#[derive(Default)]
struct Stream {
    items: VecDeque<Answer>,
    ended: bool,
    /// In the backlog, not in the kernel.
    queued: bool,
    /// At so many items the op is cancelled, with nobody having asked.
    window: usize,
}

struct Orphan {
    /// `None` while it is being called.
    reaper: Option<Reaper>,
    first: Option<Answer>,
    late: VecDeque<Answer>,
}

/// One cache line.
#[repr(align(64))]
struct Slot {
    sequence: u64,
    waiter: Option<LocalWaker>,
    answer: Answer,
    extra: Option<Box<Extra>>,
    site: &'static Location<'static>,
    fd: i32,
    /// When it was submitted; while it is free: the next free slot.
    started_or_next: u32,
    opcode: u8,
    fixed: bool,
    stage: Stage,
    ask: Ask,
    cancel: CancelState,
    /// The member of the chain before it has not completed.
    leader_pending: bool,
    gate: Gate,
}

const _: () = assert!(size_of::<Slot>() == 64);

const NONE: u32 = u32::MAX;

/// The slot table of one ring.
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: u32,
    /// The next one. 0 is nobody's: the key of a future that never took a slot.
    sequence: u64,
    /// `awaited`: Queued, InKernel, AwaitsNotif, Streaming (not ended) with a live future.
    /// `orphans`: Orphaned.
    counters: Arc<Counters>,
    file_ops: FileOps,
}

impl Slots {
    pub(crate) fn new(counters: Arc<Counters>) -> Slots {
        let file_ops = FileOps::default();
        Slots { slots: Vec::new(), free: NONE, sequence: 1, counters, file_ops }
    }

    /// Ops that a live future may wait for.
    pub(crate) fn awaited(&self) -> u64 {
        self.counters.awaited.value()
    }

    /// Ops whose futures are gone and that have not ended.
    pub(crate) fn orphans(&self) -> u64 {
        self.counters.orphans.value()
    }

    /// R4: nothing is left that the kernel may own.
    pub(crate) fn is_drained(&self) -> bool {
        self.awaited() == 0 && self.orphans() == 0
    }

    /// Takes a slot for an op that is not prepared yet.
    #[inline]
    pub(crate) fn reserve(&mut self) -> SlotKey {
        let sequence = self.sequence;
        self.sequence += 1;
        let index = self.free;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            debug_assert!(slot.stage == Stage::Free);
            self.free = slot.started_or_next;
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
            waiter: None,
            answer: Answer { result: 0, flags: 0 },
            extra: None,
            site: Location::caller(),
            fd: -1,
            started_or_next: 0,
            opcode: 0,
            fixed: false,
            stage: Stage::Reserved,
            ask: Ask::Nobody,
            cancel: CancelState::Unasked,
            leader_pending: false,
            gate: Gate::Outside,
        });
        SlotKey { index, sequence }
    }

    /// Reserved -> InKernel, or Queued if the entry went to the backlog; then `sent` tells when it
    /// has left it.
    #[inline]
    pub(crate) fn start(&mut self, key: SlotKey, waiter: LocalWaker, meta: Meta, queued: bool) {
        self.counters.op_started(meta.opcode);
        let slot = self.slot_mut(key);
        debug_assert!(slot.stage == Stage::Reserved);
        slot.waiter = Some(waiter);
        slot.set_meta(meta);
        slot.stage = if queued { Stage::Queued } else { Stage::InKernel };
    }

    /// Reserved -> Streaming.
    pub(crate) fn start_streaming(
        &mut self,
        key: SlotKey,
        waiter: LocalWaker,
        meta: Meta,
        queued: bool,
        window: usize,
    ) {
        self.counters.op_started(meta.opcode);
        let slot = self.slot_mut(key);
        debug_assert!(slot.stage == Stage::Reserved);
        slot.waiter = Some(waiter);
        slot.set_meta(meta);
        slot.stage = Stage::Streaming;
        slot.extra_mut().stream = Some(Stream { queued, window, ..Stream::default() });
    }

    /// Welds `follower` to `key`: it starts when `key` is done, and with `soft` dies with it.
    pub(crate) fn link(&mut self, key: SlotKey, follower: SlotKey, soft: bool) {
        let extra = self.slot_mut(key).extra_mut();
        extra.follower = Some(follower);
        extra.soft = soft;
        self.slot_mut(follower).leader_pending = true;
    }

    /// The entry of this slot leaves the backlog for the submission queue. False: it was ended
    /// meanwhile and must not be sent.
    pub(crate) fn sent(&mut self, index: u32, sequence_low: u32) -> bool {
        let Some(slot) = self.find(index, sequence_low) else { return false };
        match (slot.stage, slot.stream_mut()) {
            (Stage::Queued, _) => slot.stage = Stage::InKernel,
            (Stage::Streaming, Some(stream)) if stream.queued => stream.queued = false,
            _ => return false,
        }
        true
    }

    /// Whether `sent` would say yes.
    pub(crate) fn is_queued(&self, index: u32, sequence_low: u32) -> bool {
        self.slots
            .get(index as usize)
            .is_some_and(|slot| slot.sequence as u32 == sequence_low && slot.is_queued())
    }

    /// Asks for the outcome. `waker` is only compared.
    #[inline]
    pub(crate) fn poll(&mut self, key: SlotKey, waker: &Waker, restartable: bool) -> Polled {
        let slot = self.slot_mut(key);
        if slot.stage == Stage::Completed {
            let (answer, ask) = (slot.answer, slot.ask);
            if answer.result < 0 && restartable && ask == Ask::Nobody && goes_again(answer) {
                slot.stage = Stage::Reserved;
                return Polled::Restart;
            }
            self.free(key.index);
            return Polled::Ready(answer, ask);
        }
        match slot.stage {
            Stage::Queued | Stage::InKernel | Stage::AwaitsNotif => {
                Polled::Pending { kept: slot.keeps(waker) }
            }
            Stage::Lost => Polled::Lost,
            _ => unreachable!("a future polled a slot that is not its own"),
        }
    }

    /// Keeps whom to wake. Answers what is to be dropped with nothing borrowed: the waiter before,
    /// or `Err` with the new one if the op has ended meanwhile.
    pub(crate) fn set_waiter(
        &mut self,
        key: SlotKey,
        new: LocalWaker,
    ) -> Result<Option<LocalWaker>, LocalWaker> {
        let slot = self.slot_mut(key);
        match (slot.stage, slot.stream_mut()) {
            (Stage::Streaming, Some(stream)) if !stream.items.is_empty() => Err(new),
            (Stage::Queued | Stage::InKernel | Stage::AwaitsNotif | Stage::Streaming, _) => {
                Ok(slot.waiter.replace(new))
            }
            _ => Err(new),
        }
    }

    /// If an op that was never prepared has been cancelled: its outcome, and the slot is free.
    pub(crate) fn take_if_ended(&mut self, key: SlotKey) -> Option<(Answer, Ask)> {
        let slot = self.slot_mut(key);
        let ended = (slot.stage == Stage::Completed).then_some((slot.answer, slot.ask));
        if ended.is_some() {
            self.free(key.index);
        }
        ended
    }

    /// The next answer of an op with many, if one is there.
    pub(crate) fn next_item(&mut self, key: SlotKey, waker: &Waker) -> Item {
        let slot = self.slot_mut(key);
        let (kept, ask) = (slot.keeps(waker), slot.ask);
        match (slot.stage, slot.stream_mut()) {
            (Stage::Streaming, Some(stream)) => {
                let Some(answer) = stream.items.pop_front() else { return Item::Pending { kept } };
                let last = stream.ended && stream.items.is_empty();
                if last {
                    self.free(key.index);
                }
                Item::Ready { answer, ask, last }
            }
            // Cancelled while it was queued.
            (Stage::Completed, _) => {
                let answer = slot.answer;
                self.free(key.index);
                Item::Ready { answer, ask, last: true }
            }
            (Stage::Lost, _) => Item::Lost,
            _ => unreachable!("a stream polled a slot that is not its own"),
        }
    }

    /// Files a completion, if that is simple: an op of one answer, in no chain, with its future.
    #[inline]
    pub(crate) fn complete(&mut self, index: u32, sequence_low: u32, answer: Answer) -> Filed {
        let Some(slot) = self.find(index, sequence_low) else { return Filed::Rare };
        let plain = slot.stage == Stage::InKernel && slot.extra.is_none();
        if !plain || answer.flags & CQE_F_MORE != 0 {
            return Filed::Rare;
        }
        slot.stage = Stage::Completed;
        slot.answer = answer;
        let (waiter, opcode, gate) = (slot.waiter.take(), slot.opcode, slot.gate);
        self.counters.awaited.sub(1);
        self.counters.op_ended(opcode);
        if gate != Gate::Outside {
            self.leave_gate(index);
        }
        Filed::Done(waiter)
    }

    /// Files any completion. The second value is a cancel that has to be sent (again) now.
    #[cold]
    pub(crate) fn complete_any(
        &mut self,
        index: u32,
        sequence_low: u32,
        answer: Answer,
    ) -> (Effect, Option<SlotKey>) {
        match self.find(index, sequence_low) {
            Some(_) => self.complete_rare(index, answer),
            None => (Effect::Stale, None),
        }
    }

    fn complete_rare(&mut self, index: u32, answer: Answer) -> (Effect, Option<SlotKey>) {
        let more = answer.flags & CQE_F_MORE != 0;
        let slot = &mut self.slots[index as usize];
        let key = SlotKey { index, sequence: slot.sequence };
        let opcode = slot.opcode;
        let effect = match slot.stage {
            Stage::InKernel if more => {
                slot.stage = Stage::AwaitsNotif;
                slot.answer = answer;
                // For its chain it is done; only its memory is still being read.
                return (Effect::None, self.leader_done(index));
            }
            Stage::AwaitsNotif if more => return (Effect::None, None),
            Stage::InKernel | Stage::AwaitsNotif => {
                if slot.stage == Stage::InKernel {
                    slot.answer = answer;
                }
                slot.stage = Stage::Completed;
                self.counters.awaited.sub(1);
                let effect = slot.waiter.take().map_or(Effect::None, Effect::Wake);
                self.leave_gate(index);
                effect
            }
            Stage::Streaming => {
                let full = slot.stream_mut().is_some_and(|stream| {
                    stream.items.push_back(answer);
                    stream.ended = !more;
                    stream.items.len() >= stream.window
                });
                let effect = slot.waiter.take().map_or(Effect::None, Effect::Wake);
                if more && full && slot.cancel == CancelState::Unasked {
                    slot.cancel = CancelState::Wanted(0);
                    if slot.ask == Ask::Nobody {
                        slot.ask = Ask::Window;
                    }
                    return (effect, Some(key));
                }
                self.counters.awaited.sub(u64::from(!more));
                effect
            }
            Stage::Orphaned => {
                if !more {
                    self.leave_gate(index);
                }
                self.complete_orphan(key, answer, more)
            }
            Stage::Free | Stage::Reserved | Stage::Queued | Stage::Completed | Stage::Lost => {
                return (Effect::Stale, None);
            }
        };
        if more {
            return (effect, None);
        }
        self.counters.op_ended(opcode);
        (effect, self.leader_done(index))
    }

    /// True if the kernel has the op.
    pub(crate) fn is_in_flight(&self, key: SlotKey) -> bool {
        self.slots
            .get(key.index as usize)
            .is_some_and(|slot| slot.sequence == key.sequence && slot.stage.is_in_kernel())
    }

    /// True if the op is in the backlog or in the kernel.
    pub(crate) fn is_submitted(&self, key: SlotKey) -> bool {
        self.slots
            .get(key.index as usize)
            .is_some_and(|slot| slot.sequence == key.sequence && slot.is_in_flight())
    }

    /// Every op that has not reached the kernel, and every op that the kernel has, oldest first.
    pub(crate) fn in_flight(&self) -> Vec<SlotKey> {
        let mut keys: Vec<SlotKey> = (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.is_in_flight())
            .map(|(index, slot)| SlotKey { index, sequence: slot.sequence })
            .collect();
        keys.sort_by_key(|key| key.sequence);
        keys
    }

    /// Visits the ops in flight for dumps: key, meta, waiter.
    pub(crate) fn for_each(&self, visit: &mut dyn FnMut(SlotKey, &Meta, Option<&LocalWaker>)) {
        for (index, slot) in (0_u32..).zip(&self.slots) {
            if slot.is_in_flight() {
                let key = SlotKey { index, sequence: slot.sequence };
                visit(key, &slot.meta(), slot.waiter.as_ref());
            }
        }
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
        self.leave_gate(index);
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.waiter.is_none());
        if slot.extra.is_some() {
            slot.extra = None;
        }
        slot.stage = Stage::Free;
        slot.started_or_next = self.free;
        slot.ask = Ask::Nobody;
        slot.cancel = CancelState::Unasked;
        slot.leader_pending = false;
        self.free = index;
    }
}

/// A signal came between, and the answer brings no buffer that would be lost with it.
fn goes_again(answer: Answer) -> bool {
    is_restart(answer.result) && answer.flags & CQE_F_BUFFER == 0
}

impl Slot {
    #[inline]
    fn set_meta(&mut self, meta: Meta) {
        self.opcode = meta.opcode;
        self.fd = meta.fd;
        self.fixed = meta.fixed;
        self.started_or_next = meta.started_ms;
        self.site = meta.site;
    }

    fn meta(&self) -> Meta {
        Meta {
            opcode: self.opcode,
            fd: if names_descriptor(self.opcode) { self.fd } else { -1 },
            fixed: self.fixed,
            started_ms: self.started_or_next,
            site: self.site,
        }
    }

    #[inline]
    fn keeps(&self, waker: &Waker) -> bool {
        self.waiter.as_ref().is_some_and(|kept| kept.will_wake(waker))
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn stream(&self) -> Option<&Stream> {
        self.extra.as_ref()?.stream.as_ref()
    }

    fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.extra.as_mut()?.stream.as_mut()
    }

    fn orphan_mut(&mut self) -> Option<&mut Orphan> {
        self.extra.as_mut()?.orphan.as_mut()
    }

    /// In the backlog.
    fn is_queued(&self) -> bool {
        match self.stage {
            Stage::Queued => true,
            Stage::Streaming => self.stream().is_some_and(|stream| stream.queued),
            _ => false,
        }
    }

    fn is_in_flight(&self) -> bool {
        match self.stage {
            Stage::Streaming => self.stream().is_some_and(|stream| !stream.ended),
            Stage::Queued => true,
            stage => stage.is_in_kernel(),
        }
    }
}

#[cfg(test)]
mod tests;
