//! The runtime that this thread is a core of.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use super::handle::Handle;

/// Which core of which runtime.
#[derive(Clone)]
struct Current {
    handle: Handle,
    index: usize,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Owns what it puts back, so guards may be dropped in any order and leaked.
pub(super) struct EnterGuard {
    before: Option<Current>,
    _one_thread: PhantomData<Rc<()>>,
}

pub(super) fn enter(handle: Handle, index: usize) -> EnterGuard {
    let current = Some(Current { handle, index });
    // While the thread ends there is nothing to put back to.
    let before = CURRENT.try_with(|cell| cell.replace(current)).ok().flatten();
    EnterGuard { before, _one_thread: PhantomData }
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        let before = self.before.take();
        // Dropped with nothing borrowed.
        let _left = CURRENT.try_with(|cell| cell.replace(before));
    }
}

/// The handle of the runtime that runs this code.
pub(super) fn handle() -> Option<Handle> {
    CURRENT.try_with(|cell| Some(cell.borrow().as_ref()?.handle.clone())).ok().flatten()
}

/// The index of the core that runs this code.
pub(super) fn index() -> Option<usize> {
    CURRENT.try_with(|cell| Some(cell.borrow().as_ref()?.index)).ok().flatten()
}
