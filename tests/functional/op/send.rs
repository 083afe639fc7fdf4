//! `SEND`.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use ringspun::buf::BufResult;
use ringspun::op::{Send, SharedFd, Submission, submit};

use super::sockets::{drain, full_pair, sigpipe_is_ignored, tcp_pair};
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on, socket_pair, submit_only};

/// A send to a peer that does not read.
struct SendFull {
    ours: SharedFd,
    peer: UnixStream,
    buffers: Buffers,
}

impl Case for SendFull {
    type Op = Send<CountedBuf>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(buffers: &Buffers) -> SendFull {
        let (ours, peer) = full_pair();
        SendFull { ours, peer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<Send<CountedBuf>> {
        submit(Send::new(&self.ours, self.buffers.of(*b"hello"), 0))
    }

    fn release(&mut self) {
        drain(&mut self.peer);
    }

    fn check(&mut self, (result, buf): BufResult<usize, CountedBuf>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!(buf.bytes, b"hello", "the buffer comes back");
        assert!(drain(&mut self.peer).ends_with(b"hello"));
    }

    fn bad_op(&mut self) -> Submission<Send<CountedBuf>> {
        submit(Send::new(Pipe::new().reader, self.buffers.of(*b"hello"), 0))
    }
}

#[test]
fn ok() {
    suite::ok::<SendFull>();
}

#[test]
fn error() {
    suite::error::<SendFull>();
}

#[test]
fn timeout() {
    suite::timeout::<SendFull>();
}

#[test]
fn cancelled() {
    suite::cancelled::<SendFull>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<SendFull>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<SendFull>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<SendFull>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<SendFull>();
}

/// An error, and the process goes on, whatever it does with the signal.
#[test]
fn to_a_closed_peer() {
    block_on(async {
        let (ours, peer) = socket_pair();
        drop(peer);
        let (result, buf) = submit(Send::new(&ours, b"hello".to_vec(), 0)).await;
        assert_eq!(result.expect_err("nobody is there").kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(buf, b"hello");
        assert!(sigpipe_is_ignored());
    });
}

#[test]
fn to_a_closed_peer_while_it_waits() {
    block_on(async {
        let (ours, peer) = full_pair();
        let mut op = submit(Send::new(&ours, b"hello".to_vec(), 0));
        assert!(submit_only(&mut op).await.is_pending());
        drop(peer);
        let (result, buf) = op.await;
        let kind = result.expect_err("nobody is there").kind();
        assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
        assert_eq!(buf, b"hello");
    });
}

#[test]
fn an_empty_buffer() {
    block_on(async {
        let (ours, _peer) = socket_pair();
        let (result, _) = submit(Send::new(&ours, Vec::<u8>::new(), 0)).await;
        assert_eq!(result.expect("nothing is no error"), 0);
    });
}

#[test]
fn do_not_wait() {
    block_on(async {
        let (ours, _peer) = full_pair();
        let flags = libc::MSG_DONTWAIT as u32;
        let (result, _) = submit(Send::new(&ours, b"hello".to_vec(), flags)).await;
        assert_eq!(result.expect_err("no room").kind(), io::ErrorKind::WouldBlock);
    });
}

/// The kernel reads the buffer until the cancel is through; what it took is in order.
#[test]
fn dropped_in_flight_sends_a_prefix() {
    let payload: Vec<u8> = (0..8 << 20_u32).map(|n| (n % 251) as u8).collect();
    let (ours, mut peer) = tcp_pair();
    let expected = payload.clone();
    block_on(async move {
        let mut op = submit(Send::new(&ours, payload, libc::MSG_WAITALL as u32));
        let _pending = submit_only(&mut op).await;
        drop(op);
    });
    let mut all = Vec::new();
    peer.read_to_end(&mut all).expect("an orderly end");
    assert!(all.len() <= expected.len());
    assert_eq!(all, expected[..all.len()]);
}
