//! A deadline for an op.
//!
//! A timer of the core and a cancel; the op's own outcome decides. The kernel's linked timeouts do
//! not fire for ops that run in a kernel worker, so they serve in chains only.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Interrupt;
use crate::ring::Ask;
use crate::time::Deadline;

/// An op with a deadline. Made by `timeout` of the ops' futures.
///
/// The clock starts at the first poll. When the time is up the op is cancelled and awaited; if the
/// kernel had done it by then, that is the outcome, else an error of kind
/// [`TimedOut`](std::io::ErrorKind::TimedOut). Buffers come back either way.
///
/// The deadline is a timer in user space: while nobody polls the future, nothing ends it.
#[must_use = "an op does nothing until it is awaited"]
#[derive(Debug)]
pub struct Timed<F> {
    op: F,
    duration: Duration,
    deadline: Option<Deadline>,
    expired: bool,
}

impl<F: Interrupt> Timed<F> {
    pub(crate) fn new(op: F, duration: Duration) -> Timed<F> {
        Timed { op, duration, deadline: None, expired: false }
    }

    /// The op itself, for its id or to cancel it.
    pub fn op_mut(&mut self) -> &mut F {
        &mut self.op
    }
}

impl<T: super::Op> Timed<super::Submission<T>> {
    /// The name of the op; see [`Submission::id`](super::Submission::id).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn id(&mut self) -> super::OpId {
        self.op.id()
    }

    /// Asks for the end of the op; then await it for its real outcome.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it was not polled yet.
    #[track_caller]
    pub fn cancel(mut self) -> Self {
        self.op.request_cancel();
        self
    }
}

impl<F: Interrupt> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if let Poll::Ready(output) = Pin::new(&mut this.op).poll(cx) {
            return Poll::Ready(output);
        }
        if this.expired {
            return Poll::Pending;
        }
        let duration = this.duration;
        let deadline = this.deadline.get_or_insert_with(|| Deadline::after(duration));
        if deadline.poll_elapsed(cx.waker()).is_pending() {
            return Poll::Pending;
        }
        this.expired = true;
        this.deadline = None;
        this.op.ask(Ask::Deadline);
        Pin::new(&mut this.op).poll(cx)
    }
}
