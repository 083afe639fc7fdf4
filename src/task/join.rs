//! What waits for a task, and what ends it.
//!
//! # Safety
//!
//! A `JoinHandle<T>` is made for a task whose output is a `T`, once per task, and stays on the
//! task's thread: `TaskRef` is not `Send` (T1). A `JoinError` may be shared, but a payload that is
//! only `Send` comes out of it by value alone.

#![allow(unsafe_code)]

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Id;
use super::current;
use super::header::Payload;
use super::raw::TaskRef;
use super::report;
use super::state::{COMPLETE, HANDLE};
use super::waker;
use crate::wake::LocalWaker;

/// Waits for the result of a task. Not `Send`, for the result need not be.
///
/// Dropping it detaches the task: it goes on, and its result is dropped on its core. Dropping an
/// `await` of `&mut handle` loses nothing.
///
/// # Panics
///
/// If it is awaited again after it has given its result.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// let handle = ringspun::task::spawn(async { std::future::pending::<()>().await });
/// handle.abort();
/// assert!(handle.await.unwrap_err().is_cancelled());
/// # }
/// ```
pub struct JoinHandle<T> {
    link: Link,
    id: Id,
    result: PhantomData<T>,
}

enum Link {
    Task(TaskRef),
    /// The spawn came too late.
    Refused,
    /// The result was given.
    Taken,
}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The task's output is a `T`, its HANDLE is set, and this is the only handle.
    #[inline]
    pub(super) unsafe fn new(task: TaskRef) -> JoinHandle<T> {
        debug_assert!(task.header().flags.has(HANDLE));
        let id = task.header().id;
        JoinHandle { link: Link::Task(task), id, result: PhantomData }
    }

    /// The handle of a task that never was.
    pub(super) fn refused(id: Id) -> JoinHandle<T> {
        JoinHandle { link: Link::Refused, id, result: PhantomData }
    }

    /// Ends the task: the core drops its future in the task's next turn, never within this call.
    ///
    /// The handle then answers "cancelled", unless the task ended by itself first. On a task that
    /// has ended, does nothing.
    pub fn abort(&self) {
        if let Link::Task(task) = &self.link
            && !task.is_complete()
        {
            waker::abort(&waker::borrowed(task));
        }
    }

    /// As [`JoinHandle::abort`], but where that can be, the future is dropped before this returns:
    /// on the task's own core, unless the task is being polled, or this is called from the
    /// destructors of many that are being ended.
    pub(crate) fn end(&self) {
        let Link::Task(task) = &self.link else { return };
        let ended =
            current::held().is_some_and(|tasks| tasks.is_home_of(task.header()) && tasks.end(task));
        if !ended {
            self.abort();
        }
    }

    /// Something that can end the task from elsewhere, also from another thread.
    pub fn abort_handle(&self) -> AbortHandle {
        let waker = match &self.link {
            Link::Task(task) => Some(waker::owned(task)),
            Link::Refused | Link::Taken => None,
        };
        AbortHandle { waker, id: self.id }
    }

    /// Lets the task go on without anybody to wait for it. The same as dropping the handle.
    pub fn detach(self) {}

    /// True if the task has ended and its future is gone. Then an `await` does not wait.
    pub fn is_finished(&self) -> bool {
        match &self.link {
            Link::Task(task) => task.is_complete(),
            Link::Refused | Link::Taken => true,
        }
    }

    /// Which task it is.
    pub fn id(&self) -> Id {
        self.id
    }

    fn take_result(&mut self) -> Result<T, JoinError> {
        let Link::Task(task) = std::mem::replace(&mut self.link, Link::Taken) else {
            return Err(JoinError { id: self.id, payload: None });
        };
        task.header().flags.clear(HANDLE);
        if let Some(payload) = task.header().take_payload() {
            return Err(JoinError { id: self.id, payload: Some(payload) });
        }
        // SAFETY: the handle was made for an output of this type.
        unsafe { task.take_output() }.ok_or(JoinError { id: self.id, payload: None })
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.link {
            Link::Task(task) if !task.is_complete() => {
                keep_join(task, cx.waker());
                Poll::Pending
            }
            Link::Task(_) | Link::Refused => Poll::Ready(self.take_result()),
            Link::Taken => panic!("a JoinHandle was polled after it had given its result"),
        }
    }
}

/// `T` is never pinned in a handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        let Link::Task(task) = std::mem::replace(&mut self.link, Link::Taken) else { return };
        let header = task.header();
        header.flags.clear(HANDLE);
        let join = header.take_join();
        if header.flags.has(COMPLETE) {
            report::discard_result(&task);
        }
        // A foreign waker's destructor is user code, and a `Drop` must not panic.
        if let Some(join) = join
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(join)))
        {
            report::unseen_panic(header.shared(), Some(&task), "the waker of its joiner", payload);
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Has `waker` woken when `task` is complete.
fn keep_join(task: &TaskRef, waker: &Waker) {
    if !task.header().joined_by(waker) {
        let old = task.header().keep_join(LocalWaker::new(waker));
        drop(old);
    }
}

/// Ends a task. `Send`, other than the [`JoinHandle`]; does not keep the task's future or result.
#[derive(Clone)]
pub struct AbortHandle {
    /// None: there is nothing left to end.
    waker: Option<Waker>,
    id: Id,
}

impl AbortHandle {
    /// As [`JoinHandle::abort`], from any thread.
    pub fn abort(&self) {
        if let Some(waker) = &self.waker {
            waker::abort(waker);
        }
    }

    /// Which task it is.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a task has no output: it was ended, or it panicked.
pub struct JoinError {
    id: Id,
    /// None: cancelled.
    payload: Option<Payload>,
}

// SAFETY: all that a shared `JoinError` shows of its payload is text, by `report::text`, and that
// looks only into a payload that is a string, which is `Sync`.
unsafe impl Sync for JoinError {}

impl JoinError {
    /// The error of a task that never came to be.
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(crate) fn cancelled() -> JoinError {
        JoinError { id: Id::next(), payload: None }
    }

    /// The error of what panicked with this before it was a task.
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(crate) fn panicked(payload: Payload) -> JoinError {
        JoinError { id: Id::next(), payload: Some(payload) }
    }

    /// True if the task was aborted, or its runtime shut down.
    pub fn is_cancelled(&self) -> bool {
        self.payload.is_none()
    }

    /// True if the task panicked.
    pub fn is_panic(&self) -> bool {
        self.payload.is_some()
    }

    /// What the task panicked with, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task was cancelled; see [`JoinError::try_into_panic`].
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic().expect("the task was cancelled, it did not panic")
    }

    /// What the task panicked with.
    ///
    /// # Errors
    ///
    /// The task was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        let id = self.id;
        self.payload.ok_or(JoinError { id, payload: None })
    }

    /// Which task it was.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.payload {
            None => write!(f, "task {} was cancelled", self.id),
            Some(payload) => write!(f, "task {} panicked: {}", self.id, report::text(payload)),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}

impl From<JoinError> for std::io::Error {
    fn from(error: JoinError) -> std::io::Error {
        std::io::Error::other(error)
    }
}
