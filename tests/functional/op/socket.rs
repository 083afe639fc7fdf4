//! `SOCKET`.

use std::io;
use std::os::fd::OwnedFd;

use ringspun::op::{Socket, Submission, submit};
use ringspun::uring::AsyncIoUring;
use socket2::{Domain, SockRef, Type};

use super::held::{self, Bare};
use super::sockets::is_closed_on_exec;
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

struct Tcp;

impl Case for Tcp {
    type Op = Socket;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EAFNOSUPPORT;

    fn new(_: &Buffers) -> Tcp {
        Tcp
    }

    fn op(&mut self) -> Submission<Socket> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<OwnedFd>) {
        let socket = output.expect("there is TCP");
        let socket = SockRef::from(&socket);
        assert_eq!(socket.domain().expect("a socket"), Domain::IPV4);
        assert_eq!(socket.r#type().expect("a socket"), Type::STREAM);
    }

    fn bad_op(&mut self) -> Submission<Socket> {
        submit(Socket::new(9999, libc::SOCK_STREAM, 0))
    }
}

impl Bare for Tcp {
    fn bare(&mut self) -> Socket {
        Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)
    }
}

#[test]
fn ok() {
    suite::ok::<Tcp>();
    held::ok::<Tcp>();
}

#[test]
fn error() {
    suite::error::<Tcp>();
}

#[test]
fn timeout() {
    suite::timeout::<Tcp>();
    held::timeout::<Tcp>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Tcp>();
    held::cancelled::<Tcp>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Tcp>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Tcp>();
    held::dropped_in_flight::<Tcp>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Tcp>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Tcp>();
    held::runtime_shut_down::<Tcp>();
}

#[test]
fn flags_and_protocol() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK;
        let socket = ring.socket(libc::AF_INET6, kind, libc::IPPROTO_UDP).await.expect("a socket");
        assert!(is_closed_on_exec(&socket));
        let socket = SockRef::from(&socket);
        assert!(socket.nonblocking().expect("a socket"));
        assert_eq!(socket.protocol().expect("a socket"), Some(socket2::Protocol::UDP));
        let error = ring.socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_UDP).await;
        let error = error.expect_err("no such thing");
        assert_eq!(error.raw_os_error(), Some(libc::EPROTONOSUPPORT));
    });
}

/// What the dump says of it: the domain is no descriptor.
#[test]
fn has_no_descriptor_in_flight() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut op = ring.socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        if crate::support::poll_once(&mut op).await.is_pending() {
            for info in ring.ops_in_flight() {
                assert!(info.operation != "SOCKET" || info.fd == -1, "{info:?}");
            }
            op.await.expect("a socket");
        }
    });
}
