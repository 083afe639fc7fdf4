//! What the caller holds of a closure on the pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::error::BlockingError;
use super::job::Outcome;

/// The result to come of a closure given to [`spawn_blocking`](super::spawn_blocking).
///
/// Dropping it detaches the closure, which runs all the same. It may be sent to other threads.
///
/// # Panics
///
/// When it is polled again after it was ready.
pub struct BlockingHandle<T> {
    outcome: Arc<dyn Outcome<T>>,
}

impl<T> BlockingHandle<T> {
    pub(super) fn new(outcome: Arc<dyn Outcome<T>>) -> BlockingHandle<T> {
        BlockingHandle { outcome }
    }

    /// Keeps the closure from starting: it is dropped here, and the handle answers an error that
    /// [is cancelled](BlockingError::is_cancelled). Does nothing if it has started.
    pub fn abort(&self) {
        self.outcome.abort();
    }

    /// True if awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        self.outcome.is_finished()
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, BlockingError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.poll(cx.waker())
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        self.outcome.detach();
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
