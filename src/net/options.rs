//! Options that differ between IPv4 and IPv6.

use std::io;

use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::SockRef;

use crate::op::SharedFd;

/// Takes over a socket that others have made, and whose options are not known.
pub(super) fn adopt(socket: impl Into<OwnedFd>) -> SharedFd {
    let fd = SharedFd::new(socket);
    let linger = SockRef::from(&fd).linger().ok().flatten();
    fd.set_lingers(linger.is_some_and(|time| time > Duration::ZERO));
    fd
}

pub(super) fn is_v6(socket: &SockRef<'_>) -> io::Result<bool> {
    Ok(socket.local_addr()?.is_ipv6())
}

pub(super) fn ttl(socket: &SockRef<'_>) -> io::Result<u32> {
    if is_v6(socket)? { socket.unicast_hops_v6() } else { socket.ttl_v4() }
}

pub(super) fn set_ttl(socket: &SockRef<'_>, ttl: u32) -> io::Result<()> {
    if is_v6(socket)? { socket.set_unicast_hops_v6(ttl) } else { socket.set_ttl_v4(ttl) }
}
