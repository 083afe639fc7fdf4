//! Futures that are dropped, forgotten and cancelled in flight while the peer goes on writing. What
//! the kernel still writes must go to memory that nobody else has: fresh memory of the same size is
//! filled with a canary and looked at all the time. Under AddressSanitizer the allocator helps.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ringspun::op::{Recv, SharedFd, submit};

use crate::support::{poll_once, runtime};

const SIZE: usize = 256;
const CANARY: u8 = 0xc5;
const WRITTEN: u8 = 0x11;
const ROUNDS: usize = 2000;

/// A peer that writes as fast as it is read.
struct Peer {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Peer {
    fn start() -> (SharedFd, Peer) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.set_write_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // In small bites, so that receives are in flight most of the time.
                let _ = theirs.write(&[WRITTEN; 32]);
                thread::yield_now();
            }
        });
        (SharedFd::new(ours), Peer { stop, thread: Some(thread) })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the peer");
        }
    }
}

/// Memory that the allocator may have taken from what was just given back.
fn canaries() -> Vec<Vec<u8>> {
    (0..8).map(|_| vec![CANARY; SIZE]).collect()
}

fn check(canaries: &[Vec<u8>]) {
    let intact = canaries.iter().flatten().all(|byte| *byte == CANARY);
    assert!(intact, "the kernel wrote into memory that was given back");
}

#[test]
fn dropped_in_flight() {
    runtime().block_on(async {
        let (socket, _peer) = Peer::start();
        let mut last = canaries();
        for _ in 0..ROUNDS {
            let mut op = submit(Recv::new(&socket, vec![0; SIZE], 0));
            let _answer = poll_once(&mut op).await;
            drop(op);
            check(&last);
            last = canaries();
            ringspun::task::yield_now().await;
        }
        ringspun::time::sleep(Duration::from_millis(5)).await;
        check(&last);
    });
}

#[test]
fn forgotten_in_flight() {
    runtime().block_on(async {
        let (socket, _peer) = Peer::start();
        let mut last = canaries();
        for _ in 0..ROUNDS / 10 {
            let mut op = ManuallyDrop::new(submit(Recv::new(&socket, vec![0; SIZE], 0)));
            let _answer = poll_once(&mut *op).await;
            check(&last);
            last = canaries();
            ringspun::task::yield_now().await;
        }
        ringspun::time::sleep(Duration::from_millis(5)).await;
        check(&last);
    });
}

#[test]
fn cancelled_in_flight() {
    runtime().block_on(async {
        let (socket, _peer) = Peer::start();
        let mut last = canaries();
        for _ in 0..ROUNDS {
            let mut op = submit(Recv::new(&socket, vec![0; SIZE], 0));
            let answer = match poll_once(&mut op).await {
                std::task::Poll::Ready(answer) => answer,
                std::task::Poll::Pending => op.cancel().await,
            };
            if let (Ok(count), buf) = answer {
                assert!(buf[..count].iter().all(|byte| *byte == WRITTEN));
                assert!(buf[count..].iter().all(|byte| *byte == 0), "no byte that is not counted");
            }
            check(&last);
            last = canaries();
        }
    });
}

/// The runtime goes while hundreds of receives are in flight and the peer writes.
#[test]
fn runtime_shut_down() {
    for _ in 0..5 {
        let runtime = runtime();
        let (socket, peer) = Peer::start();
        runtime.block_on(async {
            for _ in 0..200 {
                ringspun::spawn(submit(Recv::new(&socket, vec![0; SIZE], 0))).detach();
            }
            ringspun::task::yield_now().await;
        });
        drop(runtime);
        let after = canaries();
        thread::sleep(Duration::from_millis(5));
        check(&after);
        drop(peer);
    }
}
