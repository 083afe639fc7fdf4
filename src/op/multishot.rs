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
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{MultiOp, OpId};
use crate::ring::kernel::CQE_F_MORE;
use crate::ring::{Ask, Completion, Dropped, Reaper, Ring, SlotKey};

/// The stream of an op that answers again and again: submitted at its first poll.
///
/// Between polls at most about a `window` of answers is kept: at that many the op is cancelled in
/// the kernel, what still comes is kept, and the next poll that finds nothing arms it again. An end
/// for want of room (completion queue overflow, `ENOBUFS`) is repaired silently. Any other end is
/// an item, and the poll after it arms the op again; the stream ends only when it was cancelled, or
/// when the op says so.
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
    /// The op said that this is the end; what the kernel still says is dropped.
    over: bool,
    site: &'static Location<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Armed,
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

    fn arm(&mut self, cx: &Context<'_>) -> Result<(), Completion> {
        let ring = Rc::clone(self.ring.get_or_insert_with(super::current_ring));
        super::check_current(&ring);
        // SAFETY: O6: the kernel knows nothing of the op at the moment.
        let op = unsafe { self.op.assume_init_mut() };
        let sqe = op.prepare();
        if !ring.supports(sqe.opcode) {
            return Err(Completion::unsupported(sqe.opcode));
        }
        // SAFETY: O1 is `T`'s promise; O2: `op` stays in `self`, and `drop` hands it to `orphan`.
        self.key = unsafe { ring.submit_streaming(sqe, self.window, cx.waker(), self.site) };
        self.stage = Stage::Armed;
        Ok(())
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

/// An end that says nothing about the op: room was missing, also in the window (then the ring has
/// cancelled it, and nobody had asked), or a signal came between.
fn is_silent_end(completion: &Completion) -> bool {
    completion.raw_result() == -libc::ENOBUFS
        || (completion.is_interrupted() && completion.ask == Ask::Window)
}

impl<T: MultiOp> Stream for Multishot<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let this = &mut *self;
        loop {
            match this.stage {
                Stage::Ended => return Poll::Ready(None),
                Stage::Idle if this.cancelled || this.is_homeless() => this.stage = Stage::Ended,
                Stage::Idle => {
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
                if is_silent_end(&completion) {
                    continue;
                }
                if completion.is_interrupted() && !completion.ask.is_by_nobody() {
                    this.stage = Stage::Ended;
                    return Poll::Ready(None);
                }
            }
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
