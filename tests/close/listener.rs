//! The end of listeners.

use std::io::Read;
use std::net::{SocketAddr, TcpStream as StdStream};

use ringspun::net::TcpListener;

use crate::support::{PATIENCE, block_on, poll_and_drop, runtime, turns};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

#[test]
fn the_port_is_free_at_once() {
    block_on(async {
        let (mut last, address) = listener().await;
        for _ in 0..50 {
            poll_and_drop(last.accept());
            turns().await;
            drop(last);
            last = TcpListener::bind(address).await.expect("nobody listens there");
        }
    });
}

#[test]
fn the_port_is_free_after_a_turn() {
    block_on(async {
        let (mut last, address) = listener().await;
        for _ in 0..50 {
            poll_and_drop(last.accept());
            turns().await;
            drop(last);
            turns().await;
            last = TcpListener::bind(address).await.expect("nobody listens there");
        }
    });
}

#[test]
fn the_port_is_free_after_block_on() {
    let runtime = runtime();
    let address = runtime.block_on(async {
        let (listener, address) = listener().await;
        poll_and_drop(listener.accept());
        turns().await;
        address
    });
    std::net::TcpListener::bind(address).expect("nobody listens there");
    drop(runtime);
}

#[test]
fn a_pending_accept_does_not_hold_the_runtime() {
    let runtime = runtime();
    let address = runtime.block_on(async {
        let (listener, address) = listener().await;
        ringspun::task::spawn(async move { listener.accept().await.map(drop) });
        turns().await;
        address
    });
    drop(runtime);
    std::net::TcpListener::bind(address).expect("nobody listens there");
}

#[test]
fn a_connection_that_nobody_took_ends() {
    block_on(async {
        let (listener, address) = listener().await;
        poll_and_drop(listener.accept());
        turns().await;
        let mut far = StdStream::connect(address).expect("a listener");
        far.set_read_timeout(Some(PATIENCE)).expect("a socket");
        turns().await;
        drop(listener);
        turns().await;
        // An end or a reset, but something.
        let seen = far.read(&mut [0; 8]);
        assert!(
            matches!(seen, Ok(0))
                || seen.is_err_and(|error| error.raw_os_error() == Some(libc::ECONNRESET))
        );
    });
}

#[test]
fn given_to_std_with_an_accept_in_flight() {
    block_on(async {
        let (listener, address) = listener().await;
        poll_and_drop(listener.accept());
        turns().await;
        let std = listener.into_std().expect("a descriptor");
        std.set_nonblocking(false).expect("a socket");
        let far = StdStream::connect(address).expect("a listener");
        let (_near, peer) = std.accept().expect("nobody else takes it");
        assert_eq!(peer, far.local_addr().expect("bound"));
    });
}
