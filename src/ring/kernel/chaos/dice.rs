//! Chance by a seed, how likely each fault is, and how often each has happened.

/// A splitmix64 generator: the whole of its state is one number, so a seed replays a run.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `bound` - 1; `bound` must not be 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }
}

/// How likely each fault is, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    pub(crate) short: u32,
    pub(crate) interrupted: u32,
    /// Whether the head of a chain may be interrupted: its program sees that.
    pub(crate) interrupts_chains: bool,
    pub(crate) again: u32,
    pub(crate) no_memory: u32,
    pub(crate) no_buffers: u32,
    pub(crate) late_submission: u32,
    pub(crate) late_completion: u32,
    pub(crate) ends_early: u32,
    pub(crate) enter_interrupted: u32,
    pub(crate) enter_busy: u32,
    pub(crate) enter_partial: u32,
    pub(crate) enter_early: u32,
    /// A direct call finds no room; moves a part.
    pub(crate) direct_again: u32,
    pub(crate) direct_short: u32,
}

impl Odds {
    /// Never anything.
    #[cfg(test)]
    pub(crate) const NONE: Odds = Odds {
        short: 0,
        interrupted: 0,
        interrupts_chains: false,
        again: 0,
        no_memory: 0,
        no_buffers: 0,
        late_submission: 0,
        late_completion: 0,
        ends_early: 0,
        enter_interrupted: 0,
        enter_busy: 0,
        enter_partial: 0,
        enter_early: 0,
        direct_again: 0,
        direct_short: 0,
    };

    /// What the runtime hides from its user: a suite that knows nothing of chaos passes.
    pub(crate) const HIDDEN: Odds = Odds {
        short: 0,
        interrupted: 100,
        interrupts_chains: false,
        again: 0,
        no_memory: 0,
        no_buffers: 0,
        late_submission: 200,
        late_completion: 200,
        ends_early: 100,
        enter_interrupted: 50,
        enter_busy: 200,
        enter_partial: 100,
        enter_early: 50,
        direct_again: 200,
        direct_short: 0,
    };

    /// Also what a user can see and has to bear.
    pub(crate) const ALL: Odds = Odds {
        short: 300,
        interrupts_chains: true,
        again: 200,
        no_memory: 20,
        no_buffers: 50,
        direct_short: 300,
        ..Odds::HIDDEN
    };
}

/// How often each fault has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChaosCounters {
    pub(crate) short: u64,
    pub(crate) interrupted: u64,
    pub(crate) again: u64,
    pub(crate) no_memory: u64,
    pub(crate) no_buffers: u64,
    pub(crate) late_submission: u64,
    pub(crate) late_completion: u64,
    pub(crate) reordered: u64,
    pub(crate) ended_early: u64,
    /// Cancels of what was still held back, answered without the kernel.
    pub(crate) cancelled: u64,
    pub(crate) enter_interrupted: u64,
    pub(crate) enter_busy: u64,
    pub(crate) enter_partial: u64,
    pub(crate) enter_early: u64,
    pub(crate) direct_again: u64,
    pub(crate) direct_short: u64,
}
