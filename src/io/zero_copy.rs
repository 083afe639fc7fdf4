//! A send without a copy, and with one where the kernel refuses.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::outbound::{Sending, WAIT_ALL};
use crate::buf::{BufResult, IoBuf};
use crate::op::{Send, SendZc, SharedFd, Submission, submit};

/// Owns the buffer through both attempts.
pub(super) struct ZeroCopy<B: IoBuf> {
    fd: SharedFd,
    attempt: Attempt<B>,
}

enum Attempt<B: IoBuf> {
    Without(Submission<SendZc<B>>),
    With(Submission<Send<B>>),
}

impl<B: IoBuf> ZeroCopy<B> {
    pub(super) fn new(fd: &SharedFd, buf: B) -> ZeroCopy<B> {
        let attempt = Attempt::Without(submit(SendZc::new(fd, buf, WAIT_ALL)));
        ZeroCopy { fd: fd.clone(), attempt }
    }

    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<BufResult<usize, B>> {
        loop {
            match &mut self.attempt {
                Attempt::With(send) => return Pin::new(send).poll(cx),
                Attempt::Without(send) => match ready!(Pin::new(send).poll(cx)) {
                    // Locked memory has run out, or this kernel cannot: then by a copy.
                    (Err(error), buf) if cannot_lock(&error) => {
                        self.attempt = Attempt::With(submit(Send::new(&self.fd, buf, WAIT_ALL)));
                    }
                    answer => return Poll::Ready(answer),
                },
            }
        }
    }
}

impl<B: IoBuf> Sending for ZeroCopy<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_output(cx).map(drop)
    }

    /// Between the two attempts too: what was handed over is to be sent.
    fn is_submitted(&self) -> bool {
        match &self.attempt {
            Attempt::Without(send) => send.is_submitted(),
            Attempt::With(_) => true,
        }
    }

    fn detach(self: Box<Self>, then: Option<Box<dyn FnOnce()>>) {
        match self.attempt {
            Attempt::Without(send) => send.detach(then),
            Attempt::With(send) => send.detach(then),
        }
    }
}

fn cannot_lock(error: &io::Error) -> bool {
    let unsupported = error.kind() == io::ErrorKind::Unsupported;
    unsupported || matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EOPNOTSUPP))
}
