//! `RECV` again and again into buffers that are filled piece by piece.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use ringspun::op::{self, MultiOp, Multishot, PooledBuf, RecvIncremental, RecvMulti, SharedFd};
use ringspun::runtime::Pretend;

use super::pooled::{a_while, is_chaos, soon};
use super::sockets::poll_now;
use crate::support::{Ledger, Pipe, builder, poll_once, runtime, socket_pair, turn, until};

type Item = Option<io::Result<PooledBuf>>;

/// Whether this is Linux 6.12 or newer.
fn is_new_enough() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().expect("a number"), numbers.next().expect("two numbers")) >= (6, 12)
}

fn stream(fd: &SharedFd, buffers: u16, bytes: u32) -> Multishot<RecvIncremental> {
    Multishot::new(RecvIncremental::new(fd, buffers, bytes, 0))
}

/// A stream and its peer.
fn connected(buffers: u16, bytes: u32) -> (Multishot<RecvIncremental>, UnixStream) {
    let (ours, peer) = socket_pair();
    (stream(&ours, buffers, bytes), peer)
}

fn say(mut peer: &UnixStream, text: &[u8]) {
    peer.write_all(text).expect("connected");
}

/// Runs `test` in a runtime and counts afterwards; not at all where the kernel is too old.
fn counted(test: impl AsyncFnOnce()) {
    if !is_new_enough() {
        return;
    }
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(test());
    assert_eq!(runtime.metrics().buffers_out, 0);
    drop(runtime);
    ledger.close();
}

async fn arm(stream: &mut Multishot<RecvIncremental>) {
    assert!(poll_once(&mut stream.next()).await.is_pending());
    turn().await;
}

#[track_caller]
fn bytes(item: Item) -> PooledBuf {
    item.expect("no end").expect("bytes")
}

async fn take(stream: &mut Multishot<RecvIncremental>) -> PooledBuf {
    bytes(soon(stream.next()).await)
}

fn place(buf: &PooledBuf) -> Range<usize> {
    let range = buf.as_ptr_range();
    range.start as usize..range.end as usize
}

#[test]
fn ok() {
    counted(async || {
        let (mut stream, peer) = connected(2, 64);
        assert!(stream.id().is_none(), "not armed yet");
        arm(&mut stream).await;
        for round in 0..1000_u32 {
            say(&peer, &round.to_ne_bytes());
            let buf = take(&mut stream).await;
            assert_eq!(&buf[..], round.to_ne_bytes());
            assert!(buf.is_pooled());
        }
        drop(peer);
        assert!(take(&mut stream).await.is_empty());
        assert!(take(&mut stream).await.is_empty(), "it stays the end");
    });
}

#[test]
fn error() {
    counted(async || {
        let pipe = Pipe::new();
        let mut stream = stream(&pipe.reader, 1, 64);
        for _ in 0..2 {
            let error = soon(stream.next()).await.expect("an item").expect_err("no socket");
            assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        }
    });
}

#[test]
fn impossible_numbers_are_refused() {
    counted(async || {
        for (buffers, bytes) in [(0, 64), (1, 0), (32_769, 64), (1, u32::MAX)] {
            let (mut stream, _peer) = connected(buffers, bytes);
            for _ in 0..2 {
                let error = soon(stream.next()).await.expect("an item").expect_err("impossible");
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            }
        }
    });
}

#[test]
fn an_older_kernel() {
    let pretend = Pretend { version: Some((6, 11)), ..Pretend::default() };
    let runtime = builder().pretend(pretend).build().expect("a ring");
    runtime.block_on(async {
        let (mut stream, _peer) = connected(2, 64);
        for _ in 0..2 {
            let error = soon(stream.next()).await.expect("an item").expect_err("too old");
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("6.12"), "{error}");
        }
    });
}

#[test]
fn timeout() {
    counted(async || {
        let (mut stream, peer) = connected(2, 64);
        let late = ringspun::time::timeout(Duration::from_millis(5), stream.next()).await;
        assert!(late.is_err());
        say(&peer, b"x");
        assert_eq!(&take(&mut stream).await[..], b"x");
    });
}

#[test]
fn cancelled() {
    for turned in [None, Some(false), Some(true)] {
        counted(async || {
            let (mut stream, peer) = connected(2, 64);
            if let Some(turned) = turned {
                assert!(poll_once(&mut stream.next()).await.is_pending());
                if turned {
                    turn().await;
                }
            }
            stream.cancel();
            say(&peer, b"too late");
            while let Some(item) = soon(stream.next()).await {
                assert_eq!(&bytes(Some(item))[..], b"too late", "what has arrived still comes");
            }
            assert!(stream.next().await.is_none(), "it stays ended");
        });
    }
}

#[test]
fn dropped_before_poll() {
    counted(async || {
        let (ours, _peer) = socket_pair();
        drop(stream(&ours, 2, 64));
        assert_eq!(ours.owners(), 1);
    });
}

/// With a piece kept that was received before.
#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async || {
            let (ours, peer) = socket_pair();
            let mut stream = stream(&ours, 2, 64);
            say(&peer, b"kept");
            let kept = take(&mut stream).await;
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            drop(stream);
            say(&peer, b"for nobody");
            let fd = ours.clone();
            until("the dropped stream is freed", move || fd.owners() == 2).await;
            assert_eq!(&kept[..], b"kept");
        });
    }
}

#[test]
fn completed_then_dropped() {
    counted(async || {
        for _ in 0..20 {
            let (ours, peer) = socket_pair();
            let mut stream = stream(&ours, 2, 16);
            arm(&mut stream).await;
            for _ in 0..3 {
                say(&peer, b"1234567");
                turn().await;
            }
            drop(stream);
            say(&peer, b"x");
            let fd = ours.clone();
            until("the dropped stream is freed", move || fd.owners() == 2).await;
        }
    });
}

#[test]
fn runtime_shut_down() {
    counted(async || {
        let (mut stream, _peer) = connected(2, 64);
        arm(&mut stream).await;
        ringspun::spawn(async move { while stream.next().await.is_some() {} }).detach();
        turn().await;
    });
    if !is_new_enough() {
        return;
    }
    // Kept beyond its runtime, with a piece: dropped, polled.
    for polled in [false, true] {
        let ledger = Ledger::open();
        let runtime = runtime();
        let (peer, mut stream, kept) = runtime.block_on(async {
            let (mut stream, peer) = connected(1, 8);
            say(&peer, b"kept");
            let kept = take(&mut stream).await;
            arm(&mut stream).await;
            (peer, stream, kept)
        });
        say(&peer, b"more than there is room for");
        drop(runtime);
        if polled {
            while let Poll::Ready(Some(item)) = poll_now(&mut stream.next()) {
                assert_eq!(&bytes(Some(item))[..], b"more");
            }
        }
        drop(stream);
        assert_eq!(&kept[..], b"kept");
        drop((peer, kept));
        ledger.close();
    }
}

/// The experiment of the design: the addresses say which messages share a buffer.
#[test]
fn small_messages_share_a_buffer_and_are_split_at_its_end() {
    counted(async || {
        let (mut stream, peer) = connected(2, 256);
        let mut sent = (0..=u8::MAX).cycle();
        let mut pieces = Vec::new();
        for (message, parts) in
            [(100, &[100][..]), (100, &[100]), (100, &[56, 44]), (10, &[10]), (202, &[202])]
        {
            let text: Vec<u8> = sent.by_ref().take(message).collect();
            say(&peer, &text);
            let mut got = Vec::new();
            for part in parts {
                let piece = take(&mut stream).await;
                assert_eq!(piece.len(), *part);
                got.extend_from_slice(&piece);
                pieces.push(piece);
            }
            assert_eq!(got, text);
        }
        let places: Vec<_> = pieces.iter().map(place).collect();
        for buffer in [&places[..3], &places[3..]] {
            assert_eq!(buffer[2].end - buffer[0].start, 256);
            assert!(buffer.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        assert!(all.iter().copied().eq((0..=u8::MAX).cycle().take(512)), "nothing was overwritten");
    });
}

/// Asleep until the last piece of a buffer is dropped.
#[test]
fn all_buffers_held_then_released() {
    if !is_new_enough() {
        return;
    }
    let runtime = runtime();
    runtime.block_on(async {
        let (mut stream, peer) = connected(2, 16);
        say(&peer, &[7; 8]);
        let mut held = vec![take(&mut stream).await];
        say(&peer, &[7; 40]);
        while held.iter().map(|piece| piece.len()).sum::<usize>() < 32 {
            held.push(take(&mut stream).await);
        }
        for _ in 0..3 {
            assert!(poll_once(&mut stream.next()).await.is_pending());
            turn().await;
        }
        let before = runtime.metrics().enters;
        a_while().await;
        let spent = runtime.metrics().enters - before;
        assert!(spent < 500 || is_chaos(), "{spent} system calls while waiting");
        assert!(stream.id().is_none() || is_chaos(), "parked, not armed");
        let first = place(&held[0]).start;
        // The second buffer's only piece stays.
        let last = held.pop().expect("three");
        held.truncate(1);
        turn().await;
        assert!(poll_once(&mut stream.next()).await.is_pending(), "half of the buffer is held");
        held.clear();
        let mut got = 0;
        while got < 16 {
            let piece = take(&mut stream).await;
            assert_eq!(place(&piece).start, first + got, "the first buffer again");
            assert!(piece.iter().all(|byte| *byte == 7));
            got += piece.len();
            held.push(piece);
        }
        drop(last);
    });
    assert!(runtime.metrics().buffers_empty > 0 || is_chaos());
}

/// Parked: dropped, cancelled, the runtime ends.
#[test]
fn parked_then_ended() {
    for how in 0..3 {
        if !is_new_enough() {
            return;
        }
        let ledger = Ledger::open();
        let runtime = runtime();
        let kept = runtime.block_on(async {
            let (mut stream, peer) = connected(1, 4);
            say(&peer, b"kept and more");
            let kept = take(&mut stream).await;
            for _ in 0..3 {
                assert!(poll_once(&mut stream.next()).await.is_pending());
                turn().await;
            }
            match how {
                0 => drop(stream),
                1 => {
                    stream.cancel();
                    assert!(soon(stream.next()).await.is_none());
                }
                _ => ringspun::spawn(async move {
                    let _peer = peer;
                    while stream.next().await.is_some() {}
                })
                .detach(),
            }
            turn().await;
            kept
        });
        drop(runtime);
        assert_eq!(&kept[..], b"kept");
        drop(kept);
        ledger.close();
    }
}

/// Nobody else may select from its buffers: the order of completions would be lost.
#[test]
fn its_group_is_refused_to_others() {
    counted(async || {
        let (ours, peer) = socket_pair();
        let mut spy = RecvIncremental::new(&ours, 1, 64, 0);
        let _entry = spy.prepare();
        let group = spy.buf_group().expect("it was prepared").clone();
        say(&peer, b"x");
        let mut other = Multishot::new(RecvMulti::new(&ours, group.clone(), 0));
        let error = soon(other.next()).await.expect("an item").expect_err("not its group");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        let select = op::submit(op::RecvSelect::new(&ours, group.clone(), 0));
        let error = soon(select).await.expect_err("not its group");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        drop(spy);
        assert_eq!(group.available(), 0);
    });
}

/// Many groups at a time, and many one after the other.
#[test]
fn groups_come_and_go() {
    counted(async || {
        for _ in 0..5 {
            let mut all: Vec<_> = (0..50).map(|_| connected(2, 32)).collect();
            for (at, (stream, peer)) in (0_u8..).zip(&mut all) {
                say(peer, &[at; 5]);
                assert_eq!(&take(stream).await[..], [at; 5]);
            }
        }
    });
}

/// By a small generator: sizes, and which pieces are kept for how long.
#[test]
fn a_hundred_thousand_messages() {
    const MESSAGES: usize = 100_000;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) as usize % below
    };
    counted(async || {
        let (mut stream, peer) = connected(8, 500);
        let sizes: Vec<usize> = (0..MESSAGES).map(|_| 1 + random(60)).collect();
        let total: usize = sizes.iter().sum();
        // The byte at each place of the stream is known from the place.
        let byte = |at: usize| (at.wrapping_mul(0x9e37_79b1) >> 13) as u8;
        let writer = std::thread::spawn(move || {
            let mut at = 0;
            for size in sizes {
                let text: Vec<u8> = (at..at + size).map(byte).collect();
                say(&peer, &text);
                at += size;
            }
            peer
        });
        let right = |(at, piece): &(usize, PooledBuf)| {
            piece.iter().zip(*at..).all(|(got, at)| *got == byte(at))
        };
        let mut kept = VecDeque::new();
        let mut at = 0;
        while at < total {
            let next = ringspun::time::timeout(Duration::from_millis(20), stream.next()).await;
            let Ok(item) = next else {
                // Maybe it waits for what is kept here.
                kept.pop_front().iter().for_each(|piece| assert!(right(piece)));
                continue;
            };
            let piece = (at, bytes(item));
            assert!(!piece.1.is_empty() && right(&piece));
            at += piece.1.len();
            if random(3) == 0 {
                kept.push_back(piece);
            }
            while kept.len() > random(20) {
                let gone = kept.remove(random(kept.len())).expect("so many are there");
                assert!(right(&gone), "overwritten while it was kept");
            }
        }
        assert!(kept.iter().all(right));
        drop(writer.join().expect("no panic"));
        drop(kept);
        assert!(take(&mut stream).await.is_empty());
    });
}

#[test]
fn by_the_low_level_face() {
    counted(async || {
        let (ours, peer) = socket_pair();
        say(&peer, b"hello");
        let mut stream = ringspun::uring::AsyncIoUring::current().recv_incremental(&ours, 2, 64, 0);
        assert_eq!(&take(&mut stream).await[..], b"hello");
    });
}
