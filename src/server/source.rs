//! Where accepted descriptors come from: one entry for all connections, or one for each.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;

use super::lookout::{Lookout, READABLE, accept_now};
use crate::op::{Accept, AcceptMulti, Multishot, PollAdd, Submission, submit};

/// The connections of one listening socket.
pub(super) struct Source {
    fd: Arc<OwnedFd>,
    many: bool,
    armed: Armed,
    /// Where others accept from the same socket.
    lookout: Option<Lookout>,
}

enum Armed {
    Nothing,
    Many(Multishot<AcceptMulti>),
    One(Submission<Accept>),
    /// The kernel does not wait on a socket that is non-blocking itself.
    Wait(Submission<PollAdd>),
}

impl Source {
    /// `many`: the kernel may take connections before they are asked for. `is_shared`: others
    /// accept from it too.
    pub(super) fn new(fd: Arc<OwnedFd>, many: bool, is_shared: bool) -> Source {
        let lookout = is_shared.then(|| Lookout::new(Arc::clone(&fd)));
        Source { fd, many, armed: Armed::Nothing, lookout }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        match self.poll_armed(cx) {
            Poll::Pending => match &mut self.lookout {
                Some(lookout) => lookout.poll(cx).map(Ok),
                None => Poll::Pending,
            },
            ready => ready,
        }
    }

    fn poll_armed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        loop {
            let answer = match &mut self.armed {
                Armed::Nothing => {
                    self.armed = self.arm();
                    continue;
                }
                Armed::Many(many) => match ready!(Pin::new(many).poll_next(cx)) {
                    None => {
                        self.armed = Armed::Nothing;
                        continue;
                    }
                    Some(Err(error)) if error.kind() == io::ErrorKind::Unsupported => {
                        self.many = false;
                        self.armed = Armed::Nothing;
                        continue;
                    }
                    Some(answer) => answer,
                },
                Armed::One(one) => {
                    let answer = ready!(Pin::new(one).poll(cx));
                    self.armed = Armed::Nothing;
                    answer
                }
                Armed::Wait(wait) => {
                    let answer = ready!(Pin::new(wait).poll(cx));
                    self.armed = Armed::Nothing;
                    if let Err(error) = answer {
                        return Poll::Ready(Err(error));
                    }
                    continue;
                }
            };
            match answer {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.many = false;
                    self.armed = Armed::Wait(submit(PollAdd::new(Arc::clone(&self.fd), READABLE)));
                }
                answer => return Poll::Ready(answer),
            }
        }
    }

    fn arm(&self) -> Armed {
        let fd = Arc::clone(&self.fd);
        if self.many {
            Armed::Many(Multishot::new(AcceptMulti::new(fd, 0)))
        } else {
            Armed::One(submit(Accept::new(fd, 0)))
        }
    }

    /// Ends what is armed, and gives what it had taken.
    pub(super) async fn disarm(&mut self) -> Vec<OwnedFd> {
        let mut taken = Vec::new();
        match std::mem::replace(&mut self.armed, Armed::Nothing) {
            Armed::Nothing | Armed::Wait(_) => {}
            Armed::One(one) => taken.extend(one.cancel().await),
            Armed::Many(mut many) => {
                many.cancel();
                while let Some(item) = poll_fn(|cx| Pin::new(&mut many).poll_next(cx)).await {
                    taken.extend(item);
                }
            }
        }
        if let Some(lookout) = self.lookout.take() {
            taken.extend(lookout.end().await);
        }
        taken
    }

    /// The next connection that waits in the backlog, if there is one.
    pub(super) async fn accept_now(&self) -> Option<io::Result<OwnedFd>> {
        accept_now(Arc::clone(&self.fd)).await
    }
}
