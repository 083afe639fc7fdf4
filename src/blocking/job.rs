//! One closure on its way: shared by the queue and the handle, in one allocation.
//!
//! ```text
//!             run              returned, panicked
//!  Queued(f) ----> Running --------------------------> Finished(result) --poll--> Taken
//!     |                                                   ^
//!     +--abort, refuse: f is dropped, the result an error-+
//! ```
//!
//! The handle does not know the closure's type and the queue not the result's: each sees its trait.
//! Whatever is user code (closure, result, waker) is moved out under the lock and acted upon after.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::error::BlockingError;
use crate::wake::quietly;

/// What the pool sees of a job. Neither function panics.
pub(super) trait Job: Send + Sync {
    /// Runs the closure, unless it was aborted.
    fn run(&self);
    /// Drops the closure; its handle answers `error`.
    fn refuse(&self, error: BlockingError);
}

/// What the handle sees of a job.
pub(super) trait Outcome<T>: Send + Sync {
    fn poll(&self, waker: &Waker) -> Poll<Result<T, BlockingError>>;
    fn abort(&self);
    fn is_finished(&self) -> bool;
    /// Nobody will ask any more.
    fn detach(&self);
}

/// A new job, as both see it.
pub(super) fn new<F, T>(f: F) -> (Arc<dyn Job>, Arc<dyn Outcome<T>>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let shared = Shared { stage: Stage::Queued(f), waiter: None, detached: false };
    let cell = Arc::new(JobCell { shared: Mutex::new(shared) });
    (Arc::clone(&cell) as Arc<dyn Job>, cell)
}

struct JobCell<F, T> {
    shared: Mutex<Shared<F, T>>,
}

struct Shared<F, T> {
    stage: Stage<F, T>,
    waiter: Option<Waker>,
    detached: bool,
}

enum Stage<F, T> {
    Queued(F),
    Running,
    Finished(Result<T, BlockingError>),
    Taken,
}

impl<F, T> JobCell<F, T> {
    fn lock(&self) -> MutexGuard<'_, Shared<F, T>> {
        // Nothing panics while it is held, so a poisoned lock holds nothing half-done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the closure for running it or dropping it.
    fn take_closure(&self) -> Option<F> {
        let mut shared = self.lock();
        match mem::replace(&mut shared.stage, Stage::Running) {
            Stage::Queued(f) => Some(f),
            other => {
                shared.stage = other;
                None
            }
        }
    }

    fn finish(&self, result: Result<T, BlockingError>) {
        let mut shared = self.lock();
        let waiter = shared.waiter.take();
        if shared.detached {
            shared.stage = Stage::Taken;
            drop(shared);
            quietly(|| drop(result));
        } else {
            shared.stage = Stage::Finished(result);
            drop(shared);
        }
        if let Some(waiter) = waiter {
            quietly(|| waiter.wake());
        }
    }
}

impl<F, T> Job for JobCell<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        if let Some(f) = self.take_closure() {
            self.finish(catch_unwind(AssertUnwindSafe(f)).map_err(BlockingError::panic));
        }
    }

    fn refuse(&self, error: BlockingError) {
        if let Some(f) = self.take_closure() {
            quietly(|| drop(f));
            self.finish(Err(error));
        }
    }
}

impl<F, T> Outcome<T> for JobCell<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn poll(&self, waker: &Waker) -> Poll<Result<T, BlockingError>> {
        let mut new = None;
        loop {
            let mut shared = self.lock();
            match mem::replace(&mut shared.stage, Stage::Taken) {
                Stage::Finished(result) => return Poll::Ready(result),
                Stage::Taken => {
                    drop(shared);
                    panic!("a BlockingHandle was polled after it had been ready");
                }
                waiting => shared.stage = waiting,
            }
            if shared.waiter.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                return Poll::Pending;
            }
            if let Some(new) = new.take() {
                let old = shared.waiter.replace(new);
                drop(shared);
                drop(old);
                return Poll::Pending;
            }
            drop(shared);
            // Clones, which is user code, and looks again: the job may have finished meanwhile.
            new = Some(waker.clone());
        }
    }

    fn abort(&self) {
        self.refuse(BlockingError::cancelled());
    }

    fn is_finished(&self) -> bool {
        matches!(self.lock().stage, Stage::Finished(_) | Stage::Taken)
    }

    fn detach(&self) {
        let mut shared = self.lock();
        shared.detached = true;
        let waiter = shared.waiter.take();
        let result = match mem::replace(&mut shared.stage, Stage::Taken) {
            Stage::Finished(result) => Some(result),
            other => {
                shared.stage = other;
                None
            }
        };
        drop(shared);
        drop(waiter);
        drop(result);
    }
}
