//! Receiving into a buffer that the caller gives away and gets back: no copy.
//!
//! The receive is the caller's, until the caller drops its future: then the object adopts it, and
//! what it brings is for the next reader. So this face loses nothing in a `select!` either.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::inbound::{Adopted, Armed, Inbound, Way};
use crate::buf::{BufResult, IoBuf, IoBufMut, copy_into};
use crate::op::{Op, PooledBuf, Read, Recv, Submission, submit};

/// "At the file's own position."
const AT_CURSOR: u64 = u64::MAX;

impl Inbound {
    /// Receives into `buf` from its first byte, up to its capacity.
    pub(crate) async fn recv<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        if buf.capacity() == 0 {
            // Not the end: there is no room for a byte.
            return (Ok(0), buf);
        }
        let mut turn = self.turns.turn();
        poll_fn(|cx| turn.poll(cx)).await;
        match poll_fn(|cx| self.poll_leftover(cx)).await {
            Err(error) => return (Err(error), buf),
            Ok(false) => {}
            Ok(true) => {
                // The turn is held still: nobody else takes them.
                let count = self.consume(|held| copy_into(&mut buf, held));
                return (Ok(count), buf);
            }
        }
        match self.way {
            Way::Socket => self.own(submit(Recv::new(&self.fd, buf, 0))).await,
            Way::Pipe => self.own(submit(Read::new(&self.fd, buf, AT_CURSOR))).await,
        }
    }

    /// The next bytes as the kernel has put them: a buffer of the pool, without a copy.
    pub(crate) async fn recv_pooled(&self) -> io::Result<PooledBuf> {
        self.in_turn(|cx| self.poll_fill(cx).map_ok(|()| self.take_held())).await
    }

    /// True if bytes are held, or the end is known: after a receive that somebody left armed.
    fn poll_leftover(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.is_receiving() && !self.has_held() && !self.has_ended() {
            return Poll::Ready(Ok(false));
        }
        self.poll_fill(cx).map_ok(|()| true)
    }

    async fn own<B, T>(&self, submission: Submission<T>) -> BufResult<usize, B>
    where
        B: IoBufMut,
        T: Op<Output = BufResult<usize, B>>,
    {
        self.lent.set(true);
        let mut lent = Lent { inbound: self, submission: Some(submission) };
        let (result, buf) = poll_fn(|cx| match &mut lent.submission {
            Some(submission) => Pin::new(submission).poll(cx),
            None => unreachable!("it is taken at the drop only"),
        })
        .await;
        lent.submission = None;
        if matches!(result, Ok(0)) && buf.capacity() > 0 {
            self.note_end();
        }
        (result, buf)
    }
}

/// A receive in flight whose future may be dropped.
struct Lent<'a, B, T>
where
    B: IoBufMut,
    T: Op<Output = BufResult<usize, B>>,
{
    inbound: &'a Inbound,
    submission: Option<Submission<T>>,
}

impl<B, T> Drop for Lent<'_, B, T>
where
    B: IoBufMut,
    T: Op<Output = BufResult<usize, B>>,
{
    fn drop(&mut self) {
        self.inbound.lent.set(false);
        let Some(submission) = self.submission.take() else { return };
        if submission.is_submitted() {
            self.inbound.adopt(Armed::Adopted(Box::new(submission)));
        }
    }
}

impl<B, T> Adopted for Submission<T>
where
    B: IoBufMut,
    T: Op<Output = BufResult<usize, B>>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<PooledBuf>> {
        let answer = ready!(Pin::new(self).poll(cx));
        Poll::Ready(as_pooled(answer))
    }

    fn take_if_done(&mut self) -> Option<io::Result<PooledBuf>> {
        Submission::take_if_done(self).map(as_pooled)
    }

    fn finish_now(&mut self) -> Option<io::Result<PooledBuf>> {
        Submission::finish_now(self).map(as_pooled)
    }

    fn is_elsewhere(&self) -> bool {
        Submission::is_elsewhere(self)
    }
}

fn as_pooled<B: IoBuf>((result, buf): BufResult<usize, B>) -> io::Result<PooledBuf> {
    let count = result?;
    let bytes = buf.as_init();
    Ok(PooledBuf::from(bytes[..count.min(bytes.len())].to_vec()))
}
