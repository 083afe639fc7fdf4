//! What a core counts of the connections that it serves. For `server`, which stands above.

use crate::wake::Counter;

/// What a core has done with connections. Written by its thread only, read by all.
#[derive(Debug, Default)]
pub(crate) struct ServiceCounters {
    /// Open connections, now.
    pub(crate) connections: Counter,
    pub(crate) accepted: Counter,
    pub(crate) handed_over: Counter,
    pub(crate) received: Counter,
    pub(crate) refused: Counter,
    pub(crate) handler_panics: Counter,
    pub(crate) handler_errors: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) idle_closed: Counter,
    pub(crate) drained: Counter,
    pub(crate) cut: Counter,
}

/// What the servers of a core have done: in [`CoreMetrics`](super::CoreMetrics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceMetrics {
    /// Connections that are open, now.
    pub connections: u64,
    /// Connections that this core accepted.
    pub accepted: u64,
    /// Of these, those that it gave to another core.
    pub handed_over: u64,
    /// Connections that it took from another core.
    pub received: u64,
    /// Connections that were closed at once because there were too many.
    pub refused: u64,
    /// Handlers that panicked; each cost its connection.
    pub handler_panics: u64,
    /// Handlers that ended with an error.
    pub handler_errors: u64,
    /// Accepts that failed, for want of descriptors or memory or otherwise.
    pub accept_errors: u64,
    /// Connections that were closed because nothing came for too long.
    pub idle_closed: u64,
    /// Connections that ended by themselves while the server drained.
    pub drained: u64,
    /// Connections that were cut off at the end of the drain.
    pub cut: u64,
}

impl ServiceMetrics {
    pub(super) fn of(counters: &ServiceCounters) -> ServiceMetrics {
        ServiceMetrics {
            connections: counters.connections.value(),
            accepted: counters.accepted.value(),
            handed_over: counters.handed_over.value(),
            received: counters.received.value(),
            refused: counters.refused.value(),
            handler_panics: counters.handler_panics.value(),
            handler_errors: counters.handler_errors.value(),
            accept_errors: counters.accept_errors.value(),
            idle_closed: counters.idle_closed.value(),
            drained: counters.drained.value(),
            cut: counters.cut.value(),
        }
    }

    pub(super) fn add(&mut self, other: &ServiceMetrics) {
        self.connections += other.connections;
        self.accepted += other.accepted;
        self.handed_over += other.handed_over;
        self.received += other.received;
        self.refused += other.refused;
        self.handler_panics += other.handler_panics;
        self.handler_errors += other.handler_errors;
        self.accept_errors += other.accept_errors;
        self.idle_closed += other.idle_closed;
        self.drained += other.drained;
        self.cut += other.cut;
    }
}
