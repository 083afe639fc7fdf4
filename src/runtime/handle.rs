//! A runtime as all threads see it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::all_metrics::Metrics;
use super::core_handle::CoreHandle;
use super::current;
use super::remote::RemoteJoinHandle;
use crate::ring::OpId;

/// A runtime as all threads see it: its cores, to which closures and futures can be sent.
///
/// Outlives the runtime; what is sent then is dropped.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// let handle = runtime.handle();
/// let thread = std::thread::spawn(move || handle.spawn(|| async { 6 * 7 }));
/// let answer = runtime.block_on(async {
///     thread.join().unwrap().await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Handle {
    /// At least one.
    cores: Arc<[CoreHandle]>,
}

impl Handle {
    pub(super) fn new(cores: Vec<CoreHandle>) -> Handle {
        assert!(!cores.is_empty(), "a runtime has a core");
        Handle { cores: cores.into() }
    }

    /// The runtime that runs this code.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[must_use]
    #[track_caller]
    pub fn current() -> Handle {
        Handle::try_current().expect(
            "Handle::current was called outside a runtime: call it inside Runtime::block_on, \
             #[ringspun::main] or a task, or keep a Handle from there",
        )
    }

    /// The runtime that runs this code, if one does.
    #[must_use]
    pub fn try_current() -> Option<Handle> {
        current::handle()
    }

    /// All cores, by index. Those that have ended stay in the list.
    #[must_use]
    pub fn cores(&self) -> &[CoreHandle] {
        &self.cores
    }

    /// The core of this index.
    #[must_use]
    pub fn core(&self, index: usize) -> Option<&CoreHandle> {
        self.cores.get(index)
    }

    /// Spawns on core 0 the future that `make` makes there; the future need not be `Send`. See
    /// [`CoreHandle::spawn`].
    pub fn spawn<M, F>(&self, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.first().spawn(make)
    }

    /// Spawns on the core of this index the future that `make` makes there. See
    /// [`CoreHandle::spawn`].
    ///
    /// # Panics
    ///
    /// If the runtime has no such core.
    #[track_caller]
    pub fn spawn_on<M, F>(&self, index: usize, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let Some(core) = self.cores.get(index) else {
            panic!("there is no core {index}: this runtime has {}, from 0", self.cores.len());
        };
        core.spawn(make)
    }

    /// Spawns a future on each core. `make` gets the core's index, and runs there.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Builder::new().cores(2).build()?;
    /// let handle = runtime.handle();
    /// runtime.block_on(async {
    ///     let squares = handle.spawn_all(|core| async move { core * core });
    ///     for (core, square) in squares.into_iter().enumerate() {
    ///         assert_eq!(square.await.unwrap(), core * core);
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_all<M, F>(&self, make: M) -> Vec<RemoteJoinHandle<F::Output>>
    where
        M: FnOnce(usize) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let on = |core: &CoreHandle| {
            let (make, index) = (make.clone(), core.index());
            core.spawn(move || make(index))
        };
        self.cores.iter().map(on).collect()
    }

    /// Runs `call` on each core, between two tasks. It gets the core's index. See
    /// [`CoreHandle::call`].
    pub fn broadcast<C, R>(&self, call: C) -> Vec<RemoteJoinHandle<R>>
    where
        C: FnOnce(usize) -> R + Clone + Send + 'static,
        R: Send + 'static,
    {
        let on = |core: &CoreHandle| {
            let (call, index) = (call.clone(), core.index());
            core.call(move || call(index))
        };
        self.cores.iter().map(on).collect()
    }

    /// Runs `call` on core 0, between two tasks. If it has ended, `call` is dropped.
    pub fn run(&self, call: impl FnOnce() + Send + 'static) {
        self.first().run(call);
    }

    /// Asks for the end of an op, as
    /// [`AsyncIoUring::cancel`](crate::uring::AsyncIoUring::cancel) does on its own thread. The
    /// outcome comes with the op; an op that has ended is left alone.
    pub fn cancel(&self, id: OpId) {
        // The name says which ring; the others know no such op.
        self.cores.iter().for_each(|core| core.cancel(id));
    }

    /// Asks all cores to end, each within `grace`: see [`CoreHandle::shutdown`]. The runtime itself
    /// ends with the future of `block_on`, which can await
    /// [`shutdown_requested`](super::shutdown_requested).
    pub fn shutdown(&self, grace: Duration) {
        self.cores.iter().for_each(|core| core.shutdown(grace));
    }

    /// What all cores have counted, and how they stand. No core is asked: see
    /// [`CoreHandle::metrics`].
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.cores)
    }

    pub(super) fn first(&self) -> &CoreHandle {
        &self.cores[0]
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("cores", &self.cores).finish()
    }
}
