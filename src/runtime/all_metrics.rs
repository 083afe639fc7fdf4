//! The metrics of all cores together, and as a table.

use std::fmt;

use super::core_handle::CoreHandle;
use super::io_workers::IoWorkers;
use super::metrics::CoreMetrics;

/// What the cores of a runtime have counted, and how they stand. Made by
/// [`Handle::metrics`](super::Handle::metrics), on any thread; prints as a table.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Builder::new().cores(2).build()?;
/// let metrics = runtime.handle().metrics();
/// println!("{metrics}");
/// println!("{} entries per system call", metrics.total().entries_per_enter());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Core by core.
    pub cores: Vec<CoreMetrics>,
    /// The kernel's worker threads (io-wq) of this process, now: those of the cores, and of any
    /// other ring.
    pub io_workers: usize,
}

impl Metrics {
    pub(super) fn of(cores: &[CoreHandle]) -> Metrics {
        let workers = IoWorkers::look();
        let cores = cores.iter().map(|core| CoreMetrics::of(core.place(), &workers)).collect();
        Metrics { cores, io_workers: workers.count() }
    }

    /// The cores as if they were one: sums, and of what says "most" or "longest" the largest.
    /// Index, CPU and thread are those of the first core; it is alive if one is, and asleep if all
    /// are.
    ///
    /// # Panics
    ///
    /// If somebody has emptied `cores`.
    #[must_use]
    pub fn total(&self) -> CoreMetrics {
        let (first, others) = self.cores.split_first().expect("a runtime has a core");
        let mut total = first.clone();
        others.iter().for_each(|core| total.add(core));
        total
    }
}

/// A row of the table: what it is called, and its figure.
type Row = (&'static str, fn(&CoreMetrics) -> String);

const ROWS: &[Row] = &[
    ("turns", |core| core.turns.to_string()),
    ("polls", |core| core.polls.to_string()),
    ("longest poll, ms", |core| core.longest_poll.as_millis().to_string()),
    ("tasks", |core| core.tasks.to_string()),
    ("tasks ready", |core| core.tasks_ready.to_string()),
    ("wakes from home", |core| core.wakes_local.to_string()),
    ("wakes from afar", |core| core.wakes_remote.to_string()),
    ("sleeps ended", |core| core.notifies.to_string()),
    ("timers", |core| core.timers.to_string()),
    ("enters", |core| core.enters.to_string()),
    ("entries", |core| core.submitted.to_string()),
    ("entries per enter", |core| format!("{:.1}", core.entries_per_enter())),
    ("completions", |core| core.completed.to_string()),
    ("ops awaited", |core| core.ops_awaited.to_string()),
    ("ops orphaned", |core| core.ops_orphaned.to_string()),
    ("file ops", |core| core.file_ops.to_string()),
    ("file ops waiting", |core| core.file_ops_waiting.to_string()),
    ("backlog", |core| core.backlog.to_string()),
    ("backlog, most", |core| core.backlog_max.to_string()),
    ("overflows", |core| core.overflows.to_string()),
    ("stale", |core| core.stale.to_string()),
    ("buffers in use", |core| format!("{}/{}", core.buffers_out, core.buffers)),
    ("buffers empty", |core| core.buffers_empty.to_string()),
    ("blocking threads", |core| core.blocking_threads.to_string()),
    ("io workers", |core| core.io_workers.to_string()),
    ("connections", |core| core.service.connections.to_string()),
    ("accepted", |core| core.service.accepted.to_string()),
    ("handed over", |core| core.service.handed_over.to_string()),
    ("refused", |core| core.service.refused.to_string()),
    ("panics", |core| core.panics.to_string()),
];

const NAME_WIDTH: usize = 18;
const WIDTH: usize = 13;

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A total of one core would say the same twice.
        let total = (self.cores.len() > 1).then(|| self.total());
        write!(f, "{:<NAME_WIDTH$}", "core")?;
        for core in &self.cores {
            write!(f, "{:>WIDTH$}", core.index)?;
        }
        if total.is_some() {
            write!(f, "{:>WIDTH$}", "all")?;
        }
        for (name, figure) in ROWS {
            write!(f, "\n{name:<NAME_WIDTH$}")?;
            for core in self.cores.iter().chain(&total) {
                write!(f, "{:>WIDTH$}", figure(core))?;
            }
        }
        Ok(())
    }
}
