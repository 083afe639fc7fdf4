//! Attacks of the same review that found nothing; kept so that it stays so.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]
use std::future::Future;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::StreamExt;
use ringspun::op::{Completion, MultiOp, Multishot, Nop, Read, SharedFd, Sqe, link, submit};
use ringspun::runtime::{Builder, Park};

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) }
}
fn read(fd: &SharedFd) -> Read<Vec<u8>> {
    Read::new(fd, Vec::with_capacity(8), u64::MAX)
}

#[test]
fn hard_chain_dropped_in_kernel() {
    for entries in [4, 64] {
        for cancel in [false, true] {
            let rt = Builder::new().entries(entries).build().unwrap();
            let (reader, _writer) = pipe();
            let reader = SharedFd::new(reader);
            rt.block_on(async {
                let mut chains: Vec<_> = (0..10)
                    .map(|_| link((read(&reader), read(&reader), read(&reader))).hard())
                    .collect();
                for chain in &mut chains {
                    assert!(futures::poll!(chain).is_pending());
                }
                for _ in 0..3 {
                    submit(Nop::new()).await.unwrap();
                }
                if cancel {
                    for chain in &mut chains {
                        chain.request_cancel();
                    }
                    for chain in chains {
                        let (a, b, c) = chain.await.unwrap();
                        assert!(a.0.is_err() && b.0.is_err() && c.0.is_err());
                    }
                }
            });
            let started = Instant::now();
            drop(rt);
            assert!(started.elapsed() < Duration::from_secs(1));
            assert_eq!(reader.owners(), 1);
        }
    }
}

#[test]
fn remote_wakes_are_not_missed() {
    for park in [Park::Sleep, Park::Adaptive, Park::Busy] {
        let rt = Builder::new().park(park).build().unwrap();
        let (to, mut from) = futures::channel::mpsc::unbounded::<u32>();
        let (back, returned) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            for n in 0..3000 {
                to.unbounded_send(n).unwrap();
                assert_eq!(returned.recv_timeout(Duration::from_secs(5)), Ok(n));
                if n % 7 == 0 {
                    std::thread::sleep(Duration::from_micros(u64::from(n % 150)));
                }
            }
        });
        rt.block_on(async {
            while let Some(n) = from.next().await {
                back.send(n).unwrap();
            }
        });
        thread.join().unwrap();
    }
}

#[test]
fn random_walk_on_a_tiny_ring() {
    let mut state = 88172645463325252_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..20 {
        let rt = Builder::new().entries(2).cq_entries(4).build().unwrap();
        let (reader, writer) = pipe();
        let reader = SharedFd::new(reader);
        let mut subs = Vec::new();
        let mut chains = Vec::new();
        {
            let guard = rt.enter();
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..400 {
                match random(8) {
                    0 | 1 => {
                        let mut sub = submit(read(&reader));
                        if random(2) == 0 {
                            sub.id();
                        }
                        assert!(Pin::new(&mut sub).poll(&mut cx).is_pending());
                        subs.push(sub);
                    }
                    2 => {
                        let mut chain = link((read(&reader), read(&reader)));
                        if random(2) == 0 {
                            chain = chain.hard();
                        }
                        assert!(Pin::new(&mut chain).poll(&mut cx).is_pending());
                        chains.push(chain);
                    }
                    3 if !subs.is_empty() => {
                        let at = random(subs.len() as u64) as usize;
                        subs[at].request_cancel();
                    }
                    4 if !subs.is_empty() => {
                        let at = random(subs.len() as u64) as usize;
                        drop(subs.swap_remove(at));
                    }
                    5 if !chains.is_empty() => {
                        let at = random(chains.len() as u64) as usize;
                        if random(2) == 0 {
                            chains[at].request_cancel();
                        } else {
                            drop(chains.swap_remove(at));
                        }
                    }
                    6 => {
                        let byte = [1_u8; 4];
                        unsafe { libc::write(writer.as_raw_fd(), byte.as_ptr().cast(), 4) };
                    }
                    _ => {
                        rt.turn(Some(Duration::ZERO)).unwrap();
                        subs.retain_mut(|sub| Pin::new(sub).poll(&mut cx).is_pending());
                        chains.retain_mut(|chain| Pin::new(chain).poll(&mut cx).is_pending());
                    }
                }
            }
            drop(guard);
        }
        for sub in &mut subs {
            let guard = rt.enter();
            sub.request_cancel();
            drop(guard);
        }
        chains.clear();
        rt.run_until_idle().unwrap();
        let started = Instant::now();
        drop(rt);
        assert!(started.elapsed() < Duration::from_secs(1));
        drop(subs);
        assert_eq!(reader.owners(), 1);
    }
}

struct Accept(OwnedFd);
unsafe impl MultiOp for Accept {
    type Item = std::io::Result<OwnedFd>;
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(13);
        sqe.ioprio = 1;
        sqe.fd = self.0.as_raw_fd();
        sqe
    }
    unsafe fn item(&mut self, completion: Completion) -> Option<Self::Item> {
        let result = completion.into_result();
        Some(result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }
}

#[test]
fn accepts_all_over_overflow_and_pauses() {
    let rt = Builder::new().entries(1).cq_entries(2).build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rt.block_on(async move {
        let mut stream = Multishot::new(Accept(listener.into())).window(3);
        assert!(futures::poll!(stream.next()).is_pending());
        let clients: Vec<_> =
            (0..90).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        for _ in 0..90 {
            stream.next().await.unwrap().unwrap();
        }
        assert!(futures::poll!(stream.next()).is_pending());
        drop(clients);
        let mut dropped = stream;
        let poll = futures::poll!(dropped.next());
        assert!(matches!(poll, Poll::Pending));
    });
    assert!(rt.metrics().overflows > 0, "the kernel had to keep some");
}
