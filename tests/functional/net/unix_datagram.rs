//! Unix datagrams.

use std::future::poll_fn;
use std::io::{self, Read};
use std::os::fd::AsFd;

use ringspun::io::{Interest, Ready};
use ringspun::net::UnixDatagram;
use ringspun::net::unix::SocketAddr;

use super::{insist, poll_and_drop, poll_now};
use crate::support::{Ledger, block_on, open_fds, runtime, turn, until};

fn abstract_name(what: &str) -> String {
    format!("\0ringspun-datagram-{what}-{}", std::process::id())
}

#[test]
fn there_and_back() {
    let ledger = Ledger::open();
    let dir = tempfile::tempdir().expect("a directory");
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    block_on(async {
        let ours = UnixDatagram::bind(&one).expect("a new name");
        let theirs = UnixDatagram::bind(&other).expect("a new name");
        assert_eq!(UnixDatagram::bind(&one).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
        let mut buf = [0; 64];
        assert_eq!(ours.send_to(b"ping", &other).await.expect("room"), 4);
        let (count, from) = theirs.recv_from(&mut buf).await.expect("a datagram");
        assert_eq!((&buf[..count], from.as_pathname()), (&b"ping"[..], Some(&*one)));
        ours.connect(&other).expect("a socket");
        assert_eq!(ours.peer_addr().expect("connected").as_pathname(), Some(&*other));
        theirs.send_to_addr(b"pong", &from).await.expect("room");
        assert_eq!(ours.recv(&mut buf).await.expect("a datagram"), 4);
        assert_eq!(ours.send(b"again").await.expect("connected"), 5);
        assert_eq!(theirs.peek(&mut buf).await.expect("a datagram"), 5);
        assert_eq!(theirs.peek_from(&mut buf).await.expect("a datagram").0, 5);
        assert_eq!(theirs.recv(&mut buf).await.expect("a datagram"), 5);
        let error = theirs.send(b"to whom").await.expect_err("not connected");
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        drop(theirs);
        until("it is gone", || {
            ours.try_send(b"x").is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        })
        .await;
    });
    drop(dir);
    ledger.close();
}

#[test]
fn names() {
    block_on(async {
        let name = abstract_name("names");
        let ours = UnixDatagram::bind(&name).expect("a new name");
        let address = ours.local_addr().expect("bound");
        assert_eq!(address.as_abstract_name(), Some(&name.as_bytes()[1..]));
        let nameless = UnixDatagram::unbound().expect("a socket");
        assert!(nameless.local_addr().expect("a socket").is_unnamed());
        nameless.send_to(b"x", &name).await.expect("room");
        let (_, from) = ours.recv_from(&mut [0; 8]).await.expect("a datagram");
        assert!(from.is_unnamed());
        let same = SocketAddr::from_abstract_name(&name[1..]).expect("short");
        nameless.connect_addr(&same).expect("a socket");
        nameless.send(b"x").await.expect("room");
        let error = nameless.connect("/nowhere/at/all").expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn an_empty_datagram_is_one_and_a_long_one_is_cut() {
    block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        for text in [&b""[..], b"abcdef", b"ghi"] {
            ours.send(text).await.expect("room");
        }
        let mut buf = [0; 2];
        assert_eq!(theirs.recv(&mut buf).await.expect("an empty one"), 0);
        assert_eq!(theirs.recv(&mut buf).await.expect("a part"), 2);
        let (count, buf) = theirs.recv_buf(Vec::with_capacity(8)).await;
        assert_eq!((count.expect("whole"), &buf[..]), (3, &b"ghi"[..]));
    });
}

#[test]
fn a_dropped_receive_loses_nothing() {
    block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let mut buf = [0; 8];
        for number in 0..20_u8 {
            poll_and_drop(theirs.recv(&mut buf));
            if number % 2 == 0 {
                turn().await;
            }
            assert_eq!(ours.send_buf(vec![number]).await.0.expect("room"), 1);
            let (received, bytes) = theirs.recv_from_buf(Vec::with_capacity(8)).await;
            assert_eq!((received.expect("it").0, &bytes[..]), (1, &[number][..]));
        }
    });
}

#[test]
fn a_sender_waits_for_room() {
    block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let (mut sent, mut refused) = (0_u32, 0);
        // Full for good, not for a moment (chaos).
        while refused < 8 {
            match ours.try_send(&sent.to_ne_bytes()) {
                Ok(_) => (sent, refused) = (sent + 1, 0),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    refused += 1;
                }
            }
        }
        // Dropped while it waits: it has sent nothing.
        assert!(poll_now(ours.send(b"dropped")).await.is_none());
        let last = sent;
        let sender = ringspun::spawn(async move { ours.send(&last.to_ne_bytes()).await });
        turn().await;
        let mut buf = [0; 4];
        for number in 0..=last {
            assert_eq!(theirs.recv(&mut buf).await.expect("it"), 4);
            assert_eq!(u32::from_ne_bytes(buf), number);
        }
        assert_eq!(sender.await.expect("no panic").expect("room"), 4);
    });
}

#[test]
fn a_sender_waits_for_a_receiver_it_is_not_connected_to() {
    block_on(async {
        let name = abstract_name("full");
        let theirs = UnixDatagram::bind(&name).expect("a new name");
        let ours = UnixDatagram::unbound().expect("a socket");
        let mut sent = 0_u32;
        while poll_now(ours.send_to(&sent.to_ne_bytes(), &name)).await.is_some() {
            sent += 1;
        }
        let last = sent;
        let sender = ringspun::spawn(async move {
            ours.send_to(&last.to_ne_bytes(), &name).await.expect("room");
            let again = (last + 1).to_ne_bytes();
            poll_fn(|cx| ours.poll_send_to(cx, &again, &name)).await
        });
        turn().await;
        let mut buf = [0; 4];
        for number in 0..=last + 1 {
            assert_eq!(theirs.recv(&mut buf).await.expect("it"), 4);
            assert_eq!(u32::from_ne_bytes(buf), number);
        }
        assert_eq!(sender.await.expect("no panic").expect("room"), 4);
    });
}

#[test]
fn descriptors_travel() {
    let ledger = Ledger::open();
    block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let mut buf = [0; 8];
        poll_and_drop(theirs.recv_with_fds(&mut buf));
        let (reader, writer) = io::pipe().expect("a pipe");
        // An empty datagram carries them too.
        ours.send_with_fds(b"", &[reader.as_fd(), writer.as_fd()]).await.expect("room");
        drop((reader, writer));
        let (count, fds) = theirs.recv_with_fds(&mut buf).await.expect("a datagram");
        assert_eq!((count, fds.len()), (0, 2));
        let mut fds = fds.into_iter();
        let mut reader = io::PipeReader::from(fds.next().expect("two"));
        let mut writer = io::PipeWriter::from(fds.next().expect("two"));
        io::Write::write_all(&mut writer, b"through").expect("room");
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "through");
        // Taken without them: the kernel closes them.
        let before = open_fds();
        let (reader, writer) = io::pipe().expect("a pipe");
        ours.send_with_fds(b"x", &[reader.as_fd(), writer.as_fd()]).await.expect("room");
        drop((reader, writer));
        assert_eq!(theirs.recv(&mut buf).await.expect("a datagram"), 1);
        assert_eq!(open_fds(), before);
    });
    ledger.close();
}

#[test]
fn tried_and_polled() {
    block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let mut buf = [0; 8];
        let error = theirs.try_recv(&mut buf).expect_err("nothing");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        poll_and_drop(theirs.ready(Interest::READABLE));
        ours.writable().await.expect("room");
        assert_eq!(insist(|| ours.try_send(b"one")).await.expect("room"), 3);
        theirs.readable().await.expect("a datagram");
        let found = theirs.ready(Interest::READABLE).await.expect("a datagram");
        assert_eq!(found, Ready::READABLE);
        assert_eq!(insist(|| theirs.try_recv_from(&mut buf)).await.expect("it").0, 3);
        assert_eq!(poll_fn(|cx| ours.poll_send(cx, b"more")).await.expect("room"), 4);
        poll_fn(|cx| ours.poll_send_ready(cx)).await.expect("room");
        poll_fn(|cx| theirs.poll_recv_ready(cx)).await.expect("it");
        assert_eq!(poll_fn(|cx| theirs.poll_recv(cx, &mut buf)).await.expect("it"), 4);
        let name = abstract_name("polled");
        let third = UnixDatagram::bind(&name).expect("a new name");
        let nameless = UnixDatagram::unbound().expect("a socket");
        insist(|| nameless.try_send_to(b"x", &name)).await.expect("room");
        let (count, from) = poll_fn(|cx| third.poll_recv_from(cx, &mut buf)).await.expect("it");
        assert!(count == 1 && from.is_unnamed());
        let received = theirs.async_io(Interest::WRITABLE, || theirs.try_send(b"x")).await;
        assert_eq!(received.expect("room"), 1);
        assert_eq!(ours.recv(&mut buf).await.expect("it"), 1);
    });
}

#[test]
fn to_std_shut_down_and_kept() {
    let ledger = Ledger::open();
    let first = runtime();
    let kept = first.block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        poll_and_drop(ours.recv(&mut [0; 8]));
        let std = ours.into_std().expect("whole");
        let error = std.recv(&mut [0; 8]).expect_err("non-blocking");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let ours = UnixDatagram::try_from(std).expect("a socket");
        assert_eq!(ours.peer_cred().expect("a pair").pid(), Some(std::process::id() as i32));
        theirs.shutdown(std::net::Shutdown::Write).expect("connected");
        let error = theirs.send(b"x").await.expect_err("shut down");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        poll_and_drop(ours.recv(&mut [0; 8]));
        turn().await;
        ours
    });
    drop(first);
    drop(kept);
    ledger.close();
}
