//! Options of UDP sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::options;
use super::UdpSocket;

/// Each is one `getsockopt(2)` or `setsockopt(2)`, whose errors are those of the function.
#[allow(clippy::missing_errors_doc, reason = "said once")]
impl UdpSocket {
    /// Whether datagrams to the broadcast address may be sent (`SO_BROADCAST`).
    pub fn broadcast(&self) -> io::Result<bool> {
        self.datagrams.option().broadcast()
    }

    /// Sets [`broadcast`](UdpSocket::broadcast).
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.datagrams.option().set_broadcast(on)
    }

    /// Whether multicasts of ours come back (`IP_MULTICAST_LOOP`).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.datagrams.option().multicast_loop_v4()
    }

    /// Sets [`multicast_loop_v4`](UdpSocket::multicast_loop_v4).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.datagrams.option().set_multicast_loop_v4(on)
    }

    /// The time to live of multicasts (`IP_MULTICAST_TTL`).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.datagrams.option().multicast_ttl_v4()
    }

    /// Sets [`multicast_ttl_v4`](UdpSocket::multicast_ttl_v4).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.datagrams.option().set_multicast_ttl_v4(ttl)
    }

    /// Whether multicasts of ours come back (`IPV6_MULTICAST_LOOP`).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.datagrams.option().multicast_loop_v6()
    }

    /// Sets [`multicast_loop_v6`](UdpSocket::multicast_loop_v6).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.datagrams.option().set_multicast_loop_v6(on)
    }

    /// The traffic class of packets (`IPV6_TCLASS`).
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.datagrams.option().tclass_v6()
    }

    /// Sets [`tclass_v6`](UdpSocket::tclass_v6).
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.datagrams.option().set_tclass_v6(tclass)
    }

    /// The time to live of packets (`IP_TTL`, `IPV6_UNICAST_HOPS`).
    pub fn ttl(&self) -> io::Result<u32> {
        options::ttl(&self.datagrams.option())
    }

    /// Sets [`ttl`](UdpSocket::ttl).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        options::set_ttl(&self.datagrams.option(), ttl)
    }

    /// The type of service of packets (`IP_TOS`).
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.datagrams.option().tos_v4()
    }

    /// Sets [`tos_v4`](UdpSocket::tos_v4).
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.datagrams.option().set_tos_v4(tos)
    }

    /// The interface that it is bound to (`SO_BINDTODEVICE`).
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.datagrams.option().device()
    }

    /// Binds it to an interface by name; `None`: to any. Needs `CAP_NET_RAW`.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.datagrams.option().bind_device(interface)
    }

    /// Receives what is sent to a multicast group (`IP_ADD_MEMBERSHIP`), on the interface that has
    /// this address; 0.0.0.0: on one that the kernel chooses.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.datagrams.option().join_multicast_v4(&multiaddr, &interface)
    }

    /// Receives what is sent to a multicast group (`IPV6_ADD_MEMBERSHIP`), on the interface of this
    /// index; 0: on any.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.datagrams.option().join_multicast_v6(multiaddr, interface)
    }

    /// Takes [`join_multicast_v4`](UdpSocket::join_multicast_v4) back.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.datagrams.option().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Takes [`join_multicast_v6`](UdpSocket::join_multicast_v6) back.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.datagrams.option().leave_multicast_v6(multiaddr, interface)
    }

    /// Takes the pending error of the socket (`SO_ERROR`).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.datagrams.option().take_error()
    }
}
