//! Resets, ours and the peer's. The kernel tells an error of a socket once: whoever drops it makes
//! a broken stream look like one that has ended.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::time::Duration;

use ringspun::net::TcpStream;

use crate::support::{block_on, pair, poll_and_drop, read_all, turns};

fn reset(far: StdStream) {
    socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(far);
}

#[test]
fn unread_bytes_reset_as_the_kernel_does() {
    block_on(async {
        let (ours, mut far) = pair();
        far.write_all(b"never read").expect("room");
        ours.readable().await.expect("bytes");
        drop(ours);
        turns().await;
        let error = far.read(&mut [0; 8]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn by_zero_linger() {
    block_on(async {
        let (mut ours, mut far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        ours.set_zero_linger().expect("a socket");
        drop(ours);
        turns().await;
        let error = far.read(&mut [0; 8]).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn met_by_a_read_in_flight() {
    block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        reset(far);
        let error = ours.read(&mut [0; 8]).await.expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(ours.read(&mut [0; 8]).await.expect("the end, as the kernel has it"), 0);
    });
}

/// An owned receive was adopted, and has met the reset.
async fn adopted() -> TcpStream {
    let (ours, far) = pair();
    poll_and_drop(ours.recv(Vec::with_capacity(64)));
    turns().await;
    reset(far);
    turns().await;
    ours
}

#[test]
fn told_to_each_face_after_readable() {
    block_on(async {
        let reset = |result: std::io::Result<usize>| {
            assert_eq!(result.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
        };
        let mut ours = adopted().await;
        ours.readable().await.expect("an error is to be read");
        reset(ours.read(&mut [0; 8]).await);

        let ours = adopted().await;
        ours.readable().await.expect("an error is to be read");
        reset(ours.try_read(&mut [0; 8]));

        let ours = adopted().await;
        ours.readable().await.expect("an error is to be read");
        reset(ours.peek(&mut [0; 8]).await);

        let ours = adopted().await;
        ours.readable().await.expect("an error is to be read");
        reset(ours.recv_pooled().await.map(|buf| buf.len()));

        let ours = adopted().await;
        ours.readable().await.expect("an error is to be read");
        reset(ours.recv(Vec::with_capacity(8)).await.0);
    });
}

#[test]
fn behind_a_full_buffer() {
    block_on(async {
        let (mut ours, mut far) = pair();
        poll_and_drop(ours.recv(Vec::with_capacity(4096)));
        turns().await;
        far.write_all(&[7; 4096]).expect("room");
        turns().await;
        reset(far);
        turns().await;
        let mut buf = vec![0; 64 * 1024];
        assert_eq!(ours.read(&mut buf).await.expect("bytes"), 4096);
        let error = ours.read(&mut buf).await.expect_err("a reset is no end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn after_bytes_that_were_given_back() {
    block_on(async {
        let (mut ours, mut far) = pair();
        far.write_all(b"abc").expect("room");
        ours.readable().await.expect("bytes");
        let mut buf = [0; 8];
        // What it had read goes back; a receive of its own is armed behind that.
        poll_and_drop(ours.read_exact(&mut buf));
        turns().await;
        reset(far);
        turns().await;
        assert_eq!(ours.try_read(&mut buf).expect("they are older than the error"), 3);
        let error = ours.read(&mut buf).await.expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn met_by_a_write() {
    block_on(async {
        let (mut ours, far) = pair();
        reset(far);
        turns().await;
        let error = ours.write(b"x").await.expect_err("a reset");
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
        let (result, buf) = ours.send(b"y".to_vec()).await;
        assert_eq!(result.expect_err("a reset").kind(), ErrorKind::BrokenPipe);
        assert_eq!(buf, b"y");
    });
}

#[test]
fn sent_bytes_before_an_ordinary_end_arrive() {
    block_on(async {
        let (mut ours, mut far) = pair();
        ours.write_all(b"all of it").await.expect("room");
        poll_and_drop(ours.read(&mut [0; 8]));
        drop(ours);
        turns().await;
        let (bytes, end) = read_all(&mut far);
        assert_eq!((&bytes[..], end.expect("the end")), (&b"all of it"[..], ()));
    });
}
