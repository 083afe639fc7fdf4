//! What a review broke, and random walks over streams, pools and writes that break nothing now.
#![allow(unsafe_code, clippy::all, missing_docs, unused)]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use futures::{Stream, StreamExt};
use ringspun::net::{TcpListener, TcpStream};
use ringspun::op::{
    self, BufClass, Control, Multishot, Read, RecvMsgMulti, RecvMulti, RecvSelect, SharedFd, submit,
};
use ringspun::runtime::{BufferPool, Builder, Runtime};

use crate::support::*;

/// D1
#[test]
fn the_end_is_told_behind_a_send_that_was_done_already() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("l");
        let ours = TcpStream::connect(listener.local_addr().expect("a")).await.expect("c");
        let (theirs, _) = listener.accept().await.expect("acc");
        let (read, write) = ours.into_split();
        {
            // Handed to the kernel, and its future dropped.
            let mut send = pin!(write.send(vec![1_u8; 3]));
            let mut cx = Context::from_waker(Waker::noop());
            let _ = send.as_mut().poll(&mut cx);
        }
        // The kernel is done with it, and nobody has asked for the outcome.
        let mut got = [0; 8];
        let mut theirs = theirs;
        assert_eq!(theirs.read(&mut got).await.expect("read"), 3);
        ringspun::time::sleep(Duration::from_millis(20)).await;
        drop(write);
        // `read` lives: only shutdown(2) can tell the end.
        let end = ringspun::time::timeout(Duration::from_secs(3), theirs.read(&mut got)).await;
        assert_eq!(end.expect("the peer never sees the end").expect("read"), 0);
        drop(read);
    });
}

thread_local! {
    static ON_WAKE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}
/// A waker that runs code of its user.
struct Runs;
impl Wake for Runs {
    fn wake(self: Arc<Self>) {
        let run = ON_WAKE.with_borrow_mut(Option::take);
        if let Some(run) = run {
            run();
        }
    }
}

/// D2
#[test]
fn an_op_that_a_waker_submits_while_the_ring_is_closed_is_not_freed() {
    let ledger = Ledger::open();
    let buffers = &ledger.buffers;
    let other = Runtime::new().expect("ring");
    // When this goes, the ring that was left behind goes too.
    let outer = other.enter();
    let pool = BufferPool::new().small(64, 1).held_max(1);
    let runtime = Builder::new().buffer_pool(pool).build().expect("a ring");
    let (pipe, mut peer) = std::io::pipe().expect("a pipe");
    let pipe = SharedFd::new(pipe);
    let (a, mut a_peer) = std::os::unix::net::UnixStream::pair().expect("pair");
    a_peer.write_all(b"x").expect("room");
    let (b, _b_peer) = std::os::unix::net::UnixStream::pair().expect("pair");
    let group = {
        let _entered = runtime.enter();
        op::buf_group(BufClass::Small).expect("pool")
    };
    let kept = runtime
        .block_on(async { submit(RecvSelect::new(SharedFd::new(a), group.clone(), 0)).await })
        .expect("x");
    assert!(kept.is_pooled());
    // A stream that waits for a buffer, with a waker of our own.
    let mut stream = Multishot::new(RecvMulti::new(SharedFd::new(b), group.clone(), 0));
    let waker = Waker::from(Arc::new(Runs));
    {
        let _entered = runtime.enter();
        let mut cx = Context::from_waker(&waker);
        assert!(stream.poll_next_unpin(&mut cx).is_pending());
    }
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("listener");
    Box::leak(Box::new(runtime.enter()));
    let trace = false;
    let read = Rc::new(RefCell::new(Some(submit(Read::new(&pipe, buffers.empty(64), 0)))));
    let submitted = Rc::new(Cell::new(false));
    let (read2, submitted2) = (Rc::clone(&read), Rc::clone(&submitted));
    ON_WAKE.with_borrow_mut(|slot| {
        *slot = Some(Box::new(move || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(read2.borrow_mut().as_mut().unwrap()).poll(&mut cx).is_pending());
            // Turns the ring: its accept is ended at once.
            {
                let mut accept = pin!(listener.accept());
                let _ = accept.as_mut().poll(&mut cx);
            }
            drop(listener);
            submitted2.set(true);
        }));
    });
    drop(runtime);
    eprintln!("waker ran, submitted: {}", submitted.get());
    if !submitted.get() {
        return;
    }
    drop(read.borrow_mut().take());
    drop(stream);
    drop(group);
    drop(kept);
    drop(outer);
    // The kernel was never told, and has not answered.
    peer.write_all(b"y").expect("somebody still reads");
    assert_eq!(buffers.live(), 1, "freed while the kernel has it");
}

/// D3
#[test]
fn descriptors_in_a_datagram_that_nobody_takes_are_closed() {
    own_files();
    let before = open_fds();
    block_on(async {
        let group = op::buf_group(BufClass::Small).expect("pool");
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().expect("pair");
        let (ours, theirs) = (SharedFd::new(ours), SharedFd::new(theirs));
        let op = RecvMsgMulti::new(&ours, group, 0).control_room(64);
        let mut stream = Multishot::new(op);
        for _ in 0..10 {
            let (reader, _writer) = std::io::pipe().expect("pipe");
            let control = Control::new().rights([OwnedFd::from(reader)]);
            submit(op::SendMsg::new(&theirs, vec![b"x".to_vec()], 0).control(control))
                .await
                .0
                .expect("sent");
        }
        let first = stream.next().await.expect("some").expect("datagram");
        drop(first);
    });
    assert_eq!(open_fds(), before, "descriptors that a peer has sent stay open");
}

struct Random(u64);
impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

fn pattern(at: usize) -> u8 {
    (at.wrapping_mul(2654435761) >> 13) as u8
}

/// Polls up to so many times, a turn between; then drops it.
async fn some_polls<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut count = 0;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        count += 1;
        if count > polls {
            return Poll::Ready(None);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

async fn stream_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("l");
    let ours = TcpStream::connect(listener.local_addr().expect("a")).await.expect("c");
    let (theirs, _) = listener.accept().await.expect("acc");
    (ours, theirs)
}

fn check(got: &[u8], at: &mut usize, what: &str) {
    for byte in got {
        assert_eq!(*byte, pattern(*at), "{what}: byte {at}");
        *at += 1;
    }
}

fn walk(seed: u64) {
    let pool = match seed % 4 {
        0 => BufferPool::new().small(64, 2).large(8192, 1),
        1 => BufferPool::new().small(4096, 3).large(4096, 3).held_max(1),
        2 => BufferPool::off(),
        _ => BufferPool::new(),
    };
    let runtime = Builder::new().buffer_pool(pool).build().expect("a ring");
    let held = runtime.block_on(async {
        let (mut ours, mut theirs) = stream_pair().await;
        const ALL: usize = 400_000;
        let writer = ringspun::spawn(async move {
            let mut random = Random(seed * 77 + 5);
            let mut at = 0;
            while at < ALL {
                let most = if random.next(3) == 0 { 30_000 } else { 200 };
                let len = (1 + random.next(most)).min(ALL - at);
                let bytes: Vec<u8> = (at..at + len).map(pattern).collect();
                theirs.write_all(&bytes).await.expect("write");
                at += len;
                for _ in 0..random.next(4) {
                    ringspun::task::yield_now().await;
                }
            }
        });
        let mut random = Random(seed + 1);
        let mut at = 0;
        let mut held = Vec::new();
        let mut idle = 0;
        while at < ALL {
            let polls = if random.next(2) == 0 { random.next(4) } else { 1 << 20 };
            let most = if random.next(2) == 0 { 9000 } else { 60 };
            let len = 1 + random.next(most);
            let before = at;
            match random.next(9) {
                0 | 1 => {
                    let mut buf = vec![0; len];
                    if let Some(got) = some_polls(ours.read(&mut buf), polls).await {
                        let got = got.expect("read");
                        assert!(got > 0, "end at {at}");
                        check(&buf[..got], &mut at, "read");
                    }
                }
                2 => {
                    let len = len.min(ALL - at);
                    let mut buf = vec![0; len];
                    if let Some(got) = some_polls(ours.read_exact(&mut buf), polls).await {
                        check(&buf[..got.expect("exact")], &mut at, "exact");
                    }
                }
                3 => {
                    if let Some((got, buf)) =
                        some_polls(ours.recv(Vec::with_capacity(len)), polls).await
                    {
                        let got = got.expect("recv");
                        assert!(got > 0, "end at {at}");
                        check(&buf[..got], &mut at, "recv");
                    }
                }
                4 => {
                    if let Some(buf) = some_polls(ours.recv_pooled(), polls).await {
                        let buf = buf.expect("pooled");
                        assert!(!buf.is_empty(), "end at {at}");
                        check(&buf, &mut at, "pooled");
                        held.push((buf.to_vec(), buf));
                    }
                }
                5 => {
                    if some_polls(ours.readable(), polls).await.is_some() {
                        let mut buf = vec![0; len];
                        match ours.try_read(&mut buf) {
                            Ok(got) => {
                                assert!(got > 0, "end at {at}");
                                check(&buf[..got], &mut at, "try");
                            }
                            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                        }
                    }
                }
                6 => {
                    let mut buf = vec![0; len];
                    if let Some(got) = some_polls(ours.peek(&mut buf), polls).await {
                        let mut at = at;
                        let got = got.expect("peek");
                        assert!(got > 0, "end at {at}");
                        check(&buf[..got], &mut at, "peek");
                    }
                }
                7 => {
                    let bufs = vec![Vec::with_capacity(1 + len / 3), Vec::with_capacity(len)];
                    if let Some((got, bufs)) = some_polls(ours.recv_vectored(bufs), polls).await {
                        let got = got.expect("recv");
                        assert!(got > 0, "end at {at}");
                        let all = bufs.concat();
                        check(&all[..got], &mut at, "vectored");
                    }
                }
                _ => {
                    let mut buf = vec![0; len];
                    if let Ok(got) = ours.try_read(&mut buf) {
                        assert!(got > 0, "end at {at}");
                        check(&buf[..got], &mut at, "try");
                    }
                }
            }
            idle = if at == before { idle + 1 } else { 0 };
            assert!(idle < 2_000_000, "stuck at {at}");
            while held.len() > random.next(6) {
                let (copy, buf) = held.remove(random.next(held.len()));
                assert_eq!(&copy[..], &buf[..], "a held buffer changed");
            }
        }
        writer.await.expect("no panic");
        let mut buf = [0; 8];
        assert_eq!(ours.read(&mut buf).await.expect("end"), 0);
        held
    });
    drop(runtime);
    for (copy, buf) in held {
        assert_eq!(&copy[..], &buf[..], "a held buffer changed");
    }
}

#[test]
fn walks_through_a_stream() {
    let first: u64 = std::env::var("RINGSPUN_WALK").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("RINGSPUN_WALKS").ok().and_then(|v| v.parse().ok()).unwrap_or(8);
    for seed in first..first + count {
        eprintln!("walk {seed}");
        walk(seed);
    }
}

/// All the ways of pooled receives, mixed; at the end every buffer is back.
fn pools(seed: u64) {
    let mut random = Random(seed + 3);
    let count = 1 + random.next(5);
    let mut pool = BufferPool::new().small(32, count).large(96, 1 + random.next(3));
    if random.next(2) == 0 {
        pool = pool.held_max(random.next(count + 2));
    }
    let runtime = Builder::new().buffer_pool(pool).build().expect("a ring");
    let mut kept = Vec::new();
    runtime.block_on(async {
        let groups = [
            op::buf_group(BufClass::Small).expect("s"),
            op::buf_group(BufClass::Large).expect("l"),
        ];
        let all = [groups[0].available(), groups[1].available()];
        const N: usize = 6;
        let mut ends = Vec::new();
        for at in 0..N {
            let (ours, peer) = std::os::unix::net::UnixStream::pair().expect("pair");
            peer.set_nonblocking(true).expect("nb");
            ends.push((SharedFd::new(ours), peer, 0_usize, 0_usize, None::<Multishot<RecvMulti>>));
        }
        let mut held: Vec<(Vec<u8>, op::PooledBuf)> = Vec::new();
        for _ in 0..1500 {
            let at = random.next(N);
            let which = random.next(2);
            let (fd, peer, sent, got, multi) = &mut ends[at];
            match random.next(10) {
                0..=3 => {
                    let len = 1 + random.next(200);
                    let bytes: Vec<u8> =
                        (*sent..*sent + len).map(|i| pattern(i + at * 1000)).collect();
                    *sent += peer.write(&bytes).unwrap_or(0);
                }
                4 if at < 3 => {
                    // Their receives may be dropped: bytes may be lost with them.
                    let op = RecvSelect::new(&*fd, groups[which].clone(), 0)
                        .poll_first(random.next(2) == 0);
                    let polls = random.next(4);
                    if let Some(Ok(buf)) = some_polls(submit(op), polls).await {
                        held.push((buf.to_vec(), buf));
                    }
                }
                5 | 6 if at >= 3 => {
                    let stream = multi.get_or_insert_with(|| {
                        Multishot::new(RecvMulti::new(&*fd, groups[which].clone(), 0))
                            .window(1 + which)
                    });
                    let polls = random.next(4);
                    match some_polls(stream.next(), polls).await {
                        Some(Some(Ok(buf))) => {
                            let mut place = *got + at * 1000;
                            check(&buf, &mut place, "multi");
                            *got = place - at * 1000;
                            held.push((buf.to_vec(), buf));
                        }
                        Some(Some(Err(error))) => panic!("{error}"),
                        Some(None) => panic!("ended"),
                        None => {}
                    }
                }
                7 if at < 3 => {
                    // Armed and dropped with answers waiting.
                    let mut stream = Multishot::new(RecvMulti::new(&*fd, groups[which].clone(), 0));
                    let polls = random.next(3);
                    if let Some(Some(Ok(buf))) = some_polls(stream.next(), polls).await {
                        held.push((buf.to_vec(), buf));
                    }
                    if random.next(2) == 0 {
                        stream.cancel();
                        let _ = some_polls(stream.next(), 2).await;
                    }
                }
                8 => ringspun::task::yield_now().await,
                _ => {}
            }
            while held.len() > random.next(count + 3) {
                let (copy, mut buf) = held.remove(random.next(held.len()));
                assert_eq!(&copy[..], &buf[..], "a held buffer changed");
                match random.next(4) {
                    0 => {
                        buf.advance(random.next(buf.len() + 1));
                        drop(buf.into_vec());
                    }
                    1 => {
                        let (fd, _, _, _, _) = &ends[at];
                        let _ = some_polls(
                            submit(op::Send::new(fd, buf, libc::MSG_DONTWAIT as u32)),
                            random.next(3),
                        )
                        .await;
                        // Peers are never read: it is bytes nobody looks at.
                    }
                    _ => drop(buf),
                }
            }
        }
        if random.next(2) == 0 {
            kept = held;
            let streams: Vec<_> = ends.into_iter().map(|end| end.4).collect();
            Box::leak(Box::new(streams.into_iter().nth(4)));
            return;
        }
        for (copy, buf) in held {
            assert_eq!(&copy[..], &buf[..], "a held buffer changed");
        }
        drop(ends);
        let mut rounds = 0;
        while [groups[0].available(), groups[1].available()] != all {
            ringspun::time::sleep(Duration::from_millis(1)).await;
            rounds += 1;
            assert!(
                rounds < 3000,
                "lost: {:?} of {all:?}",
                [groups[0].available(), groups[1].available()]
            );
        }
    });
    drop(runtime);
    for (copy, buf) in kept {
        assert_eq!(&copy[..], &buf[..], "a held buffer changed");
    }
}

#[test]
fn pools_in_all_ways() {
    let first: u64 = std::env::var("RINGSPUN_WALK").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let count: u64 =
        std::env::var("RINGSPUN_WALKS").ok().and_then(|v| v.parse().ok()).unwrap_or(40);
    for seed in first..first + count {
        pools(seed);
    }
}

fn frame(id: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + len);
    bytes.extend_from_slice(&(len as u32).to_ne_bytes());
    bytes.extend_from_slice(&id.to_ne_bytes());
    bytes.extend((0..len).map(|at| pattern(at + id as usize * 7)));
    bytes
}

fn writes(seed: u64) {
    let runtime = Builder::new().build().expect("a ring");
    runtime.block_on(async {
        let (mut ours, mut theirs) = stream_pair().await;
        let done = Rc::new(RefCell::new(Vec::<u32>::new()));
        let done2 = Rc::clone(&done);
        let reader = ringspun::spawn(async move {
            let mut random = Random(seed * 3 + 1);
            let mut got = Vec::new();
            let mut last = 0;
            loop {
                let mut head = [0; 8];
                match theirs.read_exact(&mut head).await {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
                        break;
                    }
                }
                let len = u32::from_ne_bytes(head[..4].try_into().unwrap()) as usize;
                let id = u32::from_ne_bytes(head[4..].try_into().unwrap());
                assert!(id > last && len < 1 << 23, "id {id} after {last}, len {len}");
                last = id;
                let mut body = vec![0; len];
                theirs.read_exact(&mut body).await.expect("the rest of a frame");
                assert_eq!(body, frame(id, len)[8..]);
                got.push(id);
                for _ in 0..random.next(5) {
                    ringspun::task::yield_now().await;
                }
            }
            got
        });
        let mut random = Random(seed + 9);
        for id in 1..=60_u32 {
            let most = [50, 5000, 3_000_000][random.next(3)];
            let bytes = frame(id, random.next(most));
            let polls = if random.next(3) > 0 { random.next(3) } else { 1 << 28 };
            match random.next(6) {
                0 | 1 => {
                    if let Some((sent, buf)) = some_polls(ours.send(bytes), polls).await {
                        assert_eq!(sent.expect("sent"), buf.len());
                        done2.borrow_mut().push(id);
                    }
                }
                2 => {
                    let (a, b) = bytes.split_at(bytes.len() / 2);
                    let all = bytes.len();
                    let bufs = vec![a.to_vec(), b.to_vec()];
                    if let Some((sent, _)) = some_polls(ours.send_vectored(bufs), polls).await {
                        assert_eq!(sent.expect("sent"), all);
                        done2.borrow_mut().push(id);
                    }
                }
                3 => {
                    if let Some((sent, buf)) = some_polls(ours.send_zc(bytes), polls).await {
                        assert_eq!(sent.expect("sent"), buf.len());
                        done2.borrow_mut().push(id);
                    }
                }
                4 => {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        if random.next(2) == 0 {
                            match ours.try_write(rest) {
                                Ok(count) => rest = &rest[count..],
                                Err(error) => {
                                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                                    let _ = some_polls(ours.writable(), random.next(9)).await;
                                }
                            }
                        } else if let Some(count) =
                            some_polls(ours.write(rest), random.next(9)).await
                        {
                            rest = &rest[count.expect("write")..];
                        }
                    }
                    done2.borrow_mut().push(id);
                }
                _ => {
                    ours.write_all(&bytes).await.expect("written");
                    done2.borrow_mut().push(id);
                }
            }
        }
        let _keep;
        match random.next(3) {
            0 => {
                drop(ours);
            }
            1 => {
                let (read, write) = ours.into_split();
                drop(write);
                _keep = read;
            }
            _ => {
                ours.shutdown().await.expect("shut down");
                _keep = ours.into_split().0;
            }
        }
        let got = ringspun::time::timeout(Duration::from_secs(30), reader)
            .await
            .expect("the end never came")
            .expect("no panic");
        for id in done.borrow().iter() {
            assert!(got.contains(id), "frame {id} is lost");
        }
    });
}

#[test]
fn walks_of_writes() {
    let first: u64 = std::env::var("RINGSPUN_WALK").ok().and_then(|v| v.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("RINGSPUN_WALKS").ok().and_then(|v| v.parse().ok()).unwrap_or(5);
    for seed in first..first + count {
        eprintln!("writes {seed}");
        writes(seed);
    }
}

fn unix_as_stream() -> (TcpStream, TcpStream) {
    let (a, b) = std::os::unix::net::UnixStream::pair().expect("pair");
    let of = |one: std::os::unix::net::UnixStream| {
        one.set_nonblocking(true).expect("nb");
        TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(one))).expect("stream")
    };
    (of(a), of(b))
}

/// D4
#[test]
fn a_dropped_send_zc_that_the_kernel_refuses_is_still_sent() {
    block_on(async {
        let (ours, mut theirs) = unix_as_stream();
        // With patience it is sent, by a copy.
        let (sent, _) = ours.send_zc(b"abc".to_vec()).await;
        assert_eq!(sent.expect("sent"), 3);
        let mut got = [0; 8];
        assert_eq!(theirs.read(&mut got).await.expect("read"), 3);
        // Its turn has come, it is submitted, and the future goes.
        let _ = some_polls(ours.send_zc(b"def".to_vec()), 0).await;
        let (sent, _) = ours.send(b"ghi".to_vec()).await;
        assert_eq!(sent.expect("sent"), 3);
        theirs.read_exact(&mut got[..3]).await.expect("read");
        assert_eq!(&got[..3], b"def", "lost");
    });
}

thread_local! {
    static STREAM: RefCell<Option<Rc<TcpStream>>> = const { RefCell::new(None) };
}

/// A buffer whose destructor panics once.
struct Panics(Vec<u8>);
impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("the buffer's");
        }
    }
}
// SAFETY: as its vector.
unsafe impl ringspun::buf::IoBuf for Panics {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }
    fn bytes_init(&self) -> usize {
        self.0.len()
    }
}

/// D5
#[test]
fn a_destructor_that_panics_does_not_spoil_the_stream() {
    block_on(async {
        let (mut ours, mut theirs) = stream_pair().await;
        let _ = some_polls(ours.send(Panics(b"abc".to_vec())), 0).await;
        let mut got = [0; 8];
        assert_eq!(theirs.read(&mut got).await.expect("read"), 3);
        // Somebody meets it.
        let met = std::panic::AssertUnwindSafe(ours.write_all(b"def"));
        let met = futures::FutureExt::catch_unwind(met).await;
        eprintln!("met: {}", met.is_err());
        let next = std::panic::AssertUnwindSafe(ours.write_all(b"ghi"));
        futures::FutureExt::catch_unwind(next).await.expect("spoilt for ever").expect("written");
    });
}

/// D6
#[test]
fn compat_control_data_of_a_stream_of_datagrams() {
    block_on(async {
        let group = op::buf_group(BufClass::Small).expect("pool");
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().expect("pair");
        let (ours, theirs) = (SharedFd::new(ours), SharedFd::new(theirs));
        let op = RecvMsgMulti::new(&ours, group, 0x8000_0000).control_room(64);
        let mut stream = Multishot::new(op);
        let (reader, _writer) = std::io::pipe().expect("pipe");
        let control = Control::new().rights([OwnedFd::from(reader)]);
        submit(op::SendMsg::new(&theirs, vec![b"x".to_vec()], 0).control(control))
            .await
            .0
            .expect("sent");
        let first = stream.next().await.expect("some").expect("datagram");
        eprintln!("control {:?} flags {:x}", first.control().as_bytes(), first.flags());
        assert_eq!(
            &first.control().as_bytes()[..8],
            &20_u64.to_ne_bytes(),
            "laid out as for 32 bits"
        );
    });
}

/// D7?
#[test]
fn device_memory_flag() {
    block_on(async {
        let (ours, mut theirs) = stream_pair().await;
        let group = op::buf_group(BufClass::Small).expect("pool");
        theirs.write_all(b"secret").await.expect("w");
        let fd = SharedFd::new(std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned().expect("dup"));
        let got = submit(RecvSelect::new(&fd, group, 0x200_0000)).await;
        eprintln!("devmem: {:?}", got.map(|got| got.to_vec()));
    });
}
