//! The tasks of the core that runs on this thread.
//!
//! # Safety
//!
//! C1: the pointer in the thread-local is null or points to a live `Tasks` of this thread: whoever
//! sets it keeps the `Tasks` until its `Restore` has put back what was there before, and
//! `Restore`s of one thread end in the reverse order of their making.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::rc::Rc;

use super::inbox::CoreShared;
use super::sync::Arc;
use super::tasks::Tasks;
use super::waker::OWN_WAKERS;
use crate::wake::{CoreId, OwnWakers, enter_core};

// Const and without destructor: may be read at any time, also while the thread ends.
#[cfg(not(loom))]
thread_local! {
    static CURRENT: Cell<*const Tasks> = const { Cell::new(std::ptr::null()) };
}
#[cfg(loom)]
super::sync::thread_local! {
    static CURRENT: Cell<*const Tasks> = Cell::new(std::ptr::null());
}

/// Makes a core the current one of the thread until it is dropped.
#[must_use]
pub(crate) struct EnterGuard {
    _restore: Restore,
    // Dropped after `_restore`.
    _tasks: Rc<Tasks>,
}

impl Tasks {
    /// Makes this core the current one of the thread. Guards are dropped in reverse order.
    pub(crate) fn enter(self: &Rc<Tasks>) -> EnterGuard {
        // SAFETY: C1: the guard keeps the `Rc`, and drops it last.
        let restore = unsafe { enter(self) };
        EnterGuard { _restore: restore, _tasks: Rc::clone(self) }
    }
}

/// Puts back what was current before.
pub(super) struct Restore {
    tasks: *const Tasks,
    core: Option<(CoreId, &'static OwnWakers)>,
}

/// Makes `tasks` current.
///
/// # Safety
///
/// C1: `tasks` outlives the `Restore`.
pub(super) unsafe fn enter(tasks: &Tasks) -> Restore {
    // SAFETY: W1: SHARED's data is a header that its waker keeps alive (T3), its core is named by
    // the pointer at its start, and LOCAL may be used on it by the thread of that core's `Tasks`,
    // which is this one.
    let core = unsafe { enter_core(Some((tasks.core(), &OWN_WAKERS))) };
    Restore { tasks: CURRENT.with(|current| current.replace(tasks)), core }
}

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.tasks));
        // SAFETY: W1: this was current before, so it held then and holds now.
        unsafe { enter_core(self.core) };
    }
}

/// Shows the current tasks, if any.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(Option<&Tasks>) -> R) -> R {
    let tasks = CURRENT.with(Cell::get);
    // SAFETY: C1: null or alive, and `look` cannot end the guard that keeps it.
    look(unsafe { tasks.as_ref() })
}

/// Takes the share of a freed header, to spare the next task an atomic addition.
#[inline]
pub(super) fn recycle(shared: Arc<CoreShared>) {
    with(|tasks| match tasks {
        Some(tasks) => tasks.recycle(shared),
        None => drop(shared),
    });
}
