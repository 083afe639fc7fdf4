//! Tasks that are waited for together, each result going to whoever joins its task.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::task::{JoinHandle, refuse, spawn};
use crate::wake::{LocalWaker, quietly};

/// A group of tasks of one core: spawn by any clone of it, close it, wait until all have ended.
///
/// For work that comes in over time and has to be finished before the program ends, where a
/// [`scope`](mod@crate::scope) has no place to stand: background jobs, connections. The group keeps
/// no results and ends nothing; dropping it changes nothing. For results in the order of their ends
/// there is [`JoinSet`](crate::task::JoinSet).
///
/// # Examples
///
/// ```
/// use ringspun::scope::TaskGroup;
/// use ringspun::time::{Duration, sleep, timeout};
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let jobs = TaskGroup::new();
/// for n in 0..10 {
///     jobs.spawn(sleep(Duration::from_millis(n))).expect("it is open").detach();
/// }
/// jobs.close();
/// timeout(Duration::from_secs(60), jobs.wait()).await.expect("they are short");
/// # });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct TaskGroup {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: Cell<usize>,
    closed: Cell<bool>,
    waiters: RefCell<Vec<LocalWaker>>,
}

impl TaskGroup {
    /// An empty group, open.
    pub fn new() -> TaskGroup {
        TaskGroup::default()
    }

    /// Runs `future` as a task of the group, as [`spawn`] does.
    ///
    /// # Errors
    ///
    /// The group is closed; `future` was dropped.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, GroupClosed>
    where
        F: Future + 'static,
    {
        if self.shared.closed.get() {
            refuse(future);
            return Err(GroupClosed { _private: () });
        }
        self.shared.running.set(self.shared.running.get() + 1);
        let member = Member { future, _running: Running { shared: Rc::clone(&self.shared) } };
        Ok(spawn(member))
    }

    /// Refuses tasks from now on.
    pub fn close(&self) {
        self.shared.closed.set(true);
        self.shared.tell();
    }

    /// True after [`TaskGroup::close`].
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get()
    }

    /// How many tasks have not ended.
    pub fn len(&self) -> usize {
        self.shared.running.get()
    }

    /// True if all tasks have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the group is closed and all its tasks have ended. Put a
    /// [`timeout`](crate::time::timeout()) around it to wait for so long at most.
    ///
    /// Dropping this future changes nothing.
    pub async fn wait(&self) {
        poll_fn(|cx| self.shared.poll_wait(cx)).await;
    }
}

impl Shared {
    fn is_done(&self) -> bool {
        self.closed.get() && self.running.get() == 0
    }

    fn poll_wait(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_done() {
            return Poll::Ready(());
        }
        let waker = LocalWaker::new(cx.waker());
        let mut waiters = self.waiters.borrow_mut();
        if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
            waiters.push(waker);
        }
        Poll::Pending
    }

    fn tell(&self) {
        if self.is_done() {
            for waiter in self.waiters.take() {
                // A foreign waker is user code; the others shall hear of it all the same.
                quietly(|| waiter.wake());
            }
        }
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The group takes no more tasks: [`TaskGroup::close`] was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupClosed {
    _private: (),
}

impl fmt::Display for GroupClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task group is closed and takes no more tasks")
    }
}

impl Error for GroupClosed {}

pin_project! {
    struct Member<F> {
        #[pin]
        future: F,
        // Dropped after the future, whatever ends the task.
        _running: Running,
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

struct Running {
    shared: Rc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.running.set(self.shared.running.get() - 1);
        self.shared.tell();
    }
}
