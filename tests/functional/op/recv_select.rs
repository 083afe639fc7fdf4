//! `RECV` into a buffer that the kernel chooses, and the pool that it comes from.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use ringspun::op::{
    BufClass, BufGroup, PooledBuf, RecvSelect, SharedFd, Submission, buf_group, submit,
};
use ringspun::runtime::{BufferPool, Builder, Pretend};
use ringspun::uring::AsyncIoUring;

use super::pooled::{group, is_chaos, is_made_up, pool_of, received, until_alone, with_pool};
use super::sockets::tcp_pair;
use super::suite::{self, Case};
use crate::support::{
    Buffers, Ledger, Pipe, block_on, builder, poll_once, runtime, socket_pair, submit_only, turn,
};

/// A receive from a peer that is silent.
struct RecvPair {
    ours: SharedFd,
    peer: UnixStream,
    group: BufGroup,
}

impl Case for RecvPair {
    type Op = RecvSelect;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(_: &Buffers) -> RecvPair {
        let (ours, peer) = socket_pair();
        RecvPair { ours, peer, group: group() }
    }

    fn op(&mut self) -> Submission<RecvSelect> {
        submit(RecvSelect::new(&self.ours, self.group.clone(), 0))
    }

    fn release(&mut self) {
        self.peer.write_all(b"hello").expect("connected");
    }

    fn check(&mut self, result: io::Result<PooledBuf>) {
        let buf = result.expect("bytes are there");
        assert_eq!(&buf[..], b"hello");
        assert!(buf.is_pooled());
        let available = self.group.available();
        drop(buf);
        assert_eq!(self.group.available(), available + 1);
    }

    fn bad_op(&mut self) -> Submission<RecvSelect> {
        submit(RecvSelect::new(Pipe::new().reader, self.group.clone(), 0))
    }
}

#[test]
fn ok() {
    suite::ok::<RecvPair>();
}

#[test]
fn error() {
    suite::error::<RecvPair>();
}

#[test]
fn timeout() {
    suite::timeout::<RecvPair>();
}

#[test]
fn cancelled() {
    suite::cancelled::<RecvPair>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<RecvPair>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<RecvPair>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<RecvPair>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<RecvPair>();
}

fn recv(fd: &SharedFd, group: &BufGroup) -> Submission<RecvSelect> {
    submit(RecvSelect::new(fd, group.clone(), 0).poll_first(true))
}

/// Whatever becomes of the future, a pool of one is not lost: answered and not taken, dropped while
/// the bytes come, failed, ended.
#[test]
fn the_only_buffer_comes_back() {
    let runtime = pool_of(1, 64);
    runtime.block_on(async {
        let group = group();
        for round in 0..50 {
            let (ours, mut peer) = socket_pair();
            let mut op = recv(&ours, &group);
            let polled = submit_only(&mut op).await;
            if round % 3 > 0 {
                peer.write_all(b"late").expect("connected");
            }
            if round % 3 == 1 {
                turn().await;
            }
            drop((op, polled));
            until_alone(&ours).await;
            assert_eq!(group.available(), 1);
            let refused = submit(RecvSelect::new(Pipe::new().reader, group.clone(), 0)).await;
            assert!(refused.is_err());
            turn().await;
            peer.write_all(b"now").expect("connected");
            // What the dropped one had taken is gone with it.
            let buf = received(|| recv(&ours, &group)).await;
            assert!(buf.ends_with(b"now"), "{round}: {:?}", &buf[..]);
            assert_eq!(group.available(), 0);
            drop(buf);
            drop(peer);
            let end = received(|| recv(&ours, &group)).await;
            assert!(end.is_empty() && !end.is_pooled());
            assert_eq!(group.available(), 1);
        }
    });
    assert_eq!(runtime.metrics().buffers_out, 0);
}

/// The tail of the ring has 16 bits.
#[test]
fn more_receives_than_the_tail_counts() {
    let rounds: u32 = if is_chaos() { 1000 } else { 70_000 };
    let runtime = pool_of(3, 64);
    runtime.block_on(async {
        let group = group();
        let (ours, mut peer) = socket_pair();
        let mut kept = None;
        for round in 0..rounds {
            peer.write_all(&round.to_ne_bytes()).expect("connected");
            let buf = received(|| recv(&ours, &group)).await;
            assert_eq!(&buf[..], round.to_ne_bytes());
            // Not always the same one is out.
            kept = Some(buf).filter(|_| round % 3 > 0);
        }
        drop(kept);
        assert_eq!(group.available(), 3);
    });
}

#[test]
fn a_kept_buffer_outlives_its_runtime() {
    let ledger = Ledger::open();
    let runtime = runtime();
    let (group, kept, mut late) = runtime.block_on(async {
        let group = group();
        let (ours, mut peer) = socket_pair();
        peer.write_all(b"kept").expect("connected");
        let kept = received(|| recv(&ours, &group)).await;
        // This one is answered, and taken when the runtime is gone.
        let mut late = recv(&ours, &group);
        assert!(submit_only(&mut late).await.is_pending());
        peer.write_all(b"late").expect("connected");
        (group, kept, late)
    });
    assert_eq!(runtime.metrics().buffers_out, 1);
    drop(runtime);
    assert_eq!(&kept[..], b"kept");
    assert_eq!(group.available(), 0);
    match super::sockets::poll_now(&mut late) {
        std::task::Poll::Ready(Ok(buf)) => assert_eq!(&buf[..], b"late"),
        std::task::Poll::Ready(Err(error)) => {
            assert!(error.raw_os_error() == Some(libc::ECANCELED) || is_made_up(&error), "{error}");
        }
        std::task::Poll::Pending => panic!("a drained op has its outcome"),
    }
    drop((group, late));
    assert_eq!(kept.into_vec(), b"kept");
    ledger.close();
}

#[test]
fn beyond_held_max_it_is_copied() {
    let runtime = with_pool(BufferPool::new().small(64, 4).held_max(1));
    runtime.block_on(async {
        let group = group();
        let (ours, mut peer) = socket_pair();
        let mut held = Vec::new();
        for round in 0..10_u8 {
            peer.write_all(&[round; 5]).expect("connected");
            held.push(received(|| recv(&ours, &group)).await);
            assert_eq!(group.available(), 3);
        }
        assert!(held[0].is_pooled() && held[1..].iter().all(|buf| !buf.is_pooled()));
        for (round, buf) in (0..).zip(&held) {
            assert_eq!(&buf[..], [round; 5]);
        }
        assert_eq!(runtime.metrics().buffers_out, 1);
        held.clear();
        assert_eq!(group.available(), 4);
    });
}

#[test]
fn an_empty_pool() {
    let runtime = pool_of(2, 64);
    runtime.block_on(async {
        let group = group();
        let (ours, mut peer) = socket_pair();
        peer.write_all(b"1").expect("connected");
        let first = received(|| recv(&ours, &group)).await;
        peer.write_all(b"2").expect("connected");
        let second = received(|| recv(&ours, &group)).await;
        let empty = runtime.metrics().buffers_empty;
        // With nothing to receive: it fails all the same, or waits if it is told to.
        let plain = || submit(RecvSelect::new(&ours, group.clone(), 0));
        let error = plain().await.expect_err("no buffer");
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
        assert!(runtime.metrics().buffers_empty > empty);
        let mut waits = recv(&ours, &group);
        let polled = submit_only(&mut waits).await;
        assert!(polled.is_pending() || is_chaos());
        drop((first, polled));
        peer.write_all(b"3").expect("connected");
        if !is_chaos() {
            assert_eq!(&waits.await.expect("a buffer is back")[..], b"3");
        }
        drop(second);
    });
}

/// Others wait for one buffer; who gets it is the kernel's choice, the others have an error.
#[test]
fn waiting_holds_no_buffer() {
    let runtime = pool_of(1, 64);
    runtime.block_on(async {
        let group = group();
        let pairs: Vec<_> = (0..20).map(|_| socket_pair()).collect();
        let mut ops: Vec<_> = pairs.iter().map(|(ours, _)| recv(ours, &group)).collect();
        for op in &mut ops {
            let polled = poll_once(op).await;
            assert!(polled.is_pending());
        }
        turn().await;
        assert_eq!(group.available(), 1);
        for (mut op, (ours, mut peer)) in ops.into_iter().zip(pairs) {
            peer.write_all(b"x").expect("connected");
            match (&mut op).await {
                Ok(buf) => assert_eq!(&buf[..], b"x"),
                Err(error) => {
                    assert!(is_made_up(&error), "{error}");
                    received(|| recv(&ours, &group)).await;
                }
            }
        }
    });
}

#[test]
fn the_group_of_another_runtime_is_refused() {
    let other = runtime();
    let foreign = {
        let _entered = other.enter();
        group()
    };
    block_on(async {
        let (ours, mut peer) = socket_pair();
        peer.write_all(b"x").expect("connected");
        for _ in 0..2 {
            // Also when a group of this ring has the same number.
            let error = recv(&ours, &foreign).await.expect_err("not its group");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains("another runtime"));
            let _ours = group();
        }
        assert_eq!(foreign.available(), 256);
        assert_eq!(&received(|| recv(&ours, &group())).await[..], b"x");
    });
    drop(other);
    assert_eq!(foreign.available(), 0, "its runtime is gone");
    block_on(async {
        let (ours, _peer) = socket_pair();
        assert!(recv(&ours, &foreign).await.is_err());
    });
}

#[test]
fn no_pool() {
    let old = Pretend { version: Some((5, 18)), ..Pretend::default() };
    let runtimes = [builder().pretend(old), builder().buffer_pool(BufferPool::off())];
    for builder in runtimes {
        let runtime = builder.build().expect("a ring");
        runtime.block_on(async {
            for class in [BufClass::Small, BufClass::Large] {
                assert!(buf_group(class).is_none());
                assert!(AsyncIoUring::current().buf_group(class).is_none());
            }
        });
    }
}

#[test]
fn settings_that_cannot_be() {
    for (settings, text) in [
        (BufferPool::new().small(4096, 0), "0 small buffers"),
        (BufferPool::new().large(4096, 32_769), "32769 large buffers"),
        (BufferPool::new().small(0, 16), "of 0 bytes"),
        (BufferPool::new().large((1 << 30) + 1, 16), "large pooled buffers of"),
    ] {
        let error = Builder::new().buffer_pool(settings).build().expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(text), "{error}");
    }
}

/// Two classes beside each other; large ones are made when they are asked for.
#[test]
fn both_classes() {
    block_on(async {
        let (small, large) = (group(), buf_group(BufClass::Large).expect("as the small ones"));
        assert_eq!((small.buf_len(), small.available()), (4096, 256));
        assert_eq!((large.buf_len(), large.available()), (65_536, 16));
        let (ours, mut peer) = tcp_pair();
        peer.write_all(&[7; 20_000]).expect("connected");
        let mut received_bytes = 0;
        while received_bytes < 20_000 {
            for group in [&small, &large] {
                if received_bytes < 20_000 {
                    let buf = received(|| recv(&ours, group)).await;
                    assert!(buf.len() <= group.buf_len() && buf.iter().all(|byte| *byte == 7));
                    received_bytes += buf.len();
                }
            }
        }
        assert_eq!((small.available(), large.available()), (256, 16));
    });
}

/// 32768 buffers of 1 MiB: what nobody has filled is only addresses.
#[test]
fn a_large_pool_is_not_touched() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").expect("procfs");
        let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
        pages.expect("a number") * 4096
    };
    let before = resident();
    let runtime = pool_of(1024, 1 << 20);
    runtime.block_on(async {
        assert_eq!(group().available(), 1024);
        assert!(resident() < before + (256 << 20), "a GiB was touched");
    });
}

/// Bytes that the buffer does not hold are the next receive's, and `MSG_TRUNC` changes nothing.
#[test]
fn more_than_a_buffer_holds() {
    let runtime = pool_of(2, 8);
    runtime.block_on(async {
        let group = group();
        let (ours, mut peer) = tcp_pair();
        peer.write_all(b"0123456789").expect("connected");
        let truncating = || submit(RecvSelect::new(&ours, group.clone(), libc::MSG_TRUNC as u32));
        let first = received(truncating).await;
        assert_eq!(&first[..], b"01234567");
        assert_eq!(&received(truncating).await[..], b"89");
        let (ours, peer) = super::pooled::datagrams();
        peer.send(&[9; 100]).expect("room");
        let cut =
            received(|| submit(RecvSelect::new(&ours, group.clone(), libc::MSG_TRUNC as u32)));
        assert_eq!(&cut.await[..], [9; 8]);
    });
}

/// Sent on from the buffer that it was received in.
#[test]
fn a_received_buffer_is_sent() {
    block_on(async {
        let group = group();
        let (ours, mut peer) = socket_pair();
        peer.write_all(b"echo this").expect("connected");
        let mut buf = received(|| recv(&ours, &group)).await;
        buf.advance(5);
        let (sent, buf) = AsyncIoUring::current().send(&ours, buf, 0).await;
        assert_eq!((sent.expect("room"), buf.len()), (4, 4));
        drop(buf);
        assert_eq!(super::sockets::drain(&mut peer), b"this");
        assert_eq!(group.available(), 256);
    });
}
