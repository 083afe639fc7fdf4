//! TCP.

mod listener;
mod socket;
mod stream;

pub use self::listener::TcpListener;
pub use self::socket::TcpSocket;
pub use self::stream::TcpStream;
pub(super) use self::stream::internet;
use crate::io::{ReadEnd, Tcp, WriteEnd};

/// The reading half of [`TcpStream::split`](crate::io::Stream::split).
pub type ReadHalf<'a> = &'a mut ReadEnd<Tcp>;
/// The writing half of [`TcpStream::split`](crate::io::Stream::split).
pub type WriteHalf<'a> = &'a mut WriteEnd<Tcp>;
/// The reading half of [`TcpStream::into_split`](crate::io::Stream::into_split).
pub type OwnedReadHalf = ReadEnd<Tcp>;
/// The writing half of [`TcpStream::into_split`](crate::io::Stream::into_split).
pub type OwnedWriteHalf = WriteEnd<Tcp>;
/// Halves that are not of one stream.
pub type ReuniteError = crate::io::ReuniteError<Tcp>;
/// Why a stream did not become one of std's.
pub type IntoStdError = crate::io::IntoStdError<Tcp>;
/// The connections of a listener as a stream.
pub type Incoming<'a> = crate::io::Incoming<'a, Tcp>;
