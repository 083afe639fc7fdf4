//! Which ops count as operations on files, and how many of them there are. Pure.
//!
//! ```text
//!  Outside ---> Waits (its slot is Queued) ---> Inside ---> Outside, at its last answer
//! ```

use super::{SlotKey, Slots};
use crate::ring::gate::FileOps;

/// Where an op stands to the limit of operations on files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It is none of them, or has ended.
    Outside,
    Waits,
    /// It counts.
    Inside,
}

impl Slots {
    #[inline]
    pub(crate) fn file_ops(&self) -> FileOps {
        self.file_ops
    }

    /// The op that was just started is an operation on a file; `waits`: beyond the limit.
    pub(crate) fn enter_gate(&mut self, key: SlotKey, waits: bool) {
        if waits {
            self.slot_mut(key).gate = Gate::Waits;
            self.file_ops.waiting += 1;
            self.publish_file_ops();
        } else {
            self.count_in(key);
        }
    }

    /// For other threads to read.
    pub(super) fn publish_file_ops(&self) {
        let FileOps { in_flight, in_flight_max, waiting } = self.file_ops;
        self.counters.file_ops.set(in_flight as u64);
        self.counters.file_ops_max.set(in_flight_max as u64);
        self.counters.file_ops_waiting.set(waiting as u64);
    }

    fn count_in(&mut self, key: SlotKey) {
        self.slot_mut(key).gate = Gate::Inside;
        let counts = &mut self.file_ops;
        counts.in_flight += 1;
        counts.in_flight_max = counts.in_flight_max.max(counts.in_flight);
        self.publish_file_ops();
    }

    /// Whether the op is one that waits.
    pub(crate) fn waits_at_gate(&self, key: SlotKey) -> bool {
        self.slots
            .get(key.index as usize)
            .is_some_and(|slot| slot.sequence == key.sequence && slot.gate == Gate::Waits)
    }

    /// It need not wait any more. False: it was ended meanwhile.
    pub(crate) fn let_in(&mut self, key: SlotKey) -> bool {
        if !self.waits_at_gate(key) {
            return false;
        }
        self.file_ops.waiting -= 1;
        self.count_in(key);
        true
    }

    /// The op has ended.
    #[inline]
    pub(super) fn leave_gate(&mut self, index: u32) {
        if self.slots[index as usize].gate != Gate::Outside {
            self.count_out(index);
        }
    }

    fn count_out(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        match std::mem::replace(&mut slot.gate, Gate::Outside) {
            Gate::Outside => {}
            Gate::Waits => self.file_ops.waiting -= 1,
            Gate::Inside => self.file_ops.in_flight -= 1,
        }
        self.publish_file_ops();
    }

    /// Those on this file that wait.
    pub(crate) fn waiting_on(&self, fd: i32, fixed: bool) -> Vec<SlotKey> {
        if self.file_ops.waiting == 0 || fd < 0 {
            return Vec::new();
        }
        (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.gate == Gate::Waits)
            .filter(|(_, slot)| (slot.meta().fd, slot.fixed) == (fd, fixed))
            .map(|(index, slot)| SlotKey { index, sequence: slot.sequence })
            .collect()
    }
}
