//! `SENDMSG_ZC`.

use std::io;
use std::net::{TcpStream, UdpSocket};

use ringspun::buf::BufResult;
use ringspun::op::{Control, Fixed, SendMsgZc, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::sockets::{full_tcp_pair, read_up_to};
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on};

type Bufs = (CountedBuf, CountedBuf);

/// A send to a peer that does not read.
struct SendFull {
    ours: SharedFd,
    peer: TcpStream,
    buffers: Buffers,
}

impl SendFull {
    fn message(&self, fd: &SharedFd) -> Submission<SendMsgZc<Bufs>> {
        submit(SendMsgZc::new(fd, (self.buffers.of(*b"hel"), self.buffers.of(*b"lo")), 0))
    }
}

impl Case for SendFull {
    type Op = SendMsgZc<Bufs>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(buffers: &Buffers) -> SendFull {
        let (ours, peer) = full_tcp_pair();
        SendFull { ours, peer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<SendMsgZc<Bufs>> {
        self.message(&self.ours)
    }

    fn release(&mut self) {
        read_up_to(&mut self.peer, b"");
    }

    fn check(&mut self, (result, (first, second)): BufResult<usize, Bufs>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!((&*first.bytes, &*second.bytes), (&b"hel"[..], &b"lo"[..]));
        read_up_to(&mut self.peer, b"hello");
    }

    fn bad_op(&mut self) -> Submission<SendMsgZc<Bufs>> {
        self.message(&Pipe::new().reader)
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

#[test]
fn to_an_address_in_segments() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = peer.local_addr().expect("bound");
        let ours = SharedFd::new(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        let control = Control::new().udp_segment(2);
        let to = Some(address.into());
        let (sent, bufs) = ring.sendmsg_zc(&ours, ["ab", "c"], to, control, 0).await;
        assert_eq!((sent.expect("room"), bufs), (3, ["ab", "c"]));
        for expected in [&b"ab"[..], b"c"] {
            let mut buf = [0; 8];
            let count = peer.recv(&mut buf).expect("it came");
            assert_eq!(&buf[..count], expected);
        }
    });
}

#[test]
fn registered_files_are_refused() {
    block_on(async {
        let (ours, _peer) = super::sockets::tcp_pair();
        let control = Control::new().rights([Fixed(0)]);
        let (result, _) = submit(SendMsgZc::new(&ours, ["x"], 0).control(control)).await;
        assert_eq!(result.expect_err("no number").kind(), io::ErrorKind::InvalidInput);
    });
}
