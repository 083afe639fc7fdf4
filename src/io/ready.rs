//! Readiness of streams, as tokio's types have it.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::inbound::Inbound;
use super::interest::{Interest, Ready};
use super::kind::{Kind, SocketKind};
use super::outbound::Outbound;
use super::read_end::ReadEnd;
use super::stream::Stream;
use super::turns::Turn;
use super::write_end::WriteEnd;
use crate::op::{PollAdd, SharedFd, Submission, now_message, submit};

/// All that `poll` tells without being asked for it costs nothing more.
const EVERYTHING: u32 =
    (libc::POLLIN | libc::POLLRDHUP | libc::POLLOUT | libc::POLLPRI) as u16 as u32;

/// Waits until a socket without directions of its own is ready.
pub(crate) async fn wait(fd: &SharedFd, interest: Interest) -> io::Result<Ready> {
    Wait::new(fd, None, None, interest).await
}

/// One wait for one direction or both.
struct Wait<'a> {
    fd: &'a SharedFd,
    interest: Interest,
    inbound: Option<(&'a Inbound, Turn<'a>)>,
    outbound: Option<(&'a Outbound, Turn<'a>, bool)>,
    /// For what no direction knows of.
    other: Option<Submission<PollAdd>>,
}

impl<'a> Wait<'a> {
    fn new(
        fd: &'a SharedFd,
        inbound: Option<&'a Inbound>,
        outbound: Option<&'a Outbound>,
        interest: Interest,
    ) -> Wait<'a> {
        let inbound = inbound.filter(|_| interest.is_readable());
        let outbound = outbound.filter(|_| interest.is_writable());
        Wait {
            fd,
            interest,
            inbound: inbound.map(|inbound| (inbound, inbound.turns.turn())),
            outbound: outbound.map(|outbound| (outbound, outbound.turns.turn(), false)),
            other: None,
        }
    }

    /// What is found now.
    fn look(&self) -> io::Result<Ready> {
        let events = now_message::poll(self.fd.as_fd(), EVERYTHING)?;
        Ok(Ready::from_events(events) & self.interest.answers())
    }

    fn poll_directions(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        let mut claimed = Ready::EMPTY;
        if let Some((inbound, turn)) = &mut self.inbound
            && turn.poll(cx).is_ready()
            && let Poll::Ready(found) = inbound.poll_readable(cx)
        {
            found?;
            claimed |= Ready::READABLE;
        }
        if let Some((outbound, turn, armed)) = &mut self.outbound
            && turn.poll(cx).is_ready()
            && let Poll::Ready(found) = outbound.poll_writable(cx, armed)
        {
            found?;
            claimed |= Ready::WRITABLE;
        }
        if claimed.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(self.look().map(|found| found | claimed))
    }

    /// What is left when the directions have what they wait for.
    fn rest(&self) -> Option<Interest> {
        let mut rest = Some(self.interest);
        if self.inbound.is_some() {
            rest = rest.and_then(|rest| rest.remove(Interest::READABLE));
        }
        if self.outbound.is_some() {
            rest = rest.and_then(|rest| rest.remove(Interest::WRITABLE));
        }
        rest
    }
}

impl Future for Wait<'_> {
    type Output = io::Result<Ready>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        let this = &mut *self;
        if let Poll::Ready(found) = this.poll_directions(cx) {
            return Poll::Ready(found);
        }
        let Some(rest) = this.rest() else { return Poll::Pending };
        loop {
            if let Some(other) = &mut this.other {
                ready!(Pin::new(other).poll(cx))?;
                this.other = None;
            }
            let found = this.look()? & rest.answers();
            if !found.is_empty() {
                return Poll::Ready(Ok(found));
            }
            this.other = Some(submit(PollAdd::new(this.fd, rest.mask())));
        }
    }
}

impl<K: Kind> Stream<K> {
    /// Waits until it is ready for a part of `interest`, and tells for which.
    ///
    /// # Cancellation
    ///
    /// Nothing is received or sent by it.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let (inbound, outbound) = (&self.read.inbound, &self.write.outbound);
        Wait::new(self.fd(), Some(inbound), Some(outbound), interest).await
    }

    /// As [`readable`](Stream::readable), for poll functions of one's own: the last one that polled
    /// is woken.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read.poll_read_ready(cx)
    }

    /// As [`writable`](Stream::writable), for poll functions of one's own: the last one that polled
    /// is woken.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.outbound.poll_writable_face(cx)
    }
}

impl<K: SocketKind> Stream<K> {
    /// Does a call of your own on the descriptor that must not wait (`MSG_DONTWAIT`; the socket is
    /// not non-blocking by itself), when nothing of this stream is in its way.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if somebody else is reading or writing, as far as
    /// `interest` has it. If bytes are held that were received and not read, an error that says so:
    /// the call would give what comes after them; [`try_read`](Stream::try_read) gives them. And
    /// those of the call.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        if interest.is_readable() {
            if self.read.inbound.lent.get() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if self.holds_bytes() {
                return Err(io::Error::other(
                    "bytes were received that nobody has read: take them by try_read first",
                ));
            }
        }
        if interest.is_writable() && self.write.outbound.is_busy() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        call()
    }

    /// Does a call of your own on the descriptor as soon as it does not say
    /// [`WouldBlock`](io::ErrorKind::WouldBlock). See [`try_io`](Stream::try_io).
    ///
    /// # Cancellation
    ///
    /// The call is not made again.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match self.try_io(interest, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

impl<K: Kind> ReadEnd<K> {
    /// See [`Stream::ready`].
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Wait::new(self.fd(), Some(&self.inbound), None, interest).await
    }

    /// See [`Stream::poll_read_ready`].
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inbound = &self.inbound;
        inbound.poll_face(cx, |cx| inbound.poll_readable(cx))
    }
}

impl<K: Kind> WriteEnd<K> {
    /// See [`Stream::ready`].
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        Wait::new(self.fd(), None, Some(&self.outbound), interest).await
    }

    /// See [`Stream::poll_write_ready`].
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbound.poll_writable_face(cx)
    }
}
