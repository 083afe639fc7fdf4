//! `LINK_TIMEOUT`, which lives in chains only: behind a read of an empty pipe.

use std::io;
use std::time::{Duration, Instant};

use ringspun::op::{Link, LinkTimeout, Nop, Read, Timeout, TimeoutEnd, link, submit};

use super::held::{assert_cancelled, assert_kind};
use crate::support::{
    Buffers, CountedBuf, Ledger, Pipe, block_on, poll_once, runtime, submit_only, turn, until,
};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

type Timed = Link<(Read<CountedBuf>, LinkTimeout)>;

fn read(pipe: &Pipe, buffers: &Buffers, duration: Duration) -> Timed {
    let read = Read::new(&pipe.reader, buffers.empty(5), Read::CURSOR);
    link((read, LinkTimeout::new(duration, 0)))
}

/// Runs `test` in a runtime and counts afterwards.
fn counted(test: impl AsyncFnOnce(&Buffers)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(test(&ledger.buffers));
    drop(runtime);
    ledger.close();
}

#[test]
fn ok() {
    // It fires.
    counted(async |buffers| {
        let pipe = Pipe::new();
        let start = Instant::now();
        let (read, timeout) = read(&pipe, buffers, SHORT).await.expect("it fits");
        assert!(start.elapsed() >= SHORT);
        assert_cancelled(&read);
        assert_eq!(timeout.expect("a time"), TimeoutEnd::Elapsed);
    });
    // The op is faster.
    counted(async |buffers| {
        let mut pipe = Pipe::new();
        let mut chain = read(&pipe, buffers, HOUR);
        assert!(submit_only(&mut chain).await.is_pending());
        pipe.write(b"hello");
        let ((count, buf), timeout) = chain.await.expect("it fits");
        assert_eq!(count.expect("bytes are there"), 5);
        assert_eq!(buf.bytes, b"hello");
        assert_eq!(timeout.expect("not needed"), TimeoutEnd::Completed);
    });
}

/// There is nothing before it.
#[test]
fn error() {
    block_on(async {
        assert_kind(&submit(LinkTimeout::new(HOUR, 0)).await, io::ErrorKind::InvalidInput);
        let chain = link((LinkTimeout::new(HOUR, 0), Nop::new()));
        let (timeout, nop) = chain.await.expect("it fits");
        let errno = timeout.expect_err("it is first").raw_os_error();
        assert!(matches!(errno, Some(libc::EINVAL | libc::ECANCELED)), "{errno:?}");
        assert_cancelled(&nop);
    });
}

/// The deadline of the chain, before that of the kernel.
#[test]
fn timeout() {
    counted(async |buffers| {
        let pipe = Pipe::new();
        let chain = read(&pipe, buffers, HOUR).timeout(SHORT);
        let (read, timeout) = chain.await.expect("it fits");
        assert_kind(&read, io::ErrorKind::TimedOut);
        assert_kind(&timeout, io::ErrorKind::TimedOut);
    });
}

#[test]
fn cancelled() {
    for turned in [false, true] {
        counted(async |buffers| {
            let pipe = Pipe::new();
            let mut chain = read(&pipe, buffers, HOUR);
            assert!(poll_once(&mut chain).await.is_pending());
            if turned {
                turn().await;
            }
            chain.request_cancel();
            let (read, timeout) = chain.await.expect("it fits");
            assert_cancelled(&read);
            assert_cancelled(&timeout);
        });
    }
}

#[test]
fn dropped_before_poll() {
    counted(async |buffers| {
        let pipe = Pipe::new();
        drop(read(&pipe, buffers, HOUR));
        assert_eq!((buffers.live(), pipe.reader.owners()), (0, 1));
    });
}

#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async |buffers| {
            let pipe = Pipe::new();
            let mut chain = read(&pipe, buffers, HOUR);
            assert!(poll_once(&mut chain).await.is_pending());
            if turned {
                turn().await;
            }
            drop(chain);
            assert_eq!(buffers.live(), 1, "the kernel may still use it");
            until("the dropped chain is freed", || buffers.live() == 0).await;
        });
    }
}

#[test]
fn completed_then_dropped() {
    counted(async |buffers| {
        let pipe = Pipe::new();
        let mut chain = read(&pipe, buffers, Duration::from_millis(1));
        assert!(submit_only(&mut chain).await.is_pending());
        ringspun::time::sleep(SHORT).await;
        turn().await;
        drop(chain);
        until("the dropped chain is freed", || buffers.live() == 0).await;
    });
}

#[test]
fn runtime_shut_down() {
    counted(async |buffers| {
        let pipe = Pipe::new();
        let mut chain = read(&pipe, buffers, HOUR);
        assert!(submit_only(&mut chain).await.is_pending());
        ringspun::spawn(async move { chain.await.map(drop) }).detach();
        turn().await;
    });
    let ledger = Ledger::open();
    let runtime = runtime();
    let kept = runtime.block_on(async {
        let pipe = Pipe::new();
        let mut chain = read(&pipe, &ledger.buffers, HOUR);
        assert!(submit_only(&mut chain).await.is_pending());
        (pipe, chain)
    });
    drop(runtime);
    let (_pipe, mut chain) = kept;
    let std::task::Poll::Ready(Ok((read, timeout))) = tokio_test::task::spawn(&mut chain).poll()
    else {
        panic!("a drained chain has its outcome")
    };
    assert_cancelled(&read);
    assert_cancelled(&timeout);
    drop((_pipe, chain, read));
    ledger.close();
}

/// What is behind the deadline is behind the op: it dies with it, or runs after it.
#[test]
fn in_the_middle_of_a_chain() {
    counted(async |buffers| {
        let mut pipe = Pipe::new();
        let chain = |pipe: &Pipe, duration| {
            let read = Read::new(&pipe.reader, buffers.empty(5), Read::CURSOR);
            link((read, LinkTimeout::new(duration, 0), Nop::new()))
        };
        let (read, timeout, nop) = chain(&pipe, SHORT).await.expect("it fits");
        assert_cancelled(&read);
        assert_eq!(timeout.expect("a time"), TimeoutEnd::Elapsed);
        assert_cancelled(&nop);
        pipe.write(b"hello");
        let (read, timeout, nop) = chain(&pipe, HOUR).await.expect("it fits");
        assert_eq!(read.0.expect("bytes are there"), 5);
        assert_eq!(timeout.expect("not needed"), TimeoutEnd::Completed);
        nop.expect("its turn came");
    });
}

/// An unknown flag is ignored, a known one is not.
#[test]
fn at_a_time_of_the_clock() {
    counted(async |buffers| {
        let pipe = Pipe::new();
        let read = Read::new(&pipe.reader, buffers.empty(5), Read::CURSOR);
        // Long ago.
        let flags = Timeout::ABS | Timeout::REALTIME | (1 << 31);
        let past = LinkTimeout::new(Duration::from_secs(1), flags);
        let (read, timeout) = link((read, past)).await.expect("it fits");
        assert_cancelled(&read);
        assert_eq!(timeout.expect("a time"), TimeoutEnd::Elapsed);
    });
}
