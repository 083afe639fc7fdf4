//! The face whose buffers are given away and come back: memory that is not initialised can be
//! received into.

use std::net::SocketAddr;

use super::{UdpSocket, named};
use crate::buf::{BufResult, IoBuf, IoBufMut};

impl UdpSocket {
    /// Receives a datagram into `buf`, from its first byte up to its capacity.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `buf` is freed, and no datagram is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringspun::net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// let ours = UdpSocket::bind("127.0.0.1:0").await?;
    /// ours.send_to(b"to myself", ours.local_addr()?).await?;
    /// let (received, buf) = ours.recv_from_buf(Vec::with_capacity(1500)).await;
    /// assert_eq!((received?.0, &buf[..]), (9, &b"to myself"[..]));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn recv_from_buf<B: IoBufMut>(&self, buf: B) -> BufResult<(usize, SocketAddr), B> {
        let (received, buf) = self.datagrams.recv_into(buf).await;
        (named(received), buf)
    }

    /// As [`recv_from_buf`](UdpSocket::recv_from_buf), without the address.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `buf` is freed, and no datagram is lost.
    pub async fn recv_buf<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let (received, buf) = self.datagrams.recv_into(buf).await;
        (received.map(|(count, _)| count), buf)
    }

    /// Sends the bytes of `buf` to the address that this socket is connected to. See
    /// [`send`](UdpSocket::send).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_buf<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.datagrams.send_owned(buf, None).await
    }

    /// Sends the bytes of `buf` to `target`.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to_buf<B: IoBuf>(&self, buf: B, target: SocketAddr) -> BufResult<usize, B> {
        self.datagrams.send_owned(buf, Some(&target.into())).await
    }
}
