//! What has to hold after each step of a walk.

use super::super::Gate;
use super::{Front, ModelOp, NONE, Ordering, Stage, Walk};

impl Walk {
    pub(super) fn check(&self) {
        let count =
            |wanted: fn(&ModelOp) -> bool| self.ops.values().filter(|op| wanted(op)).count();
        let awaited = count(|op| matches!(op.front, Front::Queued | Front::Sent));
        let orphans = count(|op| op.front == Front::Orphan);
        assert_eq!(self.slots.awaited(), awaited as u64, "R4");
        assert_eq!(self.slots.orphans(), orphans as u64, "R4");
        assert_eq!(self.slots.is_drained(), awaited + orphans == 0);
        assert!(self.ops.values().all(|op| op.ends <= 1), "ended twice");
        let mut expected: Vec<u64> = self
            .ops
            .iter()
            .filter(|(_, op)| matches!(op.front, Front::Queued | Front::Sent | Front::Orphan))
            .map(|(at, _)| *at)
            .collect();
        expected.sort_unstable();
        let keys: Vec<u64> = self.slots.in_flight().iter().map(|key| key.sequence).collect();
        assert_eq!(keys, expected);
        self.check_gate();
        let mut in_flight = [0_u64; 256];
        self.slots.for_each(&mut |_, meta, _| in_flight[usize::from(meta.opcode)] += 1);
        for (opcode, op) in self.slots.counters.ops.iter().enumerate() {
            assert_eq!(op.in_flight(), in_flight[opcode], "opcode {opcode} is miscounted");
        }
        for woken in &self.wakers {
            assert!(woken.0.load(Ordering::Relaxed) <= 1, "woken twice");
        }
    }

    /// What counts as an operation on a file is in flight, and is counted once.
    fn check_gate(&self) {
        let at = |gate| self.slots.slots.iter().filter(|slot| slot.gate == gate).count();
        let counts = self.slots.file_ops();
        assert_eq!((counts.in_flight, counts.waiting), (at(Gate::Inside), at(Gate::Waits)));
        assert!(counts.in_flight_max >= counts.in_flight);
        let mut gated = self.slots.slots.iter().filter(|slot| slot.gate != Gate::Outside);
        assert!(gated.all(super::super::Slot::is_in_flight));
    }

    /// Every slot that no op has is on the free list, once.
    pub(super) fn check_free_list(&self) {
        let mut free = 0;
        let mut at = self.slots.free;
        while at != NONE {
            let Stage::Free = self.slots.slots[at as usize].stage else {
                panic!("a slot in use is on the free list");
            };
            free += 1;
            assert!(free <= self.slots.slots.len(), "the free list has a cycle");
            at = self.slots.slots[at as usize].started_or_next;
        }
        let used = self.ops.values().filter(|op| op.front != Front::Gone).count();
        assert_eq!(free + used, self.slots.slots.len(), "a slot leaked");
    }
}
