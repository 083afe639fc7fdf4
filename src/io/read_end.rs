//! The reading side of a byte stream.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::marker::PhantomData;
use std::task::{Context, Poll};

use super::inbound::Inbound;
use super::kind::{Kind, SocketKind};
use super::unread::{Kept, Unread};
use crate::buf::{BufResult, IoBufMut, IoVectoredBufMut};
use crate::op::{PooledBuf, SharedFd};

/// The reading side of a byte stream: of a [`Stream`](super::Stream) that was split, or of a pipe.
///
/// The receive belongs to this object. Dropping the future of `read`, `peek` or any other function
/// here, in a `select!` for instance, loses no byte: what the kernel has taken by then is what the
/// next reader gets. While nobody reads nothing is received, but for at most one buffer that a
/// reader who has gone had asked for; while a receive waits it holds no memory.
///
/// There are two faces. The *borrowed* one (`read`, `read_exact`, ...) is tokio's and std's. The
/// *owned* one (`recv`, `recv_pooled`) copies nothing: the kernel writes into the buffer that you
/// give and get back, or you get the buffer that the kernel has chosen. They may be mixed.
///
/// # Errors
///
/// Those of `recv(2)` and `read(2)`, such as [`ConnectionReset`](io::ErrorKind::ConnectionReset);
/// never [`Interrupted`](io::ErrorKind::Interrupted).
///
/// # Panics
///
/// All that waits panics outside a runtime, and in another runtime than that where it waited first.
pub struct ReadEnd<K: Kind> {
    pub(super) inbound: Inbound,
    kind: PhantomData<K>,
}

impl<K: Kind> ReadEnd<K> {
    pub(crate) fn new(fd: SharedFd) -> ReadEnd<K> {
        ReadEnd { inbound: Inbound::new(fd, K::WAY), kind: PhantomData }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        self.inbound.fd()
    }

    /// The same under another name.
    pub(super) fn into_kind<L: Kind>(self) -> ReadEnd<L> {
        ReadEnd { inbound: self.inbound, kind: PhantomData }
    }

    /// Reads at most `buf.len()` bytes, and answers how many. 0 is the end, or an empty `buf`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let inbound = self.inbound.alone();
        inbound.in_turn(|cx| inbound.poll_read(cx, buf)).await
    }

    /// Fills `buf`, and answers its length.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the end comes first; what came before is
    /// in `buf` then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing, other than with tokio: bytes that were read already are
    /// given back to the stream, for the next reader.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let inbound = self.inbound.alone();
        let mut unread = Unread::new(inbound, buf);
        inbound.in_turn(|cx| unread.poll_all(cx)).await?;
        Ok(unread.keep())
    }

    /// Reads up to the end, and appends all to `buf`. Answers how many bytes that were.
    ///
    /// # Cancellation
    ///
    /// What was read before the future was dropped is in `buf`.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        loop {
            let mut append = |held: &[u8]| {
                buf.extend_from_slice(held);
                held.len()
            };
            let inbound = self.inbound.alone();
            let count = inbound
                .in_turn(|cx| inbound.poll_fill(cx).map_ok(|()| inbound.consume(&mut append)))
                .await?;
            if count == 0 {
                return Ok(buf.len() - before);
            }
        }
    }

    /// As [`read_to_end`](ReadEnd::read_to_end), for text.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8; `buf` is as before then, and
    /// the bytes are lost.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: what was read is for the next reader.
    pub async fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let inbound = self.inbound.alone();
        let mut kept = Kept::new(inbound);
        inbound.in_turn(|cx| kept.poll_to_end(cx)).await?;
        let bytes = kept.take();
        let text = String::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
        buf.push_str(&text);
        Ok(text.len())
    }

    /// Waits until a read would not have to wait: bytes, the end, or an error are there. It may be
    /// wrong now and then; [`try_read`](ReadEnd::try_read) then says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Cancellation
    ///
    /// Nothing is received by it.
    pub async fn readable(&self) -> io::Result<()> {
        self.inbound.in_turn(|cx| self.inbound.poll_readable(cx)).await
    }

    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is, also while a receive is armed that
    /// a dropped `read` has left: wait by [`readable`](ReadEnd::readable), which knows of it.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inbound.try_read(buf)
    }

    /// As [`try_read`](ReadEnd::try_read), into the first of `bufs` that is not empty.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match bufs.iter_mut().find(|buf| !buf.is_empty()) {
            Some(buf) => self.try_read(buf),
            None => Ok(0),
        }
    }

    /// Receives into `buf` from its first byte, up to its capacity, without a copy. 0 bytes are
    /// the end.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `buf` stays with the stream until the receive is done; the bytes
    /// are for the next reader, and `buf` is freed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// use ringspun::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let (sent, _) = theirs.send(b"no copies").await;
    /// sent?;
    /// let (received, buf) = ours.recv(Vec::with_capacity(64)).await;
    /// assert_eq!((received?, &buf[..]), (9, &b"no copies"[..]));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn recv<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.inbound.recv(buf).await
    }

    /// As [`recv`](ReadEnd::recv), into several buffers, one after the other.
    ///
    /// # Cancellation
    ///
    /// As for [`recv`](ReadEnd::recv).
    pub async fn recv_vectored<V: IoVectoredBufMut>(&self, bufs: V) -> BufResult<usize, V> {
        self.inbound.recv_vectored(bufs).await
    }

    /// Receives into a buffer of the core's pool, which the kernel chooses when bytes are there,
    /// and gives it as it is. Empty: the end.
    ///
    /// Give it back by dropping it. Others that wait to read do not depend on it: they step down to
    /// a copy while the pool is empty.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv_pooled(&self) -> io::Result<PooledBuf> {
        self.inbound.recv_pooled().await
    }
}

impl<K: SocketKind> ReadEnd<K> {
    /// Copies what a read would give next, and leaves it there.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inbound.in_turn(|cx| self.inbound.poll_peek(cx, buf)).await
    }

    /// As [`peek`](ReadEnd::peek), for poll functions of one's own.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inbound.poll_face(cx, |cx| self.inbound.poll_peek(cx, buf))
    }
}

impl<K: Kind> fmt::Debug for ReadEnd<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::fd::AsRawFd;
        f.debug_struct("ReadEnd")
            .field("of", &K::NAME)
            .field("fd", &self.fd().as_raw_fd())
            .finish_non_exhaustive()
    }
}
