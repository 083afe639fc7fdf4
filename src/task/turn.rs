//! What holds during a turn, and ends with it also when it panics.

use std::ptr::NonNull;

use super::header::Header;
use super::raw::TaskRef;
use super::sync::Cell;

/// No turn within a turn.
pub(super) struct Busy<'a> {
    busy: &'a Cell<bool>,
    /// Begins anew: a turn may be given in the destructor of a task that is ended between turns.
    interrupted: &'a Cell<Option<NonNull<Header>>>,
    before: Option<NonNull<Header>>,
}

impl<'a> Busy<'a> {
    pub(super) fn new(
        busy: &'a Cell<bool>,
        interrupted: &'a Cell<Option<NonNull<Header>>>,
    ) -> Busy<'a> {
        assert!(!busy.replace(true), "a task may not turn the loop of its own core");
        Busy { busy, interrupted, before: interrupted.replace(None) }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.busy.set(false);
        self.interrupted.set(self.before);
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
