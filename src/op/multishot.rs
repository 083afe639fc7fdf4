//! The stream of an op with many answers.
//!
//! # Safety
//!
//! O2 and O6 as for `Submission`, with one difference that O7 names: the op is looked at (`item`)
//! while the kernel has its entry.

#![allow(unsafe_code)]

use std::fmt;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::{BufGroup, MultiOp, OpId};
use crate::ring::kernel::CQE_F_MORE;
use crate::ring::{Ask, Completion, Dropped, Reaper, Ring, SlotKey, Wait};

/// The stream of an op that answers again and again: submitted at its first poll.
///
/// Between polls at most about a `window` of answers is kept: at that many the op is cancelled in
/// the kernel, what still comes is kept, and the next poll that finds nothing arms it again. An end
/// for want of room (completion queue overflow, `ENOBUFS`) is repaired silently; if it was a pooled
/// buffer that was missing, the stream waits until one comes back, and those that wait take turns.
/// Any other end is an item, and the poll after it arms the op again; the stream ends only when it
/// was cancelled, or when the op says so.
///
/// # Cancellation
///
/// Dropping it cancels the op; answers that come until the kernel has stopped are made into items
/// and dropped (accepted connections are closed).
///
/// # Panics
///
/// As for [`Submission`](super::Submission).
#[must_use = "a stream does nothing until it is polled"]
pub struct Multishot<T: MultiOp> {
    op: MaybeUninit<T>,
    ring: Option<Rc<Ring>>,
    key: SlotKey,
    stage: Stage,
    window: usize,
    cancelled: bool,
    /// How many buffers its group had offered when it was armed.
    offered: u64,
    /// Where it stands among those who wait for a buffer, until it has got one.
    ticket: Option<u64>,
    /// The op said that this is the end; what the kernel still says is dropped.
    over: bool,
    site: &'static Location<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Armed,
    /// Not armed, for its group has no buffer.
    Starved,
    Ended,
}

/// How many answers wait before the kernel is asked to pause.
const WINDOW_DEFAULT: usize = 64;

// As for `Submission`.
impl<T: MultiOp> Unpin for Multishot<T> {}

impl<T: MultiOp> Multishot<T> {
    /// Makes the stream of `op`, for whatever runtime it is polled in first.
    #[track_caller]
    pub fn new(op: T) -> Multishot<T> {
        Multishot {
            op: MaybeUninit::new(op),
            ring: None,
            key: SlotKey { index: 0, sequence: 0 },
            stage: Stage::Idle,
            window: WINDOW_DEFAULT,
            cancelled: false,
            offered: 0,
            ticket: None,
            over: false,
            site: Location::caller(),
        }
    }

    #[track_caller]
    pub(crate) fn on(op: T, ring: Rc<Ring>) -> Multishot<T> {
        let mut stream = Multishot::new(op);
        stream.ring = Some(ring);
        stream
    }

    /// Sets how many answers may wait; at least 1.
    pub fn window(mut self, answers: usize) -> Multishot<T> {
        self.window = answers.max(1);
        self
    }

    /// The name of the op while it is armed. Each arming has a name of its own.
    pub fn id(&self) -> Option<OpId> {
        let ring = self.ring.as_ref()?;
        (self.stage == Stage::Armed).then(|| OpId { ring: ring.id(), key: self.key })
    }

    /// Ends the stream: what has arrived still comes, then `None`.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        if let (Stage::Armed, Some(ring)) = (self.stage, &self.ring) {
            ring.ask(self.key, Ask::Cancel);
        }
    }

    /// It has found no buffer, and waits for one.
    pub(crate) fn is_starved(&self) -> bool {
        self.stage == Stage::Starved
    }

    /// Ends the stream now and answers what had arrived: turns the ring, not the tasks, until the
    /// kernel has said the last word. After a second it gives up; what comes then is dropped.
    pub(crate) fn stop_now(mut self) -> Vec<T::Item> {
        const PATIENCE: Duration = Duration::from_secs(1);
        const ROUND: Duration = Duration::from_millis(10);
        self.cancel();
        let mut items = Vec::new();
        let Some(ring) = self.ring.clone() else { return items };
        let begun = Instant::now();
        while self.stage == Stage::Armed {
            match ring.poll_item(self.key, Waker::noop()) {
                Poll::Ready(Ok((completion, last))) => {
                    if last {
                        self.stage = Stage::Ended;
                    }
                    if completion.is_interrupted() || completion.raw_result() == -libc::ENOBUFS {
                        self.pass_over(&completion);
                    } else {
                        items.extend(self.item(completion));
                    }
                }
                Poll::Ready(Err(_)) => break,
                Poll::Pending => {
                    let closed = ring.enter(Wait::AtMost(ROUND)).is_err();
                    if closed || begun.elapsed() > PATIENCE {
                        break;
                    }
                    ring.dispatch();
                }
            }
        }
        items
    }

    fn arm(&mut self, cx: &Context<'_>) -> Result<(), Completion> {
        let ring = Rc::clone(self.ring.get_or_insert_with(super::current_ring));
        super::check_current(&ring);
        // SAFETY: O6: the kernel knows nothing of the op at the moment.
        let op = unsafe { self.op.assume_init_mut() };
        let sqe = op.prepare();
        self.offered = op.buf_group().map_or(0, BufGroup::offered);
        if !ring.supports(sqe.opcode) {
            return Err(Completion::unsupported(sqe.opcode));
        }
        // SAFETY: O1 is `T`'s promise; O2: `op` stays in `self`, and `drop` hands it to `orphan`.
        self.key = unsafe { ring.submit_streaming(sqe, self.window, cx.waker(), self.site) };
        self.stage = Stage::Armed;
        Ok(())
    }

    /// The group of buffers that it selects from.
    fn group(&self) -> Option<BufGroup> {
        // SAFETY: the op is here until `drop`; O7 allows the look.
        let op = unsafe { self.op.assume_init_ref() };
        op.buf_group().cloned()
    }

    /// Waits for a buffer, or goes on waiting. False: there may be one.
    fn waits_for_buffer(&mut self, cx: &Context<'_>) -> bool {
        let Some(group) = self.group() else { return false };
        super::check_current(self.ring.get_or_insert_with(super::current_ring));
        let waits = match self.ticket {
            Some(ticket) if self.stage == Stage::Starved => group.waits_still(ticket, cx.waker()),
            _ => false,
        };
        if !waits {
            // Called, and others were faster: then it keeps its place.
            let ticket = group.wait(self.ticket, cx.waker());
            self.stage = if ticket.is_some() { Stage::Starved } else { Stage::Idle };
            self.ticket = ticket.or(self.ticket);
        }
        self.stage == Stage::Starved
    }

    fn stop_waiting(&mut self) {
        if self.stage == Stage::Starved
            && let (Some(ticket), Some(group)) = (self.ticket, self.group())
        {
            group.leave(ticket);
        }
    }

    /// The last answer says nothing about the op: room was missing, also in the window (then the
    /// ring has cancelled it, and nobody had asked).
    fn is_silent_end(&self, ring: &Ring, completion: &Completion) -> bool {
        if completion.raw_result() == -libc::ENOBUFS {
            return self.group().is_none_or(|group| group.ran_dry(ring, self.offered));
        }
        completion.is_interrupted() && completion.ask == Ask::Window
    }

    /// Nobody will read this answer.
    fn pass_over(&self, completion: &Completion) {
        if let Some(group) = self.group() {
            group.reclaim(completion);
        }
    }

    /// Its ring has been shut down: it cannot be armed again.
    fn is_homeless(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| ring.is_closed())
    }

    fn item(&mut self, completion: Completion) -> Option<T::Item> {
        // SAFETY: the op is here until `drop`; O7 allows the look.
        let op = unsafe { self.op.assume_init_mut() };
        // SAFETY: O3: the completion is an answer to the entry that this op prepared.
        unsafe { op.item(completion) }
    }
}

impl<T: MultiOp> Stream for Multishot<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let this = &mut *self;
        loop {
            match this.stage {
                Stage::Ended => return Poll::Ready(None),
                Stage::Idle | Stage::Starved if this.cancelled || this.is_homeless() => {
                    this.stop_waiting();
                    this.stage = Stage::Ended;
                }
                Stage::Idle | Stage::Starved => {
                    if this.waits_for_buffer(cx) {
                        return Poll::Pending;
                    }
                    if let Err(unsupported) = this.arm(cx) {
                        this.stage = Stage::Ended;
                        return Poll::Ready(this.item(unsupported));
                    }
                }
                Stage::Armed => {}
            }
            if this.stage != Stage::Armed {
                continue;
            }
            let Some(ring) = this.ring.clone() else { unreachable!("armed on a ring") };
            let (completion, last) = match ring.poll_item(this.key, cx.waker()) {
                Poll::Pending => {
                    super::check_current(&ring);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(item)) => item,
                Poll::Ready(Err(lost)) => super::lost(lost),
            };
            if last {
                this.stage = Stage::Idle;
                if this.is_silent_end(&ring, &completion) {
                    this.pass_over(&completion);
                    continue;
                }
                if completion.is_interrupted() && !completion.ask.is_by_nobody() {
                    this.pass_over(&completion);
                    this.stage = Stage::Ended;
                    return Poll::Ready(None);
                }
            }
            this.ticket = None;
            match this.item(completion) {
                Some(item) if !this.over => return Poll::Ready(Some(item)),
                _ => {
                    this.over = true;
                    this.cancel();
                    this.stage = if last { Stage::Ended } else { this.stage };
                }
            }
        }
    }
}

impl<T: MultiOp> Drop for Multishot<T> {
    fn drop(&mut self) {
        if let (Stage::Armed, Some(ring)) = (self.stage, self.ring.take()) {
            match ring.abandon(self.key) {
                Dropped::InKernel => {
                    let op = std::mem::replace(&mut self.op, MaybeUninit::uninit());
                    ring.orphan(self.key, reaper(op));
                    return;
                }
                // R4: the kernel may write to it for ever; it is leaked.
                Dropped::Lost => return,
                Dropped::NeverSubmitted | Dropped::Finished(_) => {}
            }
        }
        self.stop_waiting();
        // SAFETY: the op is here, and the kernel does not have it.
        unsafe { self.op.assume_init_drop() };
    }
}

fn reaper<T: MultiOp>(op: MaybeUninit<T>) -> Reaper {
    let mut remains = Some(op);
    Reaper::Multi(Box::new(move |completion| {
        if completion.flags() & CQE_F_MORE == 0 {
            let Some(op) = remains.take() else { return };
            // SAFETY: the stream moved its op in here, initialised; the kernel is done with it, and
            // it is taken once. Dropped also if `item` panics.
            let mut op = unsafe { op.assume_init() };
            // SAFETY: O3: the completion is the last answer to the entry that this op prepared.
            drop(unsafe { op.item(completion) });
            return;
        }
        let Some(op) = &mut remains else { return };
        // SAFETY: the stream moved its op in here, initialised; O7 allows the look.
        let looked_at = unsafe { op.assume_init_mut() };
        // SAFETY: O3: the completion is an answer to the entry that this op prepared.
        drop(unsafe { looked_at.item(completion) });
    }))
}

impl<T: MultiOp> fmt::Debug for Multishot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multishot")
            .field("op", &std::any::type_name::<T>())
            .field("stage", &self.stage)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
