//! `RECV`.

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;

use ringspun::buf::BufResult;
use ringspun::op::{Recv, SharedFd, Submission, submit};

use super::sockets::tcp_pair;
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on, socket_pair, submit_only};

/// A receive from a peer that is silent.
struct RecvPair {
    ours: SharedFd,
    peer: UnixStream,
    buffers: Buffers,
}

impl Case for RecvPair {
    type Op = Recv<CountedBuf>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(buffers: &Buffers) -> RecvPair {
        let (ours, peer) = socket_pair();
        RecvPair { ours, peer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<Recv<CountedBuf>> {
        submit(Recv::new(&self.ours, self.buffers.empty(16), 0))
    }

    fn release(&mut self) {
        self.peer.write_all(b"hello").expect("connected");
    }

    fn check(&mut self, (result, buf): BufResult<usize, CountedBuf>) {
        assert_eq!(result.expect("bytes are there"), 5);
        assert_eq!(buf.bytes, b"hello");
    }

    fn bad_op(&mut self) -> Submission<Recv<CountedBuf>> {
        submit(Recv::new(Pipe::new().reader, self.buffers.empty(16), 0))
    }
}

#[test]
fn ok() {
    suite::ok::<RecvPair>();
}

#[test]
fn error() {
    suite::error::<RecvPair>();
}

#[test]
fn timeout() {
    suite::timeout::<RecvPair>();
}

#[test]
fn cancelled() {
    suite::cancelled::<RecvPair>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<RecvPair>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<RecvPair>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<RecvPair>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<RecvPair>();
}

#[test]
fn end_of_the_stream() {
    block_on(async {
        let (ours, peer) = tcp_pair();
        let mut op = submit(Recv::new(&ours, vec![7; 4], 0));
        assert!(submit_only(&mut op).await.is_pending());
        drop(peer);
        let (result, buf) = op.await;
        assert_eq!(result.expect("the end is no error"), 0);
        assert_eq!(buf, [7; 4], "nothing was written, and the buffer is as it was");
        let (again, _) = submit(Recv::new(&ours, vec![7; 4], 0)).await;
        assert_eq!(again.expect("it stays the end"), 0);
    });
}

#[test]
fn reset_by_the_peer() {
    block_on(async {
        let (ours, peer) = tcp_pair();
        let mut op = submit(Recv::new(&ours, Vec::with_capacity(4), 0));
        assert!(submit_only(&mut op).await.is_pending());
        socket2::SockRef::from(&peer)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("an option");
        drop(peer);
        let (result, _) = op.await;
        let error = result.expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn peek_leaves_the_bytes() {
    block_on(async {
        let (ours, mut peer) = socket_pair();
        peer.write_all(b"hello").expect("connected");
        let recv = |flags| submit(Recv::new(&ours, Vec::with_capacity(16), flags));
        assert_eq!(recv(libc::MSG_PEEK as u32).await.1, b"hello");
        assert_eq!(recv(libc::MSG_PEEK as u32).await.1, b"hello");
        assert_eq!(recv(0).await.1, b"hello");
        drop(peer);
        assert_eq!(recv(0).await.0.expect("the end is no error"), 0);
    });
}

#[test]
fn do_not_wait() {
    block_on(async {
        let (ours, _peer) = socket_pair();
        let flags = libc::MSG_DONTWAIT as u32;
        let (result, _) = submit(Recv::new(&ours, Vec::with_capacity(4), flags)).await;
        let error = result.expect_err("there is nothing");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    });
}

#[test]
fn bytes_that_arrived_win_over_the_cancel() {
    block_on(async {
        let (ours, mut peer) = socket_pair();
        let mut op = submit(Recv::new(&ours, Vec::with_capacity(16), 0));
        assert!(submit_only(&mut op).await.is_pending());
        peer.write_all(b"late").expect("connected");
        let (result, buf) = op.cancel().await;
        match result {
            Ok(count) => assert_eq!((count, buf.as_slice()), (4, &b"late"[..])),
            // Cancelled before the kernel looked: then the bytes are still in the socket.
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                let (_, buf) = submit(Recv::new(&ours, buf, 0)).await;
                assert_eq!(buf, b"late");
            }
        }
    });
}

/// `MSG_TRUNC` tells the length of the datagram, which is not that of the buffer.
#[test]
fn a_cut_datagram() {
    block_on(async {
        let ours = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        ours.connect(peer.local_addr().expect("bound")).expect("an address");
        peer.send_to(&[1; 100], ours.local_addr().expect("bound")).expect("room");
        let ours = SharedFd::new(ours);
        let flags = libc::MSG_TRUNC as u32;
        let (result, buf) = submit(Recv::new(&ours, Box::new([0_u8; 10]), flags)).await;
        assert_eq!(result.expect("a datagram"), 100);
        assert_eq!(buf, Box::new([1; 10]));
        peer.send_to(&[2; 100], ours_address(&ours)).expect("room");
        let (result, buf) = submit(Recv::new(&ours, Vec::with_capacity(10), flags)).await;
        assert_eq!(result.expect("a datagram"), 100);
        assert!(buf.len() <= buf.capacity() && buf.iter().all(|byte| *byte == 2));
    });
}

fn ours_address(fd: &SharedFd) -> std::net::SocketAddr {
    let address = socket2::SockRef::from(fd).local_addr().expect("bound");
    address.as_socket().expect("an address")
}
