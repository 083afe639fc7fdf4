//! A byte stream with two directions.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use super::kind::{Kind, SocketKind};
use super::read_end::ReadEnd;
use super::write_end::WriteEnd;
use crate::buf::{BufResult, IoBuf, IoBufMut, IoVectoredBuf, IoVectoredBufMut};
use crate::op::{Close, PooledBuf, SharedFd, submit};

/// A connection: [`TcpStream`](crate::net::TcpStream) or [`UnixStream`](crate::net::UnixStream).
///
/// It is a [`ReadEnd`] and a [`WriteEnd`]; what they promise holds here: no byte is lost when a
/// future is dropped, a borrowed write is with the kernel when it says so, and an owned send
/// arrives also when the stream is dropped.
///
/// # Drop
///
/// Dropping it closes it, as with std: a receive in flight is cancelled, and the peer sees the end
/// within a turn of the loop. `shutdown(2)` is never called by it, so that a duplicate of the
/// socket lives on. [`close`](Stream::close) says how it went.
pub struct Stream<K: Kind> {
    pub(super) read: ReadEnd<K>,
    pub(super) write: WriteEnd<K>,
}

impl<K: Kind> Stream<K> {
    pub(crate) fn from_shared(fd: SharedFd) -> Stream<K> {
        Stream { read: ReadEnd::new(fd.clone()), write: WriteEnd::new(fd) }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        self.read.fd()
    }

    /// The same under another name.
    pub(crate) fn into_kind<L: Kind>(self) -> Stream<L> {
        Stream { read: self.read.into_kind(), write: self.write.into_kind() }
    }

    /// See [`ReadEnd::read`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read.read(buf).await
    }

    /// See [`ReadEnd::read_exact`].
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read.read_exact(buf).await
    }

    /// See [`ReadEnd::read_to_end`].
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.read.read_to_end(buf).await
    }

    /// See [`ReadEnd::read_to_string`].
    pub async fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.read.read_to_string(buf).await
    }

    /// See [`ReadEnd::readable`].
    pub async fn readable(&self) -> io::Result<()> {
        self.read.readable().await
    }

    /// See [`ReadEnd::try_read`].
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read.try_read(buf)
    }

    /// See [`ReadEnd::try_read_vectored`].
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read.try_read_vectored(bufs)
    }

    /// See [`ReadEnd::recv`].
    pub async fn recv<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.read.recv(buf).await
    }

    /// See [`ReadEnd::recv_pooled`].
    pub async fn recv_pooled(&self) -> io::Result<PooledBuf> {
        self.read.recv_pooled().await
    }

    /// See [`WriteEnd::write`].
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write.write(buf).await
    }

    /// See [`WriteEnd::write_vectored`].
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write.write_vectored(bufs).await
    }

    /// See [`WriteEnd::write_all`].
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.write.write_all(buf).await
    }

    /// See [`WriteEnd::flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.write.flush().await
    }

    /// See [`WriteEnd::shutdown`].
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.write.shutdown().await
    }

    /// See [`WriteEnd::writable`].
    pub async fn writable(&self) -> io::Result<()> {
        self.write.writable().await
    }

    /// See [`WriteEnd::try_write`].
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.write.try_write(buf)
    }

    /// See [`WriteEnd::try_write_vectored`].
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write.try_write_vectored(bufs)
    }

    /// See [`WriteEnd::send`].
    pub async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.write.send(buf).await
    }

    /// See [`WriteEnd::send_vectored`].
    pub async fn send_vectored<V: IoVectoredBuf>(&self, bufs: V) -> BufResult<usize, V> {
        self.write.send_vectored(bufs).await
    }

    /// See [`ReadEnd::recv_vectored`].
    pub async fn recv_vectored<V: IoVectoredBufMut>(&self, bufs: V) -> BufResult<usize, V> {
        self.read.recv_vectored(bufs).await
    }

    /// The two directions, borrowed.
    pub fn split(&mut self) -> (&mut ReadEnd<K>, &mut WriteEnd<K>) {
        (&mut self.read, &mut self.write)
    }

    /// The two directions, to be moved apart, into two tasks for instance. The socket is closed
    /// when both are gone; when the writing one goes, the peer reads the end (`shutdown(2)`).
    pub fn into_split(self) -> (ReadEnd<K>, WriteEnd<K>) {
        self.write.outbound.shuts_down.set(true);
        (self.read, self.write)
    }

    /// Puts the two directions together again. See also [`ReadEnd::reunite`].
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    #[allow(clippy::result_large_err, reason = "both are given back whole, as tokio does")]
    pub fn reunite(read: ReadEnd<K>, write: WriteEnd<K>) -> Result<Stream<K>, ReuniteError<K>> {
        if read.fd().as_raw_fd() != write.fd().as_raw_fd() {
            return Err(ReuniteError(read, write));
        }
        write.outbound.shuts_down.set(false);
        Ok(Stream { read, write })
    }

    /// Closes it, and says how that went. Owned sends that are under way finish first.
    ///
    /// # Errors
    ///
    /// Those of `close(2)`; [`ResourceBusy`](io::ErrorKind::ResourceBusy) if something else holds
    /// the descriptor, which is closed with that then.
    pub async fn close(self) -> io::Result<()> {
        self.write.outbound.flush().await?;
        let fd = self.fd().clone();
        self.read.inbound.stop();
        self.write.outbound.stop();
        drop(self);
        submit(Close::new(fd)).await
    }

    /// Gives the descriptor, and what was received and not read; see `into_std`. An error: an owned
    /// send is under way, and there is no descriptor left for a duplicate.
    pub(crate) fn into_owned_parts(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        let mut bytes = Vec::new();
        for buf in self.read.inbound.stop() {
            bytes.extend_from_slice(&buf);
        }
        if let (true, Some(error)) = (bytes.is_empty(), self.read.inbound.take_error()) {
            return Err(error);
        }
        self.write.outbound.stop();
        let fd = self.fd().clone();
        drop(self);
        let fd = fd.try_unwrap().or_else(|shared| shared.as_fd().try_clone_to_owned())?;
        Ok((fd, bytes))
    }

    /// Ends what is armed, and takes the error that it met, which the next reader was to hear.
    pub(crate) fn take_stopped_error(&self) -> Option<io::Error> {
        self.holds_bytes();
        self.read.inbound.take_error()
    }

    /// Ends what is armed, and says whether bytes are held: they would be lost with the stream.
    pub(crate) fn holds_bytes(&self) -> bool {
        let held = self.read.inbound.stop();
        let holds = !held.is_empty();
        self.read.inbound.put_back(held);
        holds
    }
}

impl<K: SocketKind> Stream<K> {
    /// See [`WriteEnd::send_zc`].
    pub async fn send_zc<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.write.send_zc(buf).await
    }

    /// See [`ReadEnd::peek`].
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read.peek(buf).await
    }

    /// See [`ReadEnd::poll_peek`].
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read.poll_peek(cx, buf)
    }
}

impl<K: Kind> ReadEnd<K> {
    /// Puts the two directions of a stream together again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    #[allow(clippy::result_large_err, reason = "both are given back whole, as tokio does")]
    pub fn reunite(self, other: WriteEnd<K>) -> Result<Stream<K>, ReuniteError<K>> {
        Stream::reunite(self, other)
    }
}

impl<K: Kind> WriteEnd<K> {
    /// Puts the two directions of a stream together again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    #[allow(clippy::result_large_err, reason = "both are given back whole, as tokio does")]
    pub fn reunite(self, other: ReadEnd<K>) -> Result<Stream<K>, ReuniteError<K>> {
        Stream::reunite(other, self)
    }

    /// Drops it without saying to the peer that no more will be written.
    pub fn forget(self) {
        self.outbound.shuts_down.set(false);
    }
}

/// Two halves that are not of one stream. Made by `reunite`.
pub struct ReuniteError<K: Kind>(pub ReadEnd<K>, pub WriteEnd<K>);

impl<K: Kind> fmt::Display for ReuniteError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of the same stream")
    }
}

impl<K: Kind> fmt::Debug for ReuniteError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReuniteError").field(&self.0).field(&self.1).finish()
    }
}

impl<K: Kind> std::error::Error for ReuniteError<K> {}

impl<K: Kind> AsFd for Stream<K> {
    /// Beware: a receive that a dropped `read` has left armed takes bytes too.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.fd().as_fd()
    }
}

impl<K: Kind> AsRawFd for Stream<K> {
    fn as_raw_fd(&self) -> RawFd {
        self.read.fd().as_raw_fd()
    }
}

impl<K: Kind> AsFd for ReadEnd<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inbound.fd().as_fd()
    }
}

impl<K: Kind> AsRawFd for ReadEnd<K> {
    fn as_raw_fd(&self) -> RawFd {
        self.inbound.fd().as_raw_fd()
    }
}

impl<K: Kind> AsFd for WriteEnd<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.outbound.fd().as_fd()
    }
}

impl<K: Kind> AsRawFd for WriteEnd<K> {
    fn as_raw_fd(&self) -> RawFd {
        self.outbound.fd().as_raw_fd()
    }
}

impl<K: Kind> fmt::Debug for Stream<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(K::NAME).field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}

// The idle connection is to be small.
const _: () = assert!(mem::size_of::<Stream<super::Tcp>>() <= 440);
