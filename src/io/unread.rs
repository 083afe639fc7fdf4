//! Reading all or nothing: what a dropped `read_exact` had read goes back to the stream.

use std::io;
use std::task::{Context, Poll, ready};

use super::inbound::Inbound;
use crate::op::PooledBuf;

/// Bytes that were read and may have to go back.
pub(super) struct Unread<'a> {
    inbound: &'a Inbound,
    buf: &'a mut [u8],
    filled: usize,
}

impl<'a> Unread<'a> {
    pub(super) fn new(inbound: &'a Inbound, buf: &'a mut [u8]) -> Unread<'a> {
        Unread { inbound, buf, filled: 0 }
    }

    pub(super) fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.filled < self.buf.len() {
            let rest = &mut self.buf[self.filled..];
            match ready!(self.inbound.poll_read(cx, rest)) {
                Ok(0) => {
                    self.filled = 0;
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the stream ended before the buffer was full",
                    )));
                }
                Ok(count) => self.filled += count,
                Err(error) => {
                    self.filled = 0;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// They are the reader's now.
    pub(super) fn keep(mut self) -> usize {
        std::mem::take(&mut self.filled)
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        if self.filled > 0 {
            let bytes = self.buf[..self.filled].to_vec();
            self.inbound.put_front(PooledBuf::from(bytes));
        }
    }
}

/// Bytes on their way to become text.
pub(super) struct Kept<'a> {
    inbound: &'a Inbound,
    bytes: Vec<u8>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(inbound: &'a Inbound) -> Kept<'a> {
        Kept { inbound, bytes: Vec::new() }
    }

    /// Takes all that comes up to the end.
    pub(super) fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Kept { inbound, bytes } = self;
        loop {
            ready!(inbound.poll_fill(cx))?;
            let count = inbound.consume(|held| {
                bytes.extend_from_slice(held);
                held.len()
            });
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    pub(super) fn take(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.inbound.put_front(PooledBuf::from(std::mem::take(&mut self.bytes)));
        }
    }
}
