//! Where the seed comes from, what follows from it, and who tells it when a test fails.
//!
//! `Builder::chaos(seed)` asks for everything that a program may meet. The environment variable
//! `RINGSPUN_CHAOS_SEED` puts every runtime that asks for nothing under the faults that the runtime
//! hides, so that a whole test suite runs under chaos as it is; with `RINGSPUN_CHAOS_ALL` set as
//! well, under all.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

use super::super::Request;
use super::dice::{Dice, Odds};
use crate::ring::SQ_ENTRIES_DEFAULT;

/// What was decided for one ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) odds: Odds,
    hidden: bool,
}

thread_local! {
    /// The seed of the last ring of this thread.
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What `request` and the environment ask for.
pub(super) fn plan(request: &Request) -> Option<Plan> {
    let all = Plan { seed: 0, odds: Odds::ALL, hidden: false };
    let hidden = Plan { seed: 0, odds: Odds::HIDDEN, hidden: true };
    SEED.set(None);
    let plan = match request.chaos {
        Some(seed) => Plan { seed, ..all },
        None => {
            let seed = std::env::var("RINGSPUN_CHAOS_SEED").ok()?.trim().parse().ok()?;
            let base = if std::env::var_os("RINGSPUN_CHAOS_ALL").is_some() { all } else { hidden };
            Plan { seed, ..base }
        }
    };
    announce(plan.seed);
    Some(plan)
}

impl Plan {
    /// Small rings by the seed, where the program left the sizes at their defaults: 1 to 4 entries,
    /// so that everything is full at once; 4 or 8 for a program that knows nothing of chaos and
    /// whose chains have to fit.
    pub(super) fn shrink(&self, request: &Request) -> Request {
        let mut smaller = request.clone();
        if request.sq_entries == SQ_ENTRIES_DEFAULT {
            let mut dice = Dice::new(!self.seed);
            smaller.sq_entries = if self.hidden { 4 << dice.below(2) } else { 1 << dice.below(3) };
            smaller.cq_entries = smaller.sq_entries << dice.below(2);
        }
        smaller
    }
}

/// From now on a panic of this thread tells the seed.
fn announce(seed: u64) {
    static ONCE: Once = Once::new();
    SEED.set(Some(seed));
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            if let Ok(Some(seed)) = SEED.try_with(Cell::get) {
                eprintln!("chaos seed: {seed} (RINGSPUN_CHAOS_SEED={seed} replays it)");
            }
        }));
    });
}
