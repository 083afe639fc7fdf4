//! The ring of this thread: set while its runtime runs or is entered.
//!
//! # Safety
//!
//! C1: the thread-local pointer is null or came from `Rc::into_raw` and owns one reference. It has
//! no destructor, so that reading it is one load; what a thread leaves in it is leaked, and only a
//! guard that is leaked or dropped out of order leaves something.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

use super::{Disturbance, Ring};

thread_local! {
    static CURRENT: Cell<*const Ring> = const { Cell::new(ptr::null()) };
}

/// Puts back what was current before.
pub(crate) struct EnterGuard {
    /// As C1.
    before: *const Ring,
    _one_thread: PhantomData<*const ()>,
}

/// Makes `ring` the current one until the guard goes.
pub(crate) fn enter(ring: &Rc<Ring>) -> EnterGuard {
    let before = CURRENT.replace(Rc::into_raw(Rc::clone(ring)));
    EnterGuard { before, _one_thread: PhantomData }
}

/// The current ring. `None` outside a runtime.
#[inline]
pub(crate) fn current() -> Option<Rc<Ring>> {
    let current = CURRENT.get();
    if current.is_null() {
        return None;
    }
    // SAFETY: C1: the pointer is from `into_raw` and its reference keeps the ring alive.
    unsafe { Rc::increment_strong_count(current) };
    // SAFETY: the reference just taken is handed to the new `Rc`.
    Some(unsafe { Rc::from_raw(current) })
}

/// True if `ring` is the current one.
#[inline]
pub(crate) fn is_current(ring: &Rc<Ring>) -> bool {
    ptr::eq(CURRENT.get(), Rc::as_ptr(ring))
}

/// What the current ring's kernel makes of a direct call of so many bytes; without a ring nothing.
#[inline]
pub(crate) fn disturb(bytes: usize) -> Disturbance {
    let current = CURRENT.get();
    if current.is_null() {
        return Disturbance::Go;
    }
    // SAFETY: C1: the pointer keeps a reference while it stands in the thread-local, and no code
    // that could change that runs in here.
    unsafe { &*current }.disturb(bytes)
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let left = CURRENT.replace(self.before);
        if !left.is_null() {
            // SAFETY: C1: the pointer owned a reference and is gone from the thread-local.
            drop(unsafe { Rc::from_raw(left) });
        }
    }
}
