//! Segmentation offload: many datagrams pass through the kernel as one.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::{UdpSocket, internet};
use crate::op::now_message;

/// Datagrams that were received as one. Made by [`UdpSocket::recv_segments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segments {
    /// How many bytes are in the buffer.
    pub len: usize,
    /// The length of each datagram but the last, which may be shorter. `len` if it is only one.
    pub segment: usize,
    /// Where they came from.
    pub from: SocketAddr,
}

impl UdpSocket {
    /// The length of the datagrams that the kernel cuts each send into (`UDP_SEGMENT`); `None`: a
    /// send is a datagram.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` before Linux 4.18.
    pub fn gso(&self) -> io::Result<Option<u16>> {
        let segment = now_message::udp_option(self, libc::UDP_SEGMENT)?;
        Ok(u16::try_from(segment).ok().filter(|segment| *segment != 0))
    }

    /// Sets [`gso`](UdpSocket::gso). [`send_segments`](UdpSocket::send_segments) sets it for one
    /// send.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` before Linux 4.18.
    pub fn set_gso(&self, segment: Option<u16>) -> io::Result<()> {
        let segment = i32::from(segment.unwrap_or(0));
        now_message::set_udp_option(self, libc::UDP_SEGMENT, segment)
    }

    /// Whether datagrams of one sender may be received as one (`UDP_GRO`).
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` before Linux 5.0.
    pub fn gro(&self) -> io::Result<bool> {
        Ok(now_message::udp_option(self, libc::UDP_GRO)? != 0)
    }

    /// Sets [`gro`](UdpSocket::gro). From then on receive by
    /// [`recv_segments`](UdpSocket::recv_segments): the other functions do not tell where one
    /// datagram ends and the next begins.
    ///
    /// # Errors
    ///
    /// `ENOPROTOOPT` before Linux 5.0.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        now_message::set_udp_option(self, libc::UDP_GRO, i32::from(on))
    }

    /// Sends `buf` as datagrams of `segment` bytes each, of which the last may be shorter, with one
    /// call (`UDP_SEGMENT`, Linux 4.18). To `target`, or if it is `None` to the address that this
    /// socket is connected to.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than 128 datagrams (64 before Linux 6.8) or more than 64 KiB in all;
    /// `EMSGSIZE`, `EINVAL` if one does not fit into a packet of the network.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_segments(
        &self,
        buf: &[u8],
        segment: u16,
        target: Option<SocketAddr>,
    ) -> io::Result<usize> {
        let target = target.map(Into::into);
        let call =
            |fd: BorrowedFd<'_>| now_message::send_segments(fd, buf, segment, target.as_ref());
        self.datagrams.output.call(call).await
    }

    /// Receives a datagram, or several of one sender as one if [`gro`](UdpSocket::gro) is set. Have
    /// room for 64 KiB then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringspun::net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// let ours = UdpSocket::bind("127.0.0.1:0").await?;
    /// let theirs = UdpSocket::bind("127.0.0.1:0").await?;
    /// theirs.set_gro(true)?;
    /// ours.send_segments(&[7; 2500], 1000, Some(theirs.local_addr()?)).await?;
    ///
    /// let mut buf = vec![0; 65536];
    /// let mut datagrams = Vec::new();
    /// while datagrams.len() < 3 {
    ///     let came = theirs.recv_segments(&mut buf).await?;
    ///     datagrams.extend(buf[..came.len].chunks(came.segment.max(1)).map(<[u8]>::len));
    /// }
    /// assert_eq!(datagrams, [1000, 1000, 500]);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn recv_segments(&self, buf: &mut [u8]) -> io::Result<Segments> {
        let received = self.datagrams.input.call(|fd| now_message::recv_segments(fd, buf)).await;
        let (len, segment, address) = received?;
        Ok(Segments { len, segment: segment.unwrap_or(len), from: internet(&address)? })
    }
}
