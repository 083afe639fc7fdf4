//! The server's own counters beside the runtime's, as Prometheus text and as JSON for the page.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ringspun::runtime::{CoreMetrics, Handle};
use serde_json::{Value, json};

/// One counter for each core. The lock is for the list, not for counting.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    cores: Arc<Mutex<BTreeMap<usize, Counter>>>,
}

/// Written by its core, read by all. On a cache line of its own.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<Line>);

#[derive(Default)]
#[repr(align(128))]
struct Line {
    requests: AtomicU64,
}

impl Counter {
    pub(crate) fn add_request(&self) {
        // One core writes it, so this needs no locked instruction.
        let requests = &self.0.requests;
        requests.store(requests.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// The counter of this core, made when it is asked for first.
    pub(crate) fn of_core(&self, core: usize) -> Counter {
        self.lock().entry(core).or_default().clone()
    }

    fn requests(&self, core: usize) -> u64 {
        self.lock().get(&core).map_or(0, Counter::requests)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Counter>> {
        self.cores.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// All metrics as Prometheus asks for them.
    pub(crate) fn prometheus(&self) -> String {
        let mut text = Handle::current().metrics().prometheus();
        text.push_str("# HELP http_requests_total Requests that were begun.\n");
        text.push_str("# TYPE http_requests_total counter\n");
        for (core, counter) in &*self.lock() {
            let requests = counter.requests();
            let _ = writeln!(text, "http_requests_total{{core=\"{core}\"}} {requests}");
        }
        text
    }

    /// What the page shows.
    pub(crate) fn json(&self, is_draining: bool) -> String {
        let metrics = Handle::current().metrics();
        let uptime = metrics.cores.iter().map(|core| core.uptime).max().unwrap_or_default();
        let cores: Vec<Value> = metrics.cores.iter().map(|core| self.core(core)).collect();
        let io_workers = metrics.io_workers;
        json!({
            "draining": is_draining,
            "uptime_ms": uptime.as_millis() as u64,
            "io_workers": io_workers,
            "cores": cores,
        })
        .to_string()
    }

    fn core(&self, core: &CoreMetrics) -> Value {
        json!({
            "index": core.index,
            "cpu": core.cpu,
            "alive": core.alive,
            "asleep": core.asleep,
            "turns": core.turns,
            "requests": self.requests(core.index),
            "connections": core.service.connections,
            "accepted": core.service.accepted,
            "handed_over": core.service.handed_over,
            "received": core.service.received,
            "refused": core.service.refused,
            "enters": core.enters,
            "submitted": core.submitted,
            "completed": core.completed,
            "tasks": core.tasks,
            "longest_poll_us": core.longest_poll.as_micros() as u64,
            "wakes_local": core.wakes_local,
            "wakes_remote": core.wakes_remote,
            "io_workers": core.io_workers,
        })
    }
}
