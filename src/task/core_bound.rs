//! A value that may travel but is used at home only.
//!
//! ```text
//!  home thread:   access, drop .......... as if it stood alone
//!  other threads: access ................ panics, naming both cores
//!                 drop .................. the value goes home through the core's inbox;
//!                                         leaked if home has shut down
//! ```
//!
//! # Safety
//!
//! Threads are told apart by a number that is never used again. The value is touched only where
//! the number is that of the thread that made it (`is_home`), also when it is dropped.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;

use super::current;
use super::inbox::CoreShared;
use super::sync::Arc;
use crate::wake::current_core;

/// Makes a value `Send + Sync` by binding it to the thread of its core.
///
/// For APIs that ask for `Send` although everything stays on one thread: a handler's future, an
/// upgraded connection. Using the value on another thread panics; dropping it there sends it home.
///
/// # Examples
///
/// ```no_run
/// # async fn example() {
/// use ringspun::task::CoreBound;
/// use std::rc::Rc;
///
/// let bound = CoreBound::new(Rc::new(5));
/// fn needs_send<T: Send + Sync>(_: &T) {}
/// needs_send(&bound);
/// assert_eq!(bound.with(|five| **five), 5);
/// # }
/// ```
pub struct CoreBound<T: 'static> {
    value: ManuallyDrop<T>,
    home: Home,
}

struct Home {
    thread: u64,
    shared: Arc<CoreShared>,
}

// SAFETY: `value` is touched at home only (head of this file); `Home` is a number and an `Arc`.
unsafe impl<T> Send for CoreBound<T> {}
// SAFETY: as above: of many threads with a `&CoreBound`, one is home.
unsafe impl<T> Sync for CoreBound<T> {}

/// The value is moved when it is sent home, so it is never pinned in place.
impl<T> Unpin for CoreBound<T> {}

impl<T> CoreBound<T> {
    /// Binds `value` to this core.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new(value: T) -> CoreBound<T> {
        let shared = current::with(|tasks| tasks.map(|tasks| Arc::clone(tasks.shared())));
        let shared = shared.expect(
            "CoreBound::new was called outside a runtime: call it inside Runtime::block_on or \
             #[ringspun::main]",
        );
        CoreBound { value: ManuallyDrop::new(value), home: Home { thread: this_thread(), shared } }
    }

    /// True on the thread that made this.
    pub fn is_home(&self) -> bool {
        self.home.is_here()
    }

    /// Shows the value.
    ///
    /// # Panics
    ///
    /// On another thread.
    #[track_caller]
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.home.check();
        look(&self.value)
    }

    /// Shows the value, to be changed.
    ///
    /// # Panics
    ///
    /// On another thread.
    #[track_caller]
    pub fn with_mut<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        self.home.check();
        change(&mut self.value)
    }

    /// The value, for as long as this is borrowed.
    ///
    /// # Panics
    ///
    /// On another thread.
    #[track_caller]
    pub fn access(&self) -> &T {
        self.home.check();
        &self.value
    }

    /// The value, to be changed, for as long as this is borrowed.
    ///
    /// # Panics
    ///
    /// On another thread.
    #[track_caller]
    pub fn access_mut(&mut self) -> &mut T {
        self.home.check();
        &mut self.value
    }

    /// Takes the value out.
    ///
    /// # Panics
    ///
    /// On another thread; the value then goes home.
    #[track_caller]
    pub fn into_inner(self) -> T {
        self.home.check();
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not dropped, so its home is taken once.
        let home = unsafe { std::ptr::read(&raw const this.home) };
        drop(home);
        // SAFETY: the same for the value; this is home.
        unsafe { ManuallyDrop::take(&mut this.value) }
    }
}

impl<F: Future> CoreBound<Pin<Box<F>>> {
    /// Makes a future `Send`, as long as it is polled on this core.
    ///
    /// # Panics
    ///
    /// Outside a runtime. The future panics when it is polled on another thread.
    #[track_caller]
    pub fn future(future: F) -> CoreBound<Pin<Box<F>>> {
        CoreBound::new(Box::pin(future))
    }
}

impl<F: Future + Unpin> Future for CoreBound<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(self.access_mut()).poll(cx)
    }
}

impl<S: Stream + Unpin> Stream for CoreBound<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(self.access_mut()).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.is_home() { self.value.size_hint() } else { (0, None) }
    }
}

impl<T> Drop for CoreBound<T> {
    fn drop(&mut self) {
        // SAFETY: the value is taken once, here; `into_inner` prevents this drop.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        let traveller = Traveller { value: ManuallyDrop::new(value), thread: self.home.thread };
        if self.home.is_here() {
            return drop(traveller);
        }
        // Wherever the closure ends, run or dropped, the traveller knows whether it is home. If
        // home is closed it comes back, to be leaked.
        let _ = self.home.shared.send(Box::new(move || drop(traveller)));
    }
}

impl<T: fmt::Debug> fmt::Debug for CoreBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("CoreBound");
        text.field("core", &self.home.shared.core().as_u64());
        if self.is_home() {
            text.field("value", &*self.value);
        }
        text.finish_non_exhaustive()
    }
}

impl Home {
    #[inline]
    fn is_here(&self) -> bool {
        self.thread == this_thread()
    }

    #[inline]
    #[track_caller]
    fn check(&self) {
        if !self.is_here() {
            self.refuse();
        }
    }

    #[cold]
    #[track_caller]
    fn refuse(&self) -> ! {
        let home = self.shared.core().as_u64();
        match current_core() {
            Some(core) => panic!(
                "a CoreBound value of core {home} was used on core {}: use it on the core that \
                 made it",
                core.as_u64()
            ),
            None => panic!(
                "a CoreBound value of core {home} was used on a thread that runs no core: use it \
                 on the core that made it"
            ),
        }
    }
}

/// A value on its way home. Dropped elsewhere, it is leaked.
struct Traveller<T> {
    value: ManuallyDrop<T>,
    thread: u64,
}

// SAFETY: the value is touched only by `drop`, and only at home.
unsafe impl<T> Send for Traveller<T> {}

impl<T> Drop for Traveller<T> {
    fn drop(&mut self) {
        if self.thread == this_thread() {
            // SAFETY: this is home, and the value is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// A number for this thread, never used for another.
#[inline]
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Const and without destructor: may be read while the thread ends.
    thread_local! {
        static THREAD: Cell<u64> = const { Cell::new(0) };
    }
    THREAD.with(|thread| {
        if thread.get() == 0 {
            thread.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        thread.get()
    })
}
