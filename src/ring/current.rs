//! The ring of this thread: set while its runtime runs or is entered.

use std::cell::RefCell;
use std::rc::Rc;

use super::Ring;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Ring>>> = const { RefCell::new(None) };
}

/// Puts back what was current before.
#[derive(Debug)]
pub(crate) struct EnterGuard {
    before: Option<Rc<Ring>>,
}

/// Makes `ring` the current one until the guard goes.
pub(crate) fn enter(ring: &Rc<Ring>) -> EnterGuard {
    EnterGuard { before: CURRENT.replace(Some(Rc::clone(ring))) }
}

/// The current ring. `None` outside a runtime, and while the thread ends.
#[inline]
pub(crate) fn current() -> Option<Rc<Ring>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// True if `ring` is the current one.
#[inline]
pub(crate) fn is_current(ring: &Rc<Ring>) -> bool {
    CURRENT
        .try_with(|current| current.borrow().as_ref().is_some_and(|now| Rc::ptr_eq(now, ring)))
        .unwrap_or(false)
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        let _ = CURRENT.try_with(|current| current.replace(before));
    }
}
