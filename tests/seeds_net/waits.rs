//! What waits for a peer can be given a deadline and can be given up: read, connect and accept.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringspun::net::{TcpListener, TcpStream};
use ringspun::op::SharedFd;
use ringspun::time::{sleep, timeout};
use ringspun::uring::AsyncIoUring;
use socket2::{Domain, Socket, Type};

use crate::support::{PATIENCE, block_on, tcp_pair};

const SHORT: Duration = Duration::from_millis(20);

/// Ends by its deadline, and not before it.
async fn times_out<F: Future>(wait: F) {
    let begun = Instant::now();
    assert!(timeout(SHORT, wait).await.is_err(), "nothing comes");
    assert!(begun.elapsed() >= SHORT);
}

/// Ends because its task is aborted while it waits.
async fn is_aborted<F: Future + 'static>(wait: F) {
    let task = ringspun::spawn(async move {
        wait.await;
    });
    sleep(Duration::from_millis(2)).await;
    assert!(!task.is_finished(), "nothing comes");
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
}

fn flying(operation: &str) -> usize {
    let all = AsyncIoUring::current().ops_in_flight();
    all.iter().filter(|op| op.operation == operation).count()
}

/// What was given up is out of the kernel soon.
async fn goes(operation: &str) {
    let begun = Instant::now();
    while flying(operation) > 0 {
        assert!(begun.elapsed() < PATIENCE, "{operation} stays in the kernel");
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn n12_read_with_a_timeout_and_a_cancel() {
    block_on(async {
        let (ours, mut theirs) = tcp_pair().await;
        let (mut read, _write) = ours.into_split();
        times_out(read.read(&mut [0; 8])).await;
        times_out(read.read_exact(&mut [0; 8])).await;
        times_out(read.recv(Vec::with_capacity(8))).await;
        times_out(read.recv_stream().next()).await;
        // Nothing was lost with them.
        theirs.write_all(b"at last").await.expect("room");
        let mut buf = [0; 7];
        read.read_exact(&mut buf).await.expect("bytes");
        assert_eq!(&buf, b"at last");
        is_aborted(async move { read.read(&mut [0; 8]).await }).await;
        goes("RECV").await;

        // The op itself: each end has its own error.
        let ring = AsyncIoUring::current();
        let (one, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let one = SharedFd::new(one);
        let (result, buf) = ring.recv(&one, Vec::with_capacity(8), 0).timeout(SHORT).await;
        assert_eq!(result.expect_err("nothing comes").kind(), ErrorKind::TimedOut);
        assert_eq!(buf.capacity(), 8, "the buffer comes back");
        let (result, _) = ring.recv(&one, buf, 0).cancel().await;
        let errno = result.expect_err("cancelled").raw_os_error();
        assert_eq!(errno, Some(libc::ECANCELED));
    });
}

#[test]
fn n12_accept_with_a_timeout_and_a_cancel() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        times_out(listener.accept()).await;
        times_out(listener.incoming().next()).await;
        times_out(listener.accept()).await;
        let connected = TcpStream::connect(address).await.expect("it still listens");
        let (_, peer) = listener.accept().await.expect("no connection is lost");
        assert_eq!(peer, connected.local_addr().expect("connected"));
        is_aborted(async move { listener.accept().await }).await;
        goes("ACCEPT").await;
        let refused = TcpStream::connect(address).await.expect_err("it went with its task");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

        let ring = AsyncIoUring::current();
        let listening = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listening = SharedFd::new(listening);
        let error = ring.accept(&listening, 0).timeout(SHORT).await.expect_err("nobody comes");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let error = ring.accept(&listening, 0).cancel().await.expect_err("cancelled");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    });
}

/// A listener whose queue is full, and what fills it: the kernel answers no further client.
fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&any.into()).expect("a free port");
    listener.listen(0).expect("bound");
    let address = listener.local_addr().expect("bound");
    let mut held = vec![listener];
    for _ in 0..8 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let connected = client.connect_timeout(&address, Duration::from_millis(200));
        held.push(client);
        if connected.is_err() {
            return (address.as_socket().expect("of IPv4"), held);
        }
    }
    panic!("the queue of a listener with a backlog of 0 is never full");
}

#[test]
fn n12_connect_into_a_black_hole_with_a_timeout_and_a_cancel() {
    let (address, held) = black_hole();
    block_on(async {
        times_out(TcpStream::connect(address)).await;
        goes("CONNECT").await;
        is_aborted(TcpStream::connect(address)).await;
        goes("CONNECT").await;

        let ring = AsyncIoUring::current();
        let socket = || SharedFd::new(Socket::new(Domain::IPV4, Type::STREAM, None).expect("one"));
        let connect = ring.connect(socket(), address).timeout(SHORT);
        let error = connect.await.expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let mut connect = ring.connect(socket(), address);
        let id = connect.id();
        let task = ringspun::spawn(connect);
        sleep(Duration::from_millis(2)).await;
        assert_eq!(ring.cancel(id).await, Ok(()));
        let error = task.await.expect("no panic").expect_err("cancelled");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(flying("CONNECT"), 0);
    });
    drop(held);
}
