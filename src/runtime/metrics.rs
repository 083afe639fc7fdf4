//! What a runtime has counted, core by core.
//!
//! Cores count all the time, each into blocks of its own ([`Sources`]), and whoever asks reads them
//! from where he is. No core is asked, so one that is blocked can be seen: it stands still.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core_handle::Place;
use super::io_workers::IoWorkers;
use super::service_counters::{ServiceCounters, ServiceMetrics};
use crate::{blocking, ring, time};

/// Where a core counts.
pub(super) struct Sources {
    pub(super) started: Instant,
    pub(super) ring: Arc<ring::Counters>,
    pub(super) timers: Arc<time::Counters>,
    pub(super) pool: Arc<blocking::Pool>,
    pub(super) service: ServiceCounters,
}

/// What a core has counted since it was built, and how it stands. Made by
/// [`CoreHandle::metrics`](super::CoreHandle::metrics), on any thread; and by
/// [`Runtime::metrics`](super::Runtime::metrics) of core 0.
///
/// The core is not asked and not disturbed, so this works while a task blocks it. Each figure is
/// true by itself; read from another thread, one may be some nanoseconds older than the next. What
/// is said of ready and finished tasks and of wakes is then as of the last turn, or of one of the
/// last 64 polls.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoreMetrics {
    /// Which core of the runtime, from 0.
    pub index: usize,
    /// The CPU that it is kept on; `None` if it may run on several.
    pub cpu: Option<usize>,
    /// The kernel's number of its thread, as in `/proc/self/task`.
    pub thread_id: i32,
    /// False once it has ended.
    pub alive: bool,
    /// It waits in the kernel, for it has nothing to do. A core that is not asleep and whose
    /// `turns` stand still is blocked; or it waits without sleeping, as
    /// [`Park`](super::Park) may have it do: then `tasks_running` is 0.
    pub asleep: bool,
    /// Since it was built.
    pub uptime: Duration,
    /// Turns of its loop.
    pub turns: u64,
    /// System calls to the ring (`io_uring_enter`).
    pub enters: u64,
    /// Entries that the kernel took. See [`entries_per_enter`](CoreMetrics::entries_per_enter).
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
    /// Entries that wait for room in the submission queue, now.
    pub backlog: usize,
    /// The most of them at a time.
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
    /// The ops by opcode: each opcode that was ever used, by number. Entries that the ring makes
    /// for itself (cancels of dropped ops, what ends its sleep) are not among them.
    pub ops: Vec<OpMetrics>,
    /// Pooled buffers that there are, now. They are made when they are first asked for.
    pub buffers: usize,
    /// Pooled buffers that somebody has, now.
    pub buffers_out: usize,
    /// How often an op found no pooled buffer.
    pub buffers_empty: u64,
    /// Tasks that are not done, now. The main future does not count.
    pub tasks: usize,
    /// Tasks in the run queue, now; the main future is one of them when it is its turn.
    pub tasks_ready: usize,
    /// 1 while a task or the main future is polled.
    pub tasks_running: usize,
    /// Tasks that wait to be woken, now. The main future counts, also when there is none.
    pub tasks_waiting: usize,
    /// Tasks that were spawned.
    pub tasks_spawned: u64,
    /// Of these, those that are done, by whatever end.
    pub tasks_finished: u64,
    /// Turns that were given to tasks and to the main future.
    pub polls: u64,
    /// The longest that the core went on without coming back to its loop, at least: one poll that
    /// took so long, or up to 64 in a row that took it together; or a closure that was sent to it,
    /// a destructor, a waker.
    ///
    /// Measured with the coarse clock, whose tick is 1 to 10 ms (mostly 4), and rounded down by one
    /// tick: what takes less than a tick is not seen, and reads as zero.
    pub longest_poll: Duration,
    /// Wakes on this core that put a task into the run queue.
    pub wakes_local: u64,
    /// Wakes from other threads that did.
    pub wakes_remote: u64,
    /// How often another thread had to end the core's sleep, by a write to its eventfd.
    pub notifies: u64,
    /// Closures from other threads that were run; each `spawn` from there is one.
    pub calls: u64,
    /// Timers that are set, now.
    pub timers: usize,
    /// Timers that have fired.
    pub timers_fired: u64,
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
    /// The kernel's worker threads (io-wq) of this core's ring, now.
    ///
    /// The kernel names them by numbers of its own, which are those of `/proc` only outside of
    /// containers with their own PID namespace. Inside of one this is 0;
    /// [`Metrics::io_workers`](super::Metrics::io_workers) counts all.
    pub io_workers: usize,
    /// What its servers have done.
    pub service: ServiceMetrics,
}

/// What a core has counted of one opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpMetrics {
    /// Its number in the entry.
    pub opcode: u8,
    /// The kernel's name for it, without `IORING_OP_`; "OTHER" if it is newer than this crate.
    pub name: &'static str,
    /// How many wait for room or are in the kernel, now, with or without their future.
    pub in_flight: u64,
    /// How many were begun. One that a signal interrupted and that goes again counts again.
    pub started: u64,
}

impl CoreMetrics {
    /// Reads the counters of one core.
    pub(super) fn of(place: &Place, workers: &IoWorkers) -> CoreMetrics {
        let Sources { started, ring, timers, pool, service } = &place.sources;
        crate::task::publish(&place.shared);
        let tasks = place.shared.counters();
        let pool = pool.stats();
        let (ready, running) = (tasks.ready.value(), tasks.polling.value());
        // In this order, so that no task is done before it was spawned.
        let finished = tasks.finished.value();
        let spawned = tasks.spawned.value().max(finished);
        let unfinished = spawned - finished;
        let panics = ring.panics.value() + tasks.panics.value() + timers.panics.value();
        CoreMetrics {
            index: place.index,
            cpu: place.cpu,
            thread_id: place.thread_id,
            alive: place.ended.get().is_none(),
            asleep: place.shared.is_asleep(),
            uptime: started.elapsed(),
            turns: tasks.turns.value(),
            enters: ring.enters.value(),
            submitted: ring.submitted.value(),
            completed: ring.completed.value(),
            stale: ring.stale.value(),
            overflows: ring.overflows.value(),
            cancels_sent: ring.cancels_sent.value(),
            cancels_failed: ring.cancels_failed.value(),
            orphaned: ring.orphaned.value(),
            abandoned: ring.abandoned.value(),
            backlog: size(ring.backlog.value()),
            backlog_max: ring.backlog_max.value(),
            ops_awaited: size(ring.awaited.value()),
            ops_orphaned: size(ring.orphans.value()),
            file_ops: size(ring.file_ops.value()),
            file_ops_max: size(ring.file_ops_max.value()),
            file_ops_waiting: size(ring.file_ops_waiting.value()),
            ops: ops(ring),
            buffers: size(ring.buffers.value()),
            buffers_out: size(ring.buffers_out.value()),
            buffers_empty: ring.buffers_empty.value(),
            tasks: size(unfinished),
            tasks_ready: size(ready),
            tasks_running: size(running),
            tasks_waiting: size((unfinished + 1).saturating_sub(ready + running)),
            tasks_spawned: spawned,
            tasks_finished: finished,
            polls: tasks.polls.value(),
            longest_poll: Duration::from_millis(tasks.longest_ms.value())
                .saturating_sub(ring::coarse_clock_tick()),
            wakes_local: tasks.wakes_local.value(),
            wakes_remote: tasks.wakes_remote.value(),
            notifies: tasks.notifies.0.value(),
            calls: tasks.calls.value(),
            timers: size(timers.set.value()),
            timers_fired: timers.fired.value(),
            panics,
            blocking_threads: pool.threads,
            blocking_idle: pool.idle,
            blocking_threads_max: pool.threads_seen_max,
            blocking_queued: pool.queued,
            io_workers: workers.of(place.thread_id),
            service: ServiceMetrics::of(service),
        }
    }

    /// How many entries a system call hands over on average; 0 if there was none.
    #[must_use]
    pub fn entries_per_enter(&self) -> f64 {
        if self.enters == 0 { 0.0 } else { self.submitted as f64 / self.enters as f64 }
    }

    /// The ops in flight, by the kernel's name of their opcode.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Runtime::new()?;
    /// for (opcode, count) in runtime.metrics().ops_in_flight() {
    ///     println!("{count} of {opcode}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn ops_in_flight(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let in_flight = self.ops.iter().filter(|op| op.in_flight > 0);
        in_flight.map(|op| (op.name, op.in_flight))
    }

    /// Adds what another core has counted; the maxima are those of both.
    pub(super) fn add(&mut self, other: &CoreMetrics) {
        self.alive |= other.alive;
        self.asleep &= other.asleep;
        self.uptime = self.uptime.max(other.uptime);
        self.turns += other.turns;
        self.enters += other.enters;
        self.submitted += other.submitted;
        self.completed += other.completed;
        self.stale += other.stale;
        self.overflows += other.overflows;
        self.cancels_sent += other.cancels_sent;
        self.cancels_failed += other.cancels_failed;
        self.orphaned += other.orphaned;
        self.abandoned += other.abandoned;
        self.backlog += other.backlog;
        self.backlog_max = self.backlog_max.max(other.backlog_max);
        self.ops_awaited += other.ops_awaited;
        self.ops_orphaned += other.ops_orphaned;
        self.file_ops += other.file_ops;
        self.file_ops_max = self.file_ops_max.max(other.file_ops_max);
        self.file_ops_waiting += other.file_ops_waiting;
        other.ops.iter().for_each(|op| self.add_op(op));
        self.buffers += other.buffers;
        self.buffers_out += other.buffers_out;
        self.buffers_empty += other.buffers_empty;
        self.tasks += other.tasks;
        self.tasks_ready += other.tasks_ready;
        self.tasks_running += other.tasks_running;
        self.tasks_waiting += other.tasks_waiting;
        self.tasks_spawned += other.tasks_spawned;
        self.tasks_finished += other.tasks_finished;
        self.polls += other.polls;
        self.longest_poll = self.longest_poll.max(other.longest_poll);
        self.wakes_local += other.wakes_local;
        self.wakes_remote += other.wakes_remote;
        self.notifies += other.notifies;
        self.calls += other.calls;
        self.timers += other.timers;
        self.timers_fired += other.timers_fired;
        self.panics += other.panics;
        self.blocking_threads += other.blocking_threads;
        self.blocking_idle += other.blocking_idle;
        self.blocking_threads_max = self.blocking_threads_max.max(other.blocking_threads_max);
        self.blocking_queued += other.blocking_queued;
        self.io_workers += other.io_workers;
        self.service.add(&other.service);
    }

    fn add_op(&mut self, other: &OpMetrics) {
        match self.ops.binary_search_by_key(&other.opcode, |op| op.opcode) {
            Ok(at) => {
                self.ops[at].in_flight += other.in_flight;
                self.ops[at].started += other.started;
            }
            Err(at) => self.ops.insert(at, *other),
        }
    }
}

fn ops(ring: &ring::Counters) -> Vec<OpMetrics> {
    let each = (0_u8..=u8::MAX).zip(&ring.ops).map(|(opcode, op)| OpMetrics {
        opcode,
        name: ring::opcode_name(opcode),
        in_flight: op.in_flight(),
        started: op.started.value(),
    });
    each.filter(|op| op.started > 0).collect()
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
