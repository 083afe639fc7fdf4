//! UDP.

mod batch;
mod options;
mod owned;
mod polls;
mod segments;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub use self::batch::{Batch, Datagram};
pub use self::segments::Segments;
use super::addr::{ToSocketAddrs, resolve};
use super::datagrams::{Datagrams, PEEK, send};
use super::tcp::internet;
use crate::io::{Interest, Ready, wait};
use crate::op::{SharedFd, now};

/// A UDP socket.
///
/// One socket talks to many (`send_to`, `recv_from`), or after [`connect`](UdpSocket::connect) to
/// one (`send`, `recv`). All take `&self`: any number of tasks of this core may wait, those that
/// receive are served in the order in which they came, and so are those that send.
///
/// A receive takes a datagram from the kernel only when it gives it to you. So dropping its future,
/// in a `select!` for instance, loses nothing, and a socket that waits holds no buffer. What of a
/// datagram does not fit into the buffer is lost, as always with UDP. A datagram may be empty: 0 is
/// no end.
///
/// # Errors
///
/// Those of `sendmsg(2)` and `recvfrom(2)`. On a connected socket an answer of the peer's host that
/// nobody listens there ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)) is the error of
/// whatever is done next.
///
/// # Panics
///
/// All that waits panics outside a runtime, and while something waits in another runtime.
///
/// # Examples
///
/// ```
/// use ringspun::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let echo = UdpSocket::bind("127.0.0.1:0").await?;
/// let ours = UdpSocket::bind("127.0.0.1:0").await?;
/// ours.connect(echo.local_addr()?).await?;
/// ours.send(b"hello").await?;
///
/// let mut buf = [0; 1500];
/// let (count, peer) = echo.recv_from(&mut buf).await?;
/// echo.send_to(&buf[..count], peer).await?;
/// assert_eq!(ours.recv(&mut buf).await?, 5);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UdpSocket {
    datagrams: Datagrams,
}

impl UdpSocket {
    /// A socket at `addr`; if that is several addresses, at the first that can be used.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)` and `bind(2)`, of the address that was tried last; those of
    /// [`lookup_host`](crate::net::lookup_host).
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let mut last = None;
        for address in resolve(addr).await? {
            match bound_to(address) {
                Ok(socket) => return Ok(UdpSocket::from_shared(SharedFd::new(socket))),
                Err(error) => {
                    let text = format!("cannot bind to {address}: {error}");
                    last = Some(io::Error::new(error.kind(), text));
                }
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    fn from_shared(fd: SharedFd) -> UdpSocket {
        UdpSocket { datagrams: Datagrams::new(fd) }
    }

    /// Takes over a socket of std's. Whether it is non-blocking does not matter, and is not
    /// changed.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        Ok(UdpSocket::from_shared(SharedFd::new(socket)))
    }

    /// Gives the socket to std, non-blocking as tokio does.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        Ok(std::net::UdpSocket::from(self.datagrams.into_owned()?))
    }

    /// Our address: tells the port if it was 0.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.datagrams.option().local_addr()?)
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.datagrams.option().peer_addr()?)
    }

    /// Makes `addr` the one that `send` sends to and `recv` takes datagrams of; others are thrown
    /// away by the kernel. If that is several addresses, the first that can be used. Nothing is
    /// sent by it.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, of the address that was tried last; those of
    /// [`lookup_host`](crate::net::lookup_host).
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let mut last = None;
        for address in resolve(addr).await? {
            match self.datagrams.option().connect(&address.into()) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Sends a datagram to the address that this socket is connected to, and answers its length.
    ///
    /// # Errors
    ///
    /// `EDESTADDRREQ` if it is not connected; `EMSGSIZE` for what is too large for a datagram.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.datagrams.send(buf, None).await
    }

    /// Sends a datagram to `addr`; if that is several addresses, to the first.
    ///
    /// # Errors
    ///
    /// As for [`send`](UdpSocket::send), and those of [`lookup_host`](crate::net::lookup_host).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let address = first(addr).await?;
        self.datagrams.send(buf, Some(&address)).await
    }

    /// Receives a datagram of the address that this socket is connected to, or of anybody if it is
    /// not, and answers how many bytes of it are in `buf`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.datagrams.recv(buf, 0).await
    }

    /// As [`recv`](UdpSocket::recv), with the address that it came from.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        named(self.datagrams.recv_from(buf, 0).await)
    }

    /// Copies the next datagram and leaves it there.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.datagrams.recv(buf, PEEK).await
    }

    /// As [`peek`](UdpSocket::peek), with the address that it came from.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        named(self.datagrams.recv_from(buf, PEEK).await)
    }

    /// Where the next datagram comes from; it stays there.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.peek_from(&mut []).await?.1)
    }

    /// Waits until there is a datagram, or an error. It may be wrong now and then;
    /// [`try_recv`](UdpSocket::try_recv) then says [`WouldBlock`](io::ErrorKind::WouldBlock).
    pub async fn readable(&self) -> io::Result<()> {
        self.datagrams.input.ready().await
    }

    /// Waits until there is room for a datagram, or an error.
    pub async fn writable(&self) -> io::Result<()> {
        self.datagrams.output.ready().await
    }

    /// Waits until it is ready for a part of `interest`, and tells for which.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        wait(self.datagrams.fd(), interest).await
    }

    /// Sends a datagram if there is room now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is not.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        send(self.as_fd(), buf, None)
    }

    /// As [`try_send`](UdpSocket::try_send), to `target`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        send(self.as_fd(), buf, Some(&target.into()))
    }

    /// Receives a datagram if there is one now, also before those that wait.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        now::recv(self.as_fd(), buf, 0)
    }

    /// As [`try_recv`](UdpSocket::try_recv), with the address that it came from.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        named(now::recv_from(self.as_fd(), buf, 0))
    }

    /// As [`peek`](UdpSocket::peek), of what is there now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing.
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        now::recv(self.as_fd(), buf, PEEK)
    }

    /// As [`peek_from`](UdpSocket::peek_from), of what is there now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        named(now::recv_from(self.as_fd(), buf, PEEK))
    }

    /// As [`peek_sender`](UdpSocket::peek_sender), of what is there now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing.
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }

    /// Does a call of your own on the descriptor that must not wait (`MSG_DONTWAIT`; the socket is
    /// not non-blocking by itself). For `recvmmsg(2)` and the like. Nothing is ever held back in
    /// user space, so nothing can be in its way.
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub fn try_io<R>(
        &self,
        _interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        call()
    }

    /// Does a call of your own on the descriptor as soon as it does not say
    /// [`WouldBlock`](io::ErrorKind::WouldBlock). See [`try_io`](UdpSocket::try_io).
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

fn bound_to(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

async fn first<A: ToSocketAddrs>(addr: A) -> io::Result<SockAddr> {
    Ok(resolve(addr).await?[0].into())
}

fn named<T>(received: io::Result<(T, SockAddr)>) -> io::Result<(T, SocketAddr)> {
    let (what, address) = received?;
    Ok((what, internet(&address)?))
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.datagrams.fd().as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.datagrams.fd().as_raw_fd()
    }
}

impl TryFrom<std::net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    fn try_from(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::from_std(socket)
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
