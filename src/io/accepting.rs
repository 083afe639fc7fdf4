//! The accepting direction of a listener: the accept belongs to it, not to whoever waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockAddr;

use super::turns::Turns;
use crate::op::{Accept, AcceptWithAddress, SharedFd, Submission, submit};
use crate::wake::{LocalWaker, quietly};

/// The accepts of one listener.
pub(crate) struct Accepting {
    fd: SharedFd,
    turns: Turns,
    state: RefCell<State>,
    /// Those with an entry of their own, which tells them nothing of what is put back here.
    beside: RefCell<Vec<(u64, LocalWaker)>>,
    issued: Cell<u64>,
}

#[derive(Default)]
struct State {
    armed: Option<Submission<AcceptWithAddress>>,
    /// Taken from the kernel and not yet by anybody.
    held: VecDeque<(OwnedFd, SockAddr)>,
}

impl Accepting {
    pub(crate) fn new(fd: SharedFd) -> Accepting {
        Accepting {
            fd,
            turns: Turns::default(),
            state: RefCell::default(),
            beside: RefCell::default(),
            issued: Cell::default(),
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// The next connection. Dropping the future loses none: the accept stays armed, and what it
    /// brings is for the next.
    pub(crate) async fn accept(&self) -> io::Result<(OwnedFd, SockAddr)> {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            self.poll_accept(cx)
        })
        .await
    }

    /// For the faces without futures.
    pub(crate) fn poll_face(&self, cx: &mut Context<'_>) -> Poll<io::Result<(OwnedFd, SockAddr)>> {
        if self.turns.poll_without_ticket(cx) { self.poll_accept(cx) } else { Poll::Pending }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(OwnedFd, SockAddr)>> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            // A waker's own code has come back here.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        if let Some(held) = state.held.pop_front() {
            return Poll::Ready(Ok(held));
        }
        loop {
            let describe = || submit(Accept::new(&self.fd, 0).with_address());
            let armed = state.armed.get_or_insert_with(describe);
            let answer = ready!(Pin::new(armed).poll(cx));
            state.armed = None;
            match answer {
                // Nobody here had asked for that: its runtime has gone. In the next one it goes on.
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
                answer => return Poll::Ready(answer),
            }
        }
    }

    /// As `poll_face`, and does not arm: what was taken already.
    pub(super) fn take_held(&self) -> Option<(OwnedFd, SockAddr)> {
        self.state.try_borrow_mut().ok()?.held.pop_front()
    }

    /// Ends the armed accept, now; a connection that it had taken is kept for the next.
    pub(crate) fn stop(&self) -> Vec<(OwnedFd, SockAddr)> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Vec::new() };
        let last = state.armed.take().and_then(|mut armed| armed.finish_now());
        state.held.extend(last.and_then(Result::ok));
        state.held.drain(..).collect()
    }

    /// Puts back what was taken.
    pub(crate) fn put_back(&self, taken: impl IntoIterator<Item = (OwnedFd, SockAddr)>) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.held.extend(taken);
        }
    }

    /// A name for [`wait_beside`](Accepting::wait_beside).
    pub(super) fn issue(&self) -> u64 {
        self.issued.set(self.issued.get() + 1);
        self.issued.get()
    }

    /// Who waits by an entry of its own is told too when something is put back.
    pub(super) fn wait_beside(&self, name: u64, cx: &Context<'_>) {
        let is_it =
            |(other, kept): &(u64, LocalWaker)| *other == name && kept.will_wake(cx.waker());
        if self.beside.borrow().iter().any(is_it) {
            return;
        }
        // Cloning and dropping a foreign waker is user code: nothing is borrowed meanwhile.
        let new = LocalWaker::new(cx.waker());
        let old = self.take_beside(name);
        self.beside.borrow_mut().push((name, new));
        drop(old);
    }

    pub(super) fn leave_beside(&self, name: u64) {
        drop(self.take_beside(name));
    }

    fn take_beside(&self, name: u64) -> Option<(u64, LocalWaker)> {
        let mut beside = self.beside.borrow_mut();
        let place = beside.iter().position(|(other, _)| *other == name)?;
        Some(beside.swap_remove(place))
    }

    /// Tells those with an entry of their own to look again.
    pub(super) fn tell_beside(&self) {
        let all = std::mem::take(&mut *self.beside.borrow_mut());
        for (_, waker) in all {
            // A foreign waker is user code, and this is a `drop`.
            let _ = quietly(|| waker.wake());
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        // With an accept in flight the port would go on listening until the next turn.
        drop(self.stop());
    }
}
