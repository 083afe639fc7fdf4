//! A Unix socket that is neither connected nor listening yet.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use socket2::{Domain, SockRef, Socket, Type};

use super::address::{SocketAddr, cannot};
use super::datagram::UnixDatagram;
use super::listener::UnixListener;
use super::stream::{UnixStream, connect_to};
use crate::op::SharedFd;

/// A Unix socket to be set up before it is used.
///
/// # Examples
///
/// ```
/// use ringspun::net::UnixSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("socket");
/// let socket = UnixSocket::new_stream()?;
/// socket.bind(&path)?;
/// let listener = socket.listen(128)?;
/// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixSocket {
    fd: SharedFd,
    kind: Type,
}

impl UnixSocket {
    /// A socket for [`datagram`](UnixSocket::datagram).
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::DGRAM)
    }

    /// A socket for [`listen`](UnixSocket::listen) or [`connect`](UnixSocket::connect).
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    pub fn new_stream() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::STREAM)
    }

    fn new(kind: Type) -> io::Result<UnixSocket> {
        let socket = Socket::new(Domain::UNIX, kind, None)?;
        Ok(UnixSocket { fd: SharedFd::new(socket), kind })
    }

    /// Gives it a name.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub fn bind<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let address = SocketAddr::from_either(path.as_ref())?;
        let bound = SockRef::from(&self.fd).bind(&address.to_raw()?);
        bound.map_err(|error| cannot("bind to", &address, &error))
    }

    /// Listens; `backlog` connections at most wait to be accepted.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`; [`InvalidInput`](io::ErrorKind::InvalidInput) for a datagram socket.
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.check(Type::STREAM, "listen")?;
        SockRef::from(&self.fd).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(UnixListener::from_shared(self.fd))
    }

    /// Connects to the socket at `path`.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`; [`InvalidInput`](io::ErrorKind::InvalidInput) for a datagram socket.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the attempt and closes the socket.
    pub async fn connect<P: AsRef<Path>>(self, path: P) -> io::Result<UnixStream> {
        self.check(Type::STREAM, "be connected as a stream")?;
        connect_to(self.fd, &SocketAddr::from_either(path.as_ref())?).await
    }

    /// It is ready as it is: a socket of datagrams.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a stream socket.
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.check(Type::DGRAM, "carry datagrams")?;
        Ok(UnixDatagram::from_shared(self.fd))
    }

    fn check(&self, kind: Type, what: &str) -> io::Result<()> {
        if self.kind == kind {
            return Ok(());
        }
        let text = format!("a Unix socket of this type cannot {what}: make one of the other type");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl fmt::Debug for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixSocket").field("fd", &self.as_raw_fd()).finish()
    }
}
