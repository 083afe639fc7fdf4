//! A TCP socket that is neither connected nor listening yet.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::super::connect::connect;
use super::super::options;
use super::listener::TcpListener;
use super::stream::{TcpStream, local_addr};
use crate::io::Stream;
use crate::op::SharedFd;

/// A TCP socket to be set up before it is connected or listens.
///
/// Each setter is one `setsockopt(2)`, each getter one `getsockopt(2)`, and their errors are those
/// of the functions here.
///
/// # Examples
///
/// ```
/// use ringspun::net::TcpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseport(true)?;
/// socket.bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = socket.listen(128)?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct TcpSocket {
    fd: SharedFd,
}

#[allow(clippy::missing_errors_doc, reason = "said once, at the type")]
impl TcpSocket {
    /// A socket for IPv4.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        Ok(TcpSocket { fd: SharedFd::new(socket) })
    }

    /// Takes over a socket of std's.
    pub fn from_std_stream(stream: std::net::TcpStream) -> TcpSocket {
        TcpSocket { fd: options::adopt(stream) }
    }

    /// `SO_KEEPALIVE`.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.option().set_keepalive(keepalive)
    }

    /// `SO_KEEPALIVE`.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.option().keepalive()
    }

    /// `SO_REUSEADDR`.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.option().set_reuse_address(reuseaddr)
    }

    /// `SO_REUSEADDR`.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.option().reuse_address()
    }

    /// `SO_REUSEPORT`: several sockets listen on one address, and the kernel shares connections out
    /// among them.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.option().set_reuse_port(reuseport)
    }

    /// `SO_REUSEPORT`.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.option().reuse_port()
    }

    /// `SO_SNDBUF`, in bytes; the kernel doubles it.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.option().set_send_buffer_size(size as usize)
    }

    /// `SO_SNDBUF`, in bytes.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.option().send_buffer_size().map(|size| u32::try_from(size).unwrap_or(u32::MAX))
    }

    /// `SO_RCVBUF`, in bytes; the kernel doubles it.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.option().set_recv_buffer_size(size as usize)
    }

    /// `SO_RCVBUF`, in bytes.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.option().recv_buffer_size().map(|size| u32::try_from(size).unwrap_or(u32::MAX))
    }

    /// `SO_LINGER`; see [`Stream::set_linger`].
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.option().set_linger(duration)?;
        self.fd.set_lingers(duration.is_some_and(|duration| !duration.is_zero()));
        Ok(())
    }

    /// The close of the connection is to be a reset.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// `SO_LINGER`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.option().linger()
    }

    /// `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.option().set_tcp_nodelay(nodelay)
    }

    /// `TCP_NODELAY`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option().tcp_nodelay()
    }

    /// `IPV6_TCLASS`.
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.option().set_tclass_v6(tclass)
    }

    /// `IPV6_TCLASS`.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.option().tclass_v6()
    }

    /// `IP_TOS`.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.option().set_tos_v4(tos)
    }

    /// `IP_TOS`.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.option().tos_v4()
    }

    /// `SO_BINDTODEVICE`: the name of an interface, `None` for any. Needs `CAP_NET_RAW`.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.option().bind_device(interface)
    }

    /// `SO_BINDTODEVICE`.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.option().device()
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.option())
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.option().take_error()
    }

    /// Gives it an address of ours. See `bind(2)`.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.option().bind(&addr.into())
    }

    /// Connects. Dropping the future gives up the attempt and closes the socket.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        Ok(Stream::from_shared(connect(self.fd, addr.into()).await?))
    }

    /// Listens; `backlog` connections at most wait to be accepted.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.option().listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(TcpListener::from_shared(self.fd))
    }

    fn option(&self) -> SockRef<'_> {
        SockRef::from(&self.fd)
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("fd", &self.as_raw_fd()).finish()
    }
}
