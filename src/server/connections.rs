//! The connections of a core: which there are, and how they are ended from outside.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::counts::Counts;
use super::gate::Gate;
use super::shared::Shared;
use crate::op::FdWatch;
use crate::task::JoinHandle;

/// What a core has of a server.
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    /// Opens when the drain begins.
    pub(super) drain: Gate,
    connections: RefCell<Slab<Entry>>,
}

/// One connection.
struct Entry {
    task: Option<JoinHandle<()>>,
    /// If idleness counts.
    watch: Option<FdWatch>,
    quiet_since: Instant,
    ended_for: Option<Reason>,
}

/// Why a connection is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Idle,
    Cut,
}

impl Local {
    pub(super) fn new(shared: Arc<Shared>, index: usize) -> Local {
        Local { shared, index, drain: Gate::default(), connections: RefCell::default() }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.shared.counts[self.index]
    }

    /// A place for a connection that is about to begin.
    pub(super) fn begin(&self, watch: Option<FdWatch>) -> usize {
        let quiet_since = Instant::now();
        let entry = Entry { task: None, watch, quiet_since, ended_for: None };
        self.connections.borrow_mut().insert(entry)
    }

    /// The task of the connection at this place; it may have ended already.
    pub(super) fn runs(&self, key: usize, task: JoinHandle<()>) {
        let late = match self.connections.borrow_mut().get_mut(key) {
            Some(entry) => entry.task.replace(task),
            None => Some(task),
        };
        drop(late);
    }

    /// The connection is gone. Answers why, if it was ended from outside.
    pub(super) fn end(&self, key: usize) -> Option<Reason> {
        let entry = self.connections.borrow_mut().try_remove(key)?;
        entry.ended_for
    }

    /// Cuts all connections off.
    pub(super) fn cut_all(&self) {
        for (_, entry) in self.connections.borrow_mut().iter_mut() {
            entry.end_for(Reason::Cut);
        }
    }

    /// Ends those on which nothing has moved for `limit`.
    pub(super) fn end_idle(&self, limit: Duration) {
        let now = Instant::now();
        for (_, entry) in self.connections.borrow_mut().iter_mut() {
            // Where the descriptor is gone from its stream, the handler does something else.
            if entry.watch.as_ref().is_none_or(|watch| watch.take_moved().unwrap_or(true)) {
                entry.quiet_since = now;
            } else if now.saturating_duration_since(entry.quiet_since) >= limit {
                entry.end_for(Reason::Idle);
            }
        }
    }
}

impl Entry {
    /// The task's future is dropped in its next turn, not here.
    fn end_for(&mut self, reason: Reason) {
        if self.ended_for.is_none()
            && let Some(task) = &self.task
        {
            task.abort();
            self.ended_for = Some(reason);
        }
    }
}
