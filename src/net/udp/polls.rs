//! The faces without futures, for poll functions of one's own: the last one that polled a direction
//! is woken.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::{PEEK, UdpSocket, named, send};
use crate::op::now;

impl UdpSocket {
    /// As [`recv`](UdpSocket::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.datagrams.input.poll_call(cx, |fd| now::recv(fd, buf, 0))
    }

    /// As [`recv_from`](UdpSocket::recv_from).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.datagrams.input.poll_call(cx, |fd| now::recv_from(fd, buf, 0)).map(named)
    }

    /// As [`peek`](UdpSocket::peek).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.datagrams.input.poll_call(cx, |fd| now::recv(fd, buf, PEEK))
    }

    /// As [`peek_from`](UdpSocket::peek_from).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.datagrams.input.poll_call(cx, |fd| now::recv_from(fd, buf, PEEK)).map(named)
    }

    /// As [`peek_sender`](UdpSocket::peek_sender).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut []).map_ok(|(_, sender)| sender)
    }

    /// As [`send`](UdpSocket::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.datagrams.output.poll_call(cx, |fd| send(fd, buf, None))
    }

    /// As [`send_to`](UdpSocket::send_to).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let target = target.into();
        self.datagrams.output.poll_call(cx, |fd| send(fd, buf, Some(&target)))
    }

    /// As [`readable`](UdpSocket::readable).
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.datagrams.input.poll_ready(cx)
    }

    /// As [`writable`](UdpSocket::writable).
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.datagrams.output.poll_ready(cx)
    }
}
