//! What a core counts: for the report of its server, and for the metrics of the core.

use super::report::Totals;
use crate::runtime::ServiceCounters;
use crate::wake::Counter;

/// What there is to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Accepted,
    HandedOver,
    Received,
    Refused,
    Finished,
    Failed,
    Panicked,
    IdleClosed,
    Drained,
    Cut,
    AcceptError,
}

/// The counts of a core for one server; on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counts([Counter; Event::AcceptError as usize + 1]);

impl Counts {
    /// On the core's own thread only.
    pub(super) fn add(&self, event: Event, number: u64) {
        self.0[event as usize].add(number);
    }

    pub(super) fn value(&self, event: Event) -> u64 {
        self.0[event as usize].value()
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            accepted: self.value(Event::Accepted),
            handed_over: self.value(Event::HandedOver),
            received: self.value(Event::Received),
            refused: self.value(Event::Refused),
            finished: self.value(Event::Finished),
            failed: self.value(Event::Failed),
            panicked: self.value(Event::Panicked),
            idle_closed: self.value(Event::IdleClosed),
            drained: self.value(Event::Drained),
            cut: self.value(Event::Cut),
            accept_errors: self.value(Event::AcceptError),
        }
    }
}

/// Where the metrics of the core, over all of its servers, have it.
pub(super) fn in_metrics(counters: &ServiceCounters, event: Event) -> Option<&Counter> {
    Some(match event {
        Event::Accepted => &counters.accepted,
        Event::HandedOver => &counters.handed_over,
        Event::Received => &counters.received,
        Event::Refused => &counters.refused,
        Event::Finished => return None,
        Event::Failed => &counters.handler_errors,
        Event::Panicked => &counters.handler_panics,
        Event::IdleClosed => &counters.idle_closed,
        Event::Drained => &counters.drained,
        Event::Cut => &counters.cut,
        Event::AcceptError => &counters.accept_errors,
    })
}
