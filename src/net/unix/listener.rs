//! A Unix socket that listens.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::task::{Context, Poll, ready};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::address::{SocketAddr, cannot};
use super::stream::UnixStream;
use crate::io::{Accepting, Incoming, Stream, Unix};
use crate::op::SharedFd;

/// A Unix socket that listens.
///
/// The accept belongs to the listener, as it does with [`TcpListener`](crate::net::TcpListener):
/// dropping the future of [`accept`](UnixListener::accept) loses no connection.
pub struct UnixListener {
    accepting: Accepting,
}

/// Connections that wait to be accepted, unless asked otherwise.
const BACKLOG: i32 = 1024;

impl UnixListener {
    /// Listens at `path`, which must not be there yet. The file stays when the listener goes.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `bind(2)`, `listen(2)`: [`AddrInUse`](io::ErrorKind::AddrInUse) if
    /// there is a file.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_either(path.as_ref())?)
    }

    /// As [`bind`](UnixListener::bind), for any name.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let bound = socket.bind(&address.to_raw()?).and_then(|()| socket.listen(BACKLOG));
        bound.map_err(|error| cannot("listen at", address, &error))?;
        Ok(UnixListener::from_shared(SharedFd::new(socket)))
    }

    pub(super) fn from_shared(fd: SharedFd) -> UnixListener {
        UnixListener { accepting: Accepting::new(fd) }
    }

    /// Waits for a connection, and gives it with the peer's name, of which it seldom has one.
    ///
    /// # Errors
    ///
    /// Those of `accept4(2)`: `EMFILE` and `ENFILE` while there are no descriptors left. The
    /// listener can be used on.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        connection(self.accepting.accept().await?)
    }

    /// As [`accept`](UnixListener::accept), for poll functions of one's own. The last that polled
    /// is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        Poll::Ready(connection(ready!(self.accepting.poll_face(cx))?))
    }

    /// All connections that come, as a stream: one entry of the ring for all of them.
    pub fn incoming(&self) -> Incoming<'_, Unix> {
        Incoming::new(&self.accepting)
    }

    /// Takes over a listener of std's. Whether it is non-blocking does not matter.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        Ok(UnixListener::from_shared(SharedFd::new(listener)))
    }

    /// Gives the listener to std, non-blocking as tokio does. A connection that an accept had taken
    /// already, which nobody has awaited, is closed.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        drop(self.accepting.stop());
        let fd = self.accepting.fd().clone();
        drop(self);
        let fd = fd.try_unwrap().or_else(|shared| shared.as_fd().try_clone_to_owned())?;
        let listener = std::os::unix::net::UnixListener::from(fd);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Our name.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::local(&self.option())
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.option().take_error()
    }

    fn option(&self) -> SockRef<'_> {
        SockRef::from(self.accepting.fd())
    }
}

fn connection((fd, address): (OwnedFd, SockAddr)) -> io::Result<(UnixStream, SocketAddr)> {
    Ok((Stream::from_shared(SharedFd::new(fd)), SocketAddr::from_raw(&address)?))
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.accepting.fd().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.accepting.fd().as_raw_fd()
    }
}

impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
    type Error = io::Error;

    fn try_from(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::from_std(listener)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
