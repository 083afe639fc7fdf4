//! `BIND`.

use std::io;
use std::net::SocketAddr;

use ringspun::op::{Bind, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::held::{self, Bare};
use super::sockets::stream_socket;
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

struct AnyPort {
    sockets: Vec<SharedFd>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl Case for AnyPort {
    type Op = Bind;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EADDRNOTAVAIL;

    fn new(_: &Buffers) -> AnyPort {
        AnyPort { sockets: Vec::new() }
    }

    fn op(&mut self) -> Submission<Bind> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("there are free ports");
        let socket = SockRef::from(&self.sockets[0]);
        let address = socket.local_addr().expect("bound").as_socket().expect("an address");
        assert_ne!(address.port(), 0);
    }

    /// An address for documentation, which nobody has.
    fn bad_op(&mut self) -> Submission<Bind> {
        submit(Bind::new(stream_socket(), at("192.0.2.1:0")))
    }
}

impl Bare for AnyPort {
    fn bare(&mut self) -> Bind {
        self.sockets.push(stream_socket());
        Bind::new(&self.sockets[self.sockets.len() - 1], at("127.0.0.1:0"))
    }
}

#[test]
fn ok() {
    suite::ok::<AnyPort>();
    held::ok::<AnyPort>();
}

#[test]
fn error() {
    suite::error::<AnyPort>();
}

#[test]
fn timeout() {
    suite::timeout::<AnyPort>();
    held::timeout::<AnyPort>();
}

#[test]
fn cancelled() {
    suite::cancelled::<AnyPort>();
    held::cancelled::<AnyPort>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<AnyPort>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<AnyPort>();
    held::dropped_in_flight::<AnyPort>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<AnyPort>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<AnyPort>();
    held::runtime_shut_down::<AnyPort>();
}

#[test]
fn taken_and_twice() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (listener, address) = super::sockets::listener();
        let error = ring.bind(stream_socket(), address).await.expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let error = ring.bind(listener, at("127.0.0.1:0")).await.expect_err("it is bound");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn to_a_path() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    block_on(async {
        let ring = AsyncIoUring::current();
        let socket = || SharedFd::new(Socket::new(Domain::UNIX, Type::DGRAM, None).expect("one"));
        let address = SockAddr::unix(&path).expect("short");
        ring.bind(socket(), address.clone()).await.expect("a free name");
        assert!(path.exists());
        let error = ring.bind(socket(), address).await.expect_err("the name is there");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    });
}
