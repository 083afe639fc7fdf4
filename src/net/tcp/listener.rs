//! A socket that listens.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::super::addr::{ToSocketAddrs, resolve};
use super::super::options;
use super::stream::{TcpStream, internet, local_addr};
use crate::io::{Accepting, Incoming, Stream, Tcp};
use crate::op::SharedFd;

/// A TCP socket that listens.
///
/// The accept belongs to the listener: dropping the future of [`accept`](TcpListener::accept)
/// loses no connection. What the kernel has taken by then is what the next `accept` gives; at most
/// one is held so, and while nobody accepts, connections wait in the kernel's backlog.
pub struct TcpListener {
    accepting: Accepting,
}

/// Connections that wait to be accepted, unless asked otherwise.
const BACKLOG: u32 = 1024;

impl TcpListener {
    /// Listens on `addr`; if that is several addresses, on the first that can be used. The address
    /// can be used again at once after the process has ended (`SO_REUSEADDR`).
    ///
    /// For other settings: [`TcpSocket`](super::TcpSocket).
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `bind(2)`, `listen(2)`, of the address that was tried last; those of
    /// [`lookup_host`](crate::net::lookup_host).
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let mut last = None;
        for address in resolve(addr).await? {
            match listen_on(address) {
                Ok(socket) => return Ok(TcpListener::from_shared(SharedFd::new(socket))),
                Err(error) => {
                    let text = format!("cannot listen on {address}: {error}");
                    last = Some(io::Error::new(error.kind(), text));
                }
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    pub(crate) fn from_shared(fd: SharedFd) -> TcpListener {
        TcpListener { accepting: Accepting::new(fd) }
    }

    /// Waits for a connection, and gives it with the peer's address.
    ///
    /// # Errors
    ///
    /// Those of `accept4(2)`: `EMFILE` and `ENFILE` while there are no descriptors left, and
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) for one connection that has gone.
    /// The listener can be used on.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.connection(self.accepting.accept().await?)
    }

    /// As [`accept`](TcpListener::accept), for poll functions of one's own. The last that polled is
    /// woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        Poll::Ready(self.connection(ready!(self.accepting.poll_face(cx))?))
    }

    /// All connections that come, as a stream: one entry of the ring for all of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringspun::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let _ours = TcpStream::connect(listener.local_addr()?).await?;
    /// let mut incoming = listener.incoming();
    /// let theirs = incoming.next().await.expect("it does not end")?;
    /// # let _ = theirs;
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn incoming(&self) -> Incoming<'_, Tcp> {
        Incoming::new(&self.accepting)
    }

    /// Takes over a listener of std's. Whether it is non-blocking does not matter.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        Ok(TcpListener::from_shared(options::adopt(listener)))
    }

    /// Gives the listener to std, non-blocking as tokio does. A connection that an accept had taken
    /// already, which nobody has awaited, is closed.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        let fd = self.accepting.fd().clone();
        drop(self);
        let fd = fd.try_unwrap().or_else(|shared| shared.as_fd().try_clone_to_owned())?;
        let listener = std::net::TcpListener::from(fd);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Our address: tells the port if it was 0.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.option())
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.option().take_error()
    }

    /// The time to live of packets (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        options::ttl(&self.option())
    }

    /// Sets [`ttl`](TcpListener::ttl).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        options::set_ttl(&self.option(), ttl)
    }

    fn connection(
        &self,
        (fd, address): (OwnedFd, SockAddr),
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let fd = SharedFd::new(fd);
        // An accepted socket has the listener's SO_LINGER.
        fd.set_lingers(self.accepting.fd().lingers());
        Ok((Stream::from_shared(fd), internet(&address)?))
    }

    fn option(&self) -> SockRef<'_> {
        SockRef::from(self.accepting.fd())
    }
}

fn listen_on(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG as i32)?;
    Ok(socket)
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(listener)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.accepting.fd().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.accepting.fd().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
