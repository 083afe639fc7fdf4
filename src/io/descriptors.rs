//! Descriptors that travel over a Unix socket beside the bytes (`SCM_RIGHTS` of `unix(7)`).

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use super::inbound::Inbound;
use super::kind::Unix;
use super::outbound::Outbound;
use super::read_end::ReadEnd;
use super::stream::Stream;
use super::write_end::WriteEnd;
use crate::op::now_message;

impl Stream<Unix> {
    /// See [`WriteEnd::send_with_fds`].
    pub async fn send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.write.send_with_fds(buf, fds).await
    }

    /// See [`ReadEnd::recv_with_fds`].
    pub async fn recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        self.read.recv_with_fds(buf).await
    }
}

impl WriteEnd<Unix> {
    /// Sends a part of `buf` and with it descriptors for the same open files: all of them with the
    /// first byte. Answers how many bytes were sent; the rest is for `write_all`. At most 253
    /// descriptors; what is given stays open here.
    ///
    /// # Errors
    ///
    /// Those of `sendmsg(2)`, such as `ETOOMANYREFS` while too many that were sent have not been
    /// received. [`InvalidInput`](io::ErrorKind::InvalidInput) for too many descriptors, and for
    /// descriptors without a byte: a stream carries none then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// use ringspun::net::UnixStream;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let (reader, _writer) = std::io::pipe()?;
    /// ours.send_with_fds(b"a pipe", &[reader.as_fd()]).await?;
    ///
    /// let mut buf = [0; 64];
    /// let (count, fds) = theirs.recv_with_fds(&mut buf).await?;
    /// assert_eq!((&buf[..count], fds.len()), (&b"a pipe"[..], 1));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        if buf.is_empty() && !fds.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a stream carries descriptors beside bytes only: send at least one byte",
            ));
        }
        self.outbound.send_with_fds(buf, fds).await
    }
}

impl ReadEnd<Unix> {
    /// Receives bytes into `buf`, and the descriptors that came with them: yours, and closed on
    /// exec. 0 bytes are the end. Bytes that were sent before the descriptors may come in the same
    /// call, bytes that were sent behind them do not.
    ///
    /// On a connection that carries descriptors use this function only: all others take bytes, and
    /// then the kernel closes the descriptors that come with them. That holds too for a read whose
    /// future was dropped: it goes on until this function ends it, and what it had taken by then
    /// comes first, without descriptors.
    ///
    /// # Errors
    ///
    /// Those of `recvmsg(2)`. If this process has no room for all descriptors (`RLIMIT_NOFILE`),
    /// an error that says so: those that came are closed, and the bytes are lost with them.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        self.inbound.in_turn(|cx| self.inbound.poll_with_fds(cx, buf)).await
    }
}

impl Outbound {
    async fn send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            let sent = self.poll_call(cx, |fd| now_message::send_with_fds(fd, buf, fds, None));
            sent.map_ok(|count| {
                self.fd().note_moved();
                count
            })
        })
        .await
    }
}

impl Inbound {
    fn poll_with_fds(
        &self,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<(usize, Vec<OwnedFd>)>> {
        if out.is_empty() {
            return Poll::Ready(Ok((0, Vec::new())));
        }
        loop {
            // A receive that is armed would take the bytes and not the descriptors.
            if let Some(count) = ready!(self.poll_alone(cx, out))? {
                return Poll::Ready(Ok((count, Vec::new())));
            }
            match now_message::recv_with_fds(self.fd().as_fd(), out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.arm_readable(),
                Err(error) => return Poll::Ready(Err(error)),
                Ok((count, fds, _)) => {
                    self.fd().note_moved();
                    if count == 0 {
                        self.note_end();
                    }
                    return Poll::Ready(Ok((count, fds)));
                }
            }
        }
    }
}
