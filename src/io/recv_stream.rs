//! What a byte stream receives, as a stream of buffers: one entry for any number of receives.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;

use super::inbound::Inbound;
use super::kind::SocketKind;
use super::read_end::ReadEnd;
use crate::op::{self, BufClass, Multishot, PooledBuf, RecvMulti};

/// The bytes of a stream, as buffers of the core's pool, up to its end: made by
/// [`recv_stream`](ReadEnd::recv_stream).
///
/// One entry serves all receives (`IORING_RECV_MULTISHOT`, Linux 6.0; before that each has its
/// own), into large buffers: for bulk this is half the CPU time of single receives. In exchange the
/// kernel takes bytes that nobody has asked for yet, up to about the
/// [window](RecvStream::window); beyond it the socket fills up, and the peer waits. While the pool
/// is empty it goes on with single receives, which do not need it.
///
/// # Errors
///
/// An item, as those of `read`; then the stream is over.
///
/// # Drop
///
/// Ends the entry, here and now; what it had taken is for the next reader. No byte is lost.
///
/// # Panics
///
/// As all that waits: outside a runtime.
#[must_use = "a stream does nothing until it is polled"]
pub struct RecvStream<'a> {
    inbound: &'a Inbound,
    source: Source,
    window: usize,
}

enum Source {
    New,
    Many(Multishot<RecvMulti>),
    /// The kernel has no multishot, or the pool is empty.
    Single,
    Ended,
}

/// How many buffers may wait: 1 MiB.
const WINDOW_DEFAULT: usize = 16;

impl<K: SocketKind> ReadEnd<K> {
    /// What comes from now on, up to the end, as a stream of buffers. For bulk.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// use ringspun::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let ours = TcpStream::connect(listener.local_addr()?).await?;
    /// let (mut theirs, _) = listener.accept().await?;
    /// theirs.write_all(b"hello").await?;
    /// drop(theirs);
    ///
    /// let (mut read, _write) = ours.into_split();
    /// let mut received = Vec::new();
    /// let mut stream = read.recv_stream();
    /// while let Some(buf) = stream.next().await {
    ///     received.extend_from_slice(&buf?);
    /// }
    /// assert_eq!(received, b"hello");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn recv_stream(&mut self) -> RecvStream<'_> {
        RecvStream { inbound: self.inbound.alone(), source: Source::New, window: WINDOW_DEFAULT }
    }
}

impl RecvStream<'_> {
    /// Sets how many buffers may have been filled that nobody has asked for; 16 if it is not said.
    /// No effect after the first poll.
    pub fn window(mut self, buffers: usize) -> Self {
        self.window = buffers;
        self
    }

    /// The next bytes; never an empty buffer. `None` is the end.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<io::Result<PooledBuf>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn start(&mut self) {
        // What a reader before has left armed comes first.
        let before = self.inbound.stop();
        self.inbound.put_back(before);
        let group = op::buf_group(BufClass::Large).filter(|group| group.available() > 0);
        self.source = match group {
            Some(group) => {
                let many = RecvMulti::new(self.inbound.fd(), group, 0);
                Source::Many(Multishot::new(many).window(self.window))
            }
            None => Source::Single,
        };
    }

    /// Ends the entry; what it had taken is held.
    fn stop(&mut self) {
        let Source::Many(many) = std::mem::replace(&mut self.source, Source::Single) else {
            return;
        };
        for item in many.stop_now() {
            match item {
                Ok(buf) if buf.is_empty() => self.inbound.note_end(),
                Ok(buf) => self.inbound.put_back([buf]),
                Err(error) => self.inbound.put_error(error),
            }
        }
    }

    fn over(&mut self, last: Option<io::Result<PooledBuf>>) -> Poll<Option<io::Result<PooledBuf>>> {
        self.source = Source::Ended;
        Poll::Ready(last)
    }
}

impl futures_core::Stream for RecvStream<'_> {
    type Item = io::Result<PooledBuf>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if matches!(this.source, Source::New) {
                this.start();
            }
            let held = this.inbound.take_held();
            if !held.is_empty() {
                return Poll::Ready(Some(Ok(held)));
            }
            match &mut this.source {
                Source::Many(many) => match Pin::new(&mut *many).poll_next(cx) {
                    // A reader never depends on the buffers of others.
                    Poll::Pending if many.is_starved() => this.stop(),
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(buf))) if buf.is_empty() => {
                        this.inbound.note_end();
                        return this.over(None);
                    }
                    Poll::Ready(Some(Err(error)))
                        if error.kind() == io::ErrorKind::Unsupported
                            || error.raw_os_error() == Some(libc::ENOBUFS) =>
                    {
                        this.stop();
                    }
                    Poll::Ready(Some(Err(error))) => return this.over(Some(Err(error))),
                    Poll::Ready(Some(item)) => {
                        this.inbound.fd().note_moved();
                        return Poll::Ready(Some(item));
                    }
                    Poll::Ready(None) => this.stop(),
                },
                Source::Single => match ready!(this.inbound.poll_fill(cx)) {
                    Err(error) => return this.over(Some(Err(error))),
                    Ok(()) => {
                        let held = this.inbound.take_held();
                        if held.is_empty() {
                            return this.over(None);
                        }
                        // There may be buffers again.
                        this.source = Source::New;
                        return Poll::Ready(Some(Ok(held)));
                    }
                },
                Source::New | Source::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for RecvStream<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for RecvStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream")
            .field("fd", &self.inbound.fd().as_raw_fd())
            .finish_non_exhaustive()
    }
}
