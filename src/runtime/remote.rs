//! The result of a task, carried to another thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::task::{AbortHandle, JoinError};
use crate::wake::quietly;

/// Waits, on whatever thread and executor, for a task that was sent to a runtime. Made by
/// [`Handle::spawn`](super::Handle::spawn).
///
/// Dropping it detaches the task.
///
/// # Panics
///
/// If it is polled after it was ready.
#[must_use = "dropping the handle detaches the task"]
pub struct RemoteJoinHandle<T> {
    cell: Arc<Mutex<Cell<T>>>,
}

struct Cell<T> {
    result: Option<Result<T, JoinError>>,
    waker: Option<Waker>,
    abort: Option<AbortHandle>,
    aborted: bool,
    taken: bool,
}

/// The end that the runtime holds. Dropped without `send` it says "cancelled".
pub(crate) struct Sender<T> {
    cell: Arc<Mutex<Cell<T>>>,
}

pub(crate) fn pair<T>() -> (Sender<T>, RemoteJoinHandle<T>) {
    let cell = Arc::new(Mutex::new(Cell {
        result: None,
        waker: None,
        abort: None,
        aborted: false,
        taken: false,
    }));
    (Sender { cell: Arc::clone(&cell) }, RemoteJoinHandle { cell })
}

impl<T> RemoteJoinHandle<T> {
    /// Ends the task, as [`JoinHandle::abort`](crate::task::JoinHandle::abort).
    pub fn abort(&self) {
        let mut cell = lock(&self.cell);
        cell.aborted = true;
        let abort = cell.abort.take();
        drop(cell);
        if let Some(abort) = abort {
            abort.abort();
        }
    }

    /// True if the result is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let cell = lock(&self.cell);
        cell.taken || cell.result.is_some()
    }
}

impl<T> Future for RemoteJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloning and dropping a waker is user code: not under the lock.
        let new = cx.waker().clone();
        let mut cell = lock(&self.cell);
        assert!(!cell.taken, "a RemoteJoinHandle was polled after it had given its result");
        if let Some(result) = cell.result.take() {
            cell.taken = true;
            return Poll::Ready(result);
        }
        let old = cell.waker.replace(new);
        drop(cell);
        drop(old);
        Poll::Pending
    }
}

impl<T> fmt::Debug for RemoteJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteJoinHandle").finish_non_exhaustive()
    }
}

impl<T> Sender<T> {
    /// How the task is ended from the other side.
    pub(crate) fn abortable(&self, abort: AbortHandle) {
        let mut cell = lock(&self.cell);
        if !cell.aborted {
            cell.abort = Some(abort);
            return;
        }
        drop(cell);
        abort.abort();
    }

    pub(crate) fn send(self, result: Result<T, JoinError>) {
        self.put(result);
    }

    fn put(&self, result: Result<T, JoinError>) {
        let mut cell = lock(&self.cell);
        if cell.taken || cell.result.is_some() {
            return;
        }
        cell.result = Some(result);
        let waker = cell.waker.take();
        drop(cell);
        if let Some(waker) = waker {
            // A foreign waker; its panic is not the core's.
            quietly(|| waker.wake());
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.put(Err(JoinError::cancelled()));
    }
}

fn lock<T>(cell: &Mutex<Cell<T>>) -> MutexGuard<'_, Cell<T>> {
    // No user code runs under this lock, so a poisoned one is as good as new.
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}
