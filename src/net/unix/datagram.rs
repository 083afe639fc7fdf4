//! Datagrams between the processes of one machine.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::super::datagrams::{Datagrams, PEEK, send};
use super::address::{SocketAddr, cannot};
use super::credentials::UCred;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::{Interest, Ready, wait};
use crate::op::{SharedFd, now, now_message};
use crate::time::sleep;

/// A Unix socket of datagrams: none is lost or overtakes another, and a sender waits for room at
/// the receiver.
///
/// All functions take `&self`: any number of tasks of this core may wait, those that receive are
/// served in the order in which they came, and so are those that send. A receive takes a datagram
/// from the kernel only when it gives it to you: dropping its future loses nothing, and a socket
/// that waits holds no buffer. What of a datagram does not fit into the buffer is lost. A datagram
/// may be empty: 0 is no end.
///
/// # Errors
///
/// Those of `sendmsg(2)` and `recvfrom(2)`:
/// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if the receiver has gone.
///
/// # Panics
///
/// All that waits panics outside a runtime, and while something waits in another runtime.
///
/// # Examples
///
/// ```
/// use ringspun::net::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let (ours, theirs) = UnixDatagram::pair()?;
/// ours.send(b"one").await?;
/// ours.send(b"").await?;
/// let mut buf = [0; 64];
/// assert_eq!(theirs.recv(&mut buf).await?, 3);
/// assert_eq!(theirs.recv(&mut buf).await?, 0);
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixDatagram {
    pub(super) datagrams: Datagrams,
}

/// A receiver that we are not connected to does not say when it has room: then it is asked again.
const ASK_AGAIN_FIRST: Duration = Duration::from_micros(100);
const ASK_AGAIN_MAX: Duration = Duration::from_millis(10);

impl UnixDatagram {
    /// A socket at `path`, which must not be there yet. The file stays when the socket goes.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`: [`AddrInUse`](io::ErrorKind::AddrInUse) if there is a file.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&SocketAddr::from_either(path.as_ref())?)
    }

    /// As [`bind`](UnixDatagram::bind), for any name.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        let bound = socket.datagrams.option().bind(&address.to_raw()?);
        bound.map_err(|error| cannot("bind to", address, &error))?;
        Ok(socket)
    }

    /// A socket without a name: it can send.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    pub fn unbound() -> io::Result<UnixDatagram> {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        Ok(UnixDatagram::from_shared(SharedFd::new(socket)))
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of `socketpair(2)`.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::DGRAM, None)?;
        let socket = |socket: Socket| UnixDatagram::from_shared(SharedFd::new(socket));
        Ok((socket(one), socket(other)))
    }

    pub(super) fn from_shared(fd: SharedFd) -> UnixDatagram {
        UnixDatagram { datagrams: Datagrams::new(fd) }
    }

    /// Takes over a socket of std's. Whether it is non-blocking does not matter, and is not
    /// changed.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram::from_shared(SharedFd::new(socket)))
    }

    /// Gives the socket to std, non-blocking as tokio does.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        Ok(std::os::unix::net::UnixDatagram::from(self.datagrams.into_owned()?))
    }

    /// Makes the socket at `path` the one that `send` sends to, and the only one that it receives
    /// of.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`: [`NotFound`](io::ErrorKind::NotFound),
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused).
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_either(path.as_ref())?)
    }

    /// As [`connect`](UnixDatagram::connect), for any name.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        let connected = self.datagrams.option().connect(&address.to_raw()?);
        connected.map_err(|error| cannot("connect to", address, &error))
    }

    /// Sends a datagram to the socket that this one is connected to, when there is room.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected); `EMSGSIZE` for what is larger than the send
    /// buffer.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.datagrams.send(buf, None).await
    }

    /// Sends a datagram to the socket at `target`, when there is room. A receiver that is full does
    /// not tell senders that are not connected to it when it has room again: it is asked again,
    /// every 10 ms at least. [`connect`](UnixDatagram::connect) to who is often full.
    ///
    /// # Errors
    ///
    /// As for [`send`](UnixDatagram::send) and [`connect`](UnixDatagram::connect).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.send_to_addr(buf, &SocketAddr::from_either(target.as_ref())?).await
    }

    /// As [`send_to`](UnixDatagram::send_to), for any name.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancellation
    ///
    /// As there.
    pub async fn send_to_addr(&self, buf: &[u8], target: &SocketAddr) -> io::Result<usize> {
        let raw = target.to_raw()?;
        let mut pause = ASK_AGAIN_FIRST;
        loop {
            let mut refused = false;
            let sent = self.datagrams.output.call(|fd| match send(fd, buf, Some(&raw)) {
                // The poll has said that there is room: on our side.
                Err(error) if is_full(&error) && refused => Ok(None),
                Err(error) if is_full(&error) => {
                    refused = true;
                    Err(error)
                }
                sent => sent.map(Some),
            });
            if let Some(count) = sent.await? {
                return Ok(count);
            }
            sleep(pause).await;
            pause = (pause * 2).min(ASK_AGAIN_MAX);
        }
    }

    /// Receives a datagram, and answers how many bytes of it are in `buf`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.datagrams.recv(buf, 0).await
    }

    /// As [`recv`](UnixDatagram::recv), with the sender's name, if it has one.
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

    /// As [`peek`](UnixDatagram::peek), with the sender's name.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        named(self.datagrams.recv_from(buf, PEEK).await)
    }

    /// Receives a datagram into `buf`, from its first byte up to its capacity.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `buf` is freed, and no datagram is lost.
    pub async fn recv_buf<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let (received, buf) = self.datagrams.recv_into(buf).await;
        (received.map(|(count, _)| count), buf)
    }

    /// As [`recv_buf`](UnixDatagram::recv_buf), with the sender's name.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `buf` is freed, and no datagram is lost.
    pub async fn recv_from_buf<B: IoBufMut>(&self, buf: B) -> BufResult<(usize, SocketAddr), B> {
        let (received, buf) = self.datagrams.recv_into(buf).await;
        (named(received), buf)
    }

    /// Sends the bytes of `buf` to the socket that this one is connected to. See
    /// [`send`](UnixDatagram::send).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_buf<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.datagrams.send_owned(buf, None).await
    }

    /// Sends a datagram to the socket that this one is connected to, and with it descriptors for
    /// the same open files (`SCM_RIGHTS` of `unix(7)`), at most 253. The datagram may be empty.
    ///
    /// # Errors
    ///
    /// As for [`send`](UnixDatagram::send); `ETOOMANYREFS` while too many that were sent have not
    /// been received.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.datagrams.output.call(|fd| now_message::send_with_fds(fd, buf, fds, None)).await
    }

    /// Receives a datagram and the descriptors that came with it: yours, and closed on exec. The
    /// other functions let the kernel close them.
    ///
    /// # Errors
    ///
    /// If this process has no room for all descriptors (`RLIMIT_NOFILE`), an error that says so:
    /// those that came are closed, and the datagram is lost with them.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn recv_with_fds(&self, buf: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let received = self.datagrams.input.call(|fd| now_message::recv_with_fds(fd, buf)).await;
        received.map(|(count, fds, _)| (count, fds))
    }

    /// Sends a datagram if there is room now.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is not.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        send(self.as_fd(), buf, None)
    }

    /// As [`try_send`](UnixDatagram::try_send), to the socket at `target`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room.
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        let target = SocketAddr::from_either(target.as_ref())?.to_raw()?;
        send(self.as_fd(), buf, Some(&target))
    }

    /// Receives a datagram if there is one now, also before those that wait.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        now::recv(self.as_fd(), buf, 0)
    }

    /// As [`try_recv`](UnixDatagram::try_recv), with the sender's name.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        named(now::recv_from(self.as_fd(), buf, 0))
    }

    /// Waits until there is a datagram, or an error.
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

    /// Does a call of your own on the descriptor that must not wait (`MSG_DONTWAIT`; the socket is
    /// not non-blocking by itself).
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
    /// [`WouldBlock`](io::ErrorKind::WouldBlock). See [`try_io`](UnixDatagram::try_io).
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

    /// Our name.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::local(&self.datagrams.option())
    }

    /// The name of the socket that it is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        SocketAddr::peer(&self.datagrams.option())
    }

    /// Who has made the other socket of a [`pair`](UnixDatagram::pair).
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
        self.datagrams.option().take_error()
    }

    /// Says that no more will be received, sent, or both (`shutdown(2)`).
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not connected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.datagrams.option().shutdown(how)
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

pub(super) fn named<T>(received: io::Result<(T, SockAddr)>) -> io::Result<(T, SocketAddr)> {
    let (what, address) = received?;
    Ok((what, SocketAddr::from_raw(&address)?))
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.datagrams.fd().as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.datagrams.fd().as_raw_fd()
    }
}

impl TryFrom<std::os::unix::net::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    fn try_from(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(socket)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}
