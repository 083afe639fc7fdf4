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

mod accepting;
mod inbound;
mod kind;
mod outbound;
mod owned_recv;
mod read_end;
mod stream;
mod turns;
mod unread;
mod write_end;

pub(crate) use self::accepting::Accepting;
pub(crate) use self::inbound::Way;
pub use self::kind::{Kind, Pipe, SocketKind, Tcp, Unix};
pub use self::read_end::ReadEnd;
pub use self::stream::{ReuniteError, Stream};
pub(crate) use self::turns::Turns;
pub use self::write_end::WriteEnd;
