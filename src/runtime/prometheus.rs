//! Metrics as text for Prometheus.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use super::all_metrics::Metrics;
use super::metrics::{CoreMetrics, OpMetrics};

/// Of what kind a figure is.
#[derive(Clone, Copy)]
enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
}

use Kind::{Counter, Gauge};

/// A figure of each core.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&CoreMetrics) -> u64,
}

const fn family(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&CoreMetrics) -> u64,
) -> Family {
    Family { name, kind, help, value }
}

const FAMILIES: &[Family] = &[
    family("core_up", Gauge, "1 until the core ends.", |core| u64::from(core.alive)),
    family("core_asleep", Gauge, "1 while the core waits in the kernel.", |core| {
        u64::from(core.asleep)
    }),
    family("turns_total", Counter, "Turns of the loop.", |core| core.turns),
    family("polls_total", Counter, "Turns given to tasks.", |core| core.polls),
    family("enters_total", Counter, "Calls of io_uring_enter.", |core| core.enters),
    family("entries_submitted_total", Counter, "Entries that the kernel took.", |core| {
        core.submitted
    }),
    family("completions_total", Counter, "Completions that the kernel gave.", |core| {
        core.completed
    }),
    family("completions_stale_total", Counter, "Completions that answered nothing.", |core| {
        core.stale
    }),
    family("overflows_total", Counter, "Turns with the completion queue over-full.", |core| {
        core.overflows
    }),
    family("cancels_sent_total", Counter, "Cancels of dropped and timed-out ops.", |core| {
        core.cancels_sent
    }),
    family("cancels_failed_total", Counter, "Cancels that came too late.", |core| {
        core.cancels_failed
    }),
    family("ops_orphaned_total", Counter, "Ops whose future was dropped in flight.", |core| {
        core.orphaned
    }),
    family("sends_abandoned_total", Counter, "Sends of dropped streams given up.", |core| {
        core.abandoned
    }),
    family("backlog_entries", Gauge, "Entries that wait for room.", |core| core.backlog as u64),
    family("backlog_entries_max", Gauge, "The most entries that waited for room.", |core| {
        core.backlog_max
    }),
    family("ops_awaited", Gauge, "Ops that a future may wait for.", |core| core.ops_awaited as u64),
    // Not `ops_orphaned`: for OpenMetrics that is the family of the total above.
    family("ops_unawaited", Gauge, "Ops in flight whose future is gone.", |core| {
        core.ops_orphaned as u64
    }),
    family(
        "file_ops",
        Gauge,
        "Operations on files in the kernel, where they have a limit.",
        |core| core.file_ops as u64,
    ),
    family("file_ops_max", Gauge, "The most of them at a time.", |core| core.file_ops_max as u64),
    family("file_ops_waiting", Gauge, "Operations on files beyond the limit.", |core| {
        core.file_ops_waiting as u64
    }),
    family("buffers", Gauge, "Pooled buffers that there are.", |core| core.buffers as u64),
    family("buffers_in_use", Gauge, "Pooled buffers that somebody has.", |core| {
        core.buffers_out as u64
    }),
    family("buffers_empty_total", Counter, "Ops that found no pooled buffer.", |core| {
        core.buffers_empty
    }),
    family("tasks_spawned_total", Counter, "Tasks that were spawned.", |core| core.tasks_spawned),
    family("tasks_finished_total", Counter, "Tasks that are done.", |core| core.tasks_finished),
    family("notifies_total", Counter, "Sleeps that another thread ended.", |core| core.notifies),
    family("calls_total", Counter, "Closures from other threads.", |core| core.calls),
    family("timers", Gauge, "Timers that are set.", |core| core.timers as u64),
    family("timers_fired_total", Counter, "Timers that have fired.", |core| core.timers_fired),
    family("panics_total", Counter, "Panics that no handle took.", |core| core.panics),
    family("blocking_threads", Gauge, "Threads of the blocking pool.", |core| {
        core.blocking_threads as u64
    }),
    family("blocking_threads_idle", Gauge, "Those that wait for a closure.", |core| {
        core.blocking_idle as u64
    }),
    family("blocking_threads_max", Gauge, "The most blocking threads at a time.", |core| {
        core.blocking_threads_max as u64
    }),
    family("blocking_queued", Gauge, "Closures that no thread has taken.", |core| {
        core.blocking_queued as u64
    }),
    family("io_workers", Gauge, "Kernel workers of the core's ring.", |core| {
        core.io_workers as u64
    }),
    family("connections", Gauge, "Open connections.", |core| core.service.connections),
    family("connections_accepted_total", Counter, "Connections accepted.", |core| {
        core.service.accepted
    }),
    family("connections_handed_over_total", Counter, "Given to another core.", |core| {
        core.service.handed_over
    }),
    family("connections_received_total", Counter, "Taken from another core.", |core| {
        core.service.received
    }),
    family("connections_refused_total", Counter, "Closed at once: too many.", |core| {
        core.service.refused
    }),
    family("connections_idle_closed_total", Counter, "Closed for being idle.", |core| {
        core.service.idle_closed
    }),
    family("connections_drained_total", Counter, "Ended while the server drained.", |core| {
        core.service.drained
    }),
    family("connections_cut_total", Counter, "Cut off at the end of the drain.", |core| {
        core.service.cut
    }),
    family("accept_errors_total", Counter, "Accepts that failed.", |core| {
        core.service.accept_errors
    }),
    family("handler_panics_total", Counter, "Handlers that panicked.", |core| {
        core.service.handler_panics
    }),
    family("handler_errors_total", Counter, "Handlers that ended with an error.", |core| {
        core.service.handler_errors
    }),
];

impl Metrics {
    /// The figures in the text format of Prometheus (version 0.0.4), to be served with the content
    /// type `text/plain; version=0.0.4`. All names begin with `ringspun_`; each sample has the
    /// label `core`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Runtime::new()?;
    /// let text = runtime.handle().metrics().prometheus();
    /// assert!(text.contains("ringspun_turns_total{core=\"0\"} 0\n"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut page = Page { text: String::new() };
        for family in FAMILIES {
            page.head(family.name, family.kind, family.help);
            for core in &self.cores {
                page.sample(family.name, core, None, (family.value)(core));
            }
        }
        self.durations(&mut page);
        self.labelled(&mut page);
        page.head("process_io_workers", Gauge, "Kernel workers of the process.");
        // Writing to a `String` cannot fail.
        let _ = writeln!(page.text, "ringspun_process_io_workers {}", self.io_workers);
        page.text
    }

    fn durations(&self, page: &mut Page) {
        page.head("uptime_seconds", Gauge, "Since the core was built.");
        for core in &self.cores {
            page.sample("uptime_seconds", core, None, core.uptime.as_secs_f64());
        }
        page.head("longest_poll_seconds", Gauge, "The longest without a return to the loop.");
        for core in &self.cores {
            page.sample("longest_poll_seconds", core, None, core.longest_poll.as_secs_f64());
        }
    }

    fn labelled(&self, page: &mut Page) {
        page.head("tasks", Gauge, "Tasks that are not done, and the main future, by state.");
        for core in &self.cores {
            let states = [
                ("ready", core.tasks_ready),
                ("running", core.tasks_running),
                ("waiting", core.tasks_waiting),
            ];
            for (state, count) in states {
                page.sample("tasks", core, Some(("state", state)), count);
            }
        }
        page.head("wakes_total", Counter, "Wakes that made a task ready, by where they came from.");
        for core in &self.cores {
            for (from, count) in [("local", core.wakes_local), ("remote", core.wakes_remote)] {
                page.sample("wakes_total", core, Some(("from", from)), count);
            }
        }
        page.head("ops_in_flight", Gauge, "Ops that wait for room or are in the kernel.");
        for core in &self.cores {
            for op in &core.ops {
                page.sample("ops_in_flight", core, Some(("opcode", &opcode(op))), op.in_flight);
            }
        }
        page.head("ops_started_total", Counter, "Ops that were begun.");
        for core in &self.cores {
            for op in &core.ops {
                page.sample("ops_started_total", core, Some(("opcode", &opcode(op))), op.started);
            }
        }
    }
}

/// No two samples may have the same labels, so what has no name of its own goes by its number.
fn opcode(op: &OpMetrics) -> Cow<'static, str> {
    match op.name {
        "OTHER" => Cow::Owned(op.opcode.to_string()),
        name => Cow::Borrowed(name),
    }
}

struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Counter => "counter",
            Gauge => "gauge",
        };
        let _ = writeln!(self.text, "# HELP ringspun_{name} {help}");
        let _ = writeln!(self.text, "# TYPE ringspun_{name} {kind}");
    }

    fn sample(
        &mut self,
        name: &str,
        core: &CoreMetrics,
        label: Option<(&str, &str)>,
        value: impl Display,
    ) {
        let _ = write!(self.text, "ringspun_{name}{{core=\"{}\"", core.index);
        if let Some((label, text)) = label {
            let _ = write!(self.text, ",{label}=\"{text}\"");
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}
