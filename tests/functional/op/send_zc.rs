//! `SEND_ZC`.

use std::io::{self, Read};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use ringspun::buf::BufResult;
use ringspun::op::{SendZc, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::sockets::{full_tcp_pair, read_up_to, tcp_pair};
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, PATIENCE, Pipe, block_on, runtime, socket_pair};

/// A send to a peer that does not read.
struct SendFull {
    ours: SharedFd,
    peer: TcpStream,
    buffers: Buffers,
}

impl Case for SendFull {
    type Op = SendZc<CountedBuf>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(buffers: &Buffers) -> SendFull {
        let (ours, peer) = full_tcp_pair();
        SendFull { ours, peer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<SendZc<CountedBuf>> {
        submit(SendZc::new(&self.ours, self.buffers.of(*b"hello"), 0))
    }

    fn release(&mut self) {
        read_up_to(&mut self.peer, b"");
    }

    fn check(&mut self, (result, buf): BufResult<usize, CountedBuf>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!(buf.bytes, b"hello", "the buffer comes back");
        read_up_to(&mut self.peer, b"hello");
    }

    fn bad_op(&mut self) -> Submission<SendZc<CountedBuf>> {
        submit(SendZc::new(Pipe::new().reader, self.buffers.of(*b"hello"), 0))
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

/// Every byte, in order, from memory that is the kernel's until the peer has it.
#[test]
fn large() {
    let payload: Vec<u8> = (0..4 << 20_u32).map(|n| (n % 251) as u8).collect();
    let (ours, mut peer) = tcp_pair();
    let expected = payload.clone();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("an orderly end");
        all
    });
    block_on(async move {
        let ring = AsyncIoUring::current();
        let mut rest = payload;
        while !rest.is_empty() {
            let (sent, buf) = ring.send_zc(&ours, rest, libc::MSG_WAITALL as u32).await;
            match sent {
                Ok(count) => rest = buf[count..].to_vec(),
                // As the docs say: by an ordinary send.
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM), "{error}");
                    let (sent, buf) = ring.send(&ours, buf, 0).await;
                    match sent {
                        Ok(count) => rest = buf[count..].to_vec(),
                        Err(error) => {
                            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                            rest = buf;
                        }
                    }
                }
            }
        }
    });
    assert!(reader.join().expect("no panic") == expected);
}

#[test]
fn to_an_address() {
    block_on(async {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = peer.local_addr().expect("bound");
        let ours = SharedFd::new(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        let (sent, _) = submit(SendZc::new(&ours, b"abcd".to_vec(), 0).to(address)).await;
        assert_eq!(sent.expect("room"), 4);
        let mut buf = [0; 8];
        assert_eq!(peer.recv(&mut buf).expect("it came"), 4);
        assert_eq!(&buf[..4], b"abcd");
    });
}

/// The step down: another kind of socket.
#[test]
fn unix_sockets_cannot() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (ours, _peer) = socket_pair();
        let (sent, buf) = ring.send_zc(&ours, b"hello".to_vec(), 0).await;
        assert_eq!(sent.expect_err("not this one").kind(), io::ErrorKind::Unsupported);
        assert_eq!(ring.send(&ours, buf, 0).await.0.expect("room"), 5);
    });
}

#[test]
fn to_a_closed_peer() {
    block_on(async {
        let (ours, peer) = tcp_pair();
        drop(peer);
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline);
            let (sent, buf) = submit(SendZc::new(&ours, b"hello".to_vec(), 0)).await;
            assert_eq!(buf, b"hello");
            if let Err(error) = sent {
                let kind = error.kind();
                assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
                break;
            }
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn registered_buffer() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (ours, mut peer) = tcp_pair();
        let fixed = ring.register_buffers(vec![Vec::with_capacity(4096)]);
        let mut buffer = fixed.expect("the limit allows a page").remove(0);
        buffer.fill_from(b"hello");
        let (sent, buffer) = ring.send_zc_fixed(&ours, buffer, 0).await;
        assert_eq!(sent.expect("room"), 5);
        assert_eq!(&*buffer, b"hello");
        read_up_to(&mut peer, b"hello");
        ring.unregister_buffers().expect("registered");
        let (sent, _) = ring.send_zc_fixed(&ours, buffer, 0).await;
        assert_eq!(sent.expect_err("gone").raw_os_error(), Some(libc::EFAULT));
    });
}

#[test]
fn registered_buffer_of_another_runtime() {
    let other = runtime();
    let buffer = other.block_on(async {
        let fixed = AsyncIoUring::current().register_buffers(vec![Vec::with_capacity(4096)]);
        fixed.expect("the limit allows a page").remove(0)
    });
    block_on(async {
        let (ours, _peer) = tcp_pair();
        let (sent, _) = AsyncIoUring::current().send_zc_fixed(&ours, buffer, 0).await;
        assert_eq!(sent.expect_err("not ours").kind(), io::ErrorKind::InvalidInput);
    });
}
