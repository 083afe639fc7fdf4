//! `ACCEPT` again and again: `Multishot`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures::StreamExt;
use ringspun::op::{AcceptMulti, Multishot, SharedFd};
use ringspun::uring::AsyncIoUring;

use super::sockets::{is_closed_by_peer, is_closed_on_exec, listener, poll_now, stream_socket};
use crate::support::{Ledger, open_fds, poll_once, runtime, turn, until};

/// Runs `test` in a runtime and counts afterwards.
fn counted(test: impl AsyncFnOnce(SharedFd, SocketAddr)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (listener, address) = listener();
        test(listener, address).await;
    });
    drop(runtime);
    ledger.close();
}

fn incoming(listener: &SharedFd) -> Multishot<AcceptMulti> {
    AsyncIoUring::current().accept_multi(listener, 0)
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

/// Arms the stream, which has nothing to say yet.
async fn arm(stream: &mut Multishot<AcceptMulti>) {
    assert!(poll_once(&mut stream.next()).await.is_pending());
    turn().await;
}

fn is_connected(item: Option<io::Result<OwnedFd>>, client: &mut TcpStream) {
    let accepted = item.expect("no end").expect("a client is there");
    assert!(is_closed_on_exec(&accepted));
    TcpStream::from(accepted).write_all(b"hello").expect("connected");
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).expect("connected");
    assert_eq!(&bytes, b"hello");
}

#[test]
fn ok() {
    counted(async |listener, address| {
        let mut stream = incoming(&listener);
        arm(&mut stream).await;
        for _ in 0..10 {
            let mut client = connect(address);
            is_connected(stream.next().await, &mut client);
        }
        // Several at once, in the order of their coming.
        let mut clients: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
        for client in &mut clients {
            is_connected(stream.next().await, client);
        }
    });
}

#[test]
fn error() {
    counted(async |_, _| {
        let socket = stream_socket();
        let mut stream = incoming(&socket);
        for _ in 0..2 {
            // An end that is no cancel is an item, and the next poll tries again.
            let error = stream.next().await.expect("an item").expect_err("it does not listen");
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    });
}

/// A deadline on one item leaves the stream as it was.
#[test]
fn timeout() {
    counted(async |listener, address| {
        let mut stream = incoming(&listener);
        let late = ringspun::time::timeout(Duration::from_millis(5), stream.next()).await;
        assert!(late.is_err());
        let mut client = connect(address);
        is_connected(stream.next().await, &mut client);
    });
}

#[test]
fn cancelled() {
    // Before it was armed.
    counted(async |listener, _| {
        let mut stream = incoming(&listener);
        stream.cancel();
        assert!(stream.next().await.is_none());
        assert!(stream.next().await.is_none(), "it stays ended");
    });
    // In the queue, in the kernel.
    for turned in [false, true] {
        counted(async |listener, address| {
            let mut stream = incoming(&listener);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            stream.cancel();
            assert!(stream.next().await.is_none());
            assert!(stream.next().await.is_none(), "it stays ended");
            // Who comes now is the next one's.
            let mut client = connect(address);
            is_connected(Some(AsyncIoUring::current().accept(&listener, 0).await), &mut client);
        });
    }
    // With a connection that was taken: that still comes.
    counted(async |listener, address| {
        let before = open_fds();
        let mut stream = incoming(&listener);
        arm(&mut stream).await;
        let mut client = connect(address);
        until("it is taken", || open_fds() == before + 2).await;
        turn().await;
        stream.cancel();
        is_connected(stream.next().await, &mut client);
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn cancelled_by_its_descriptor() {
    counted(async |listener, _| {
        let mut stream = incoming(&listener);
        arm(&mut stream).await;
        let count = AsyncIoUring::current().cancel_fd(&listener).await.expect("it is open");
        assert_eq!(count, 1);
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn dropped_before_poll() {
    counted(async |listener, _| {
        drop(incoming(&listener));
        assert_eq!(listener.owners(), 1);
    });
}

#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async |listener, _| {
            let mut stream = incoming(&listener);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            drop(stream);
            assert_eq!(listener.owners(), 2, "the kernel may still use it");
            until("the dropped stream is freed", move || listener.owners() == 1).await;
        });
    }
}

/// Connections that nobody takes, and more that come while it is being cancelled: all are closed.
#[test]
fn completed_then_dropped() {
    counted(async |listener, address| {
        let before = open_fds();
        let mut stream = incoming(&listener);
        arm(&mut stream).await;
        let mut clients: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
        until("they are taken", || open_fds() == before + 10).await;
        turn().await;
        clients.push(connect(address));
        drop(stream);
        until("the dropped stream is freed", || listener.owners() == 1).await;
        // The last one may not have been taken; then it is with the listener.
        drop(listener);
        for client in &mut clients {
            assert!(is_closed_by_peer(client));
        }
    });
}

#[test]
fn runtime_shut_down() {
    counted(async |listener, _| {
        let mut stream = incoming(&listener);
        arm(&mut stream).await;
        ringspun::spawn(async move { while stream.next().await.is_some() {} }).detach();
        turn().await;
    });
    // Kept beyond its runtime: dropped, polled.
    for polled in [false, true] {
        let ledger = Ledger::open();
        let runtime = runtime();
        let (address, mut stream) = runtime.block_on(async {
            let (listener, address) = listener();
            let mut stream = incoming(&listener);
            arm(&mut stream).await;
            (address, stream)
        });
        let mut client = connect(address);
        drop(runtime);
        if polled {
            // What had come before the end comes; then the end.
            while let std::task::Poll::Ready(Some(item)) = poll_now(&mut stream.next()) {
                is_connected(Some(item), &mut client);
            }
        }
        drop(stream);
        drop(client);
        ledger.close();
    }
}

/// More than the window: the kernel pauses, all that came is kept, and it goes on.
#[test]
fn window_pause_and_rearm() {
    counted(async |listener, address| {
        let mut stream = incoming(&listener).window(2);
        arm(&mut stream).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(connect(address));
            ringspun::time::sleep(Duration::from_micros(500)).await;
        }
        for client in &mut clients {
            is_connected(stream.next().await, client);
        }
    });
}
