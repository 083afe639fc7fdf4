//! An owned write to a pipe, which the kernel may do in parts: the rest follows.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::outbound::{AT_CURSOR, Sending};
use crate::buf::{BufResult, IoBuf, Slice};
use crate::op::{SharedFd, Submission, Write, submit};

/// Owns the buffer until all of it is written.
pub(super) struct WholeWrite<B: IoBuf> {
    fd: SharedFd,
    op: Submission<Write<Slice<B>>>,
    len: usize,
    done: usize,
}

impl<B: IoBuf> WholeWrite<B> {
    pub(super) fn new(fd: &SharedFd, buf: B) -> WholeWrite<B> {
        let len = buf.bytes_init();
        let op = submit(Write::new(fd, buf.slice(..), AT_CURSOR));
        WholeWrite { fd: fd.clone(), op, len, done: 0 }
    }

    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<BufResult<usize, B>> {
        loop {
            let (result, slice) = ready!(Pin::new(&mut self.op).poll(cx));
            let buf = slice.into_inner();
            match result {
                Ok(0) => return Poll::Ready((Ok(self.done), buf)),
                Ok(count) => self.done += count,
                Err(error) if self.done == 0 => return Poll::Ready((Err(error), buf)),
                // The error is met again by the next write.
                Err(_) => return Poll::Ready((Ok(self.done), buf)),
            }
            if self.done >= self.len {
                return Poll::Ready((Ok(self.done), buf));
            }
            self.op = submit(Write::new(&self.fd, buf.slice(self.done..), AT_CURSOR));
        }
    }
}

impl<B: IoBuf> Sending for WholeWrite<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_output(cx).map(drop)
    }

    fn is_submitted(&self) -> bool {
        self.done > 0 || self.op.is_submitted()
    }

    fn detach(self: Box<Self>, then: Option<Box<dyn FnOnce()>>) {
        self.op.detach(then);
    }
}
