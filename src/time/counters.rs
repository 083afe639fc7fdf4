//! What a core counts of its timers.
//!
//! Written by its thread only, read by all: see [`Counter`].

use crate::wake::Counter;

/// How the timers of a core stand, and what they have done since it was made.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Timers that are set, now.
    pub(crate) set: Counter,
    pub(crate) fired: Counter,
    /// Panics of wakers.
    pub(crate) panics: Counter,
}
