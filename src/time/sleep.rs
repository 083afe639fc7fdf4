//! Waiting for a point in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::deadline::Deadline;

/// Waits until `duration` has passed since this call.
///
/// It never ends early. A sleep that has elapsed at its first poll is ready at once; of many such
/// in a row, one now and then goes through the loop, so that they cannot keep the core to
/// themselves. A duration too long to be expressed means centuries.
///
/// # Cancellation
///
/// Dropping the future takes its timer away; nothing else happens.
///
/// # Panics
///
/// May be called anywhere, but panics when it is polled outside of a runtime.
///
/// # Examples
///
/// ```
/// use ringspun::time::{Duration, sleep};
///
/// async fn patiently() {
///     sleep(Duration::from_millis(10)).await;
/// }
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { deadline: Deadline::after(duration) }
}

/// Waits until `deadline`. Ready at once if it has passed.
///
/// Cancellation and panics are those of [`sleep`].
///
/// # Examples
///
/// ```
/// use ringspun::time::{Duration, Instant, sleep_until};
///
/// async fn at_a_steady_pace() {
///     let mut next = Instant::now();
///     for _ in 0..3 {
///         next += Duration::from_millis(5);
///         sleep_until(next).await;
///     }
/// }
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline: Deadline::new_at(deadline) }
}

/// Future of [`sleep`] and [`sleep_until`].
///
/// It is `Unpin`: it can be polled by `&mut` in a loop without being pinned first. It belongs to
/// the core that polled it and is not `Send`. Kept beyond its runtime and polled under another one
/// on the same thread, it goes on there.
#[must_use = "futures do nothing unless they are awaited or polled"]
#[derive(Debug)]
pub struct Sleep {
    deadline: Deadline,
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline.at()
    }

    /// True if the deadline has passed. Reads the clock.
    pub fn is_elapsed(&self) -> bool {
        self.deadline.is_elapsed()
    }

    /// Gives it another deadline, whether or not it has ended.
    ///
    /// The task is not woken for the new deadline until the sleep has been polled again.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringspun::time::{Duration, Instant, sleep};
    ///
    /// async fn twice() {
    ///     let mut pause = sleep(Duration::from_millis(1));
    ///     (&mut pause).await;
    ///     pause.reset(Instant::now() + Duration::from_millis(2));
    ///     pause.await;
    /// }
    /// ```
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.deadline.poll_elapsed(cx.waker())
    }
}
