//! UDP.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use ringspun::io::{Interest, Ready};
use ringspun::net::UdpSocket;
use ringspun::net::udp::Batch;

use super::{insist, poll_and_drop};
use crate::support::{Ledger, block_on, open_fds, runtime, until};

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[test]
fn there_and_back() {
    block_on(async {
        let ((ours, our_address), (theirs, their_address)) = (socket().await, socket().await);
        let mut buf = [0; 64];
        assert_eq!(ours.send_to(b"ping", their_address).await.expect("room"), 4);
        let (count, from) = theirs.recv_from(&mut buf).await.expect("a datagram");
        assert_eq!((&buf[..count], from), (&b"ping"[..], our_address));
        ours.connect(their_address).await.expect("an address");
        assert_eq!(ours.peer_addr().expect("connected"), their_address);
        theirs.send_to(b"pong", from).await.expect("room");
        assert_eq!(ours.recv(&mut buf).await.expect("a datagram"), 4);
        assert_eq!(ours.send(b"again").await.expect("connected"), 5);
        assert_eq!(theirs.recv(&mut buf).await.expect("a datagram"), 5);
        let error = theirs.send(b"to whom").await.expect_err("not connected");
        assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
        assert_eq!(theirs.peer_addr().expect_err("not").kind(), io::ErrorKind::NotConnected);
    });
}

#[test]
fn connected_takes_nothing_of_strangers() {
    block_on(async {
        let ((ours, address), (theirs, their_address)) = (socket().await, socket().await);
        let (stranger, _) = socket().await;
        ours.connect(their_address).await.expect("an address");
        stranger.send_to(b"psst", address).await.expect("room");
        theirs.send_to(b"meant", address).await.expect("room");
        let mut buf = [0; 64];
        assert_eq!(ours.recv_from(&mut buf).await.expect("a datagram"), (5, their_address));
        assert_eq!(&buf[..5], b"meant");
    });
}

#[test]
fn an_empty_datagram_is_one() {
    block_on(async {
        let ((ours, _), (theirs, address)) = (socket().await, socket().await);
        for text in [&b""[..], b"x", b""] {
            ours.send_to(text, address).await.expect("room");
        }
        let mut buf = [0; 8];
        assert_eq!(theirs.recv(&mut buf).await.expect("an empty one"), 0);
        assert_eq!(theirs.recv(&mut buf).await.expect("one"), 1);
        assert_eq!(theirs.recv_from(&mut buf).await.expect("an empty one").0, 0);
    });
}

#[test]
fn what_does_not_fit_is_cut() {
    block_on(async {
        let ((ours, _), (theirs, address)) = (socket().await, socket().await);
        for text in ["abcdef", "ghi", "jkl", "mno"] {
            ours.send_to(text.as_bytes(), address).await.expect("room");
        }
        let mut buf = [0; 2];
        assert_eq!(theirs.recv(&mut buf).await.expect("a datagram"), 2);
        assert_eq!(&buf, b"ab");
        assert_eq!(theirs.recv_from(&mut buf).await.expect("the next").0, 2);
        assert_eq!(&buf, b"gh");
        assert_eq!(theirs.recv(&mut []).await.expect("taken and thrown away"), 0);
        let (count, buf) = theirs.recv_buf(Vec::with_capacity(64)).await;
        assert_eq!((count.expect("the last"), &buf[..]), (3, &b"mno"[..]));
    });
}

#[test]
fn a_dropped_receive_loses_nothing() {
    block_on(async {
        let ((ours, _), (theirs, address)) = (socket().await, socket().await);
        let mut buf = [0; 8];
        for number in 0..20_u8 {
            poll_and_drop(theirs.recv_from(&mut buf));
            ours.send_to(&[number], address).await.expect("room");
            let (count, _) = theirs.recv_from(&mut buf).await.expect("it");
            assert_eq!((count, buf[0]), (1, number));
        }
        poll_and_drop(theirs.recv_from_buf(Vec::with_capacity(8)));
        poll_and_drop(theirs.peek(&mut buf));
        poll_and_drop(theirs.readable());
        ours.send_to(b"kept", address).await.expect("room");
        assert_eq!(theirs.recv(&mut buf).await.expect("it"), 4);
    });
}

#[test]
fn peek_leaves_it_there() {
    block_on(async {
        let ((ours, from), (theirs, address)) = (socket().await, socket().await);
        ours.send_to(b"seen", address).await.expect("room");
        let mut buf = [0; 8];
        assert_eq!(theirs.peek_sender().await.expect("a datagram"), from);
        assert_eq!(theirs.peek(&mut buf).await.expect("it"), 4);
        assert_eq!(theirs.peek_from(&mut buf[..1]).await.expect("it"), (1, from));
        assert_eq!(insist(|| theirs.try_peek(&mut buf)).await.expect("it"), 4);
        assert_eq!(insist(|| theirs.try_peek_from(&mut buf)).await.expect("it"), (4, from));
        assert_eq!(insist(|| theirs.try_peek_sender()).await.expect("it"), from);
        assert_eq!(theirs.recv(&mut buf).await.expect("it"), 4);
        let error = theirs.try_peek(&mut buf).expect_err("gone");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn tried_without_a_wait() {
    block_on(async {
        let ((ours, from), (theirs, address)) = (socket().await, socket().await);
        let mut buf = [0; 8];
        let error = theirs.try_recv_from(&mut buf).expect_err("nothing there");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(insist(|| ours.try_send_to(b"one", address)).await.expect("room"), 3);
        theirs.readable().await.expect("a datagram");
        assert_eq!(insist(|| theirs.try_recv_from(&mut buf)).await.expect("it"), (3, from));
        ours.connect(address).await.expect("an address");
        ours.writable().await.expect("room");
        assert_eq!(insist(|| ours.try_send(b"two")).await.expect("room"), 3);
        assert_eq!(insist(|| theirs.try_recv(&mut buf)).await.expect("it"), 3);
    });
}

#[test]
fn nobody_there() {
    block_on(async {
        let (ours, _) = socket().await;
        let gone = {
            let (theirs, address) = socket().await;
            theirs.into_std().expect("whole");
            address
        };
        ours.connect(gone).await.expect("an address");
        ours.send(b"hello?").await.expect("room");
        let error = ours.recv(&mut [0; 8]).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        ours.send(b"hello?").await.expect("room");
        assert!(ours.ready(Interest::ERROR).await.expect("the answer").is_error());
        let pending = ours.take_error().expect("a socket").expect("refused");
        assert_eq!(pending.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn ready_for_what() {
    block_on(async {
        let ((ours, _), (theirs, address)) = (socket().await, socket().await);
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(theirs.ready(both).await.expect("room"), Ready::WRITABLE);
        poll_and_drop(theirs.ready(Interest::READABLE));
        ours.send_to(b"x", address).await.expect("room");
        assert_eq!(theirs.ready(Interest::READABLE).await.expect("it"), Ready::READABLE);
        assert_eq!(theirs.ready(both).await.expect("both"), Ready::READABLE | Ready::WRITABLE);
        let mut buf = [0; 8];
        let received = theirs.async_io(Interest::READABLE, || theirs.try_recv(&mut buf)).await;
        assert_eq!(received.expect("it"), 1);
        let tried = theirs.try_io(Interest::READABLE, || theirs.try_recv(&mut buf));
        assert_eq!(tried.expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn poll_faces() {
    block_on(async {
        let ((ours, from), (theirs, address)) = (socket().await, socket().await);
        let mut buf = [0; 8];
        let send = ringspun::spawn(async move {
            ringspun::task::yield_now().await;
            let sent = poll_fn(|cx| ours.poll_send_to(cx, b"polled", address)).await;
            assert_eq!(sent.expect("room"), 6);
            ours.connect(address).await.expect("an address");
            assert_eq!(poll_fn(|cx| ours.poll_send(cx, b"more")).await.expect("room"), 4);
            poll_fn(|cx| ours.poll_send_ready(cx)).await.expect("room");
        });
        poll_fn(|cx| theirs.poll_recv_ready(cx)).await.expect("a datagram");
        assert_eq!(poll_fn(|cx| theirs.poll_peek_sender(cx)).await.expect("it"), from);
        assert_eq!(poll_fn(|cx| theirs.poll_peek(cx, &mut buf)).await.expect("it"), 6);
        let peeked = poll_fn(|cx| theirs.poll_peek_from(cx, &mut buf)).await;
        assert_eq!(peeked.expect("it"), (6, from));
        let received = poll_fn(|cx| theirs.poll_recv_from(cx, &mut buf)).await;
        assert_eq!(received.expect("it"), (6, from));
        assert_eq!(poll_fn(|cx| theirs.poll_recv(cx, &mut buf)).await.expect("it"), 4);
        send.await.expect("no panic");
    });
}

#[test]
fn owned_buffers_come_back() {
    let ledger = Ledger::open();
    block_on(async {
        let ((ours, from), (theirs, address)) = (socket().await, socket().await);
        let (sent, buf) = ours.send_to_buf(ledger.buffers.of(*b"owned"), address).await;
        assert_eq!((sent.expect("room"), &buf.bytes[..]), (5, &b"owned"[..]));
        drop(buf);
        let (received, buf) = theirs.recv_from_buf(ledger.buffers.empty(64)).await;
        assert_eq!((received.expect("it"), &buf.bytes[..]), ((5, from), &b"owned"[..]));
        ours.connect(address).await.expect("an address");
        assert_eq!(ours.send_buf(ledger.buffers.of(*b"more")).await.0.expect("room"), 4);
        let (received, buf) = theirs.recv_buf(buf).await;
        assert_eq!((received.expect("it"), &buf.bytes[..4]), (4, &b"more"[..]));
        poll_and_drop(theirs.recv_buf(ledger.buffers.empty(64)));
        drop(buf);
        assert_eq!(ledger.buffers.live(), 0, "a socket that waits holds no buffer");
    });
    ledger.close();
}

#[test]
fn a_batch() {
    block_on(async {
        let ((ours, from), (theirs, address)) = (socket().await, socket().await);
        let mut batch = Batch::new(4, 8);
        poll_and_drop(theirs.recv_batch(&mut batch));
        for number in 0..6_u8 {
            ours.send_to(&vec![number; usize::from(number)], address).await.expect("room");
        }
        let mut got = Vec::new();
        while got.len() < 6 {
            let count = theirs.recv_batch(&mut batch).await.expect("datagrams");
            assert!((1..=4).contains(&count) && batch.len() == count && !batch.is_empty());
            for datagram in batch.iter() {
                assert_eq!(datagram.from, from);
                got.push(datagram.bytes.to_vec());
            }
        }
        let sent: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; usize::from(n)]).collect();
        assert_eq!(got, sent);
    });
}

#[test]
fn segments() {
    block_on(async {
        let ((ours, from), (theirs, address)) = (socket().await, socket().await);
        assert_eq!((theirs.gro().expect("5.0"), ours.gso().expect("4.18")), (false, None));
        let bytes: Vec<u8> = (0..2500_u32).map(|n| n as u8).collect();
        let mut buf = vec![0; 65536];
        // Cut by the kernel, received one by one.
        let sent = ours.send_segments(&bytes, 1000, Some(address)).await;
        assert_eq!(sent.expect("room"), 2500);
        for len in [1000, 1000, 500] {
            assert_eq!(theirs.recv(&mut buf).await.expect("a datagram"), len);
        }
        // By the option, and received as the kernel has put them together.
        theirs.set_gro(true).expect("5.0");
        ours.set_gso(Some(1000)).expect("4.18");
        assert_eq!((theirs.gro().expect("5.0"), ours.gso().expect("4.18")), (true, Some(1000)));
        ours.connect(address).await.expect("an address");
        ours.send(&bytes).await.expect("room");
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let came = theirs.recv_segments(&mut buf).await.expect("datagrams");
            assert_eq!(came.from, from);
            assert!(came.segment == 1000 || came.segment == came.len);
            got.extend_from_slice(&buf[..came.len]);
        }
        assert_eq!(got, bytes);
        ours.set_gso(None).expect("4.18");
        ours.send_segments(b"whole", 1000, None).await.expect("room");
        let came = theirs.recv_segments(&mut buf).await.expect("a datagram");
        assert_eq!((came.len, came.segment), (5, 5));
    });
}

#[test]
fn others_run_during_a_flood() {
    block_on(async {
        let (ours, address) = socket().await;
        let seen = Rc::new(std::cell::Cell::new(false));
        let other = ringspun::spawn({
            let seen = Rc::clone(&seen);
            async move { seen.set(true) }
        });
        let mut buf = [0; 8];
        let mut rounds = 0;
        while !seen.get() {
            rounds += 1;
            assert!(rounds < 10_000, "a socket that is always ready has kept the core");
            ours.send_to(b"x", address).await.expect("room");
            ours.recv(&mut buf).await.expect("it");
        }
        other.await.expect("no panic");
    });
}

#[test]
fn to_std_and_back() {
    let ledger = Ledger::open();
    block_on(async {
        let ((ours, address), (theirs, _)) = (socket().await, socket().await);
        poll_and_drop(ours.recv(&mut [0; 8]));
        let number = std::os::fd::AsRawFd::as_raw_fd(&ours);
        let std = ours.into_std().expect("whole");
        assert_eq!(std::os::fd::AsRawFd::as_raw_fd(&std), number, "no duplicate");
        let error = std.recv(&mut [0; 8]).expect_err("non-blocking");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        std.set_nonblocking(false).expect("a socket");
        theirs.send_to(b"x", address).await.expect("room");
        assert_eq!(std.recv(&mut [0; 8]).expect("a datagram"), 1);
        let ours = UdpSocket::try_from(std).expect("a socket");
        theirs.send_to(b"yz", address).await.expect("room");
        assert_eq!(ours.recv(&mut [0; 8]).await.expect("a datagram"), 2);
    });
    ledger.close();
}

#[test]
fn options() {
    block_on(async {
        let (ours, _) = socket().await;
        ours.set_broadcast(true).expect("an option");
        assert!(ours.broadcast().expect("an option"));
        ours.set_ttl(42).expect("an option");
        assert_eq!(ours.ttl().expect("an option"), 42);
        ours.set_tos_v4(0x10).expect("an option");
        assert_eq!(ours.tos_v4().expect("an option"), 0x10);
        ours.set_multicast_loop_v4(false).expect("an option");
        assert!(!ours.multicast_loop_v4().expect("an option"));
        ours.set_multicast_ttl_v4(3).expect("an option");
        assert_eq!(ours.multicast_ttl_v4().expect("an option"), 3);
        assert_eq!(ours.device().expect("an option"), None);
        let six = UdpSocket::bind("[::1]:0").await.expect("IPv6");
        six.set_multicast_loop_v6(false).expect("an option");
        assert!(!six.multicast_loop_v6().expect("an option"));
        six.set_tclass_v6(4).expect("an option");
        assert_eq!(six.tclass_v6().expect("an option"), 4);
        six.set_ttl(9).expect("an option");
        assert_eq!(six.ttl().expect("an option"), 9);
        let taken = ours.local_addr().expect("bound");
        let error = UdpSocket::bind(taken).await.expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    });
}

#[test]
fn kept_beyond_its_runtime() {
    let ledger = Ledger::open();
    let (first, second) = (runtime(), runtime());
    let (kept, address) = first.block_on(async {
        let (ours, address) = socket().await;
        poll_and_drop(ours.recv(&mut [0; 8]));
        (ours, address)
    });
    drop(first);
    second.block_on(async {
        let (theirs, _) = socket().await;
        let mut buf = [0; 8];
        let waits = poll_fn(|cx| {
            let polled = kept.poll_recv(cx, &mut buf);
            assert!(polled.is_pending(), "{polled:?}");
            Poll::Ready(())
        });
        waits.await;
        theirs.send_to(b"late", address).await.expect("room");
        assert_eq!(kept.recv(&mut buf).await.expect("it"), 4);
    });
    drop(second);
    drop(kept);
    ledger.close();
}

#[test]
fn dropped_while_somebody_had_waited() {
    let ledger = Ledger::open();
    block_on(async {
        let before = open_fds();
        let (ours, _) = socket().await;
        poll_and_drop(ours.recv(&mut [0; 8]));
        poll_and_drop(ours.ready(Interest::READABLE));
        drop(ours);
        until("the socket is closed", || open_fds() == before).await;
    });
    ledger.close();
}
