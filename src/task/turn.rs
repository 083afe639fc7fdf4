//! What holds during a turn, and ends with it also when it panics.

use std::ptr::NonNull;

use super::header::Header;
use super::raw::TaskRef;
use super::sync::Cell;

/// No turn within a turn.
pub(super) struct Busy<'a>(&'a Cell<bool>);

impl Busy<'_> {
    pub(super) fn new(busy: &Cell<bool>) -> Busy<'_> {
        assert!(!busy.replace(true), "a task may not turn the loop of its own core");
        Busy(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Says whose code runs.
pub(super) struct Running<'a> {
    running: &'a Cell<Option<NonNull<Header>>>,
    before: Option<NonNull<Header>>,
}

impl<'a> Running<'a> {
    #[inline]
    pub(super) fn new(running: &'a Cell<Option<NonNull<Header>>>, task: &TaskRef) -> Running<'a> {
        Running { running, before: running.replace(Some(task.pointer())) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.running.set(self.before);
    }
}
