//! Regular ticks.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::current::{later, now};
use super::deadline::Deadline;

/// Lateness up to this much is no missed tick, unless the period itself is shorter.
const TOLERANCE: Duration = Duration::from_millis(5);

/// Ticks every `period`, for the first time at once.
///
/// # Panics
///
/// If `period` is zero. May be called anywhere; the ticks have to be awaited inside a runtime.
///
/// # Examples
///
/// ```
/// use ringspun::time::{Duration, interval};
///
/// async fn heartbeat() {
///     let mut interval = interval(Duration::from_secs(1));
///     loop {
///         interval.tick().await;
///         println!("still here");
///     }
/// }
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use ringspun::time::{Duration, Instant, interval_at};
///
/// async fn later() {
///     let period = Duration::from_secs(1);
///     let mut interval = interval_at(Instant::now() + period, period);
///     interval.tick().await;
/// }
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero: it would never pause");
    let behavior = MissedTickBehavior::default();
    Interval { deadline: Deadline::new_at(start), period, behavior }
}

/// Regular ticks; see [`interval`].
#[derive(Debug)]
pub struct Interval {
    deadline: Deadline,
    period: Duration,
    behavior: MissedTickBehavior,
}

/// What an [`Interval`] does after ticks were missed because nobody awaited them in time.
///
/// With a period of 10 ms and a pause of 25 ms after the tick at 0:
///
/// ```text
///  Burst   0 . . . . 25 25 30 40     the missed ones at once, then on time again
///  Delay   0 . . . . 25 35 45 55     a period after the late one
///  Skip    0 . . . . 25 30 40 50     the missed ones left out
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MissedTickBehavior {
    /// Makes up for all missed ticks at once, then goes on as if none had been missed.
    #[default]
    Burst,
    /// Counts the next period from the late tick on.
    Delay,
    /// Leaves the missed ticks out and goes on at the next multiple of the period.
    Skip,
}

impl Interval {
    /// Waits for the next tick and answers when it was due.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no tick.
    ///
    /// # Panics
    ///
    /// If it is polled outside of a runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Ready with the time at which the tick was due; otherwise the task is woken for it.
    ///
    /// # Panics
    ///
    /// If it is called outside of a runtime.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.deadline.poll_elapsed(cx.waker()));
        let due = self.deadline.at();
        self.deadline.reset(self.behavior.next(due, now(), self.period));
        Poll::Ready(due)
    }

    /// The next tick comes a period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// The next tick comes at once.
    pub fn reset_immediately(&mut self) {
        self.reset_after(Duration::ZERO);
    }

    /// The next tick comes `after` from now, and further ones every period after it.
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(later(now(), after));
    }

    /// The next tick comes at `deadline`, and further ones every period after it.
    ///
    /// As after every reset, a task that waits for a tick meanwhile has to poll again.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.deadline.reset(deadline);
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens after missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Chooses what happens after missed ticks.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}

impl MissedTickBehavior {
    /// The tick after the one that was due at `due` and taken at `now`.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        let late = now.saturating_duration_since(due);
        if late <= TOLERANCE.min(period) {
            return later(due, period);
        }
        match self {
            MissedTickBehavior::Burst => later(due, period),
            MissedTickBehavior::Delay => later(now, period),
            MissedTickBehavior::Skip => {
                let since_multiple = late.as_nanos() % period.as_nanos();
                // The remainder is below `late`, and a `late` beyond 2^64 ns is 584 years.
                let since_multiple = Duration::from_nanos(since_multiple as u64);
                later(now, period - since_multiple)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, MissedTickBehavior};

    fn next(behavior: MissedTickBehavior, period_ms: u64, late_ms: u64) -> u64 {
        let due = Instant::now();
        let late = Duration::from_millis(late_ms);
        let next = behavior.next(due, due + late, Duration::from_millis(period_ms));
        (next - due).as_millis() as u64
    }

    #[test]
    fn on_time() {
        for behavior in
            [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip]
        {
            assert_eq!(next(behavior, 10, 0), 10);
            assert_eq!(next(behavior, 10, 5), 10);
            assert_eq!(next(behavior, 1, 1), 1);
        }
    }

    #[test]
    fn ticks_missed() {
        assert_eq!(next(MissedTickBehavior::Burst, 10, 25), 10);
        assert_eq!(next(MissedTickBehavior::Delay, 10, 25), 35);
        assert_eq!(next(MissedTickBehavior::Skip, 10, 25), 30);
        assert_eq!(next(MissedTickBehavior::Skip, 10, 30), 40);
        assert_eq!(next(MissedTickBehavior::Skip, 1, 3), 4);
    }

    #[test]
    fn period_without_end() {
        let due = Instant::now();
        for behavior in
            [MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip]
        {
            let late = due + Duration::from_secs(1);
            assert!(behavior.next(due, late, Duration::MAX) > due + Duration::from_secs(1 << 30));
        }
    }
}
