//! `SHUTDOWN`.

use std::io::{self, Read};
use std::net;

use ringspun::op::{Recv, SharedFd, Shutdown, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::held::{self, Bare};
use super::sockets::{stream_socket, tcp_pair};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on, socket_pair, submit_only};

/// A shutdown of one direction.
struct ShutdownPair {
    ours: SharedFd,
    _peer: std::os::unix::net::UnixStream,
}

impl Case for ShutdownPair {
    type Op = Shutdown;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOTCONN;

    fn new(_: &Buffers) -> ShutdownPair {
        let (ours, peer) = socket_pair();
        ShutdownPair { ours, _peer: peer }
    }

    fn op(&mut self) -> Submission<Shutdown> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is connected");
    }

    fn bad_op(&mut self) -> Submission<Shutdown> {
        submit(Shutdown::new(stream_socket(), net::Shutdown::Both))
    }
}

impl Bare for ShutdownPair {
    fn bare(&mut self) -> Shutdown {
        Shutdown::new(&self.ours, net::Shutdown::Write)
    }
}

#[test]
fn ok() {
    suite::ok::<ShutdownPair>();
    held::ok::<ShutdownPair>();
}

#[test]
fn error() {
    suite::error::<ShutdownPair>();
}

#[test]
fn timeout() {
    suite::timeout::<ShutdownPair>();
    held::timeout::<ShutdownPair>();
}

#[test]
fn cancelled() {
    suite::cancelled::<ShutdownPair>();
    held::cancelled::<ShutdownPair>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<ShutdownPair>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<ShutdownPair>();
    held::dropped_in_flight::<ShutdownPair>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<ShutdownPair>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<ShutdownPair>();
    held::runtime_shut_down::<ShutdownPair>();
}

#[test]
fn of_writing_is_the_end_for_the_peer_only() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (ours, peer) = tcp_pair();
        ring.send(&ours, b"bye", 0).await.0.expect("connected");
        ring.shutdown(&ours, net::Shutdown::Write).await.expect("connected");
        let peer = SharedFd::new(peer);
        assert_eq!(ring.recv(&peer, Vec::with_capacity(8), 0).await.1, b"bye");
        let (end, _) = ring.recv(&peer, Vec::with_capacity(8), 0).await;
        assert_eq!(end.expect("the end is no error"), 0);
        // The other direction stands.
        ring.send(&peer, b"still here", 0).await.0.expect("connected");
        assert_eq!(ring.recv(&ours, Vec::with_capacity(16), 0).await.1, b"still here");
        let (refused, _) = ring.send(&ours, b"more", 0).await;
        assert_eq!(refused.expect_err("shut").kind(), io::ErrorKind::BrokenPipe);
    });
}

/// A receive in flight hears of it.
#[test]
fn of_reading_ends_a_receive() {
    block_on(async {
        let (ours, _peer) = tcp_pair();
        let mut recv = submit(Recv::new(&ours, Vec::with_capacity(8), 0));
        assert!(submit_only(&mut recv).await.is_pending());
        submit(Shutdown::new(&ours, net::Shutdown::Read)).await.expect("connected");
        assert_eq!(recv.await.0.expect("the end is no error"), 0);
    });
}

/// It acts on the socket: a duplicate of the descriptor is shut down with it.
#[test]
fn acts_on_duplicates() {
    block_on(async {
        let (ours, mut peer) = socket_pair();
        let _duplicate = std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned().expect("a number");
        submit(Shutdown::new(ours, net::Shutdown::Both)).await.expect("connected");
        assert_eq!(peer.read(&mut [0; 1]).expect("the end is no error"), 0);
    });
}
