//! A runtime as other threads see it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::remote::{self, RemoteJoinHandle};
use crate::ring::{self, OpId};
use crate::task::CoreShared;

/// A runtime as other threads see it: closures and futures can be sent to it, ops cancelled.
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
    shared: Arc<CoreShared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<CoreShared>) -> Handle {
        Handle { shared }
    }

    /// Spawns on the runtime the future that `make` makes there; the future need not be `Send`.
    ///
    /// The result comes back through the handle, which any executor on any thread can await. If the
    /// runtime has ended, or ends before the task, the handle says "cancelled".
    pub fn spawn<M, F>(&self, make: M) -> RemoteJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (sender, handle) = remote::pair();
        let closure = Box::new(move || {
            let task = crate::task::spawn(make());
            sender.abortable(task.abort_handle());
            crate::task::spawn(async move { sender.send(task.await) }).detach();
        });
        // Refused: the closure is dropped, and with it the sender, which says "cancelled".
        let _ = self.shared.send(closure);
        handle
    }

    /// Runs `call` on the runtime's thread, between two tasks. If the runtime has ended it is
    /// dropped.
    pub fn run(&self, call: impl FnOnce() + Send + 'static) {
        let _ = self.shared.send(Box::new(call));
    }

    /// Asks for the end of an op of this runtime, as
    /// [`AsyncIoUring::cancel`](crate::uring::AsyncIoUring::cancel) does on its own thread. The
    /// outcome comes with the op; an op that has ended is left alone.
    pub fn cancel(&self, id: OpId) {
        self.run(move || {
            if let Some(ring) = ring::current() {
                ring.cancel_by_id(id);
            }
        });
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("core", &self.shared.core()).finish_non_exhaustive()
    }
}
