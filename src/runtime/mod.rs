//! A core: one thread, one ring, its tasks and its timers, and the loop that turns them.
//!
//! ```text
//!            +------------------ run queue <---------------+
//!            v                                             |
//!   drain inbox -> run tasks -> enter -> dispatch -> fire timers
//!                                 |
//!                             the kernel
//! ```
//!
//! # Shutdown
//!
//! Dropping a [`Runtime`] refuses new tasks, drops all tasks, cancels every op and waits until the
//! kernel is done with each, at most for [`Builder::shutdown_timeout`]. What is left then is leaked
//! and named on standard error: the kernel may still write to it.

mod all_metrics;
mod builder;
mod core_handle;
mod cores;
mod current;
mod ending;
mod environment;
mod event_loop;
mod handle;
mod info;
mod io_workers;
mod metrics;
mod park;
mod prometheus;
mod remote;
mod service_counters;
mod sharded;
mod shutdown;
mod threads;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

pub use self::all_metrics::Metrics;
pub use self::builder::Builder;
pub use self::core_handle::{CoreHandle, CoreState};
pub use self::cores::{Cores, ParseCoresError};
pub use self::handle::Handle;
pub use self::info::Info;
pub use self::metrics::{CoreMetrics, OpMetrics};
pub use self::park::Park;
pub use self::remote::RemoteJoinHandle;
#[allow(unused_imports, reason = "for `server`")]
pub(crate) use self::service_counters::ServiceCounters;
pub use self::service_counters::ServiceMetrics;
pub use self::sharded::Sharded;
pub use self::shutdown::ShutdownReport;
use self::threads::Threads;
use crate::blocking;
pub use crate::ring::BufferPool;
#[doc(hidden)]
pub use crate::ring::Pretend;
use crate::ring::{self, Ring};
use crate::task::Tasks;
use crate::time::Timers;

#[cfg(feature = "macros")]
pub use ringspun_macros::{main, test};

/// The executor of this thread, and of others if [`Builder::cores`] says so. Neither `Send` nor
/// `Sync`; build it where core 0 shall run.
///
/// Core 0 turns while `block_on` (or [`turn`](Runtime::turn)) runs; the others have threads of
/// their own and turn from the start.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let task = ringspun::spawn(async { 40 });
///     task.await.unwrap() + 2
/// });
/// assert_eq!(sum, 42);
/// # Ok(())
/// # }
/// ```
pub struct Runtime {
    /// Core 0.
    core: Rc<Core>,
    /// The others.
    threads: Option<Threads>,
}

/// What makes a core.
pub(crate) struct Core {
    pub(crate) ring: Rc<Ring>,
    pub(crate) tasks: Rc<Tasks>,
    pub(crate) timers: Rc<Timers>,
    pub(crate) pool: Arc<blocking::Pool>,
    pub(crate) park: park::Parker,
    pub(crate) batch: usize,
    pub(crate) place: CoreHandle,
    /// All cores; set before the loop turns.
    handle: OnceCell<Handle>,
    shutdown_timeout: Duration,
    pid: u32,
    /// The thread of core 0 was there before us: this is undone.
    _pinned: Option<ring::affinity::Pinned>,
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

thread_local! {
    /// The loop runs on this thread.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

impl Runtime {
    /// A runtime with the default settings; see [`Builder`].
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Builder::new().build()
    }

    /// Runs `future`, and all tasks besides, until it is done. The future need be neither `'static`
    /// nor `Send`. Tasks that are not done stay, and go on in the next `block_on`.
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already (await the future instead), if `future` panics, and
    /// if the kernel takes the ring away (see [`try_block_on`](Runtime::try_block_on)).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(output) => output,
            Err(error) => panic!("the io_uring of this runtime failed: {error}"),
        }
    }

    /// Like [`block_on`](Runtime::block_on), but gives the error if the ring fails.
    ///
    /// # Errors
    ///
    /// The kernel's, when it cannot go on with this ring: `EBADR` if it had no memory to keep a
    /// completion. All ops in flight are lost then and the runtime is of no more use.
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already, or if `future` panics.
    pub fn try_block_on<F: Future>(&self, future: F) -> io::Result<F::Output> {
        let _running = Running::start();
        let _entered = self.enter();
        // What the drop of the future asks for leaves too.
        let _flush = FlushAtEnd(&self.core);
        let mut future = pin!(future);
        let mut output = None;
        self.core.tasks.wake_main();
        event_loop::run(&self.core, &mut |cx: &mut Context<'_>| {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                output = Some(ready);
            }
            output.is_some()
        })?;
        match output {
            Some(output) => Ok(output),
            None => unreachable!("the loop ends when the future is done"),
        }
    }

    /// Makes this the runtime of the thread until the guard goes: ops and sleeps can be made and
    /// polled by hand, tasks spawned. Only [`turn`](Runtime::turn) and the like make progress.
    #[must_use = "the runtime is left when the guard is dropped"]
    pub fn enter(&self) -> EnterGuard<'_> {
        self.core.enter()
    }

    /// One turn of the loop: runs what is ready, hands ops to the kernel, waits at most `wait` for
    /// something to happen (`None`: as long as it takes) and takes in what did. Answers how many
    /// things happened: polls, completions, timers.
    ///
    /// With nothing outstanding (see [`run_until_idle`](Runtime::run_until_idle)) it does not wait.
    /// The counterpart of `process_outstanding_events` of Zig's `AsyncIOUring`, for loops of one's
    /// own.
    ///
    /// # Errors
    ///
    /// As [`try_block_on`](Runtime::try_block_on).
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already.
    pub fn turn(&self, wait: Option<Duration>) -> io::Result<usize> {
        let _running = Running::start();
        let _entered = self.enter();
        event_loop::turn(&self.core, wait)
    }

    /// Turns the loop until nothing is outstanding: no task is ready, no timer is set, and the
    /// kernel has no op that a future waits for. Tasks that wait for something else (a channel,
    /// another thread) do not count and stay.
    ///
    /// The counterpart of `run_event_loop` of Zig's `AsyncIOUring`.
    ///
    /// # Errors
    ///
    /// As [`try_block_on`](Runtime::try_block_on).
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already.
    pub fn run_until_idle(&self) -> io::Result<()> {
        let _running = Running::start();
        let _entered = self.enter();
        while event_loop::turn(&self.core, None)? > 0 || !self.core.is_idle() {}
        Ok(())
    }

    /// A handle for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.core.handle()
    }

    /// What core 0 has counted, and how it stands. Of all cores:
    /// [`Handle::metrics`].
    #[must_use]
    pub fn metrics(&self) -> CoreMetrics {
        self.core.tasks.publish();
        self.core.place.metrics()
    }

    /// What this kernel gave: flags, sizes, opcodes.
    #[must_use]
    pub fn info(&self) -> Info {
        Info::new(*self.core.ring.capabilities())
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("ring", &self.core.ring.id())
            .field("cores", &self.core.handle().cores().len())
            .finish_non_exhaustive()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.end();
    }
}

/// The index of the core that runs this code: 0 in `block_on`; `None` outside a runtime.
#[must_use]
pub fn core_index() -> Option<usize> {
    current::index()
}

/// Waits until the core that runs this code is asked to end: by [`Handle::shutdown`] or
/// [`CoreHandle::shutdown`]. For the future of `block_on`, and for tasks that wind up their work.
///
/// # Panics
///
/// Outside a runtime.
pub async fn shutdown_requested() {
    let index = current::index();
    let core = index.and_then(|index| current::handle()?.core(index).cloned());
    let core = core.expect(
        "ringspun::runtime::shutdown_requested was called outside a runtime: call it in a task",
    );
    core.place().ending.asked().await;
}

/// The runtime of this thread stays it until this is dropped. Made by [`Runtime::enter`].
pub struct EnterGuard<'a> {
    // Left in this order.
    _ring: ring::EnterGuard,
    _timers: crate::time::EnterGuard,
    _pool: blocking::EnterGuard,
    _tasks: crate::task::EnterGuard,
    _current: current::EnterGuard,
    _runtime: std::marker::PhantomData<&'a Runtime>,
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

impl Core {
    fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _ring: ring::enter_current(&self.ring),
            _timers: self.timers.enter(),
            _pool: self.pool.enter(),
            _tasks: self.tasks.enter(),
            _current: current::enter(self.handle(), self.place.index()),
            _runtime: std::marker::PhantomData,
        }
    }

    /// All cores of the runtime; before they are known, this one.
    fn handle(&self) -> Handle {
        self.handle.get().cloned().unwrap_or_else(|| Handle::new(vec![self.place.clone()]))
    }

    fn become_part_of(&self, handle: Handle) {
        let _set_once = self.handle.set(handle);
    }

    /// No task is ready, no timer set, no op awaited.
    fn is_idle(&self) -> bool {
        !self.tasks.has_ready() && !self.timers.any() && self.ring.awaited() == 0
    }
}

/// Tells standard error. Not by `eprintln!`, which panics when that is closed.
fn complain(text: &str) {
    use std::io::Write;
    let _ = io::stderr().write_all(format!("ringspun: {text}\n").as_bytes());
}

struct FlushAtEnd<'a>(&'a Core);

impl Drop for FlushAtEnd<'_> {
    fn drop(&mut self) {
        // If the ring fails, the next who uses it will hear of it.
        let _ = event_loop::flush(self.0);
    }
}

/// Says that the loop runs on this thread, for as long as it lives.
struct Running;

impl Running {
    #[track_caller]
    fn start() -> Running {
        assert!(
            !RUNNING.replace(true),
            "a runtime runs on this thread already, and block_on inside it would stop all of its \
             tasks: await the future instead, or move the call to another thread \
             (ringspun::spawn_blocking)"
        );
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(false);
    }
}
