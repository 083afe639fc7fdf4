//! The connections of a listener as a stream: one entry for all of them.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;
use socket2::{SockAddr, SockRef};

use super::accepting::Accepting;
use super::kind::SocketKind;
use super::stream::Stream;
use crate::op::{AcceptMulti, Multishot, SharedFd};

/// The connections of a listener, as a stream that does not end: `incoming` of
/// [`TcpListener`](crate::net::TcpListener::incoming) and
/// [`UnixListener`](crate::net::UnixListener::incoming).
///
/// One entry serves all connections (`IORING_ACCEPT_MULTISHOT`, Linux 5.19; before that each has
/// its own): less work for each, in exchange for the kernel's taking connections that nobody has
/// asked for yet, up to about the [window](Incoming::window). Who wants the listener's own queue to
/// hold back what is too much uses `accept`.
///
/// # Errors
///
/// Items, as those of `accept`. The stream goes on after them; with `EMFILE` give it time.
///
/// # Drop
///
/// Ends the entry, here and now; what it had taken is for the next `accept` or `incoming` of the
/// listener. No connection is lost.
///
/// # Panics
///
/// As all that waits: outside a runtime.
#[must_use = "a stream does nothing until it is polled"]
pub struct Incoming<'a, K: SocketKind> {
    accepting: &'a Accepting,
    /// Its name among those that wait beside each other.
    name: u64,
    source: Source,
    window: Option<usize>,
    kind: PhantomData<K>,
}

enum Source {
    New,
    Many(Multishot<AcceptMulti>),
    /// The kernel has no multishot.
    Single,
    Ended,
}

impl<'a, K: SocketKind> Incoming<'a, K> {
    pub(crate) fn new(accepting: &'a Accepting) -> Incoming<'a, K> {
        let (name, source) = (accepting.issue(), Source::New);
        Incoming { accepting, name, source, window: None, kind: PhantomData }
    }

    /// Sets how many connections may have been taken that nobody has asked for; 64 if it is not
    /// said. No effect after the first poll.
    pub fn window(mut self, connections: usize) -> Incoming<'a, K> {
        self.window = Some(connections);
        self
    }

    /// The next connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn next(&mut self) -> Option<io::Result<Stream<K>>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn poll_fd(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<OwnedFd>>> {
        loop {
            if let Some((fd, _)) = self.accepting.take_held() {
                return Poll::Ready(Some(Ok(fd)));
            }
            match &mut self.source {
                Source::New => {
                    // A single accept that somebody has left armed: what it has taken comes first.
                    self.accepting.put_back(self.accepting.stop());
                    let op = AcceptMulti::new(self.accepting.fd(), 0);
                    let many = Multishot::new(op);
                    self.source = Source::Many(match self.window {
                        Some(window) => many.window(window),
                        None => many,
                    });
                }
                Source::Many(many) => match Pin::new(many).poll_next(cx) {
                    Poll::Pending => {
                        self.accepting.wait_beside(self.name, cx);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(Err(error))) if error.kind() == io::ErrorKind::Unsupported => {
                        self.source = Source::Single;
                    }
                    Poll::Ready(None) => self.source = Source::Ended,
                    item => return item,
                },
                Source::Single => {
                    let accepted = ready!(self.accepting.poll_face(cx));
                    return Poll::Ready(Some(accepted.map(|(fd, _)| fd)));
                }
                Source::Ended => return Poll::Ready(None),
            }
        }
    }
}

// Nothing in it is pinned.
impl<K: SocketKind> Unpin for Incoming<'_, K> {}

impl<K: SocketKind> futures_core::Stream for Incoming<'_, K> {
    type Item = io::Result<Stream<K>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_fd(cx).map(|item| {
            item.map(|accepted| accepted.map(|fd| Stream::from_shared(SharedFd::new(fd))))
        })
    }
}

impl<K: SocketKind> Drop for Incoming<'_, K> {
    fn drop(&mut self) {
        self.accepting.leave_beside(self.name);
        let Source::Many(many) = std::mem::replace(&mut self.source, Source::Ended) else { return };
        let taken: Vec<(OwnedFd, SockAddr)> =
            many.stop_now().into_iter().flatten().filter_map(with_address).collect();
        if !taken.is_empty() {
            // Ends what somebody waits for, who then looks again.
            let before = self.accepting.stop();
            self.accepting.put_back(before);
            self.accepting.put_back(taken);
            self.accepting.tell_beside();
        }
    }
}

/// One that its peer has reset meanwhile has no address any more, and is closed.
fn with_address(fd: OwnedFd) -> Option<(OwnedFd, SockAddr)> {
    let address = SockRef::from(&fd).peer_addr().ok()?;
    Some((fd, address))
}

impl<K: SocketKind> fmt::Debug for Incoming<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("of", &K::NAME)
            .field("listener", &self.accepting.fd().as_raw_fd())
            .finish_non_exhaustive()
    }
}
