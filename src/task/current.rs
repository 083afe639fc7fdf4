//! The tasks of the core that runs on this thread.
//!
//! # Safety
//!
//! C1: the pointer in the thread-local, and the one that each guard keeps to put back, is null or
//! came from `Rc::into_raw` and owns one reference. So guards may be dropped in any order and
//! leaked; what the last one leaves behind is leaked too.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
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
    /// As C1.
    before: *const Tasks,
    core: Option<(CoreId, &'static OwnWakers)>,
    _one_thread: PhantomData<*const ()>,
}

impl Tasks {
    /// Makes this core the current one of the thread.
    pub(crate) fn enter(self: &Rc<Tasks>) -> EnterGuard {
        // SAFETY: W1: SHARED's data is a header that its waker keeps alive (T3), its core is named
        // by the pointer at its start, and LOCAL may be used on it by the thread of that core's
        // `Tasks`, which is this one.
        let core = unsafe { enter_core(Some((self.core(), &OWN_WAKERS))) };
        let tasks = Rc::into_raw(Rc::clone(self));
        let before = CURRENT.with(|current| current.replace(tasks));
        EnterGuard { before, core, _one_thread: PhantomData }
    }
}

/// Makes no core the current one of the thread until the guard goes.
pub(super) fn leave() -> EnterGuard {
    // SAFETY: W1: no core is named.
    let core = unsafe { enter_core(None) };
    let before = CURRENT.with(|current| current.replace(std::ptr::null()));
    EnterGuard { before, core, _one_thread: PhantomData }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let left = CURRENT.with(|current| current.replace(self.before));
        // SAFETY: W1: this was current before, so it held then and holds now.
        unsafe { enter_core(self.core) };
        if !left.is_null() {
            // SAFETY: C1: the pointer owned a reference and is gone from the thread-local.
            drop(unsafe { Rc::from_raw(left) });
        }
    }
}

/// The current tasks, kept alive: for what runs user code.
pub(super) fn held() -> Option<Rc<Tasks>> {
    let tasks = CURRENT.with(Cell::get);
    if tasks.is_null() {
        return None;
    }
    // SAFETY: C1: the pointer is from `into_raw` and its reference keeps the tasks alive.
    unsafe { Rc::increment_strong_count(tasks) };
    // SAFETY: the reference just taken is handed to the new `Rc`.
    Some(unsafe { Rc::from_raw(tasks) })
}

/// Shows the current tasks, if any. `look` runs no user code.
#[inline]
pub(super) fn with<R>(look: impl FnOnce(Option<&Tasks>) -> R) -> R {
    let tasks = CURRENT.with(Cell::get);
    // SAFETY: C1: null or alive, and `look` runs no user code, so no guard ends meanwhile.
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
