//! The pool that `spawn_blocking` on this thread uses.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

use super::handle::BlockingHandle;
use super::pool::Pool;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Pool>>> = const { RefCell::new(None) };
}

/// Runs `f` on a thread of the runtime's pool, where it may block.
///
/// For computations of more than a few hundred microseconds, and for calls that sleep in the
/// kernel and have no asynchronous form. `f` is on its way when this returns; nobody needs to await
/// the handle. When all threads of the pool are busy it waits for its turn, and so does whoever
/// awaits it, but not the core. `f` itself may call `spawn_blocking`, but should not wait for the
/// result: with all threads waiting so, none is left to run what they wait for.
///
/// # Errors
///
/// The handle answers [`BlockingError`](super::BlockingError) if `f` panicked, was aborted before
/// it started, was still queued when the runtime ended, or if no thread could be started.
///
/// # Cancellation
///
/// Dropping the handle lets `f` run on; its result is dropped on the thread of the pool.
/// [`BlockingHandle::abort`] keeps it from starting. What runs cannot be stopped.
///
/// # Panics
///
/// Outside of a runtime.
///
/// # Examples
///
/// ```
/// use ringspun::blocking::{BlockingError, spawn_blocking};
///
/// async fn count_primes(limit: u32) -> Result<usize, BlockingError> {
///     let is_prime = |n: u32| n > 1 && (2..n).all(|divisor| n % divisor != 0);
///     spawn_blocking(move || (0..limit).filter(|n| is_prime(*n)).count()).await
/// }
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let Some(pool) = pool() else {
        panic!(
            "there is no ringspun runtime on this thread: `spawn_blocking` needs the pool of one; \
             call it under `#[ringspun::main]`, `Runtime::block_on` or from a task"
        );
    };
    pool.spawn(f)
}

/// Puts back the pool that was current before; on the same thread, for it is not `Send`.
#[must_use = "the pool is current only while the guard lives"]
#[derive(Debug)]
pub(crate) struct EnterGuard {
    before: Option<Arc<Pool>>,
    _one_thread: PhantomData<*const ()>,
}

impl Pool {
    /// Makes this the pool of this thread until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> EnterGuard {
        // A runtime in a thread-local is dropped when these locals may be gone already.
        let entered = Some(Arc::clone(self));
        let before = CURRENT.try_with(|current| current.replace(entered)).ok().flatten();
        EnterGuard { before, _one_thread: PhantomData }
    }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        // The thread may be ending, and its locals gone. What is taken out is dropped at the end
        // of this function, when nothing is borrowed.
        let _entered = CURRENT.try_with(|current| current.replace(before));
    }
}

/// The current pool.
pub(super) fn pool() -> Option<Arc<Pool>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}
