//! The connections of a listener as a stream.

use std::io::{Read, Write};
use std::net::SocketAddr;

use ringspun::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::poll_and_drop;
use crate::support::{Ledger, block_on, turn};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

fn connect(address: SocketAddr) -> (std::net::TcpStream, SocketAddr) {
    let peer = std::net::TcpStream::connect(address).expect("a listener");
    let name = peer.local_addr().expect("bound");
    (peer, name)
}

fn name(stream: &TcpStream) -> SocketAddr {
    stream.peer_addr().expect("connected")
}

#[test]
fn one_after_the_other() {
    let ledger = Ledger::open();
    block_on(async {
        let (listener, address) = listener().await;
        let mut incoming = listener.incoming();
        for _ in 0..10 {
            let (mut peer, peer_name) = connect(address);
            let mut ours = incoming.next().await.expect("no end").expect("a connection");
            assert_eq!(name(&ours), peer_name);
            ours.write_all(b"hello").await.expect("room");
            let mut word = [0; 5];
            peer.read_exact(&mut word).expect("bytes");
        }
    });
    ledger.close();
}

#[test]
fn dropped_with_connections_taken() {
    let ledger = Ledger::open();
    block_on(async {
        let (listener, address) = listener().await;
        let mut incoming = listener.incoming();
        poll_and_drop(incoming.next());
        let peers: Vec<_> = (0..8).map(|_| connect(address)).collect();
        turn().await;
        let first = incoming.next().await.expect("no end").expect("a connection");
        assert_eq!(name(&first), peers[0].1);
        drop(incoming);
        for peer in &peers[1..6] {
            let (stream, from) = listener.accept().await.expect("a connection");
            assert_eq!((from, name(&stream)), (peer.1, peer.1), "in order");
        }
        // And the next stream gives the rest.
        let mut incoming = listener.incoming();
        for peer in &peers[6..] {
            let stream = incoming.next().await.expect("no end").expect("a connection");
            assert_eq!(name(&stream), peer.1);
        }
    });
    ledger.close();
}

#[test]
fn dropped_at_any_moment_loses_none() {
    block_on(async {
        let (listener, address) = listener().await;
        for round in 0..40 {
            let mut incoming = listener.incoming();
            poll_and_drop(incoming.next());
            if round % 3 == 0 {
                turn().await;
            }
            let (_peer, peer_name) = connect(address);
            if round % 2 == 0 {
                turn().await;
            }
            drop(incoming);
            let (stream, from) = listener.accept().await.expect("the connection");
            assert_eq!((from, name(&stream)), (peer_name, peer_name), "round {round}");
        }
    });
}

#[test]
fn after_a_dropped_accept() {
    block_on(async {
        let (listener, address) = listener().await;
        poll_and_drop(listener.accept());
        turn().await;
        let (_one, one_name) = connect(address);
        turn().await;
        let (_two, two_name) = connect(address);
        let mut incoming = listener.incoming();
        for expected in [one_name, two_name] {
            let stream = incoming.next().await.expect("no end").expect("a connection");
            assert_eq!(name(&stream), expected);
        }
    });
}

#[test]
fn dropped_while_another_accepts() {
    block_on(async {
        let (listener, address) = listener().await;
        let listener = std::rc::Rc::new(listener);
        let mut incoming = listener.incoming();
        poll_and_drop(incoming.next());
        turn().await;
        let other = std::rc::Rc::clone(&listener);
        let accepts = ringspun::spawn(async move { other.accept().await.map(|(_, from)| from) });
        turn().await;
        let (_one, one_name) = connect(address);
        turn().await;
        drop(incoming);
        // Whichever of the two had taken it.
        assert_eq!(accepts.await.expect("no panic").expect("the connection"), one_name);
    });
}

#[test]
fn no_more_than_the_window() {
    block_on(async {
        let (listener, address) = listener().await;
        let mut incoming = listener.incoming().window(2);
        poll_and_drop(incoming.next());
        turn().await;
        let peers: Vec<_> = (0..50).map(|_| connect(address)).collect();
        turn().await;
        for peer in &peers {
            let stream = incoming.next().await.expect("no end").expect("a connection");
            assert_eq!(name(&stream), peer.1);
        }
    });
}

#[test]
fn of_a_unix_listener() {
    let ledger = Ledger::open();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    block_on(async {
        let listener = UnixListener::bind(&path).expect("a new name");
        let mut incoming = listener.incoming();
        poll_and_drop(incoming.next());
        let mut peers: Vec<_> = (0..3_u8)
            .map(|_| std::os::unix::net::UnixStream::connect(&path).expect("a listener"))
            .collect();
        for (number, peer) in (0..).zip(&mut peers) {
            peer.write_all(&[number]).expect("room");
        }
        let mut first = incoming.next().await.expect("no end").expect("a connection");
        let mut byte = [9];
        first.read_exact(&mut byte).await.expect("a byte");
        assert_eq!(byte, [0]);
        turn().await;
        drop(incoming);
        for number in [1, 2] {
            let (mut stream, from): (UnixStream, _) = listener.accept().await.expect("it");
            assert!(from.is_unnamed());
            stream.read_exact(&mut byte).await.expect("a byte");
            assert_eq!(byte, [number]);
        }
    });
    drop(dir);
    ledger.close();
}
