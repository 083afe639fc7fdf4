//! Closing.
//!
//! # Safety
//!
//! One `close` of a number that somebody else owns, in a process of its own.

#![allow(unsafe_code)]

use std::os::fd::AsRawFd;
use std::time::Duration;

use ringspun::net::{TcpListener, UdpSocket, UnixStream};
use ringspun::time::sleep;

use crate::support::{block_on, is_child, run_alone, tcp_pair};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// What was dropped with something in flight is closed within a few turns.
async fn comes_back_to(baseline: usize) {
    for _ in 0..1000 {
        if open_descriptors() == baseline {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("{} descriptors are open, {baseline} were", open_descriptors());
}

#[test]
fn z15_descriptors_are_back_at_the_baseline() {
    if !is_child() {
        // Others open and close meanwhile.
        return run_alone("ends::z15_descriptors_are_back_at_the_baseline", &[]);
    }
    block_on(async {
        // The first of each kind may leave something with the core.
        drop(tcp_pair().await);
        sleep(Duration::from_millis(5)).await;
        let baseline = open_descriptors();
        for round in 0..20 {
            let mut open = Vec::new();
            for _ in 0..20 {
                let (ours, theirs) = tcp_pair().await;
                let (local, remote) = UnixStream::pair().expect("a pair");
                let mut buf = [0; 8];
                let waits = ringspun::time::timeout(Duration::ZERO, ours.peek(&mut buf));
                waits.await.expect_err("nothing comes");
                open.push((ours, theirs, local, remote));
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
            let accepting = ringspun::spawn(async move { listener.accept().await.map(drop) });
            let receiving = ringspun::spawn(async move { socket.recv(&mut [0; 8]).await });
            ringspun::task::yield_now().await;
            assert!(open_descriptors() >= baseline + 82, "all of them are counted");
            for (ours, theirs, local, remote) in open {
                if round % 2 == 0 {
                    ours.close().await.expect("closed");
                    theirs.close().await.expect("closed");
                    local.close().await.expect("closed");
                }
                drop(remote);
            }
            accepting.abort();
            receiving.abort();
            drop((accepting, receiving));
            comes_back_to(baseline).await;
        }
    });
}

#[test]
fn z15_close_tells_its_errors() {
    if !is_child() {
        // In between the number would be free for others.
        return run_alone("ends::z15_close_tells_its_errors", &[]);
    }
    block_on(async {
        let (ours, mut theirs) = tcp_pair().await;
        ours.close().await.expect("closed");
        assert_eq!(theirs.read(&mut [0; 8]).await.expect("the end"), 0);

        // Closed behind its back: the kernel knows nothing of it any more.
        // SAFETY: wrong on purpose, in a process where nobody opens anything until the next line
        // has closed it once more.
        unsafe { libc::close(theirs.as_raw_fd()) };
        let error = theirs.close().await.expect_err("it is closed");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{error}");
    });
}
