//! Several tasks, awaited in the order in which they end.
//!
//! ```text
//!  task --ends--> its `Finished` is dropped --> finished: [key, key]  --> waker of `join_next`
//!  join_next: takes a key, its handle, its result
//! ```
//!
//! Each task carries its key, so a wake costs the same whatever the number of tasks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use slab::Slab;

use super::{AbortHandle, Builder, Id, JoinError, JoinHandle};
use crate::wake::LocalWaker;

/// A set of tasks with one type of output.
///
/// Dropping the set aborts all its tasks. [`JoinSet::detach_all`] lets them go on.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// let mut set = ringspun::task::JoinSet::new();
/// for n in 0..3 {
///     set.spawn(async move { n * n });
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 5);
/// # }
/// ```
pub struct JoinSet<T> {
    handles: Slab<JoinHandle<T>>,
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    finished: RefCell<VecDeque<usize>>,
    waiter: Cell<Option<LocalWaker>>,
}

impl<T: 'static> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet { handles: Slab::new(), shared: Rc::default() }
    }

    /// Runs `future` as a task of the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.spawn_with(Builder::new(), future)
    }

    /// As [`JoinSet::spawn`], for a task that `builder` says more about.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_with<F>(&mut self, builder: Builder, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        let place = self.handles.vacant_entry();
        let finished = Finished { shared: Rc::clone(&self.shared), key: place.key() };
        let handle = builder.spawn(Member { future, finished });
        let abort = handle.abort_handle();
        place.insert(handle);
        abort
    }

    /// Waits for the next task to end, and gives its result; `None` if the set is empty.
    ///
    /// Dropping this future loses nothing.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`JoinSet::join_next`], with the task's id.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_next_with_id(cx)).await
    }

    /// The result of a task that has ended, if there is one. Does not wait.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.poll_finished(&mut cx).map(|(_, result)| result)
    }

    /// As [`JoinSet::try_join_next`], with the task's id.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.poll_finished(&mut cx).map(|(id, result)| result.map(|output| (id, output)))
    }

    /// Waits for all tasks and gives their outputs, in the order in which they ended.
    ///
    /// Dropping this future aborts what has not ended.
    ///
    /// # Panics
    ///
    /// If a task was aborted, or with what a task panicked with.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(output) => outputs.push(output),
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => std::panic::resume_unwind(payload),
                    Err(error) => panic!("{error}"),
                },
            }
        }
        outputs
    }

    /// As [`JoinSet::join_next`], for a future written by hand.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_next_with_id(cx).map_ok(|(_, output)| output)
    }

    /// As [`JoinSet::poll_join_next`], with the task's id.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        self.poll_next_with_id(cx)
    }

    /// Ends all tasks. Their results, "cancelled" mostly, are still to be joined.
    pub fn abort_all(&mut self) {
        for (_, handle) in &self.handles {
            handle.abort();
        }
    }

    /// Ends all tasks and waits until their futures are gone.
    ///
    /// Dropping this future leaves tasks in the set that are aborted already.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Lets all tasks go on without the set, which is empty then.
    pub fn detach_all(&mut self) {
        // Late tasks find the old `Shared` and wake nobody.
        self.shared = Rc::default();
        let handles = std::mem::take(&mut self.handles);
        drop(handles);
    }

    /// How many tasks have not been joined.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// True if all tasks have been joined.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    fn poll_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        if self.handles.is_empty() {
            return Poll::Ready(None);
        }
        if let Some((id, result)) = self.poll_finished(cx) {
            return Poll::Ready(Some(result.map(|output| (id, output))));
        }
        let mut waiter = self.shared.waiter.take();
        let old = LocalWaker::keep(&mut waiter, cx.waker());
        self.shared.waiter.set(waiter);
        drop(old);
        Poll::Pending
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Option<(Id, Result<T, JoinError>)> {
        // Nearly always the first key is it.
        let known = self.shared.finished.borrow().len();
        for _ in 0..known {
            let key = self.shared.finished.borrow_mut().pop_front()?;
            // No handle: a spawn that panicked had this key.
            let Some(handle) = self.handles.get_mut(key) else { continue };
            if let Poll::Ready(result) = Pin::new(handle).poll(cx) {
                return Some((self.handles.remove(key).id(), result));
            }
            // Asked from within the end of the task, before its result is in place: the handle
            // has kept the waker.
            self.shared.finished.borrow_mut().push_back(key);
        }
        None
    }
}

/// Spawns each, as [`JoinSet::spawn`] does.
impl<T: 'static, F: Future<Output = T> + 'static> Extend<F> for JoinSet<T> {
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

/// Spawns each, as [`JoinSet::spawn`] does.
impl<T: 'static, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        set.extend(futures);
        set
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for (_, handle) in &self.handles {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.handles.len()).finish()
    }
}

pin_project! {
    /// A task of a set.
    struct Member<F> {
        #[pin]
        future: F,
        // Dropped after the future, whatever ends the task.
        finished: Finished,
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Tells the set when it is dropped.
struct Finished {
    shared: Rc<Shared>,
    key: usize,
}

impl Drop for Finished {
    fn drop(&mut self) {
        self.shared.finished.borrow_mut().push_back(self.key);
        if let Some(waiter) = self.shared.waiter.take() {
            waiter.wake();
        }
    }
}
