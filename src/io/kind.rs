//! What a byte stream is a stream of.

use super::inbound::Way;

/// The kinds of byte streams: [`Tcp`], [`Unix`], [`Socket`], [`Pipe`]. Types of this crate only.
pub trait Kind: sealed::Sealed {}

/// Kinds that are sockets.
pub trait SocketKind: Kind {}

/// TCP: [`TcpStream`](crate::net::TcpStream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tcp {}

/// Unix domain: [`UnixStream`](crate::net::UnixStream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unix {}

/// TCP or Unix domain, whichever it is: [`server::Stream`](crate::server::Stream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {}

/// A pipe, anonymous or named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {}

pub(crate) mod sealed {
    use super::Way;

    /// Keeps `Kind` to this crate.
    pub trait Sealed: Sized + Unpin + 'static {
        /// The name of the type in `Debug`.
        const NAME: &'static str;
        /// How its bytes move.
        #[allow(private_interfaces, reason = "sealed: not usable from outside")]
        const WAY: Way;
        /// Whether its sends can be without a copy.
        const ZERO_COPY: bool = false;
    }
}

impl Kind for Tcp {}
impl Kind for Unix {}
impl Kind for Socket {}
impl Kind for Pipe {}
impl SocketKind for Tcp {}
impl SocketKind for Unix {}
impl SocketKind for Socket {}

#[allow(private_interfaces, reason = "as declared")]
impl sealed::Sealed for Tcp {
    const NAME: &'static str = "TcpStream";
    const ZERO_COPY: bool = true;
    const WAY: Way = Way::Socket;
}

#[allow(private_interfaces, reason = "as declared")]
impl sealed::Sealed for Unix {
    const NAME: &'static str = "UnixStream";
    const WAY: Way = Way::Socket;
}

#[allow(private_interfaces, reason = "as declared")]
impl sealed::Sealed for Socket {
    const NAME: &'static str = "Stream";
    /// Where the kernel cannot, it says so, and the send is one with a copy.
    const ZERO_COPY: bool = true;
    const WAY: Way = Way::Socket;
}

#[allow(private_interfaces, reason = "as declared")]
impl sealed::Sealed for Pipe {
    const NAME: &'static str = "Pipe";
    const WAY: Way = Way::Pipe;
}
