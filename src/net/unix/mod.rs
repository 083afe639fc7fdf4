//! Unix domain sockets: streams and datagrams between the processes of one machine.
//!
//! A path that begins with a NUL byte is an abstract name, as with tokio: it is in no directory,
//! and goes when the socket does. A socket at a path leaves its file there; remove it yourself.

mod address;
mod credentials;
mod datagram;
mod datagram_polls;
mod listener;
mod socket;
mod stream;

pub use self::address::SocketAddr;
pub use self::credentials::UCred;
pub use self::datagram::UnixDatagram;
pub use self::listener::UnixListener;
pub use self::socket::UnixSocket;
pub use self::stream::UnixStream;
use crate::io::{ReadEnd, Unix, WriteEnd};

/// The reading half of [`UnixStream::split`](crate::io::Stream::split).
pub type ReadHalf<'a> = &'a mut ReadEnd<Unix>;
/// The writing half of [`UnixStream::split`](crate::io::Stream::split).
pub type WriteHalf<'a> = &'a mut WriteEnd<Unix>;
/// The reading half of [`UnixStream::into_split`](crate::io::Stream::into_split).
pub type OwnedReadHalf = ReadEnd<Unix>;
/// The writing half of [`UnixStream::into_split`](crate::io::Stream::into_split).
pub type OwnedWriteHalf = WriteEnd<Unix>;
/// Halves that are not of one stream.
pub type ReuniteError = crate::io::ReuniteError<Unix>;
/// Why a stream did not become one of std's.
pub type IntoStdError = crate::io::IntoStdError<Unix>;
/// The connections of a listener as a stream.
pub type Incoming<'a> = crate::io::Incoming<'a, Unix>;
