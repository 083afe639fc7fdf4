//! TCP, UDP and Unix domain sockets, with the names and the meaning of tokio's.
//!
//! The operation belongs to the object: dropping the future of `accept`, `read`, `peek` or
//! `recv_from`, in a `select!` for instance, loses nothing. What that means for bytes is said at
//! [`ReadEnd`](crate::io::ReadEnd) and [`WriteEnd`](crate::io::WriteEnd), which a stream consists
//! of.
//!
//! Names are resolved on the blocking pool, by the C library. `connect` to a name with several
//! addresses tries them by turns (RFC 8305).

mod addr;
mod connect;
mod datagrams;
mod options;
pub mod tcp;
pub mod udp;
pub mod unix;

pub(crate) use self::addr::resolve;
pub use self::addr::{ToSocketAddrs, lookup_host};
pub use self::tcp::{TcpListener, TcpSocket, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
