//! The faces without futures, for poll functions of one's own: the last one that polled a direction
//! is woken.

use std::io;
use std::path::Path;
use std::task::{Context, Poll};

use super::super::datagrams::send;
use super::address::SocketAddr;
use super::datagram::{UnixDatagram, named};
use crate::op::now;

impl UnixDatagram {
    /// As [`recv`](UnixDatagram::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.datagrams.input.poll_call(cx, |fd| now::recv(fd, buf, 0))
    }

    /// As [`recv_from`](UnixDatagram::recv_from).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.datagrams.input.poll_call(cx, |fd| now::recv_from(fd, buf, 0)).map(named)
    }

    /// As [`send`](UnixDatagram::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.datagrams.output.poll_call(cx, |fd| send(fd, buf, None))
    }

    /// As [`send_to`](UnixDatagram::send_to), but that a receiver that is full is asked in each
    /// turn of the loop.
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        let target = SocketAddr::from_either(target.as_ref())?.to_raw()?;
        self.datagrams.output.poll_call(cx, |fd| send(fd, buf, Some(&target)))
    }

    /// As [`readable`](UnixDatagram::readable).
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.datagrams.input.poll_ready(cx)
    }

    /// As [`writable`](UnixDatagram::writable).
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.datagrams.output.poll_ready(cx)
    }
}
