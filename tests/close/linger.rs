//! `SO_LINGER`: the close waits, the core does not.

use std::future::Future;
use std::net::TcpStream as StdStream;
use std::time::{Duration, Instant};

use ringspun::net::{TcpSocket, TcpStream};

use crate::support::{block_on, poll_and_drop, shrink, std_pair, turns};

/// So long the kernel would wait in the close, and so long is too long.
const LINGER: Duration = Duration::from_secs(6);
const HELD_UP: Duration = Duration::from_secs(4);

/// Fills the way to a peer that does not read.
async fn fill(ours: &mut TcpStream) {
    let block = [7; 4096];
    loop {
        turns().await;
        if futures::FutureExt::now_or_never(ours.write(&block)).is_none() {
            return;
        }
    }
}

/// `close` goes on while the core does; then the peer lets go, so that nothing has to wait for it.
async fn core_goes_on(close: impl Future<Output = ()>, far: StdStream) {
    let begun = Instant::now();
    let heartbeat = async {
        for _ in 0..20 {
            turns().await;
        }
        assert!(begun.elapsed() < HELD_UP, "the close has held the core up");
        drop(far);
    };
    futures::join!(close, heartbeat);
}

#[test]
fn of_a_dropped_stream() {
    block_on(async {
        let (near, far) = std_pair();
        shrink(&near, &far);
        let mut ours = TcpStream::from_std(near).expect("a socket");
        ours.set_linger(Some(LINGER)).expect("a socket");
        fill(&mut ours).await;
        core_goes_on(async move { drop(ours) }, far).await;
    });
}

#[test]
fn with_a_receive_in_flight() {
    block_on(async {
        let (near, far) = std_pair();
        shrink(&near, &far);
        let mut ours = TcpStream::from_std(near).expect("a socket");
        ours.set_linger(Some(LINGER)).expect("a socket");
        fill(&mut ours).await;
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        core_goes_on(async move { drop(ours) }, far).await;
    });
}

#[test]
fn of_a_stream_that_is_closed() {
    block_on(async {
        let (near, far) = std_pair();
        shrink(&near, &far);
        let mut ours = TcpStream::from_std(near).expect("a socket");
        ours.set_linger(Some(LINGER)).expect("a socket");
        fill(&mut ours).await;
        let close = async move {
            let _ = ours.close().await;
        };
        core_goes_on(close, far).await;
    });
}

#[test]
fn set_by_its_owner_before() {
    block_on(async {
        let (near, far) = std_pair();
        shrink(&near, &far);
        socket2::SockRef::from(&near).set_linger(Some(LINGER)).expect("a socket");
        let mut ours = TcpStream::from_std(near).expect("a socket");
        fill(&mut ours).await;
        core_goes_on(async move { drop(ours) }, far).await;
    });
}

#[test]
fn inherited_from_the_listener() {
    block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_linger(Some(LINGER)).expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(8).expect("bound");
        let far = StdStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (mut ours, _) = listener.accept().await.expect("a connection");
        shrink(&far, &far);
        if ours.linger().expect("a socket").is_none() {
            return; // A kernel that does not hand it on.
        }
        fill(&mut ours).await;
        core_goes_on(async move { drop(ours) }, far).await;
    });
}
