//! One core of a runtime, as all threads see it.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::ending::Ending;
use super::io_workers::IoWorkers;
use super::metrics::{CoreMetrics, Sources};
use super::remote::{self, RemoteJoinHandle};
use super::service_counters::ServiceCounters;
use crate::ring::{self, OpId};
use crate::task::{Closed, CoreShared, JoinError};
use crate::wake::quietly;

/// One core of a runtime, as all threads see it: futures and closures can be sent to it.
///
/// Outlives the runtime; what is sent then is dropped, and its handles answer "cancelled".
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use ringspun::runtime::{self, Builder, Handle};
///
/// let runtime = Builder::new().cores(2).build()?;
/// runtime.block_on(async {
///     let handle = Handle::current();
///     // The future is made on the other core, and need not be `Send`.
///     let there = handle.cores()[1].spawn(|| async { runtime::core_index() });
///     assert_eq!(there.await.unwrap(), Some(1));
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CoreHandle {
    place: Arc<Place>,
}

/// What all threads share of a core.
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    pub(super) name: String,
    pub(super) thread_id: i32,
    pub(super) shared: Arc<CoreShared>,
    pub(super) sources: Sources,
    pub(super) ending: Ending,
    pub(super) ended: OnceLock<Ended>,
    /// Set by its end: tasks that were not done.
    pub(super) tasks_dropped: AtomicUsize,
}

/// How a core came to its end.
pub(super) enum Ended {
    Asked,
    Failed(String),
    LeftBehind,
}

/// Whether a core runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoreState {
    /// It takes futures and closures. So does core 0 between two `block_on`, to run them in the
    /// next.
    Running,
    /// It was shut down.
    Ended,
    /// Its thread panicked or its ring failed, with this text. Its tasks were dropped, and with
    /// them its sockets. The other cores go on.
    Failed(String),
    /// The runtime is gone, but this core was still busy with a poll or a closure after
    /// [`shutdown_timeout`](super::Builder::shutdown_timeout). It takes nothing any more, and ends
    /// when that does.
    LeftBehind,
}

impl CoreHandle {
    pub(super) fn new(place: Place) -> CoreHandle {
        CoreHandle { place: Arc::new(place) }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Its place among the cores of the runtime, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.place.index
    }

    /// The CPU that it is kept on; `None` if it may run on several.
    #[must_use]
    pub fn cpu(&self) -> Option<usize> {
        self.place.cpu
    }

    /// The name of its thread.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// The kernel's number of its thread, as in `/proc/self/task`.
    #[must_use]
    pub fn thread_id(&self) -> i32 {
        self.place.thread_id
    }

    /// Whether it runs.
    #[must_use]
    pub fn state(&self) -> CoreState {
        match self.place.ended.get() {
            None => CoreState::Running,
            Some(Ended::Asked) => CoreState::Ended,
            Some(Ended::Failed(text)) => CoreState::Failed(text.clone()),
            Some(Ended::LeftBehind) => CoreState::LeftBehind,
        }
    }

    /// True until it ends.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.place.ended.get().is_none()
    }

    /// What it has counted, and how it stands. The core is not asked: this works while it is
    /// blocked, and after its end. Reads `/proc` for the kernel's workers: about 10 us for each
    /// thread of the process.
    #[must_use]
    pub fn metrics(&self) -> CoreMetrics {
        CoreMetrics::of(&self.place, &IoWorkers::look())
    }

    /// Where its server counts.
    pub(crate) fn service(&self) -> &ServiceCounters {
        &self.place.sources.service
    }

    /// Spawns on the core the future that `make` makes there; the future need not be `Send`.
    ///
    /// The result comes back through the handle, which any executor on any thread can await. If the
    /// core has ended, or ends before the task, the handle says "cancelled".
    pub fn spawn<M, F>(&self, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (sender, handle) = remote::pair();
        self.run(move || {
            let future = match catch_unwind(AssertUnwindSafe(make)) {
                Ok(future) => future,
                Err(payload) => return sender.send(Err(JoinError::panicked(payload))),
            };
            let task = crate::task::spawn(future);
            sender.abortable(task.abort_handle());
            crate::task::spawn(async move { sender.send(task.await) }).detach();
        });
        // Refused: the closure is dropped, and with it the sender, which says "cancelled".
        handle
    }

    /// Runs `call` on the core's thread, between two tasks, and gives what it answers. If the core
    /// has ended it is dropped, and the handle says "cancelled".
    pub fn call<C, R>(&self, call: C) -> RemoteJoinHandle<R>
    where
        C: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (sender, handle) = remote::pair();
        self.run(move || {
            sender.send(catch_unwind(AssertUnwindSafe(call)).map_err(JoinError::panicked));
        });
        handle
    }

    /// Runs `call` on the core's thread, between two tasks. If the core has ended it is dropped.
    pub fn run(&self, call: impl FnOnce() + Send + 'static) {
        let Err(Closed(refused)) = self.place.shared.send(Box::new(call)) else { return };
        let depth = REFUSED_DEPTH.get();
        if depth >= REFUSED_DEPTH_MAX {
            let _leaked = ManuallyDrop::new(refused);
            return;
        }
        let _deeper = Deeper(REFUSED_DEPTH.replace(depth + 1));
        drop(refused);
    }

    /// Asks for the end of an op of this core, as
    /// [`AsyncIoUring::cancel`](crate::uring::AsyncIoUring::cancel) does on its own thread. The
    /// outcome comes with the op; an op that has ended is left alone.
    pub fn cancel(&self, id: OpId) {
        self.run(move || {
            if let Some(ring) = ring::current() {
                ring.cancel_by_id(id);
            }
        });
    }

    /// Asks for the core's end: its tasks may take until `grace` has passed, then those that are
    /// left are dropped. It takes futures and closures until its tasks are done. Of several calls
    /// the most impatient counts.
    ///
    /// Core 0 belongs to the thread that built the runtime and ends with the runtime: there this
    /// only resolves [`shutdown_requested`](super::shutdown_requested).
    pub fn shutdown(&self, grace: Duration) {
        self.place.ending.ask(grace);
    }

    /// Its runtime waits no longer: what is sent is refused from now on, and what was sent and has
    /// not begun is dropped here, for its core may never come to it.
    pub(super) fn leave_behind(&self) {
        let _ = self.place.ended.set(Ended::LeftBehind);
        for refused in self.place.shared.refuse() {
            quietly(|| drop(refused));
        }
    }

    /// Panics in the core's loop, for tests of what that does to the others.
    #[doc(hidden)]
    pub fn break_loop(&self, text: impl Into<String>) {
        self.place.ending.break_with(text.into());
    }
}

/// How deep the destructors of refused closures may send closures that are refused. Deeper ones are
/// leaked, for the alternative is the end of the stack.
const REFUSED_DEPTH_MAX: u32 = 100;

thread_local! {
    static REFUSED_DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Puts the depth back, also when a destructor panics.
struct Deeper(u32);

impl Drop for Deeper {
    fn drop(&mut self) {
        REFUSED_DEPTH.set(self.0);
    }
}

impl fmt::Debug for CoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreHandle")
            .field("index", &self.place.index)
            .field("cpu", &self.place.cpu)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
