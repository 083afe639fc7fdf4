//! A descriptor's number goes to the next connection at once: what was asked for on the old one
//! must not reach it.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;

use ringspun::net::{TcpListener, TcpStream};

use crate::support::{block_on, poll_and_drop, tiny, turns};

const CONNECTIONS: u32 = 3000;

/// Opens, arms, drops and opens again; each connection carries its number both ways.
async fn open_and_close() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut open: Vec<(TcpStream, StdStream)> = Vec::new();
    for number in 0..CONNECTIONS {
        let near = StdStream::connect(address).expect("a listener");
        let (mut far, _) = listener.accept().expect("a connection");
        let mut ours = TcpStream::from_std(near).expect("a socket");
        match number % 4 {
            0 => poll_and_drop(ours.read(&mut [0; 4])),
            1 => poll_and_drop(ours.recv(Vec::with_capacity(4))),
            2 => poll_and_drop(ours.readable()),
            _ => poll_and_drop(ours.read_exact(&mut [0; 4])),
        }
        if number % 7 == 0 {
            turns().await;
        }
        far.write_all(&number.to_le_bytes()).expect("room");
        if number % 3 == 0 {
            // Dropped with its bytes anywhere: unread, taken, or on their way.
            open.truncate(4);
        }
        let mut buf = [0; 4];
        ours.read_exact(&mut buf).await.expect("its own bytes");
        assert_eq!(u32::from_le_bytes(buf), number);
        ours.write_all(&number.to_le_bytes()).await.expect("room");
        let mut buf = [0; 4];
        far.read_exact(&mut buf).expect("its own bytes");
        assert_eq!(u32::from_le_bytes(buf), number);
        poll_and_drop(ours.read(&mut [0; 4]));
        far.write_all(b"for nobody").expect("room");
        open.push((ours, far));
    }
}

#[test]
fn never_to_the_wrong_stream() {
    block_on(open_and_close());
}

#[test]
fn never_to_the_wrong_stream_through_a_tiny_queue() {
    tiny(2).block_on(open_and_close());
}

#[test]
fn accepts_and_connects_in_flight() {
    block_on(async {
        for number in 0..500_u32 {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("bound");
            poll_and_drop(listener.accept());
            poll_and_drop(TcpStream::connect(address));
            let mut ours = TcpStream::connect(address).await.expect("a listener");
            ours.write_all(&number.to_le_bytes()).await.expect("room");
            // One that was given up may have got through.
            loop {
                let (mut theirs, peer) = listener.accept().await.expect("a connection");
                if peer == ours.local_addr().expect("bound") {
                    let mut buf = [0; 4];
                    theirs.read_exact(&mut buf).await.expect("its own bytes");
                    assert_eq!(u32::from_le_bytes(buf), number);
                    break;
                }
            }
        }
    });
}
