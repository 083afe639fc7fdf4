//! Byte streams: what sockets and pipes have in common.
//!
//! ```text
//!  Stream = ReadEnd + WriteEnd
//!             |          |
//!          Inbound    Outbound      the op belongs to the object; waiters stand in a line (Turns)
//! ```
//!
//! You use these types by the names of what they are: [`TcpStream`](crate::net::TcpStream),
//! [`UnixStream`](crate::net::UnixStream) and their halves, the ends of a pipe. What a stream
//! promises is said at [`ReadEnd`] and [`WriteEnd`].
//!
//! With the feature `tokio` the traits and helpers of `tokio::io` have their names here too, so
//! that code moves by its `use` lines. They are tokio's own: what implements its traits works here,
//! and our streams work there.

mod accepting;
mod descriptors;
#[cfg(any(feature = "futures", feature = "hyper", feature = "tokio"))]
mod faces;
mod inbound;
mod incoming;
mod interest;
mod into_std;
mod kind;
mod outbound;
mod owned_recv;
mod parts;
mod read_end;
mod readiness;
mod ready;
mod receiving;
mod recv_stream;
mod stdio;
mod stream;
mod turns;
mod unread;
mod whole_write;
mod write_end;
mod zero_copy;

pub use std::io::{Error, ErrorKind, Result, SeekFrom};

#[cfg(feature = "tokio")]
pub use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite,
    AsyncWriteExt, BufReader, BufStream, BufWriter, Chain, DuplexStream, Empty, Join, Lines,
    ReadBuf, ReadHalf, Repeat, SimplexStream, Sink, Split, Take, WriteHalf, copy,
    copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, empty, join, repeat,
    simplex, sink, split,
};

pub(crate) use self::accepting::Accepting;
pub use self::incoming::Incoming;
pub use self::interest::{Interest, Ready};
pub use self::into_std::IntoStdError;
pub use self::kind::{Kind, Pipe, Socket, SocketKind, Tcp, Unix};
pub use self::read_end::ReadEnd;
pub(crate) use self::readiness::Readiness;
pub(crate) use self::ready::wait;
pub use self::recv_stream::RecvStream;
pub use self::stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
pub use self::stream::{ReuniteError, Stream};
pub(crate) use self::turns::Turns;
pub use self::write_end::WriteEnd;
