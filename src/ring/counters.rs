//! What a ring counts.
//!
//! Written by its thread only, read by all: see [`Counter`].

use crate::wake::Counter;

/// What the ring has counted since it was made, and how it stands.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) enters: Counter,
    pub(crate) submitted: Counter,
    pub(crate) completed: Counter,
    pub(crate) stale: Counter,
    pub(crate) overflows: Counter,
    pub(crate) cancels_sent: Counter,
    pub(crate) cancels_failed: Counter,
    pub(crate) orphaned: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) panics: Counter,
    /// Entries in the backlog, now.
    pub(crate) backlog: Counter,
    pub(crate) backlog_max: Counter,
    /// Queued, or in the kernel, with a live future, now.
    pub(crate) awaited: Counter,
    /// In the kernel, or being reaped, without a future, now.
    pub(crate) orphans: Counter,
    /// Pooled buffers that the ring has, and those of them that somebody has, now.
    pub(crate) buffers: Counter,
    pub(crate) buffers_out: Counter,
    /// How often an op found no buffer.
    pub(crate) buffers_empty: Counter,
    /// Operations on files where they have a limit: as `FileOps`.
    pub(crate) file_ops: Counter,
    pub(crate) file_ops_max: Counter,
    pub(crate) file_ops_waiting: Counter,
    /// By opcode. 256, so that no opcode lies outside: only those in use are ever in a cache.
    pub(crate) ops: [OpCounters; 256],
}

/// What the ring has counted of one opcode.
#[derive(Debug, Default)]
pub(crate) struct OpCounters {
    pub(crate) started: Counter,
    pub(crate) ended: Counter,
}

impl OpCounters {
    /// How many are in flight. `ended` is read first: another thread may then see one that has
    /// just ended as in flight, but never less than none.
    pub(crate) fn in_flight(&self) -> u64 {
        let ended = self.ended.value();
        self.started.value().saturating_sub(ended)
    }
}

impl Counters {
    pub(crate) fn new() -> Counters {
        Counters {
            enters: Counter::default(),
            submitted: Counter::default(),
            completed: Counter::default(),
            stale: Counter::default(),
            overflows: Counter::default(),
            cancels_sent: Counter::default(),
            cancels_failed: Counter::default(),
            orphaned: Counter::default(),
            abandoned: Counter::default(),
            panics: Counter::default(),
            backlog: Counter::default(),
            backlog_max: Counter::default(),
            awaited: Counter::default(),
            orphans: Counter::default(),
            buffers: Counter::default(),
            buffers_out: Counter::default(),
            buffers_empty: Counter::default(),
            file_ops: Counter::default(),
            file_ops_max: Counter::default(),
            file_ops_waiting: Counter::default(),
            ops: std::array::from_fn(|_| OpCounters::default()),
        }
    }

    /// An op is queued or in the kernel, and its future waits for it.
    #[inline]
    pub(super) fn op_started(&self, opcode: u8) {
        self.awaited.add(1);
        self.ops[usize::from(opcode)].started.add(1);
    }

    /// Its last answer has come, or it never got to the kernel.
    #[inline]
    pub(super) fn op_ended(&self, opcode: u8) {
        self.ops[usize::from(opcode)].ended.add(1);
    }

    /// All that are in flight are given up.
    pub(super) fn ops_lost(&self) {
        self.awaited.set(0);
        self.orphans.set(0);
        for op in &self.ops {
            op.ended.set(op.started.value());
        }
    }
}
