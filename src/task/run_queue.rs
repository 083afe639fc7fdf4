//! Who is polled next: first in, first out.
//!
//! Plain memory of the core's thread. It grows to the most tasks that were ever ready at once and
//! allocates no more. Nothing runs while it is borrowed.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::raw::TaskRef;
use super::state::QUEUED;

pub(super) struct RunQueue(RefCell<VecDeque<TaskRef>>);

impl RunQueue {
    pub(super) fn new() -> RunQueue {
        RunQueue(RefCell::new(VecDeque::with_capacity(64)))
    }

    /// Appends a task whose QUEUED the caller has just set (T2).
    #[inline]
    pub(super) fn push(&self, task: TaskRef) {
        debug_assert!(task.header().flags.has(QUEUED));
        self.0.borrow_mut().push_back(task);
    }

    /// Takes the first; it is no longer QUEUED.
    #[inline]
    pub(super) fn pop(&self) -> Option<TaskRef> {
        let task = self.0.borrow_mut().pop_front()?;
        task.header().flags.clear(QUEUED);
        Some(task)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}
