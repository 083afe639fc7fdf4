//! The future of an op with one result.
//!
//! ```text
//!   New --id()--> Reserved --poll--> Submitted --poll--> Done
//!    +----------------poll--------------^
//! ```
//!
//! # Safety
//!
//! O2: the op lives in here until the future is dropped, then in the closure that is left in its
//! slot. O6: from `prepare` to the last answer it is a `MaybeUninit` that nobody looks into.

#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{Interrupt, Op, OpId, Timed, sealed};
use crate::ring::{self, Ask, Completion, Dropped, Outcome, Reaper, Ring, SlotKey, Wait};

/// The future of one op: submitted at its first poll, resolved by the kernel's answer.
///
/// # Cancellation
///
/// Dropping it while the kernel has the op asks the kernel to cancel it and leaves what the op owns
/// to the ring until the kernel is done: memory and descriptors are freed then, never earlier. What
/// the op would have given (bytes read, an accepted connection) is dropped with it; to have the
/// real outcome, [`cancel`](Submission::cancel) and await. `mem::forget` leaks and is otherwise
/// harmless.
///
/// # Panics
///
/// Polling panics outside a runtime, inside another runtime than the one it was first polled in,
/// and after it was ready.
#[must_use = "an op does nothing until it is awaited"]
pub struct Submission<T: Op> {
    op: MaybeUninit<T>,
    ring: Option<Rc<Ring>>,
    key: SlotKey,
    stage: Stage,
    /// It counts for the limit of operations on files.
    of_file: bool,
    site: &'static Location<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Reserved,
    Submitted,
    Done,
}

// `op` is never pinned: what the kernel points to stays when it moves (O1).
impl<T: Op> Unpin for Submission<T> {}

/// Makes the future of `op`, for whatever runtime it is polled in first.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Builder::new().build()?;
/// let answer = runtime.block_on(ringspun::op::submit(ringspun::op::Nop::new()));
/// assert!(answer.is_ok());
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn submit<T: Op>(op: T) -> Submission<T> {
    Submission::new(op, None)
}

/// As [`submit`], for what may need a kernel worker or a disk: beyond the limit of
/// [`Builder::file_ops`](crate::runtime::Builder::file_ops) it waits until others have ended. Not
/// for what waits for somebody else, a FIFO's peer say, who may be behind it.
#[track_caller]
#[inline]
pub(crate) fn submit_file<T: Op>(op: T) -> Submission<T> {
    let mut submission = Submission::new(op, None);
    submission.of_file = true;
    submission
}

impl<T: Op> Submission<T> {
    #[track_caller]
    #[inline]
    pub(crate) fn new(op: T, ring: Option<Rc<Ring>>) -> Submission<T> {
        Submission {
            op: MaybeUninit::new(op),
            ring,
            key: SlotKey { index: 0, sequence: 0 },
            stage: Stage::New,
            of_file: false,
            site: Location::caller(),
        }
    }

    /// The name of this op, by which [`cancel`](crate::uring::AsyncIoUring::cancel) finds it.
    /// Valid from now on, also before the first poll; never used again for another op.
    ///
    /// # Panics
    ///
    /// Outside a runtime, for then there is no ring to take a slot of.
    #[track_caller]
    pub fn id(&mut self) -> OpId {
        let ring = self.bind();
        if self.stage == Stage::New {
            self.key = ring.reserve();
            self.stage = Stage::Reserved;
        }
        OpId { ring: ring.id(), key: self.key }
    }

    /// Gives the op a deadline: `duration` after its first poll it is cancelled, and its outcome is
    /// an error of kind [`TimedOut`](std::io::ErrorKind::TimedOut) unless the op was faster.
    pub fn timeout(self, duration: Duration) -> Timed<Submission<T>> {
        Timed::new(self, duration)
    }

    /// Asks for the end of the op; then await it for its real outcome. What the kernel did before
    /// it heard of the cancel wins: bytes that had arrived are in the buffer and counted. Otherwise
    /// the outcome is `ECANCELED`.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it was not polled yet.
    #[track_caller]
    pub fn cancel(mut self) -> Submission<T> {
        self.request_cancel();
        self
    }

    /// Like [`cancel`](Submission::cancel), in place.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it was not polled yet.
    #[track_caller]
    pub fn request_cancel(&mut self) {
        self.interrupt(Ask::Cancel);
    }

    #[track_caller]
    pub(crate) fn interrupt(&mut self, who: Ask) {
        match self.stage {
            Stage::New => {
                self.id();
            }
            Stage::Done => return,
            Stage::Reserved | Stage::Submitted => {}
        }
        if let Some(ring) = &self.ring {
            ring.ask(self.key, who);
        }
    }

    /// True between the first poll and the outcome.
    #[inline]
    pub(crate) fn is_submitted(&self) -> bool {
        self.stage == Stage::Submitted
    }

    /// The outcome, if it is there. Nobody is kept to be woken.
    pub(crate) fn take_if_done(&mut self) -> Option<T::Output> {
        let Some(ring) = &self.ring else { return None };
        if self.stage != Stage::Submitted {
            return None;
        }
        match ring.poll_done(self.key, T::RESTARTABLE) {
            Poll::Ready(Ok(Outcome::Done(completion))) => Some(self.finish(completion)),
            Poll::Ready(Ok(Outcome::Restart)) => {
                self.stage = Stage::Reserved;
                None
            }
            Poll::Pending | Poll::Ready(Err(_)) => None,
        }
    }

    /// Ends the op now and answers its real outcome: turns the ring, not the tasks, until the
    /// kernel has said the last word. `None` if it was not submitted, or its ring is closed.
    ///
    /// For what is poll-driven only: a kernel worker may take its time. After a second it gives up.
    pub(crate) fn finish_now(&mut self) -> Option<T::Output> {
        const PATIENCE: Duration = Duration::from_secs(1);
        const ROUND: Duration = Duration::from_millis(10);
        let ring = Rc::clone(self.ring.as_ref()?);
        if self.stage != Stage::Submitted {
            return None;
        }
        let begun = Instant::now();
        loop {
            if let Some(output) = self.take_if_done() {
                return Some(output);
            }
            ring.ask(self.key, Ask::Cancel);
            let closed = self.stage != Stage::Submitted || ring.enter(Wait::AtMost(ROUND)).is_err();
            if closed || begun.elapsed() > PATIENCE {
                return None;
            }
            ring.dispatch();
        }
    }

    /// Submits the op with nobody to wake, also where its ring is not the current one.
    pub(super) fn launch(&mut self) {
        if matches!(self.stage, Stage::New | Stage::Reserved)
            && let Poll::Ready(completion) = self.push(Waker::noop())
        {
            drop(self.finish(completion));
        }
    }

    /// True if it was submitted to a ring that nobody turns on this thread now.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.ring.as_ref().is_some_and(|ring| !ring::is_current(ring))
    }

    /// Lets the op go on without its future, for a limited time. What it answers is dropped, and
    /// then `then` is called, in any case.
    pub(crate) fn detach(self, then: Option<Box<dyn FnOnce()>>) {
        self.detach_then(Then(then));
    }

    fn detach_then(mut self, then: Then) {
        let Some(ring) = self.ring.clone().filter(|ring| !ring.is_closed()) else { return };
        // It may have ended, and nobody has looked. If that was by a signal, it goes again.
        if self.take_if_done().is_some() {
            return;
        }
        if self.stage != Stage::Submitted {
            self.launch();
        }
        if self.stage == Stage::Submitted {
            let timer = super::detach::start(&ring, self.key);
            self.leave(timer, then);
        }
    }

    /// Leaves the op in the kernel, without asking for its end; when it is done, asks for that of
    /// `timer`. `None`: it had ended, or is not in the kernel; then it is dropped as usual.
    pub(super) fn leave(mut self, timer: Option<SlotKey>, then: Then) -> Option<SlotKey> {
        let ring = Rc::clone(self.ring.as_ref()?);
        if self.stage != Stage::Submitted || !ring.push_out(self.key) {
            if let Some(timer) = timer {
                ring.ask(timer, Ask::Drop);
            }
            // First the op with its descriptor, then what was to come behind it.
            drop(self);
            drop(then);
            return None;
        }
        self.stage = Stage::Done;
        let op = std::mem::replace(&mut self.op, MaybeUninit::uninit());
        let key = self.key;
        let mut remains = Remains(Some(op));
        let mut then = Some(then);
        let weak = Rc::downgrade(&ring);
        let reaper = Reaper::Single(Box::new(move |completion| {
            let ring = weak.upgrade();
            if let (Some(timer), Some(ring)) = (timer, &ring) {
                ring.ask(timer, Ask::Drop);
            }
            // A signal came between, and nobody wants its end: it goes again.
            let again = timer.is_some() && T::RESTARTABLE && completion.is_to_go_again();
            match ring.filter(|ring| again && !ring.is_closed()) {
                Some(ring) => {
                    if let (Some(op), Some(then)) = (remains.take(), then.take()) {
                        let mut submission = Submission::new(op, Some(ring));
                        submission.launch();
                        submission.detach_then(then);
                    }
                }
                None => {
                    remains.reap(completion);
                    drop(then.take());
                }
            }
        }));
        ring.leave(key, reaper);
        Some(key)
    }

    #[track_caller]
    #[inline]
    fn bind(&mut self) -> Rc<Ring> {
        if let Some(ring) = &self.ring {
            return Rc::clone(ring);
        }
        let ring = super::current_ring();
        self.ring = Some(Rc::clone(&ring));
        ring
    }

    /// Prepares the op and hands it to the ring. Ready: it ended without the kernel.
    #[inline]
    fn start(&mut self, cx: &Context<'_>) -> Poll<Completion> {
        if self.ring.is_none() {
            self.ring = Some(super::current_ring());
        }
        let Some(ring) = &self.ring else { unreachable!("just bound") };
        super::check_current(ring);
        self.push(cx.waker())
    }

    #[inline]
    fn push(&mut self, waker: &Waker) -> Poll<Completion> {
        let Some(ring) = &self.ring else { unreachable!("bound before") };
        let reserved = (self.stage == Stage::Reserved).then_some(self.key);
        // SAFETY: O6: the kernel knows nothing of the op yet, or (restart) is done with it.
        let op = unsafe { self.op.assume_init_mut() };
        let sqe = op.prepare();
        let waiter = Ring::waiter(waker);
        // Both were user code, and could cancel a reserved op.
        if let Some(completion) = reserved.and_then(|key| ring.take_if_ended(key)) {
            return Poll::Ready(completion);
        }
        if !ring.supports(sqe.opcode) {
            if let Some(key) = reserved {
                ring.abandon(key);
            }
            return Poll::Ready(Completion::unsupported(sqe.opcode));
        }
        self.key = if self.of_file {
            // SAFETY: as below.
            unsafe { ring.submit_file(reserved, sqe, waiter, self.site) }
        } else {
            // SAFETY: O1 is `T`'s promise; O2: `op` stays in `self`, and `drop` hands it to
            // `orphan`.
            unsafe { ring.submit(reserved, sqe, waiter, self.site) }
        };
        self.stage = Stage::Submitted;
        Poll::Pending
    }

    #[inline]
    fn finish(&mut self, completion: Completion) -> T::Output {
        self.stage = Stage::Done;
        // SAFETY: the stage was not `Done`, so the op is here; from now on it is not.
        let op = unsafe { self.op.assume_init_read() };
        // SAFETY: O3: the completion is the last one of the entry that this op prepared.
        unsafe { op.complete(completion) }
    }
}

impl<T: Op> Future for Submission<T> {
    type Output = T::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let this = &mut *self;
        loop {
            if this.stage != Stage::Submitted {
                assert!(this.stage != Stage::Done, "an op was polled after it was ready");
                return this.start(cx).map(|completion| this.finish(completion));
            }
            let Some(ring) = &this.ring else { unreachable!("submitted to a ring") };
            match ring.poll(this.key, cx.waker(), T::RESTARTABLE) {
                Poll::Pending => {
                    super::check_current(ring);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Outcome::Done(completion))) => {
                    return Poll::Ready(this.finish(completion));
                }
                Poll::Ready(Ok(Outcome::Restart)) => this.stage = Stage::Reserved,
                Poll::Ready(Err(lost)) => super::lost(lost),
            }
        }
    }
}

impl<T: Op> Drop for Submission<T> {
    fn drop(&mut self) {
        match self.stage {
            Stage::Done => return,
            Stage::New => {}
            Stage::Reserved => {
                if let Some(ring) = &self.ring {
                    ring.abandon(self.key);
                }
            }
            Stage::Submitted => {
                let Some(ring) = self.ring.take() else { return };
                match ring.abandon(self.key) {
                    Dropped::NeverSubmitted => {}
                    Dropped::Finished(completion) => {
                        drop(self.finish(completion));
                        return;
                    }
                    Dropped::InKernel => {
                        self.stage = Stage::Done;
                        let op = std::mem::replace(&mut self.op, MaybeUninit::uninit());
                        ring.orphan(self.key, reaper(op));
                        return;
                    }
                    // R4: the kernel may write to it for ever; it is leaked.
                    Dropped::Lost => return,
                }
            }
        }
        // SAFETY: the stage was not `Done`, so the op is here, and the kernel does not have it.
        unsafe { self.op.assume_init_drop() };
    }
}

/// Whether the current runtime limits operations on files.
pub(crate) fn has_file_limit() -> bool {
    ring::current().is_some_and(|ring| ring.limits_files())
}

/// What is to be done behind a detached op: when it is dropped.
#[derive(Default)]
pub(super) struct Then(Option<Box<dyn FnOnce()>>);

impl Drop for Then {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

/// What takes the answer of an op whose future is gone.
fn reaper<T: Op>(op: MaybeUninit<T>) -> Reaper {
    let mut remains = Remains(Some(op));
    Reaper::Single(Box::new(move |completion| remains.reap(completion)))
}

/// The op of a future that is gone (O2).
struct Remains<T: Op>(Option<MaybeUninit<T>>);

impl<T: Op> Remains<T> {
    fn take(&mut self) -> Option<T> {
        let op = self.0.take()?;
        // SAFETY: the future moved its op in here, initialised, and it is taken once.
        Some(unsafe { op.assume_init() })
    }

    fn reap(&mut self, completion: Completion) {
        let Some(op) = self.take() else { return };
        // SAFETY: O3: the ring calls this with the last completion of this op's entry.
        drop(unsafe { op.complete(completion) });
    }
}

impl<T: Op> sealed::Sealed for Submission<T> {
    #[allow(private_interfaces, reason = "sealed: not callable from outside")]
    fn ask(&mut self, who: Ask) {
        self.interrupt(who);
    }
}

impl<T: Op> Interrupt for Submission<T> {}

impl<T: Op> fmt::Debug for Submission<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("op", &std::any::type_name::<T>())
            .field("stage", &self.stage)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
