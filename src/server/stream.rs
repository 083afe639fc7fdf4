//! A connection, whatever it came by.

use std::io;

use socket2::SockRef;

use super::address::LocalAddr;
use super::peer::Peer;
use crate::io::{Socket, Tcp, Unix};
use crate::net::{TcpStream, UnixStream, unix};

/// A connection, over TCP or a Unix socket. Its reading and writing are those of
/// [`io::Stream`](crate::io::Stream); the traits of `compat` are on it too.
pub type Stream = crate::io::Stream<Socket>;

impl crate::io::Stream<Socket> {
    /// Who is at the other end.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer(&self) -> io::Result<Peer> {
        Peer::of(self)
    }

    /// Our address.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<LocalAddr> {
        local_addr(&SockRef::from(self))
    }

    /// Sets `TCP_NODELAY`; without effect on a Unix socket, which never delays.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        if self.is_tcp()? { SockRef::from(self).set_tcp_nodelay(nodelay) } else { Ok(()) }
    }

    /// Whether small writes go out at once: `TCP_NODELAY`, or a Unix socket.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        if self.is_tcp()? { SockRef::from(self).tcp_nodelay() } else { Ok(true) }
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
    }

    /// The same as a [`TcpStream`], if it is TCP.
    ///
    /// # Errors
    ///
    /// Gives it back if it is not.
    #[allow(clippy::result_large_err, reason = "it is given back whole")]
    pub fn into_tcp(self) -> Result<TcpStream, Stream> {
        if self.is_tcp().unwrap_or(false) { Ok(self.into_kind::<Tcp>()) } else { Err(self) }
    }

    /// The same as a [`UnixStream`], if it is one.
    ///
    /// # Errors
    ///
    /// Gives it back if it is not.
    #[allow(clippy::result_large_err, reason = "it is given back whole")]
    pub fn into_unix(self) -> Result<UnixStream, Stream> {
        if self.is_tcp().unwrap_or(true) { Err(self) } else { Ok(self.into_kind::<Unix>()) }
    }

    fn is_tcp(&self) -> io::Result<bool> {
        Ok(!SockRef::from(self).local_addr()?.is_unix())
    }
}

pub(super) fn local_addr(socket: &SockRef<'_>) -> io::Result<LocalAddr> {
    let address = socket.local_addr()?;
    match address.as_socket() {
        Some(address) => Ok(LocalAddr::Tcp(address)),
        None => unix::SocketAddr::from_raw(&address).map(LocalAddr::Unix),
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Stream {
        stream.into_kind()
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Stream {
        stream.into_kind()
    }
}
