//! A connection between two processes of one machine.

use std::io;
use std::path::Path;

use socket2::{Domain, SockRef, Socket, Type};

use super::super::connect::connect;
use super::address::{SocketAddr, cannot};
use super::credentials::UCred;
use crate::io::{IntoStdError, ReadEnd, Stream, Unix, WriteEnd};
use crate::op::SharedFd;

/// A connection between two processes of one machine. Its reading and writing are those of
/// [`Stream`].
///
/// # Examples
///
/// ```
/// use ringspun::net::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("socket");
/// let listener = UnixListener::bind(&path)?;
/// let mut ours = UnixStream::connect(&path).await?;
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
pub type UnixStream = Stream<Unix>;

impl Stream<Unix> {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`: [`NotFound`](io::ErrorKind::NotFound) if there is nothing,
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if nobody listens there any more.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the attempt.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_either(path.as_ref())?).await
    }

    /// As [`connect`](Stream::connect), for any name.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        connect_to(SharedFd::new(socket), address).await
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of `socketpair(2)`.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        let stream = |socket: Socket| Stream::from_shared(SharedFd::new(socket));
        Ok((stream(one), stream(other)))
    }

    /// Takes over a connection of std's. Whether it is non-blocking does not matter, and is not
    /// changed.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        Ok(Stream::from_shared(SharedFd::new(stream)))
    }

    /// Gives the connection to std, non-blocking as tokio does. A receive that is armed ends here
    /// and now.
    ///
    /// # Errors
    ///
    /// [`IntoStdError`], with the stream in it, if bytes are held that were received and not read:
    /// they would be lost. [`into_parts`](Stream::into_parts) gives them.
    pub fn into_std(self) -> Result<std::os::unix::net::UnixStream, IntoStdError<Unix>> {
        self.into_std_fd().map(std::os::unix::net::UnixStream::from)
    }

    /// Gives the connection to std, and the bytes that were received and not read.
    ///
    /// # Errors
    ///
    /// Only if an owned send of this stream is under way: it needs a duplicate of the descriptor
    /// then, and there may be none left (`EMFILE`).
    pub fn into_parts(self) -> io::Result<(std::os::unix::net::UnixStream, Vec<u8>)> {
        let (fd, bytes) = self.into_std_parts()?;
        Ok((std::os::unix::net::UnixStream::from(fd), bytes))
    }

    /// Our name.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::local(&SockRef::from(self.fd()))
    }

    /// The peer's name.
    ///
    /// # Errors
    ///
    /// Those of `getpeername(2)`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::peer(&SockRef::from(self.fd()))
    }

    /// Who the peer was when the connection was made.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self)
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self.fd()).take_error()
    }
}

impl ReadEnd<Unix> {
    /// Our name.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::local(&SockRef::from(self.fd()))
    }

    /// The peer's name.
    ///
    /// # Errors
    ///
    /// Those of `getpeername(2)`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::peer(&SockRef::from(self.fd()))
    }
}

impl WriteEnd<Unix> {
    /// Our name.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::local(&SockRef::from(self.fd()))
    }

    /// The peer's name.
    ///
    /// # Errors
    ///
    /// Those of `getpeername(2)`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::peer(&SockRef::from(self.fd()))
    }
}

/// Connects this socket. If the future is dropped, the socket is closed with it.
pub(super) async fn connect_to(fd: SharedFd, address: &SocketAddr) -> io::Result<UnixStream> {
    match connect(fd, address.to_raw()?).await {
        Ok(fd) => Ok(Stream::from_shared(fd)),
        Err(error) => Err(cannot("connect to", address, &error)),
    }
}

impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
    type Error = io::Error;

    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::from_std(stream)
    }
}
