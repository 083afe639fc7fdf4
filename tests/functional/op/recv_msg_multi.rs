//! `RECVMSG` again and again: datagrams with their addresses.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use ringspun::op::{BufGroup, Datagram, Multishot, RecvMsgMulti, SharedFd};
use ringspun::uring::AsyncIoUring;

use super::pooled::{a_while, datagrams, group, pool_of, soon, until_available};
use super::sockets::poll_now;
use crate::support::{Ledger, Pipe, block_on, poll_once, runtime, turn, until};

fn stream(fd: &SharedFd, group: &BufGroup) -> Multishot<RecvMsgMulti> {
    Multishot::new(RecvMsgMulti::new(fd, group.clone(), 0))
}

/// Runs `test` in a runtime and counts afterwards.
fn counted(test: impl AsyncFnOnce()) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(test());
    assert_eq!(runtime.metrics().buffers_out, 0);
    drop(runtime);
    ledger.close();
}

async fn arm(stream: &mut Multishot<RecvMsgMulti>) {
    assert!(poll_once(&mut stream.next()).await.is_pending());
    turn().await;
}

async fn take(stream: &mut Multishot<RecvMsgMulti>) -> Datagram {
    soon(stream.next()).await.expect("no end").expect("a datagram")
}

fn sender(datagram: &Datagram) -> Option<std::net::SocketAddr> {
    datagram.address()?.as_socket()
}

#[test]
fn ok() {
    counted(async || {
        let (ours, peer) = datagrams();
        let mut stream = AsyncIoUring::current().recv_msg_multi(&ours, group(), 0);
        arm(&mut stream).await;
        for round in 0..300_u32 {
            peer.send(&round.to_ne_bytes()).expect("room");
            let datagram = take(&mut stream).await;
            assert_eq!(datagram.payload(), round.to_ne_bytes());
            assert_eq!(sender(&datagram), peer.local_addr().ok());
            assert_eq!((datagram.flags(), datagram.control().as_bytes()), (0, &[][..]));
            let payload = datagram.into_payload();
            assert!(payload.is_pooled());
            assert_eq!(&payload[..], round.to_ne_bytes());
        }
    });
}

#[test]
fn error() {
    counted(async || {
        let pipe = Pipe::new();
        let mut stream = stream(&pipe.reader, &group());
        for _ in 0..2 {
            let error = soon(stream.next()).await.expect("an item").expect_err("no socket");
            assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        }
    });
}

#[test]
fn timeout() {
    counted(async || {
        let (ours, peer) = datagrams();
        let mut stream = stream(&ours, &group());
        let late = ringspun::time::timeout(Duration::from_millis(5), stream.next()).await;
        assert!(late.is_err());
        peer.send(b"x").expect("room");
        assert_eq!(take(&mut stream).await.payload(), b"x");
    });
}

#[test]
fn cancelled() {
    for turned in [None, Some(false), Some(true)] {
        counted(async || {
            let (ours, _peer) = datagrams();
            let mut stream = stream(&ours, &group());
            if let Some(turned) = turned {
                assert!(poll_once(&mut stream.next()).await.is_pending());
                if turned {
                    turn().await;
                }
            }
            stream.cancel();
            assert!(soon(stream.next()).await.is_none());
            assert!(stream.next().await.is_none(), "it stays ended");
        });
    }
}

#[test]
fn dropped_before_poll() {
    counted(async || {
        let (ours, _peer) = datagrams();
        drop(stream(&ours, &group()));
        assert_eq!(ours.owners(), 1);
    });
}

#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async || {
            let group = group();
            let (ours, peer) = datagrams();
            let mut stream = stream(&ours, &group);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            drop(stream);
            assert_eq!(ours.owners(), 2, "the kernel may still use it");
            peer.send(b"for nobody").expect("room");
            let fd = ours.clone();
            until("the dropped stream is freed", move || fd.owners() == 2).await;
            until_available(&group, 256).await;
        });
    }
}

#[test]
fn completed_then_dropped() {
    pool_of(2, 256).block_on(async {
        let group = group();
        for _ in 0..20 {
            let (ours, peer) = datagrams();
            let mut stream = stream(&ours, &group);
            arm(&mut stream).await;
            peer.send(b"untaken").expect("room");
            turn().await;
            drop(stream);
            peer.send(b"late").expect("room");
            let fd = ours.clone();
            until("the dropped stream is freed", move || fd.owners() == 2).await;
            assert_eq!(group.available(), 2);
        }
    });
}

#[test]
fn runtime_shut_down() {
    for polled in [false, true] {
        let ledger = Ledger::open();
        let runtime = runtime();
        let (kept, mut stream, peer) = runtime.block_on(async {
            let (ours, peer) = datagrams();
            let mut stream = stream(&ours, &group());
            peer.send(b"kept").expect("room");
            let kept = take(&mut stream).await;
            arm(&mut stream).await;
            (kept, stream, peer)
        });
        peer.send(b"x").expect("room");
        drop(runtime);
        if polled {
            while let Poll::Ready(Some(item)) = poll_now(&mut stream.next()) {
                assert_eq!(item.expect("a datagram").payload(), b"x");
            }
        }
        assert_eq!(kept.payload(), b"kept");
        drop((kept, stream, peer));
        ledger.close();
    }
}

/// An empty datagram is one, and not the end.
#[test]
fn an_empty_datagram() {
    counted(async || {
        let (ours, peer) = datagrams();
        let mut stream = stream(&ours, &group());
        for text in [&b""[..], b"x", b"", b"", b"y"] {
            peer.send(text).expect("room");
            let datagram = take(&mut stream).await;
            assert_eq!(datagram.payload(), text);
            assert_eq!(sender(&datagram), peer.local_addr().ok());
        }
    });
}

/// Many that come at once, from several senders.
#[test]
fn several_senders() {
    counted(async || {
        let (ours, _) = datagrams();
        let address = socket2::SockRef::from(&ours).local_addr().expect("bound").as_socket();
        let mut stream = stream(&ours, &group());
        let peers = [0; 3].map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        for round in 0..10_u8 {
            for peer in &peers {
                peer.send_to(&[round], address.expect("an address")).expect("room");
            }
        }
        for round in 0..10_u8 {
            for peer in &peers {
                let datagram = take(&mut stream).await;
                assert_eq!(datagram.payload(), [round]);
                assert_eq!(sender(&datagram), peer.local_addr().ok());
            }
        }
    });
}

#[test]
fn a_cut_datagram() {
    pool_of(2, 16 + 128 + 10).block_on(async {
        let (ours, peer) = datagrams();
        let mut stream = stream(&ours, &group());
        peer.send(&[7; 100]).expect("room");
        let datagram = take(&mut stream).await;
        assert_eq!(datagram.payload(), [7; 10]);
        assert_ne!(datagram.flags() & libc::MSG_TRUNC, 0);
    });
}

#[test]
fn buffers_without_room_for_the_head() {
    pool_of(2, 100).block_on(async {
        let (ours, _peer) = datagrams();
        let mut stream = stream(&ours, &group());
        let error = soon(stream.next()).await.expect("an item").expect_err("too small");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("too small"), "{error}");
    });
}

/// A sender without a name; control data with his credentials.
#[test]
fn control_data() {
    counted(async || {
        let (ours, peer) = UnixDatagram::pair().expect("a pair");
        socket2::SockRef::from(&ours).set_passcred(true).expect("an option");
        let ours = SharedFd::new(ours);
        let op = RecvMsgMulti::new(&ours, group(), 0).control_room(256);
        let mut stream = Multishot::new(op);
        for _ in 0..3 {
            peer.send(b"who am I").expect("room");
            let datagram = take(&mut stream).await;
            assert_eq!(datagram.payload(), b"who am I");
            let pid = std::process::id().to_ne_bytes();
            assert!(datagram.control().as_bytes().windows(4).any(|part| part == pid));
            assert_eq!(sender(&datagram), None);
        }
    });
}

#[test]
fn the_group_of_another_runtime_is_refused() {
    let other = runtime();
    let foreign = {
        let _entered = other.enter();
        group()
    };
    block_on(async {
        let (ours, _peer) = datagrams();
        let mut stream = stream(&ours, &foreign);
        let error = soon(stream.next()).await.expect("an item").expect_err("not its group");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    });
}

/// No buffer: the datagrams wait in the socket.
#[test]
fn an_empty_pool_parks() {
    let runtime = pool_of(1, 256);
    runtime.block_on(async {
        let (ours, peer) = datagrams();
        let mut stream = stream(&ours, &group());
        for round in 0..5_u8 {
            peer.send(&[round]).expect("room");
        }
        for round in 0..5_u8 {
            let datagram = take(&mut stream).await;
            assert!(poll_once(&mut stream.next()).await.is_pending());
            turn().await;
            assert!(poll_once(&mut stream.next()).await.is_pending());
            let before = runtime.metrics().enters;
            a_while().await;
            assert!(runtime.metrics().enters - before < 500);
            assert_eq!(datagram.payload(), [round]);
        }
    });
}
