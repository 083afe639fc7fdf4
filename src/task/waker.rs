//! The two vtables of a task's wakers.
//!
//! ```text
//!  std::task::Waker --SHARED--> counts atomically, wakes from any thread
//!  LocalWaker --------LOCAL---> counts plainly, never leaves the task's thread
//!
//!  wake: is the task's core the one that runs on this thread?
//!        yes: run queue, plainly           no: inbox, NOTIFIED, fence (task/inbox.rs)
//! ```
//!
//! # Safety
//!
//! A waker's data is a task's `NonNull<Header>`. With SHARED it owns a shared reference, but for
//! the one that a poll borrows; with LOCAL it owns a local one (T3, T5).

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::current;
use super::header::Header;
use super::raw::{TaskRef, drop_shared};
use crate::wake::OwnWakers;

/// How `wake` recognises tasks (W1).
pub(super) static OWN_WAKERS: OwnWakers = OwnWakers { shared: &SHARED, local: &LOCAL };

// `static`, not `const`: recognition compares their addresses.
static SHARED: RawWakerVTable =
    RawWakerVTable::new(shared_clone, shared_wake, shared_wake_by_ref, shared_drop);
static LOCAL: RawWakerVTable =
    RawWakerVTable::new(local_clone, local_wake, local_wake_by_ref, local_drop);

/// The waker that a task is polled with. Owns nothing.
#[inline]
pub(super) fn borrowed(task: &TaskRef) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(task.pointer().as_ptr().cast_const().cast(), &SHARED);
    // SAFETY: the vtable keeps the contract of `RawWaker`; being `ManuallyDrop`, the waker gives
    // back no reference that it did not take. The caller holds `task` while it is used.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// A waker for any thread, with a reference of its own.
pub(super) fn owned(task: &TaskRef) -> Waker {
    Waker::clone(&borrowed(task))
}

/// Asks for the end of the task behind a waker of [`owned`]. From any thread; the core drops the
/// future in its turn.
pub(super) fn abort(waker: &Waker) {
    debug_assert!(std::ptr::eq(waker.vtable(), &SHARED));
    let header = pointer(waker.data());
    // SAFETY: T3: the waker owns a shared reference.
    unsafe { header.as_ref() }.state.set_aborted();
    waker.wake_by_ref();
}

/// Wakes a task.
///
/// # Safety
///
/// The caller holds a reference until this returns.
pub(super) unsafe fn wake(header: NonNull<Header>) {
    // SAFETY: T3: the caller holds a reference.
    let fields = unsafe { header.as_ref() };
    let queued = current::with(|tasks| match tasks {
        Some(tasks) if tasks.is_home_of(fields) => {
            tasks.queue(header);
            true
        }
        _ => false,
    });
    if !queued && fields.state.set_notified() {
        // SAFETY: I1: `set_notified` answered true. T3: the caller holds a reference.
        unsafe { fields.shared().push(header) };
    }
}

fn pointer(data: *const ()) -> NonNull<Header> {
    NonNull::new(data.cast_mut().cast()).expect("a waker's data is never null")
}

unsafe fn shared_clone(data: *const ()) -> RawWaker {
    // SAFETY: T3: the waker that is cloned keeps the header.
    unsafe { pointer(data).as_ref() }.state.add_reference();
    RawWaker::new(data, &SHARED)
}

unsafe fn shared_wake(data: *const ()) {
    // The reference is given back last: once the task is in the inbox its core may free all
    // others, and with the header would go the notifier that is still to be rung.
    // SAFETY: T3: the waker's own reference lasts until the next line.
    unsafe { wake(pointer(data)) };
    // SAFETY: the waker's own reference, which ends here.
    unsafe { drop_shared(pointer(data)) };
}

unsafe fn shared_wake_by_ref(data: *const ()) {
    // SAFETY: T3: the waker, or the poll that lent it, holds a reference.
    unsafe { wake(pointer(data)) };
}

unsafe fn shared_drop(data: *const ()) {
    // SAFETY: the waker's own reference, which ends here.
    unsafe { drop_shared(pointer(data)) };
}

unsafe fn local_clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps the header; W1: LOCAL is used on the task's thread.
    let task = unsafe { TaskRef::take(pointer(data)) };
    RawWaker::new(task.into_raw().as_ptr().cast_const().cast(), &LOCAL)
}

unsafe fn local_wake(data: *const ()) {
    // SAFETY: the waker's own local reference; W1: this is the task's thread.
    let task = unsafe { TaskRef::from_raw(pointer(data)) };
    // SAFETY: T3: `task` is a reference.
    unsafe { wake(task.pointer()) };
}

unsafe fn local_wake_by_ref(data: *const ()) {
    // SAFETY: T3: the waker holds a local reference.
    unsafe { wake(pointer(data)) };
}

unsafe fn local_drop(data: *const ()) {
    // SAFETY: the waker's own local reference, which ends here; W1: this is the task's thread.
    drop(unsafe { TaskRef::from_raw(pointer(data)) });
}
