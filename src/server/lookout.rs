//! A second look at a listening socket that several accept from.
//!
//! For each connection that comes the kernel wakes one of the accepts that wait, and the same one
//! each time. While something blocks the thread of that one, it is woken in vain, and the others do
//! not hear of the connection. So each core polls the socket too, which is told to all, and takes a
//! little later what still lies there. Under load this is done so often a second and no more, and
//! never while nobody comes.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::op::{Accept, Nop, PollAdd, Submission, submit};
use crate::time::{Sleep, sleep};

/// How long a connection may lie there.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) const READABLE: u32 = libc::POLLIN as u32;

/// One for each accept loop of such a socket.
pub(super) struct Lookout {
    fd: Arc<OwnedFd>,
    state: State,
}

enum State {
    Begin,
    Poll(Submission<PollAdd>),
    Pause(Sleep),
    Take(Pin<Box<dyn Future<Output = Option<io::Result<OwnedFd>>>>>),
}

impl Lookout {
    pub(super) fn new(fd: Arc<OwnedFd>) -> Lookout {
        Lookout { fd, state: State::Begin }
    }

    /// A connection that nobody has taken in time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<OwnedFd> {
        loop {
            self.state = match &mut self.state {
                State::Begin => State::Poll(submit(PollAdd::new(Arc::clone(&self.fd), READABLE))),
                State::Poll(poll) => {
                    // After an error too: what is wrong with the socket, its accept says.
                    let _ = ready!(Pin::new(poll).poll(cx));
                    State::Pause(sleep(PAUSE))
                }
                State::Pause(pause) => {
                    ready!(Pin::new(pause).poll(cx));
                    self.take()
                }
                State::Take(take) => match ready!(take.as_mut().poll(cx)) {
                    // After an error too: the accept that is armed meets it as well.
                    None | Some(Err(_)) => State::Begin,
                    Some(Ok(fd)) => {
                        self.state = self.take();
                        return Poll::Ready(fd);
                    }
                },
            };
        }
    }

    fn take(&self) -> State {
        State::Take(Box::pin(accept_now(Arc::clone(&self.fd))))
    }

    /// Ends it, and gives what it is about to take.
    pub(super) async fn end(self) -> Option<OwnedFd> {
        match self.state {
            State::Take(take) => take.await?.ok(),
            _ => None,
        }
    }
}

/// The next connection that waits in the backlog, if there is one.
pub(super) async fn accept_now(fd: Arc<OwnedFd>) -> Option<io::Result<OwnedFd>> {
    let mut accept = submit(Accept::new(fd, 0));
    let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut accept).poll(cx))).await;
    let answer = if let Poll::Ready(answer) = first {
        answer
    } else {
        // The kernel comes to this one after it has tried the other.
        let _ = submit(Nop::new()).await;
        accept.cancel().await
    };
    let is_empty = |error: &io::Error| {
        error.raw_os_error() == Some(libc::ECANCELED) || error.kind() == io::ErrorKind::WouldBlock
    };
    (!answer.as_ref().is_err_and(is_empty)).then_some(answer)
}
