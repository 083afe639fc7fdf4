//! Tasks: futures that the core polls on their own.
//!
//! ```text
//!              spawn
//!                |            wake (own thread: plainly; other threads: through the inbox)
//!                v    +------------------------------------------+
//!  ready (in the run queue) --poll--> Pending --> waits ---------+
//!     |                       |
//!     | abort, shutdown       +--> Ready: future dropped, output in its place --+
//!     |                       +--> panic: future dropped, payload kept ---------+--> complete
//!     +--> future dropped ----------------------------------------- Cancelled --+
//!                                                                                 |
//!          join handle there: its task is woken, the result waits  <--------------+
//!          detached: the result is dropped at once
//! ```
//!
//! A task stays on the thread that spawned it. Its future and its output are polled, taken and
//! dropped there; nothing needs to be `Send`. Wakers may go anywhere.
//!
//! # Promises
//!
//! * **T1** Future and output are polled, taken and dropped on the task's own thread. The task list
//!   holds a local reference until the future is gone, the join handle one until the output is. A
//!   header that another thread frees holds neither, and has only `Send` fields.
//! * **T2** A task is at most once in the run queue: whoever turns QUEUED on pushes it.
//! * **T3** The header outlives every waker: each waker, local or shared, holds a reference.
//! * **T4** The output is written once, and read or dropped once: OUTPUT is set after the write and
//!   cleared before the other.
//! * **T5** Local references are counted plainly, by the task's own thread. While there are any,
//!   they hold one shared reference: the first takes it, the last gives it back. Both counts are
//!   checked: too many end the process, as with `Arc`.

mod bindings;
mod blocks;
mod core_bound;
mod counters;
mod current;
mod header;
mod inbox;
mod join;
mod join_set;
mod raw;
mod report;
mod run_queue;
mod scoped_value;
mod state;
mod sync;
mod tasks;
#[cfg(all(test, not(loom)))]
mod tests;
mod turn;
mod waker;

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

pub use core_bound::CoreBound;
pub use header::TaskName;
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use join_set::JoinSet;
pub use report::TaskInfo;
pub use scoped_value::{Bound, ScopedValue};

#[cfg_attr(loom, allow(unused_imports, reason = "for the runtime"))]
pub(crate) use current::EnterGuard;
#[cfg_attr(loom, allow(unused_imports, reason = "for the runtime"))]
pub(crate) use inbox::{Closed, CoreShared};
#[cfg(test)]
pub(crate) use report::TICK_MS;
#[cfg_attr(loom, allow(unused_imports, reason = "for the runtime"))]
pub(crate) use tasks::Tasks;

/// Runs `future` as a task of its own on this core.
///
/// The task starts at the core's next turn, also if the handle is not awaited. Dropping the handle
/// detaches the task; [`JoinHandle::abort`] ends it. If the runtime is shutting down the future is
/// dropped at once and the handle answers "cancelled".
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// let answer = ringspun::task::spawn(async { 6 * 7 });
/// assert_eq!(answer.await.unwrap(), 42);
/// # }
/// ```
#[track_caller]
#[inline]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_at(future, None, Location::caller())
}

/// Lets the other ready tasks of the core have a turn, and the kernel be asked.
///
/// # Examples
///
/// ```no_run
/// # async fn example(rows: Vec<u64>) {
/// let mut sum = 0;
/// for chunk in rows.chunks(10_000) {
///     sum += chunk.iter().sum::<u64>();
///     ringspun::task::yield_now().await;
/// }
/// # }
/// ```
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Says more about a task before it is spawned.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), ringspun::task::JoinError> {
/// let handle = ringspun::task::Builder::new().name("flusher").spawn(async { 1 });
/// assert_eq!(handle.await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "does nothing until `spawn` is called"]
pub struct Builder {
    name: Option<TaskName>,
}

impl Builder {
    /// A task without a name.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The name that reports and dumps show.
    pub fn name(mut self, name: impl Into<TaskName>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// As [`spawn`], with the same behaviour and panic.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_at(future, self.name, Location::caller())
    }
}

/// The id of the task that runs this code.
///
/// # Panics
///
/// Outside a task; see [`try_id`].
#[track_caller]
pub fn id() -> Id {
    try_id().expect("ringspun::task::id was called outside a task: call it in a spawned future")
}

/// The id of the task that runs this code, if a task does. The future of `block_on` counts as one.
pub fn try_id() -> Option<Id> {
    current::with(|tasks| Some(tasks?.running()?.header().id))
}

/// The name of the task that runs this code; `None` if it has none, or if no task does.
pub fn name() -> Option<TaskName> {
    current::with(|tasks| tasks?.running()?.header().name())
}

/// The tasks of the runtime of this thread that are not done, the main one first: for a dump.
/// Empty outside a runtime.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let _waits = ringspun::spawn(std::future::pending::<()>());
///     for task in ringspun::task::list() {
///         println!("{} from {}, {:?} old", task.id, task.site, task.age);
///     }
/// });
/// # Ok(())
/// # }
/// ```
pub fn list() -> Vec<TaskInfo> {
    let mut list = Vec::new();
    current::with(|tasks| {
        if let Some(tasks) = tasks {
            tasks.for_each(&mut |task| list.push(task));
        }
    });
    list
}

/// Brings the counters of a core up to date, if it is the one that runs this code.
#[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
pub(crate) fn publish(shared: &CoreShared) {
    current::with(|tasks| {
        if let Some(tasks) = tasks.filter(|tasks| tasks.core() == shared.core()) {
            tasks.publish();
        }
    });
}

/// Drops a future that is not to be spawned any more: as one that comes after the shutdown.
pub(crate) fn refuse<F: Future>(future: F) {
    match current::held() {
        Some(tasks) => tasks.refuse(future),
        None => drop(future),
    }
}

/// How many tasks of this core are not done, main not counted, and how many closures it has run.
#[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
pub(crate) fn count() -> (usize, u64) {
    current::with(|tasks| tasks.map_or((0, 0), |tasks| (tasks.len(), tasks.closures_run())))
}

/// Which task: unique in the process, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    /// The number alone.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// A fresh id. Each thread takes them in blocks, to count plainly within one.
    #[inline]
    fn next() -> Id {
        const BLOCK: u64 = 1 << 12;
        static BLOCKS: AtomicU64 = AtomicU64::new(0);
        thread_local! {
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        NEXT.with(|next| {
            if next.get() % BLOCK == 0 {
                next.set(BLOCKS.fetch_add(1, Ordering::Relaxed) * BLOCK + 1);
            }
            Id(next.replace(next.get() + 1))
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

#[inline]
#[track_caller]
fn spawn_at<F: Future + 'static>(
    future: F,
    name: Option<TaskName>,
    site: &'static Location<'static>,
) -> JoinHandle<F::Output> {
    // Held: a spawn that is refused drops the future, and with it perhaps the last guard.
    let Some(tasks) = current::held() else { no_runtime() };
    tasks.spawn(future, name, site)
}

#[cold]
#[track_caller]
fn no_runtime() -> ! {
    panic!(
        "ringspun::spawn was called outside a runtime: call it inside Runtime::block_on or \
         #[ringspun::main], or use Handle::spawn from another thread"
    )
}
