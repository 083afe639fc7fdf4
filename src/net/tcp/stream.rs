//! A TCP connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockAddr, SockRef, TcpKeepalive};

use super::super::addr::{ToSocketAddrs, resolve};
use super::super::connect::connect_any;
use super::super::options;
use crate::io::{IntoStdError, ReadEnd, Stream, Tcp, WriteEnd};

/// A TCP connection. Its reading and writing are those of [`Stream`].
///
/// # Examples
///
/// ```
/// use ringspun::net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut ours = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut theirs, _) = listener.accept().await?;
///
/// ours.write_all(b"hello").await?;
/// let mut word = [0; 5];
/// theirs.read_exact(&mut word).await?;
/// assert_eq!(&word, b"hello");
/// # Ok(())
/// # })
/// # }
/// ```
pub type TcpStream = Stream<Tcp>;

impl Stream<Tcp> {
    /// Connects to `addr`. If that is several addresses, they are tried by turns: each has 250 ms
    /// for itself before the next is tried beside it, and the first connection wins.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)` and `connect(2)`, of the address that was tried first; those of
    /// [`lookup_host`](crate::net::lookup_host).
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the attempt. For a deadline:
    /// [`time::timeout`](crate::time::timeout).
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let addresses = resolve(addr).await?;
        Ok(Stream::from_shared(connect_any(addresses).await?))
    }

    /// Takes over a connection of std's. Whether it is non-blocking does not matter, and is not
    /// changed.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        Ok(Stream::from_shared(options::adopt(stream)))
    }

    /// Gives the connection to std, non-blocking as tokio does. A receive that is armed ends here
    /// and now.
    ///
    /// # Errors
    ///
    /// [`IntoStdError`], with the stream in it, if bytes are held that were received and not read:
    /// they would be lost. [`into_parts`](Stream::into_parts) gives them.
    pub fn into_std(self) -> Result<std::net::TcpStream, IntoStdError<Tcp>> {
        self.into_std_fd().map(std::net::TcpStream::from)
    }

    /// Gives the connection to std, and the bytes that were received and not read.
    ///
    /// # Errors
    ///
    /// If there are no bytes, the error that a receive has met and nobody has heard of (a reset).
    /// If an owned send of this stream is under way, it needs a duplicate of the descriptor, and
    /// there may be none left (`EMFILE`).
    pub fn into_parts(self) -> io::Result<(std::net::TcpStream, Vec<u8>)> {
        let (fd, bytes) = self.into_std_parts()?;
        Ok((std::net::TcpStream::from(fd), bytes))
    }

    /// Our address.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.option())
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(&self.option())
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`, as for all options here.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.option().take_error()
    }

    /// Whether small writes go out at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option().tcp_nodelay()
    }

    /// Sets [`nodelay`](Stream::nodelay).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.option().set_tcp_nodelay(nodelay)
    }

    /// Whether acknowledgements go out at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn quickack(&self) -> io::Result<bool> {
        self.option().tcp_quickack()
    }

    /// Sets [`quickack`](Stream::quickack), until the kernel changes it again.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.option().set_tcp_quickack(quickack)
    }

    /// How long a close goes on sending (`SO_LINGER`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.option().linger()
    }

    /// Sets [`linger`](Stream::linger). Zero: the close is a reset. More: the close waits, in a
    /// kernel worker and not on this core, and the rest is reset when the time is up.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.option().set_linger(duration)?;
        self.fd().set_lingers(duration.is_some_and(|duration| !duration.is_zero()));
        Ok(())
    }

    /// Makes the close a reset: what was not sent by then is lost.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// The time to live of packets (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        options::ttl(&self.option())
    }

    /// Sets [`ttl`](Stream::ttl).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        options::set_ttl(&self.option(), ttl)
    }

    /// Whether the kernel probes an idle connection (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.option().keepalive()
    }

    /// Sets [`keepalive`](Stream::keepalive): after `idle` without traffic a probe is sent. `None`
    /// switches it off.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        match idle {
            Some(idle) => self.option().set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
            None => self.option().set_keepalive(false),
        }
    }

    fn option(&self) -> SockRef<'_> {
        SockRef::from(self.fd())
    }
}

impl ReadEnd<Tcp> {
    /// Our address.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&SockRef::from(self.fd()))
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(&SockRef::from(self.fd()))
    }
}

impl WriteEnd<Tcp> {
    /// Our address.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&SockRef::from(self.fd()))
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        peer_addr(&SockRef::from(self.fd()))
    }
}

pub(super) fn local_addr(socket: &SockRef<'_>) -> io::Result<SocketAddr> {
    internet(&socket.local_addr()?)
}

fn peer_addr(socket: &SockRef<'_>) -> io::Result<SocketAddr> {
    internet(&socket.peer_addr()?)
}

pub(crate) fn internet(address: &SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the socket has no internet address")
    })
}

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::from_std(stream)
    }
}
