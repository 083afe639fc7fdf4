//! The writing side of a byte stream.

use std::fmt;
use std::io::{self, IoSlice};
use std::marker::PhantomData;

use socket2::SockRef;

use super::inbound::Way;
use super::kind::{Kind, SocketKind};
use super::outbound::Outbound;
use crate::buf::{BufResult, IoBuf, IoVectoredBuf};
use crate::op::SharedFd;

/// The writing side of a byte stream: of a [`Stream`](super::Stream) that was split, or of a pipe.
///
/// There are two faces. The *borrowed* one (`write`, `write_all`, ...) is tokio's and std's: when
/// `write` says `Ok(n)`, the kernel has `n` bytes, and there is nothing to be flushed; a `write`
/// that was dropped while it waited has written nothing. The *owned* one (`send`) hands a buffer to
/// the kernel and gives it back: dropping its future does not stop it, nor does dropping the
/// stream; it finishes in its turn, for 5 s at most after the stream has gone.
///
/// One write goes at a time: others wait for it, in order.
///
/// # Errors
///
/// Those of `send(2)` and `write(2)`. [`BrokenPipe`](io::ErrorKind::BrokenPipe) if nobody reads any
/// more; no signal is sent. Never [`Interrupted`](io::ErrorKind::Interrupted).
///
/// # Panics
///
/// All that waits panics outside a runtime, and in another runtime than that where it waited first.
pub struct WriteEnd<K: Kind> {
    pub(super) outbound: Outbound,
    kind: PhantomData<K>,
}

impl<K: Kind> WriteEnd<K> {
    pub(crate) fn new(fd: SharedFd) -> WriteEnd<K> {
        WriteEnd { outbound: Outbound::new(fd, K::WAY), kind: PhantomData }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        self.outbound.fd()
    }

    /// The same under another name.
    pub(super) fn into_kind<L: Kind>(self) -> WriteEnd<L> {
        WriteEnd { outbound: self.outbound, kind: PhantomData }
    }

    /// Writes a part of `buf`, and answers how many bytes the kernel took: at least one, unless
    /// `buf` is empty.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was written.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outbound.alone().write(&[IoSlice::new(buf)]).await
    }

    /// As [`write`](WriteEnd::write), from several slices in one call.
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outbound.alone().write(bufs).await
    }

    /// Writes all of `buf`. Nobody else's bytes come in between.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, a beginning of `buf` may have been written.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.outbound.alone().write_all(buf).await
    }

    /// Does nothing: what was written is with the kernel.
    pub async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Says that no more will be written: the peer reads the end after all that was. Behind owned
    /// sends it waits for its turn. On a pipe it does nothing; drop it to close it.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the peer has reset the connection.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.outbound.alone().flush().await?;
        self.shut_down()
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        match K::WAY {
            Way::Socket => SockRef::from(self.fd()).shutdown(std::net::Shutdown::Write),
            Way::Pipe => Ok(()),
        }
    }

    /// Waits until there is room for a write. It may be wrong now and then;
    /// [`try_write`](WriteEnd::try_write) then says [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub async fn writable(&self) -> io::Result<()> {
        self.outbound.writable().await
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, or another write is going on.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.outbound.try_write(&[IoSlice::new(buf)])
    }

    /// As [`try_write`](WriteEnd::try_write), from several slices in one call.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outbound.try_write(bufs)
    }

    /// Sends the bytes of `buf`, without a copy in user space, and gives it back: all of them,
    /// unless an error comes after a part; then it answers how many. On a socket before Linux 5.19
    /// it may be a part, as with [`write`](WriteEnd::write).
    ///
    /// # Cancellation
    ///
    /// Before its turn: nothing is sent. After that dropping the future does not stop it. If a pipe
    /// is dropped too, what goes on is the part that the kernel was just writing.
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.outbound.send(buf).await
    }

    /// As [`send`](WriteEnd::send), from several buffers: a `Vec` of them, a tuple or an array.
    ///
    /// # Cancellation
    ///
    /// As for [`send`](WriteEnd::send).
    pub async fn send_vectored<V: IoVectoredBuf>(&self, bufs: V) -> BufResult<usize, V> {
        self.outbound.send_vectored(bufs).await
    }
}

impl<K: SocketKind> WriteEnd<K> {
    /// As [`send`](WriteEnd::send), but the kernel does not copy the bytes either: the network card
    /// reads them where they are. `buf` comes back when the peer has acknowledged them. Linux 6.0;
    /// on an older one, when no memory may be locked any more, and on a Unix socket it is a plain
    /// `send`.
    ///
    /// It pays for large buffers on a real network card. On loopback, where the kernel copies in
    /// the end, it costs 0.5 to 0.8 of the throughput; so it is never done unasked.
    ///
    /// # Cancellation
    ///
    /// As for [`send`](WriteEnd::send).
    pub async fn send_zc<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        match K::ZERO_COPY {
            true => self.outbound.send_zc(buf).await,
            // The kernel refuses it, always.
            false => self.outbound.send(buf).await,
        }
    }
}

impl<K: Kind> fmt::Debug for WriteEnd<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::fd::AsRawFd;
        f.debug_struct("WriteEnd")
            .field("of", &K::NAME)
            .field("fd", &self.fd().as_raw_fd())
            .finish_non_exhaustive()
    }
}
