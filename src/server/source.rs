//! Where accepted descriptors come from: one entry for all connections, or one for each.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream as _;

use crate::op::{Accept, AcceptMulti, Multishot, Nop, PollAdd, Submission, submit};

/// The connections of one listening socket.
pub(super) struct Source {
    fd: Arc<OwnedFd>,
    many: bool,
    armed: Armed,
}

enum Armed {
    Nothing,
    Many(Multishot<AcceptMulti>),
    One(Submission<Accept>),
    /// The kernel does not wait on a socket that is non-blocking itself.
    Wait(Submission<PollAdd>),
}

const READABLE: u32 = libc::POLLIN as u32;

impl Source {
    /// `many`: the kernel may take connections before they are asked for.
    pub(super) fn new(fd: Arc<OwnedFd>, many: bool) -> Source {
        Source { fd, many, armed: Armed::Nothing }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
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
        match std::mem::replace(&mut self.armed, Armed::Nothing) {
            Armed::Nothing | Armed::Wait(_) => Vec::new(),
            Armed::One(one) => one.cancel().await.into_iter().collect(),
            Armed::Many(mut many) => {
                many.cancel();
                let mut taken = Vec::new();
                while let Some(item) = poll_fn(|cx| Pin::new(&mut many).poll_next(cx)).await {
                    taken.extend(item);
                }
                taken
            }
        }
    }

    /// The next connection that waits in the backlog, if there is one.
    pub(super) async fn accept_now(&self) -> Option<OwnedFd> {
        let mut accept = submit(Accept::new(Arc::clone(&self.fd), 0));
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut accept).poll(cx))).await;
        if let Poll::Ready(answer) = first {
            return answer.ok();
        }
        // The kernel comes to this one after it has tried the other.
        let _ = submit(Nop::new()).await;
        accept.cancel().await.ok()
    }
}
