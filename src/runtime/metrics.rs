//! What a runtime has counted.

use std::time::{Duration, Instant};

use super::Core;

/// What a runtime has counted since it was built, and how it stands. Made by
/// [`Runtime::metrics`](super::Runtime::metrics).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Since it was built.
    pub uptime: Duration,
    /// System calls to the ring (`io_uring_enter`).
    pub enters: u64,
    /// Entries that the kernel took.
    pub submitted: u64,
    /// Completions that it gave.
    pub completed: u64,
    /// Completions that answered nothing known; each one is a bug of ours or of the kernel.
    pub stale: u64,
    /// Turns that found the completion queue over-full.
    pub overflows: u64,
    /// Cancels that were sent for dropped and timed-out ops, and those of them that came too late.
    pub cancels_sent: u64,
    /// See `cancels_sent`.
    pub cancels_failed: u64,
    /// Ops whose future was dropped while the kernel had them.
    pub orphaned: u64,
    /// Sends of dropped streams that were given up, for the peer did not read.
    pub abandoned: u64,
    /// The most entries that waited for room in the submission queue at a time.
    pub backlog_max: u64,
    /// Ops that a future may wait for, now.
    pub ops_awaited: usize,
    /// Ops in flight whose future is gone, now.
    pub ops_orphaned: usize,
    /// Operations on files that the kernel has, now; 0 without a limit
    /// ([`Builder::file_ops`](super::Builder::file_ops)).
    pub file_ops: usize,
    /// The most there were at a time.
    pub file_ops_max: usize,
    /// Those that wait for others to end, now.
    pub file_ops_waiting: usize,
    /// Pooled buffers that somebody has, now.
    pub buffers_out: usize,
    /// How often an op found no pooled buffer.
    pub buffers_empty: u64,
    /// Tasks that are not done, now.
    pub tasks: usize,
    /// Timers that are set, now.
    pub timers: usize,
    /// Panics that no handle took, in tasks, wakers and destructors.
    pub panics: u64,
    /// Threads of the blocking pool, now.
    pub blocking_threads: usize,
    /// Those of them that wait for a closure.
    pub blocking_idle: usize,
    /// The most there were at a time.
    pub blocking_threads_max: usize,
    /// Closures that no thread has taken, now.
    pub blocking_queued: usize,
}

impl Metrics {
    pub(crate) fn of(core: &Core) -> Metrics {
        let ring = core.ring.counters();
        let pool = core.pool.stats();
        let files = core.ring.file_ops();
        let (buffers_out, buffers_empty) = core.ring.buffer_counts();
        Metrics {
            uptime: Instant::now() - core.started,
            enters: ring.enters,
            submitted: ring.submitted,
            completed: ring.completed,
            stale: ring.stale,
            overflows: ring.overflows,
            cancels_sent: ring.cancels_sent,
            cancels_failed: ring.cancels_failed,
            orphaned: ring.orphaned,
            abandoned: ring.abandoned,
            backlog_max: ring.backlog_max,
            ops_awaited: core.ring.awaited(),
            ops_orphaned: core.ring.orphans(),
            file_ops: files.in_flight,
            file_ops_max: files.in_flight_max,
            file_ops_waiting: files.waiting,
            buffers_out,
            buffers_empty,
            tasks: core.tasks.len(),
            timers: core.timers.len(),
            panics: ring.panics + core.tasks.panics() + core.timers.waker_panics(),
            blocking_threads: pool.threads,
            blocking_idle: pool.idle,
            blocking_threads_max: pool.threads_seen_max,
            blocking_queued: pool.queued,
        }
    }
}
