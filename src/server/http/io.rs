//! The byte stream under hyper: what was read to find out the version, a limit to how long the peer
//! may take nothing, and an end that does not destroy the last answer.
//!
//! A socket that is closed while bytes of the peer are unread sends a reset, and the peer's kernel
//! then throws away what it had received: the answer. So after the last byte has gone and the
//! direction is shut down, what still comes is read and dropped for a while.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use crate::time::{Sleep, sleep};

use super::guarded::Connection;

/// How HTTP/2 begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long, and how many reads, the peer has to notice the end.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS: usize = 256;

/// What the first bytes have said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    Http1,
    Http2,
}

#[derive(Debug)]
pub(super) struct Io<T> {
    inner: T,
    connection: Rc<Connection>,
    write_timeout: Duration,
    /// The first bytes, until hyper has them.
    first: [u8; PREFACE.len()],
    taken: usize,
    filled: usize,
    /// Runs while the peer takes nothing.
    blocked: Option<Sleep>,
    lingering: Option<(Sleep, usize)>,
}

impl<T: Read + Write + Unpin> Io<T> {
    pub(super) fn new(inner: T, connection: &Rc<Connection>, write_timeout: Duration) -> Io<T> {
        Io {
            inner,
            connection: Rc::clone(connection),
            write_timeout,
            first: [0; PREFACE.len()],
            taken: 0,
            filled: 0,
            blocked: None,
            lingering: None,
        }
    }

    /// Reads until it is known who speaks. `None` if the peer went without a byte.
    pub(super) fn poll_version(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Version>>> {
        loop {
            if self.first[..self.filled] != PREFACE[..self.filled] {
                return Poll::Ready(Ok(Some(Version::Http1)));
            }
            if self.filled == PREFACE.len() {
                return Poll::Ready(Ok(Some(Version::Http2)));
            }
            let mut buf = ReadBuf::new(&mut self.first[self.filled..]);
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf.unfilled()))?;
            let count = buf.filled().len();
            if count == 0 {
                let is_silent = self.filled == 0;
                return Poll::Ready(Ok((!is_silent).then_some(Version::Http1)));
            }
            self.filled += count;
            self.connection.received();
        }
    }

    /// Passes `result` on, unless it is pending for longer than the peer may take nothing.
    fn limit<R>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.blocked = None;
            return result;
        }
        let blocked = self.blocked.get_or_insert_with(|| sleep(self.write_timeout));
        ready!(Pin::new(blocked).poll(cx));
        self.blocked = None;
        let timeout = self.write_timeout;
        let text = format!("the peer took nothing of what is to be sent for {timeout:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }

    /// Drops what comes until the peer has ended too, or for long enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (deadline, reads) = self.lingering.get_or_insert_with(|| (sleep(LINGER), LINGER_READS));
        let mut scratch = [0; 4096];
        while *reads > 0 && Pin::new(&mut *deadline).poll(cx).is_pending() {
            *reads -= 1;
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, buf.unfilled()) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => break,
                Poll::Pending => {
                    *reads += 1;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Write + Unpin> Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.taken < this.filled {
            let count = (this.filled - this.taken).min(buf.remaining());
            buf.put_slice(&this.first[this.taken..this.taken + count]);
            this.taken += count;
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.connection.received();
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Write + Unpin> Write for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.limit(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.limit(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            let result = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.limit(cx, result))?;
        }
        this.poll_linger(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.limit(cx, result)
    }
}
