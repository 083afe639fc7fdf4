//! `LISTEN`.

use std::io;
use std::net::{TcpStream, UdpSocket};

use ringspun::op::{Link, Listen, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;
use socket2::SockRef;

use super::held::{self, Bare};
use super::sockets::stream_socket;
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

struct Bound {
    sockets: Vec<SharedFd>,
}

fn bound() -> SharedFd {
    let socket = stream_socket();
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    SockRef::from(&socket).bind(&any.into()).expect("a free port");
    socket
}

fn connect(socket: &SharedFd) -> io::Result<TcpStream> {
    let address = SockRef::from(socket).local_addr()?.as_socket().expect("an address");
    TcpStream::connect(address)
}

impl Case for Bound {
    type Op = Listen;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EOPNOTSUPP;

    fn new(_: &Buffers) -> Bound {
        Bound { sockets: Vec::new() }
    }

    fn op(&mut self) -> Submission<Listen> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is bound");
        connect(&self.sockets[0]).expect("it listens");
    }

    fn bad_op(&mut self) -> Submission<Listen> {
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        submit(Listen::new(SharedFd::new(datagrams), 1))
    }
}

impl Bare for Bound {
    fn bare(&mut self) -> Listen {
        self.sockets.push(bound());
        Listen::new(&self.sockets[self.sockets.len() - 1], 8)
    }
}

#[test]
fn ok() {
    suite::ok::<Bound>();
    held::ok::<Bound>();
}

#[test]
fn error() {
    suite::error::<Bound>();
}

#[test]
fn timeout() {
    suite::timeout::<Bound>();
    held::timeout::<Bound>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Bound>();
    held::cancelled::<Bound>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Bound>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Bound>();
    held::dropped_in_flight::<Bound>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Bound>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Bound>();
    held::runtime_shut_down::<Bound>();
}

/// From nothing to a connection without a system call of our own, and in one batch.
#[test]
fn a_listener_by_the_ring_alone() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let socket = ring.socket(libc::AF_INET, libc::SOCK_STREAM, 0).await.expect("a socket");
        let socket = SharedFd::new(socket);
        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        let bind = ringspun::op::Bind::new(&socket, any);
        let chain: Link<_> = ring.link((bind, Listen::new(&socket, 8)));
        let (bound, listens) = chain.await.expect("it fits");
        bound.expect("a free port");
        listens.expect("it is bound");
        let client = connect(&socket).expect("it listens");
        let (_accepted, peer) = ring.accept_with_address(&socket, 0).await.expect("a client");
        assert_eq!(peer.as_socket(), client.local_addr().ok());
    });
}
