//! The connections of a core: which there are, and how they are ended from outside.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::counts::{self, Event};
use super::gate::Gate;
use super::shared::Shared;
use crate::op::FdWatch;
use crate::runtime::{CoreHandle, Handle};
use crate::task::JoinHandle;

/// What a core has of a server.
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    /// Opens when the drain begins.
    pub(super) drain: Gate,
    connections: RefCell<Slab<Entry>>,
    /// Whose metrics count too.
    core: Option<CoreHandle>,
}

/// One connection.
struct Entry {
    task: Option<JoinHandle<()>>,
    /// If idleness counts.
    watch: Option<FdWatch>,
    /// What the watch leaves.
    sent: u64,
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
        let core = Handle::try_current().and_then(|handle| handle.core(index).cloned());
        Local { shared, index, drain: Gate::default(), connections: RefCell::default(), core }
    }

    /// Counts it once; see [`Local::count_many`].
    pub(super) fn count(&self, event: Event) {
        self.count_many(event, 1);
    }

    /// On the core's own thread, like all of this.
    pub(super) fn count_many(&self, event: Event, number: u64) {
        self.shared.counts[self.index].add(event, number);
        let service = self.core.as_ref().map(CoreHandle::service);
        if let Some(counter) = service.and_then(|service| counts::in_metrics(service, event)) {
            counter.add(number);
        }
    }

    /// A place for a connection that is about to begin.
    pub(super) fn begin(&self, watch: Option<FdWatch>) -> usize {
        let quiet_since = Instant::now();
        let entry = Entry { task: None, watch, sent: 0, quiet_since, ended_for: None };
        if let Some(core) = &self.core {
            core.service().connections.add(1);
        }
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
        if let Some(core) = &self.core {
            core.service().connections.sub(1);
        }
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
            let (watch, sent) = (entry.watch.as_ref(), &mut entry.sent);
            // Where the descriptor is gone from its stream, the handler does something else.
            if watch.is_none_or(|watch| watch.take_moved(sent).unwrap_or(true)) {
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
