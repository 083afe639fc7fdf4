//! `RECV` again and again, and what streams do when there is no buffer.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use ringspun::op::{BufGroup, Multishot, PooledBuf, RecvMulti, SharedFd};

use super::pooled::{a_while, group, is_chaos, pool_of, soon, until_available};
use super::sockets::poll_now;
use crate::support::{Ledger, Pipe, block_on, poll_once, runtime, socket_pair, turn, until};

type Item = Option<io::Result<PooledBuf>>;

fn stream(fd: &SharedFd, group: &BufGroup) -> Multishot<RecvMulti> {
    Multishot::new(RecvMulti::new(fd, group.clone(), 0))
}

/// A stream and its peer.
fn connected(group: &BufGroup) -> (Multishot<RecvMulti>, UnixStream) {
    let (ours, peer) = socket_pair();
    (stream(&ours, group), peer)
}

fn say(mut peer: &UnixStream, text: &[u8]) {
    peer.write_all(text).expect("connected");
}

/// Runs `test` in a runtime and counts afterwards.
fn counted(test: impl AsyncFnOnce()) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(test());
    assert_eq!(runtime.metrics().buffers_out, 0);
    drop(runtime);
    ledger.close();
}

/// Arms the stream, which has nothing to say yet.
async fn arm(stream: &mut Multishot<RecvMulti>) {
    assert!(poll_once(&mut stream.next()).await.is_pending());
    turn().await;
}

#[track_caller]
fn bytes(item: Item) -> PooledBuf {
    item.expect("no end").expect("bytes")
}

/// The next bytes, taken over: the buffer goes back.
async fn take(stream: &mut Multishot<RecvMulti>) -> Vec<u8> {
    bytes(soon(stream.next()).await).into_vec()
}

#[test]
fn ok() {
    counted(async || {
        let (mut stream, peer) = connected(&group());
        assert!(stream.id().is_none(), "not armed yet");
        arm(&mut stream).await;
        for round in 0..1000_u32 {
            say(&peer, &round.to_ne_bytes());
            let buf = bytes(soon(stream.next()).await);
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
        let mut stream = stream(&pipe.reader, &group());
        for _ in 0..2 {
            let error = soon(stream.next()).await.expect("an item").expect_err("no socket");
            assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        }
    });
}

#[test]
fn timeout() {
    counted(async || {
        let (mut stream, peer) = connected(&group());
        let late = ringspun::time::timeout(Duration::from_millis(5), stream.next()).await;
        assert!(late.is_err());
        say(&peer, b"x");
        assert_eq!(take(&mut stream).await, b"x");
    });
}

#[test]
fn cancelled() {
    for turned in [None, Some(false), Some(true)] {
        counted(async || {
            let (mut stream, peer) = connected(&group());
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
        drop(stream(&ours, &group()));
        assert_eq!(ours.owners(), 1);
    });
}

#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async || {
            let group = group();
            let (ours, peer) = socket_pair();
            let mut stream = stream(&ours, &group);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            drop(stream);
            assert_eq!(ours.owners(), 2, "the kernel may still use it");
            say(&peer, b"for nobody");
            let fd = ours.clone();
            until("the dropped stream is freed", move || fd.owners() == 2).await;
            until_available(&group, 256).await;
        });
    }
}

/// Items that nobody takes, and more that come while it is being cancelled.
#[test]
fn completed_then_dropped() {
    let runtime = pool_of(4, 16);
    runtime.block_on(async {
        let group = group();
        for _ in 0..20 {
            let (ours, peer) = socket_pair();
            let mut stream = stream(&ours, &group);
            arm(&mut stream).await;
            for _ in 0..3 {
                say(&peer, b"x");
                turn().await;
            }
            drop(stream);
            say(&peer, b"x");
            let fd = ours.clone();
            until("the dropped stream is freed", move || fd.owners() == 2).await;
            drop(ours);
            // All four are the kernel's again: it can fill all.
            assert_eq!(group.available(), 4);
            let (mut stream, peer) = connected(&group);
            say(&peer, &[7; 64]);
            let held = [bytes(soon(stream.next()).await), bytes(soon(stream.next()).await)];
            let more = [bytes(soon(stream.next()).await), bytes(soon(stream.next()).await)];
            assert!(held.iter().chain(&more).all(|buf| buf[..] == [7; 16]));
            assert_eq!(group.available(), 0);
        }
    });
}

#[test]
fn runtime_shut_down() {
    counted(async || {
        let (mut stream, _peer) = connected(&group());
        arm(&mut stream).await;
        ringspun::spawn(async move { while stream.next().await.is_some() {} }).detach();
        turn().await;
    });
    // Kept beyond its runtime: dropped, polled.
    for polled in [false, true] {
        let ledger = Ledger::open();
        let runtime = runtime();
        let (peer, mut stream) = runtime.block_on(async {
            let (mut stream, peer) = connected(&group());
            arm(&mut stream).await;
            (peer, stream)
        });
        say(&peer, b"x");
        drop(runtime);
        if polled {
            while let Poll::Ready(Some(item)) = poll_now(&mut stream.next()) {
                assert_eq!(&bytes(Some(item))[..], b"x");
            }
        }
        drop((peer, stream));
        ledger.close();
    }
}

#[test]
fn the_group_of_another_runtime_is_refused() {
    let other = runtime();
    let foreign = {
        let _entered = other.enter();
        group()
    };
    block_on(async {
        let (ours, peer) = socket_pair();
        say(&peer, b"x");
        let mut refused = stream(&ours, &foreign);
        for _ in 0..2 {
            let error = soon(refused.next()).await.expect("an item").expect_err("not its group");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
        assert_eq!(take(&mut stream(&ours, &group())).await, b"x");
    });
}

/// The bytes of each come in order, though each has to wait for the other's buffer.
#[test]
fn a_pool_of_one_shared_by_two() {
    let runtime = pool_of(1, 16);
    runtime.block_on(async {
        let group = group();
        let tasks: Vec<_> = (0..2_u8)
            .map(|name| {
                let (mut stream, peer) = connected(&group);
                let writer = std::thread::spawn(move || {
                    for at in 0..2000_u32 {
                        say(&peer, &[&at.to_ne_bytes()[..], &[name; 4]].concat());
                    }
                });
                ringspun::spawn(async move {
                    let mut all = Vec::new();
                    while all.len() < 2000 * 8 {
                        all.extend(take(&mut stream).await);
                    }
                    for (at, part) in (0_u32..).zip(all.chunks(8)) {
                        assert_eq!((&part[..4], part[7]), (&at.to_ne_bytes()[..], name));
                    }
                    writer.join().expect("no panic");
                })
            })
            .collect();
        for task in tasks {
            soon(task).await.expect("no panic");
        }
        assert_eq!(group.available(), 1);
    });
}

/// Three streams with bytes there and no buffer: they sleep, and each buffer that comes back serves
/// the one that has waited longest.
#[test]
fn an_empty_pool_parks_and_wakes_in_order() {
    let runtime = pool_of(1, 16);
    runtime.block_on(async {
        let group = group();
        let (mut holder, peer) = connected(&group);
        say(&peer, b"held");
        let mut held = Some(bytes(soon(holder.next()).await));
        drop(holder);
        let (sender, receiver) = async_channel::unbounded();
        let mut peers = Vec::new();
        for name in 0..3_u8 {
            let (mut stream, peer) = connected(&group);
            say(&peer, &[name]);
            peers.push(peer);
            let sender = sender.clone();
            ringspun::spawn(async move {
                loop {
                    let buf = bytes(stream.next().await);
                    if buf.is_empty() || sender.send(buf).await.is_err() {
                        return;
                    }
                }
            })
            .detach();
            turn().await;
        }
        let before = runtime.metrics();
        a_while().await;
        let spent = runtime.metrics().enters - before.enters;
        assert!(spent < 500 || is_chaos(), "{spent} system calls while waiting");
        for name in 0..3_u8 {
            assert!(receiver.is_empty());
            held.take();
            let buf = soon(receiver.recv()).await.expect("a sender is there");
            // Under chaos answers come late, and then another may be faster.
            assert!(buf[..] == [name] || is_chaos(), "{:?} instead of {name}", &buf[..]);
            held = Some(buf);
            a_while().await;
        }
    });
    assert!(runtime.metrics().buffers_empty > 0 || is_chaos());
}

/// The consumer itself has all buffers: it waits for itself, asleep, until it lets one go.
#[test]
fn who_holds_all_waits_for_himself() {
    let runtime = pool_of(2, 16);
    runtime.block_on(async {
        let (mut stream, peer) = connected(&group());
        say(&peer, &[7; 64]);
        let (first, second) = (bytes(soon(stream.next()).await), bytes(soon(stream.next()).await));
        for _ in 0..3 {
            assert!(poll_once(&mut stream.next()).await.is_pending());
            turn().await;
        }
        let before = runtime.metrics().enters;
        a_while().await;
        let spent = runtime.metrics().enters - before;
        assert!(spent < 500, "{spent} system calls while waiting");
        drop(first);
        let third = bytes(soon(stream.next()).await);
        drop((second, third));
        assert_eq!(take(&mut stream).await, [7; 16]);
        assert!(poll_once(&mut stream.next()).await.is_pending());
    });
}

/// The first in the row has nothing to receive: the next gets the buffer all the same.
#[test]
fn an_idle_stream_does_not_keep_the_buffer() {
    let runtime = pool_of(1, 16);
    runtime.block_on(async {
        let group = group();
        let (mut holder, peer) = connected(&group);
        say(&peer, b"held");
        let held = bytes(soon(holder.next()).await);
        drop(holder);
        let mut idle: Vec<_> = (0..5).map(|_| connected(&group)).collect();
        let mut tasks = Vec::new();
        for (mut stream, peer) in idle.drain(..) {
            tasks.push(ringspun::spawn(async move {
                let _peer = peer;
                let _item = stream.next().await;
            }));
        }
        turn().await;
        let (mut busy, peer) = connected(&group);
        say(&peer, b"busy");
        let busy = ringspun::spawn(async move { take(&mut busy).await });
        a_while().await;
        assert!(!busy.is_finished() && group.available() == 0);
        drop(held);
        assert_eq!(soon(busy).await.expect("no panic"), b"busy");
        drop(tasks);
    });
}

/// The only buffer is filled and nobody has taken it: another stream waits without spinning.
#[test]
fn a_buffer_in_an_item_that_nobody_takes() {
    let runtime = pool_of(1, 16);
    runtime.block_on(async {
        let group = group();
        let (mut slow, slow_peer) = connected(&group);
        arm(&mut slow).await;
        say(&slow_peer, b"slow");
        ringspun::time::sleep(Duration::from_millis(2)).await;
        let (mut other, peer) = connected(&group);
        say(&peer, b"other");
        let other = ringspun::spawn(async move { take(&mut other).await });
        turn().await;
        let before = runtime.metrics().enters;
        a_while().await;
        let spent = runtime.metrics().enters - before;
        assert!(spent < 500 || is_chaos(), "{spent} system calls while waiting");
        assert_eq!(take(&mut slow).await, b"slow");
        assert_eq!(soon(other).await.expect("no panic"), b"other");
    });
}

/// Parked streams that go away: dropped, cancelled, dropped when it was called.
#[test]
fn who_leaves_the_row_does_not_stop_it() {
    let runtime = pool_of(1, 16);
    runtime.block_on(async {
        let group = group();
        let (mut holder, peer) = connected(&group);
        for called in [false, true] {
            say(&peer, b"held");
            let mut held = Some(bytes(soon(holder.next()).await));
            let (mut dropped, _peer1) = connected(&group);
            let (mut ended, _peer2) = connected(&group);
            let (mut last, peer3) = connected(&group);
            say(&peer3, b"last");
            for stream in [&mut dropped, &mut ended, &mut last] {
                for _ in 0..3 {
                    assert!(poll_once(&mut stream.next()).await.is_pending());
                    turn().await;
                }
                assert!(stream.id().is_none() || is_chaos(), "parked, not armed");
            }
            if called {
                held.take();
            }
            drop(dropped);
            ended.cancel();
            assert!(soon(ended.next()).await.is_none());
            held.take();
            assert_eq!(take(&mut last).await, b"last");
        }
    });
}

/// The runtime ends while streams are parked.
#[test]
fn shut_down_while_parked() {
    let ledger = Ledger::open();
    let runtime = pool_of(1, 16);
    let (held, mut parked, peers) = runtime.block_on(async {
        let group = group();
        let (mut holder, peer) = connected(&group);
        say(&peer, b"held");
        let held = bytes(soon(holder.next()).await);
        let (mut parked, peer2) = connected(&group);
        for _ in 0..3 {
            assert!(poll_once(&mut parked.next()).await.is_pending());
            turn().await;
        }
        let (mut in_task, peer3) = connected(&group);
        ringspun::spawn(async move { while in_task.next().await.is_some() {} }).detach();
        turn().await;
        (held, parked, [peer, peer2, peer3])
    });
    drop(runtime);
    assert_eq!(&held[..], b"held");
    assert!(matches!(poll_now(&mut parked.next()), Poll::Ready(None)));
    drop((held, parked, peers));
    ledger.close();
}

/// A few buffers for many streams and much data.
#[test]
fn forty_streams_and_three_buffers() {
    const EACH: usize = 5000;
    let runtime = pool_of(3, 32);
    runtime.block_on(async {
        let group = group();
        let mut peers = Vec::new();
        let tasks: Vec<_> = (0..40_u8)
            .map(|name| {
                let (mut stream, peer) = connected(&group);
                peers.push((name, peer));
                ringspun::spawn(async move {
                    let mut count = 0;
                    while count < EACH {
                        let buf = bytes(stream.next().await);
                        assert!(!buf.is_empty() && buf.iter().all(|byte| *byte == name));
                        count += buf.len();
                        if count % 3 == 0 {
                            ringspun::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        let writer = std::thread::spawn(move || {
            for _ in 0..EACH / 100 {
                for (name, peer) in &peers {
                    say(peer, &[*name; 100]);
                }
            }
            peers
        });
        for task in tasks {
            soon(task).await.expect("no panic");
        }
        drop(writer.join());
        assert_eq!(group.available(), 3);
    });
}
