//! Waking, without knowing what is woken.
//!
//! ```text
//!  op slot ----+                      +--> task of this core: plain counts, its run queue
//!  timer ------+--> LocalWaker -------+
//!  waiter list +                      +--> anything else: the foreign Waker, cloned
//! ```
//!
//! A slot, a timer and a waiter list all keep somebody to wake. Nearly always that is a task of
//! their own core, for which atomic counting would be waste. [`LocalWaker::new`] recognises such a
//! task by two facts: the waker's vtable is the task layer's, and the task belongs to the core that
//! runs on this thread. What is not recognised is kept as the `Waker` it is: correct, only dearer.
//!
//! # Safety
//!
//! `LocalWaker` keeps a `Waker` whose vtable may count without atomics. It never lets that
//! `Waker` out and is neither `Send` nor `Sync`, so those functions run on one thread only.

#![allow(unsafe_code)]

mod counter;
mod quietly;

pub(crate) use counter::Counter;
#[cfg_attr(loom, allow(unused_imports, reason = "for the runtime"))]
pub(crate) use quietly::quietly;

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// Ends the sleep of a core, from any thread.
pub(crate) trait Notify: Send + Sync + 'static {
    /// Makes the core's present or next wait return. Has left before it returns.
    fn notify(&self);
}

/// The name of a core: unique in the process, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct CoreId(u64);

impl CoreId {
    /// A fresh id. The counter would need centuries to wrap.
    pub(crate) fn next() -> CoreId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        CoreId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn as_u64(self) -> u64 {
        self.0
    }
}

/// How the task layer is recognised: its two vtables.
#[derive(Debug)]
pub(crate) struct OwnWakers {
    /// The vtable of the wakers that tasks are polled with. Counts atomically.
    pub(crate) shared: &'static RawWakerVTable,
    /// The vtable for the same data on the task's own thread. Counts plainly.
    pub(crate) local: &'static RawWakerVTable,
}

/// What the data pointer of an own waker points to first.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct WakeHeader {
    /// Points to the id of the task's core, which lives as long as the header.
    pub(crate) core: NonNull<CoreId>,
}

#[cfg(not(loom))]
thread_local! {
    // Const and without destructor: may be read at any time, also while the thread ends.
    static CURRENT: Cell<Option<(CoreId, &'static OwnWakers)>> = const { Cell::new(None) };
}
#[cfg(loom)]
loom::thread_local! {
    static CURRENT: Cell<Option<(CoreId, &'static OwnWakers)>> = Cell::new(None);
}

/// The core that runs on this thread.
#[inline]
pub(crate) fn current_core() -> Option<CoreId> {
    CURRENT.with(Cell::get).map(|(core, _)| core)
}

/// Makes `core` the one that runs on this thread; answers what was there before.
///
/// # Safety
///
/// W1: a waker with the vtable `own.shared` points to a live `WakeHeader`, which points
/// to a live id; and if that id is `core`, then `own.local`'s functions may be used on its data on
/// this thread.
pub(crate) unsafe fn enter_core(
    core: Option<(CoreId, &'static OwnWakers)>,
) -> Option<(CoreId, &'static OwnWakers)> {
    CURRENT.with(|current| current.replace(core))
}

/// Somebody to wake, kept on the thread where it was made.
pub(crate) struct LocalWaker {
    waker: Waker,
    _one_thread: PhantomData<*const ()>,
}

impl LocalWaker {
    /// Keeps what `waker` wakes.
    #[inline]
    pub(crate) fn new(waker: &Waker) -> LocalWaker {
        let waker = match own_local(waker) {
            // `clone` of the local vtable takes one plain reference.
            Some(local) => Waker::clone(&local),
            None => waker.clone(),
        };
        LocalWaker { waker, _one_thread: PhantomData }
    }

    /// Wakes and lets go.
    #[inline]
    pub(crate) fn wake(self) {
        self.waker.wake();
    }

    /// Wakes and keeps.
    #[cfg(test)]
    pub(crate) fn wake_by_ref(&self) {
        self.waker.wake_by_ref();
    }

    /// True if waking `self` wakes what `waker` wakes.
    #[inline]
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        if self.waker.data() != waker.data() {
            return false;
        }
        std::ptr::eq(self.waker.vtable(), waker.vtable())
            || own_local(waker)
                .is_some_and(|local| std::ptr::eq(self.waker.vtable(), local.vtable()))
    }

    /// Puts `waker` in place of what `kept` holds. Answers the old one if it was another, so that
    /// the caller can drop it when nothing is borrowed any more.
    #[inline]
    pub(crate) fn keep(kept: &mut Option<LocalWaker>, waker: &Waker) -> Option<LocalWaker> {
        match kept {
            Some(old) if old.will_wake(waker) => None,
            _ => kept.replace(LocalWaker::new(waker)),
        }
    }

    /// The header of the own task that is woken, if it is one.
    #[cfg(test)]
    pub(crate) fn own_task(&self) -> Option<*const WakeHeader> {
        let (_, own) = CURRENT.with(Cell::get)?;
        std::ptr::eq(self.waker.vtable(), own.local).then(|| self.waker.data().cast())
    }
}

/// `waker`'s data with the local vtable, if it is a task of this thread's core. Holds no reference.
#[inline]
fn own_local(waker: &Waker) -> Option<ManuallyDrop<Waker>> {
    let (core, own) = CURRENT.with(Cell::get)?;
    if !std::ptr::eq(waker.vtable(), own.shared) {
        return None;
    }
    let header = waker.data().cast::<WakeHeader>();
    // SAFETY: W1: the vtable is `own.shared`, so the data points to a live header.
    let home = unsafe { (*header).core };
    // SAFETY: W1: the id lives as long as the header.
    if unsafe { *home.as_ptr() } != core {
        return None;
    }
    let raw = RawWaker::new(waker.data(), own.local);
    // SAFETY: W1: the header names this core; the value stays on this thread (head of this file)
    // and, being `ManuallyDrop`, gives back no reference that it did not take.
    Some(ManuallyDrop::new(unsafe { Waker::from_raw(raw) }))
}

impl fmt::Debug for LocalWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalWaker").field("data", &self.waker.data()).finish()
    }
}
