//! Who has connected.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::SockRef;

use crate::net::unix::UCred;

/// Who has connected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Over TCP, from this address.
    Tcp(SocketAddr),
    /// Over a Unix socket: the process, as it was then, if the system tells.
    Unix(Option<UCred>),
}

impl Peer {
    /// An error: it has gone already.
    pub(super) fn of(fd: impl AsFd) -> io::Result<Peer> {
        match SockRef::from(&fd).peer_addr()?.as_socket() {
            Some(address) => Ok(Peer::Tcp(address)),
            None => Ok(Peer::Unix(UCred::of_peer(fd).ok())),
        }
    }

    /// The internet address, if it has one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Peer::Tcp(address) => Some(*address),
            Peer::Unix(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix(None) => f.write_str("unix"),
            Peer::Unix(Some(who)) => match who.pid() {
                Some(pid) => write!(f, "unix:pid={pid},uid={}", who.uid()),
                None => write!(f, "unix:uid={}", who.uid()),
            },
        }
    }
}
