//! Something that happens once on a core, and who waits for it.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll};

use slab::Slab;

use crate::wake::{LocalWaker, quietly};

/// Opens once.
#[derive(Default)]
pub(super) struct Gate {
    open: Cell<bool>,
    waiters: RefCell<Slab<LocalWaker>>,
}

/// A place among those who wait; given up by [`Gate::leave`].
#[derive(Debug, Default)]
pub(super) struct Place(Option<usize>);

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.open.get()
    }

    pub(super) fn open(&self) {
        self.open.set(true);
        let all = std::mem::take(&mut *self.waiters.borrow_mut());
        for (_, waker) in all {
            // A foreign waker is user code.
            let _ = quietly(|| waker.wake());
        }
    }

    pub(super) fn poll(&self, place: &mut Place, cx: &Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        // Cloning and dropping a foreign waker is user code: nothing is borrowed meanwhile.
        let new = LocalWaker::new(cx.waker());
        let old = match place.0 {
            Some(key) => {
                let mut waiters = self.waiters.borrow_mut();
                waiters.get_mut(key).map(|kept| std::mem::replace(kept, new))
            }
            None => {
                place.0 = Some(self.waiters.borrow_mut().insert(new));
                None
            }
        };
        drop(old);
        // User code may have opened it.
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn leave(&self, place: &mut Place) {
        let Some(key) = place.0.take() else { return };
        // After it was opened there is nobody in it.
        let left = self.waiters.borrow_mut().try_remove(key);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::{Gate, Place};

    #[test]
    fn opens_once() {
        let gate = Gate::default();
        let cx = Context::from_waker(Waker::noop());
        let (mut one, mut other) = (Place::default(), Place::default());
        assert!(gate.poll(&mut one, &cx).is_pending());
        assert!(gate.poll(&mut one, &cx).is_pending());
        assert!(gate.poll(&mut other, &cx).is_pending());
        gate.leave(&mut other);
        assert_eq!(gate.waiters.borrow().len(), 1);
        gate.open();
        assert!(gate.poll(&mut one, &cx).is_ready());
        gate.leave(&mut one);
        assert!(gate.waiters.borrow().is_empty());
    }
}
