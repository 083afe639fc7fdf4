//! What a core does when it has nothing to do.
//!
//! Sleeping in the kernel costs two switches, and waking a sleeper costs the waker too. Looking at
//! the rings in user space for a while first saves both when something comes soon, and is waste
//! when not. The adaptive rule keeps credits: a look that paid earns two, one that did not costs
//! one, and each 16th wait looks without credit, for while both sides sleep no wait is ever short
//! and looking would never begin. While it looks it lets others run (`sched_yield`): the peer may
//! need this very CPU.

use std::cell::Cell;
use std::hint;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Core;
use crate::ring::Wait;

/// What a core does before it sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Park {
    /// Sleeps at once. The default: an idle core uses no CPU.
    #[default]
    Sleep,
    /// Looks for up to 50 us first, when that has been paying. Several times the messages of one
    /// connection whose peer answers within microseconds; nothing at many connections, where a core
    /// does not wait; up to some per cent more CPU when peers are slow.
    Adaptive,
    /// Never sleeps. The lowest latency, for a CPU that nobody else needs.
    Busy,
}

const CREDITS_MAX: u8 = 8;
const CREDITS_HIT: u8 = 2;
const PROBE_EACH: u32 = 16;
const BUDGET: Duration = Duration::from_micros(50);
const PAUSES_PER_CLOCK: u32 = 16;
const PAUSES_PER_YIELD: u32 = 32;

/// The policy and its memory.
#[derive(Debug)]
pub(crate) struct Parker {
    policy: Park,
    credits: Cell<u8>,
    waits: Cell<u32>,
}

impl Parker {
    pub(crate) fn new(policy: Park) -> Parker {
        Parker { policy, credits: Cell::new(0), waits: Cell::new(0) }
    }

    /// Looks before sleeping. True: something has come, do not sleep.
    #[inline]
    pub(crate) fn poll_first(&self, core: &Core, wait: Wait) -> io::Result<bool> {
        match self.policy {
            Park::Sleep => Ok(false),
            Park::Busy => look(core, wait, None),
            Park::Adaptive => self.adaptive(core, wait),
        }
    }

    fn adaptive(&self, core: &Core, wait: Wait) -> io::Result<bool> {
        self.waits.set(self.waits.get().wrapping_add(1));
        let credits = self.credits.get();
        if credits == 0 && !self.waits.get().is_multiple_of(PROBE_EACH) {
            return Ok(false);
        }
        let paid = look(core, wait, Some(BUDGET))?;
        let credits = if paid { credits + CREDITS_HIT } else { credits.saturating_sub(1) };
        self.credits.set(credits.min(CREDITS_MAX));
        Ok(paid)
    }
}

/// Submits, then watches the completion queue, the kernel's flags and the inbox.
fn look(core: &Core, wait: Wait, budget: Option<Duration>) -> io::Result<bool> {
    let started = Instant::now();
    let due = match wait {
        Wait::AtMost(duration) => Some(duration),
        Wait::Forever | Wait::No => None,
    };
    let mut pauses = 0_u32;
    loop {
        // One enter may leave a part behind, and deferred work becomes completions in an enter
        // only.
        if core.ring.needs_enter() {
            core.ring.enter(Wait::No)?;
        }
        if core.ring.has_completions() {
            return Ok(true);
        }
        if core.tasks.has_remote() {
            return Ok(true);
        }
        hint::spin_loop();
        pauses = pauses.wrapping_add(1);
        if pauses.is_multiple_of(PAUSES_PER_YIELD) {
            thread::yield_now();
        }
        if pauses.is_multiple_of(PAUSES_PER_CLOCK) {
            let elapsed = started.elapsed();
            if due.is_some_and(|due| elapsed >= due) {
                return Ok(true);
            }
            if budget.is_some_and(|budget| elapsed >= budget) {
                return Ok(false);
            }
        }
    }
}
