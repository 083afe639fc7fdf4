//! A limit on how long a future may take.

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::deadline::Deadline;

/// Gives `future` at most `duration`, counted from the first poll of the timeout.
///
/// The future is polled first, always: if it is ready, that is the result, even after the deadline.
///
/// # Errors
///
/// [`Elapsed`] if the deadline has passed and the future is not ready.
///
/// # Cancellation
///
/// Dropping the timeout drops the future. After [`Elapsed`] the future still lives in the timeout
/// (see [`Timeout::into_inner`]) and is dropped with it. What that means for its work is the
/// future's affair; an operation has a `timeout` of its own that asks the kernel to stop and
/// reports what really happened.
///
/// # Panics
///
/// May be called anywhere, but panics when it is polled outside of a runtime and the future is not
/// ready. A future that computes without awaiting cannot be interrupted.
///
/// # Examples
///
/// ```
/// use ringspun::time::{Duration, Elapsed, timeout};
///
/// async fn answer(question: impl Future<Output = u32>) -> Result<u32, Elapsed> {
///     timeout(Duration::from_secs(1), question).await
/// }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), limit: Limit::NotStarted(duration) }
}

/// Gives `future` until `deadline`. As [`timeout`] in everything else.
///
/// # Examples
///
/// ```
/// use ringspun::time::{Elapsed, Instant, timeout_at};
///
/// /// Both together have until `deadline`.
/// async fn both(
///     deadline: Instant,
///     one: impl Future<Output = ()>,
///     two: impl Future<Output = ()>,
/// ) -> Result<(), Elapsed> {
///     timeout_at(deadline, one).await?;
///     timeout_at(deadline, two).await
/// }
/// ```
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        limit: Limit::Started { deadline: Deadline::new_at(deadline) },
    }
}

pin_project! {
    /// Future of [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless they are awaited or polled"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Limit,
    }
}

impl<F> Timeout<F> {
    /// The future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// Gives the future back, without a limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            if let Limit::Started { deadline } = this.limit {
                deadline.disarm();
            }
            return Poll::Ready(Ok(output));
        }
        // The clock is read after the future's first poll: one that is ready at once pays nothing.
        ready!(this.limit.start().poll_elapsed(cx.waker()));
        Poll::Ready(Err(Elapsed { _private: () }))
    }
}

/// The time of a [`timeout`] is over.
///
/// Converts into an [`io::Error`] of the kind [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed {
    _private: (),
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has elapsed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

#[derive(Debug)]
enum Limit {
    NotStarted(Duration),
    Started { deadline: Deadline },
}

impl Limit {
    fn start(&mut self) -> &mut Deadline {
        if let Limit::NotStarted(duration) = *self {
            *self = Limit::Started { deadline: Deadline::after(duration) };
        }
        match self {
            Limit::Started { deadline } => deadline,
            Limit::NotStarted(_) => unreachable!("it was started above"),
        }
    }
}
