//! A listener for one signal.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::SignalKind;
use super::bell::Bell;
use crate::op::signals::Watch;

/// Waits for Ctrl-C (`SIGINT`): from the first poll on it does not end the process any more, also
/// after the future is gone.
///
/// # Errors
///
/// As [`signal`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// ringspun::runtime::Runtime::new()?.block_on(async {
///     ringspun::signal::ctrl_c().await?;
///     println!("bye");
///     Ok(())
/// })
/// # }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await;
    Ok(())
}

/// Listens for a signal from now on, in the runtime of this thread. What the signal did before does
/// not come back when the listener is dropped: it is then ignored.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for what no handler may take (`SIGKILL`,
/// `SIGSTOP`, `SIGSEGV`, `SIGILL`, `SIGFPE`) or is no signal; too many descriptors (`EMFILE`): the
/// first listener of a core takes one.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let bell = Bell::current()?;
    let watch = bell.watch(kind.as_raw_value())?;
    let (seen, name) = (watch.arrived(), bell.name());
    Ok(Signal { place: Place { bell, name }, watch, seen, kind })
}

/// A listener for one signal. Made by [`signal`].
pub struct Signal {
    place: Place,
    watch: Rc<Watch>,
    seen: u64,
    kind: SignalKind,
}

/// Among those that wait; given up when it is dropped.
struct Place {
    bell: Rc<Bell>,
    name: u64,
}

impl Signal {
    /// Waits for the signal: one that came since the last time, or since the listener was made. Of
    /// several that came meanwhile one is told. `None` only if the kernel cannot wait for it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no signal.
    ///
    /// # Panics
    ///
    /// In another runtime than that in which the listener was made.
    pub async fn recv(&mut self) -> Option<()> {
        let left = Left(self);
        poll_fn(|cx| left.0.arrived_or_wait(cx)).await.map(|arrived| left.0.seen = arrived)
    }

    /// As [`recv`](Signal::recv), for poll functions of one's own. From a poll that was pending
    /// until the next that is not, or until the listener is dropped, it counts as waiting.
    ///
    /// # Panics
    ///
    /// As [`recv`](Signal::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let arrived = ready!(self.arrived_or_wait(cx));
        self.place.leave();
        Poll::Ready(arrived.map(|arrived| self.seen = arrived))
    }

    fn arrived_or_wait(&self, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        loop {
            let arrived = self.watch.arrived();
            if arrived != self.seen {
                return Poll::Ready(Some(arrived));
            }
            if ready!(self.place.bell.poll(self.place.name, cx)).is_err() {
                return Poll::Ready(None);
            }
        }
    }
}

/// A `recv` that ends, one way or another.
struct Left<'a>(&'a mut Signal);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.place.leave();
    }
}

impl Place {
    fn leave(&self) {
        self.bell.leave(self.name);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind).finish_non_exhaustive()
    }
}
