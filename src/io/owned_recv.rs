//! Receiving into a buffer that the caller gives away and gets back: no copy.
//!
//! The receive is the caller's, until the caller drops its future: then the object adopts it, and
//! what it brings is for the next reader. So this face loses nothing in a `select!` either.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::inbound::{Inbound, Way};
use super::receiving::{Adopted, Armed};
use crate::buf::{
    BufResult, IoBuf, IoBufMut, IoVectoredBufMut, copy_into, gather, scatter, vectored_room,
};
use crate::op::{Op, PooledBuf, Read, ReadV, Recv, Submission, submit};

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
            Way::Socket => self.own(submit(Recv::new(&self.fd, buf, 0)), copy_of).await,
            Way::Pipe => self.own(submit(Read::new(&self.fd, buf, AT_CURSOR)), copy_of).await,
        }
    }

    /// As `recv`, into several buffers.
    pub(crate) async fn recv_vectored<V>(&self, mut bufs: V) -> BufResult<usize, V>
    where
        V: IoVectoredBufMut,
    {
        if vectored_room(&mut bufs) == 0 {
            return (Ok(0), bufs);
        }
        let mut turn = self.turns.turn();
        poll_fn(|cx| turn.poll(cx)).await;
        match poll_fn(|cx| self.poll_leftover(cx)).await {
            Err(error) => return (Err(error), bufs),
            Ok(false) => {}
            Ok(true) => {
                let count = self.consume(|held| scatter(&mut bufs, held));
                return (Ok(count), bufs);
            }
        }
        self.own(submit(ReadV::new(&self.fd, bufs, AT_CURSOR)), gather).await
    }

    /// The next bytes as the kernel has put them: a buffer of the pool, without a copy.
    pub(crate) async fn recv_pooled(&self) -> io::Result<PooledBuf> {
        self.in_turn(|cx| self.poll_fill(cx).map_ok(|()| self.take_held())).await
    }

    /// True if bytes are held, or the end is known: after a receive that somebody left armed.
    fn poll_leftover(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if !self.is_receiving() && !self.has_held() && !self.has_ended() {
            return self.poll_first(cx).map_ok(|()| false);
        }
        self.poll_fill(cx).map_ok(|()| true)
    }

    async fn own<B, T>(
        &self,
        submission: Submission<T>,
        copy: fn(&B, usize) -> Vec<u8>,
    ) -> BufResult<usize, B>
    where
        B: 'static,
        T: Op<Output = BufResult<usize, B>>,
    {
        self.lent.set(true);
        let mut lent = Lent { inbound: self, submission: Some(submission), copy };
        let (result, buf) = poll_fn(|cx| match &mut lent.submission {
            Some(submission) => Pin::new(submission).poll(cx),
            None => unreachable!("it is taken at the drop only"),
        })
        .await;
        lent.submission = None;
        match result {
            Ok(0) => self.note_end(),
            Ok(_) => self.fd.note_moved(),
            Err(_) => {}
        }
        (result, buf)
    }
}

/// A receive in flight whose future may be dropped.
struct Lent<'a, B: 'static, T: Op<Output = BufResult<usize, B>>> {
    inbound: &'a Inbound,
    submission: Option<Submission<T>>,
    copy: fn(&B, usize) -> Vec<u8>,
}

impl<B: 'static, T: Op<Output = BufResult<usize, B>>> Drop for Lent<'_, B, T> {
    fn drop(&mut self) {
        self.inbound.lent.set(false);
        let Some(submission) = self.submission.take() else { return };
        if submission.is_submitted() {
            let left = Left { submission, copy: self.copy };
            self.inbound.adopt(Armed::Adopted(Box::new(left)));
        }
    }
}

/// What a dropped future has left.
struct Left<B: 'static, T: Op<Output = BufResult<usize, B>>> {
    submission: Submission<T>,
    copy: fn(&B, usize) -> Vec<u8>,
}

impl<B: 'static, T: Op<Output = BufResult<usize, B>>> Left<B, T> {
    fn as_pooled(&self, (result, buf): BufResult<usize, B>) -> io::Result<PooledBuf> {
        Ok(PooledBuf::from((self.copy)(&buf, result?)))
    }
}

impl<B: 'static, T: Op<Output = BufResult<usize, B>>> Adopted for Left<B, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<PooledBuf>> {
        let answer = ready!(Pin::new(&mut self.submission).poll(cx));
        Poll::Ready(self.as_pooled(answer))
    }

    fn take_if_done(&mut self) -> Option<io::Result<PooledBuf>> {
        let answer = self.submission.take_if_done()?;
        Some(self.as_pooled(answer))
    }

    fn finish_now(&mut self) -> Option<io::Result<PooledBuf>> {
        let answer = self.submission.finish_now()?;
        Some(self.as_pooled(answer))
    }

    fn is_elsewhere(&self) -> bool {
        self.submission.is_elsewhere()
    }
}

fn copy_of<B: IoBuf>(buf: &B, count: usize) -> Vec<u8> {
    let bytes = buf.as_init();
    bytes[..count.min(bytes.len())].to_vec()
}
