//! Sleeping, deadlines and regular ticks.
//!
//! ```text
//!  sleep  timeout  interval  (op.timeout)
//!      \     |      /        /
//!          Deadline              one point in time and its timer
//!             |
//!          Timers                of the core: heap, fire, next_wait
//! ```
//!
//! Timers live in user space, one heap per core; the kernel sees only the time limit of the core's
//! wait. They are as exact as that wait: not rounded to milliseconds, and never early. Where many
//! deadlines lie close together (4 or more in 200 us) they may share a wake, and fire up to
//! 200 us later for it.
//!
//! Time is monotonic. A deadline counts from the moment at which it is made: [`sleep`] from its
//! call, [`timeout`] from its first poll. Durations that lead too far, even `Duration::MAX`, mean
//! "centuries".
//!
//! A timer fires only on a core that turns: while a task computes without awaiting, neither its own
//! timeout nor any other sleep of that core goes on. A deadline that nobody polls does nothing.

mod counters;
mod current;
mod deadline;
mod heap;
mod interval;
mod sleep;
mod timeout;
mod timers;

pub use std::time::{Duration, Instant};

pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

pub(crate) use counters::Counters;
#[allow(unused_imports, reason = "for the runtime and the op layer")]
pub(crate) use current::EnterGuard;
#[allow(unused_imports, reason = "for the runtime and the op layer")]
pub(crate) use deadline::Deadline;
#[allow(unused_imports, reason = "for the runtime and the op layer")]
pub(crate) use timers::{NextWait, SLACK_DEFAULT, Timers};

#[cfg(test)]
mod tests;
