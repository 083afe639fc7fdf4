//! Chains: order, failure, size, and the situations of their members.

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use ringspun::op::{
    ChainTooLong, Link, Nop, Read, Recv, Send, SharedFd, Timeout, TimeoutEnd, Write, link,
};
use ringspun::uring::AsyncIoUring;

use crate::support::{
    Buffers, CountedBuf, Ledger, Pipe, block_on, builder, poll_once, runtime, socket_pair,
    submit_only, turn, until,
};

type Reads = Link<(Read<CountedBuf>, Read<CountedBuf>)>;

/// Two reads of five bytes, of two empty pipes.
fn reads(buffers: &Buffers) -> ([Pipe; 2], Reads) {
    let pipes = [Pipe::new(), Pipe::new()];
    let read = |pipe: &Pipe| Read::new(&pipe.reader, buffers.empty(5), Read::CURSOR);
    let chain = link((read(&pipes[0]), read(&pipes[1])));
    (pipes, chain)
}

/// Runs `test` in a runtime and counts afterwards.
fn counted(test: impl AsyncFnOnce(&Buffers)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(test(&ledger.buffers));
    drop(runtime);
    ledger.close();
}

#[track_caller]
fn assert_errno<T, B>((result, _): &(io::Result<T>, B), errno: i32) {
    let error = result.as_ref().err().expect("it should fail");
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
}

#[test]
fn ok() {
    counted(async |buffers| {
        let (mut pipes, mut chain) = reads(buffers);
        // The second could go; it waits for the first.
        pipes[1].write(b"world");
        assert!(submit_only(&mut chain).await.is_pending());
        turn().await;
        assert!(poll_once(&mut chain).await.is_pending());
        pipes[0].write(b"hello");
        let (first, second) = chain.await.expect("it fits");
        assert_eq!((first.0.expect("bytes"), first.1.bytes.as_slice()), (5, &b"hello"[..]));
        assert_eq!((second.0.expect("bytes"), second.1.bytes.as_slice()), (5, &b"world"[..]));
    });
}

/// What one writes the next reads, in files and in sockets.
#[test]
fn order() {
    counted(async |buffers| {
        let file = SharedFd::new(tempfile::tempfile().expect("a file"));
        let (written, read, _nop) = link((
            Write::new(&file, buffers.of(*b"hello"), 0),
            Read::new(&file, buffers.empty(5), 0),
            Nop::new(),
        ))
        .await
        .expect("it fits");
        assert_eq!(written.0.expect("room"), 5);
        assert_eq!(read.1.bytes, b"hello");
        let (ours, peer) = socket_pair();
        let peer = SharedFd::new(peer);
        let (sent, got, back, end) = link((
            Send::new(&ours, buffers.of(*b"ping"), 0),
            Recv::new(&peer, buffers.empty(4), 0),
            Send::new(&peer, buffers.of(*b"pong"), 0),
            Recv::new(&ours, buffers.empty(4), 0),
        ))
        .await
        .expect("it fits");
        assert!(sent.0.is_ok() && back.0.is_ok());
        assert_eq!((got.1.bytes.as_slice(), end.1.bytes.as_slice()), (&b"ping"[..], &b"pong"[..]));
    });
}

#[test]
fn of_one_and_of_none() {
    block_on(async {
        let outputs = link(vec![Nop::new()]).await.expect("it fits");
        assert_eq!(outputs.len(), 1);
        assert!(link(Vec::<Nop>::new()).await.expect("nothing fits").is_empty());
    });
}

/// A soft chain ends with its first failure.
#[test]
fn error() {
    counted(async |buffers| {
        let (pipes, _unused) = reads(buffers);
        // The write end is not for reading.
        let bad = SharedFd::new(pipes[0].writer.try_clone().expect("a number"));
        let read = |fd: &SharedFd| Read::new(fd, buffers.empty(5), Read::CURSOR);
        let chain = link(vec![read(&bad), read(&pipes[1].reader), read(&pipes[1].reader)]);
        let outputs = chain.await.expect("it fits");
        assert_errno(&outputs[0], libc::EBADF);
        for output in &outputs[1..] {
            assert_errno(output, libc::ECANCELED);
        }
    });
}

/// A short transfer is a failure to what is behind it.
#[test]
fn a_short_transfer_ends_a_soft_chain() {
    counted(async |buffers| {
        let (mut pipes, chain) = reads(buffers);
        pipes[0].write(b"four");
        let (first, second) = chain.await.expect("it fits");
        assert_eq!(first.0.expect("bytes"), 4);
        assert_errno(&second, libc::ECANCELED);
    });
}

/// A hard chain goes on.
#[test]
fn error_in_a_hard_chain() {
    counted(async |buffers| {
        let mut pipe = Pipe::new();
        let bad = SharedFd::new(pipe.writer.try_clone().expect("a number"));
        let read = |fd: &SharedFd| Read::new(fd, buffers.empty(5), Read::CURSOR);
        pipe.write(b"hello");
        // Neither the refusal nor the short transfer nor the time that is up stops it.
        let chain = link((
            Timeout::new(Duration::from_millis(1), 0, 0),
            read(&bad),
            Read::new(&pipe.reader, buffers.empty(16), Read::CURSOR),
            Nop::new(),
        ));
        let (end, refused, short, nop) = chain.hard().await.expect("it fits");
        assert_eq!(end.expect("a time"), TimeoutEnd::Elapsed);
        let errno = refused.0.as_ref().err().and_then(io::Error::raw_os_error);
        assert_eq!(errno, Some(libc::EBADF));
        assert_eq!(short.0.expect("bytes"), 5);
        nop.expect("its turn came");
    });
}

#[test]
fn too_long_is_refused() {
    let ledger = Ledger::open();
    let runtime = builder().entries(2).build().expect("a ring");
    let buffers = ledger.buffers.clone();
    runtime.block_on(async {
        let pipe = Pipe::new();
        let read = || Read::new(&pipe.reader, buffers.empty(5), Read::CURSOR);
        let error = link(vec![read(), read(), read()]).await.expect_err("two fit");
        assert_eq!((error.len, error.entries, error.ops.len()), (3, 2, 3));
        let text = "a chain of 3 ops does not fit into a submission queue of 2 entries: raise \
                    Builder::entries or make several chains";
        assert_eq!(error.to_string(), text);
        assert_eq!(format!("{error:?}"), "ChainTooLong { len: 3, entries: 2 }");
        assert_eq!(buffers.live(), 3, "they came back");
        assert_eq!(pipe.reader.owners(), 4);
        // They are as good as new, and nothing was submitted.
        let ChainTooLong { mut ops, .. } = error;
        ops.pop();
        let mut chain = link(ops);
        assert!(submit_only(&mut chain).await.is_pending());
        drop(chain);
        until("the dropped chain is freed", || buffers.live() == 0).await;
        let error = link(vec![read(), read(), read()]).await.expect_err("two fit");
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), text);
        link((Nop::new(), Nop::new())).await.map(drop).expect("the ring is as it was");
    });
    drop(runtime);
    ledger.close();
}

/// A queue of four entries, a thousand ops in chains of three and four that cannot be cut, with
/// single ones in between.
#[test]
fn ring_of_4_with_1000_linked_ops() {
    let ledger = Ledger::open();
    let runtime = builder().entries(4).build().expect("a ring");
    runtime.block_on(async {
        let file = SharedFd::new(tempfile::tempfile().expect("a file"));
        let mut chains = Vec::new();
        let mut singles = Vec::new();
        let ring = AsyncIoUring::current();
        for number in 0..250_u64 {
            let bytes = ledger.buffers.of(number.to_le_bytes());
            let chain = link((
                Write::new(&file, bytes, number * 8),
                Read::new(&file, ledger.buffers.empty(8), number * 8),
                Nop::new(),
                Nop::new(),
            ));
            chains.push(chain);
            if number % 3 == 0 {
                singles.push(ring.nop());
            }
        }
        // All at once, from first to last.
        for chain in &mut chains {
            assert!(poll_once(chain).await.is_pending());
        }
        for single in &mut singles {
            assert!(poll_once(single).await.is_pending());
        }
        for (number, chain) in (0..250_u64).zip(chains) {
            let (written, read, first, second) = chain.await.expect("it fits");
            assert_eq!(written.0.expect("room"), 8);
            assert_eq!(read.1.bytes, number.to_le_bytes(), "chain {number} was cut");
            assert!(first.is_ok() && second.is_ok());
        }
        for single in singles {
            single.await.expect("nothing can fail");
        }
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn timeout() {
    counted(async |buffers| {
        for hard in [false, true] {
            let (_pipes, chain) = reads(buffers);
            let chain = if hard { chain.hard() } else { chain };
            let start = Instant::now();
            let deadline = Duration::from_millis(5);
            let (first, second) = chain.timeout(deadline).await.expect("it fits");
            assert!(start.elapsed() >= deadline);
            for output in [first, second] {
                let error = output.0.expect_err("no time");
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
            }
        }
    });
}

/// Before its first poll: it is not submitted at all.
#[test]
fn cancelled_before_poll() {
    counted(async |buffers| {
        let (mut pipes, mut chain) = reads(buffers);
        for pipe in &mut pipes {
            pipe.write(b"hello");
        }
        chain.request_cancel();
        let (first, second) = chain.await.expect("it fits");
        assert_errno(&first, libc::ECANCELED);
        assert_errno(&second, libc::ECANCELED);
    });
}

#[test]
fn cancelled_in_the_backlog() {
    let ledger = Ledger::open();
    let runtime = builder().entries(2).build().expect("a ring");
    runtime.block_on(async {
        let ring = AsyncIoUring::current();
        for hard in [false, true] {
            let mut fillers = [ring.nop(), ring.nop()];
            for filler in &mut fillers {
                assert!(poll_once(filler).await.is_pending());
            }
            let (_pipes, chain) = reads(&ledger.buffers);
            let mut chain = if hard { chain.hard() } else { chain };
            assert!(poll_once(&mut chain).await.is_pending());
            chain.request_cancel();
            let Poll::Ready(Ok((first, second))) = poll_once(&mut chain).await else {
                panic!("what the kernel has not seen ends at once")
            };
            assert_errno(&first, libc::ECANCELED);
            assert_errno(&second, libc::ECANCELED);
            for filler in fillers {
                filler.await.expect("nothing can fail");
            }
        }
    });
    drop(runtime);
    ledger.close();
}

/// The first runs, the second has not started: a cancel of it finds nothing, and is not lost. Of a
/// hard chain the end of the first starts it.
#[test]
fn cancelled_in_the_kernel() {
    for hard in [false, true] {
        for turned in [false, true] {
            counted(async |buffers| {
                let (_pipes, chain) = reads(buffers);
                let mut chain = if hard { chain.hard() } else { chain };
                assert!(poll_once(&mut chain).await.is_pending());
                if turned {
                    turn().await;
                }
                chain.request_cancel();
                chain.request_cancel();
                let (first, second) = chain.await.expect("it fits");
                assert_errno(&first, libc::ECANCELED);
                assert_errno(&second, libc::ECANCELED);
            });
        }
    }
}

/// The first is done, the second runs.
#[test]
fn cancelled_half_way() {
    for hard in [false, true] {
        counted(async |buffers| {
            let (mut pipes, chain) = reads(buffers);
            let mut chain = if hard { chain.hard() } else { chain };
            assert!(submit_only(&mut chain).await.is_pending());
            pipes[0].write(b"hello");
            ringspun::time::sleep(Duration::from_millis(5)).await;
            assert!(poll_once(&mut chain).await.is_pending());
            chain.request_cancel();
            let (first, second) = chain.await.expect("it fits");
            assert_eq!(first.0.expect("bytes"), 5, "what was done is done");
            assert_errno(&second, libc::ECANCELED);
        });
    }
}

/// All are done: there is nothing to cancel.
#[test]
fn cancelled_too_late() {
    counted(async |buffers| {
        let (mut pipes, mut chain) = reads(buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        for pipe in &mut pipes {
            pipe.write(b"hello");
        }
        ringspun::time::sleep(Duration::from_millis(10)).await;
        let polled = poll_once(&mut chain).await;
        if let Poll::Ready(outputs) = polled {
            chain.request_cancel();
            let (first, second) = outputs.expect("it fits");
            assert!(first.0.is_ok() && second.0.is_ok());
        }
    });
}

/// Bytes that the head had are not lost to the cancel.
#[test]
fn bytes_that_arrived_win_over_the_cancel() {
    counted(async |buffers| {
        let (mut pipes, mut chain) = reads(buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        pipes[0].write(b"hello");
        chain.request_cancel();
        let ((count, buf), second) = chain.await.expect("it fits");
        match count {
            Ok(count) => assert_eq!((count, buf.bytes.as_slice()), (5, &b"hello"[..])),
            Err(error) => {
                // The kernel had not looked: then they are still in the pipe.
                assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                let ring = AsyncIoUring::current();
                let (_, buf) = ring.read(&pipes[0].reader, buf, Read::CURSOR).await;
                assert_eq!(buf.bytes, b"hello");
            }
        }
        assert_errno(&second, libc::ECANCELED);
    });
}

#[test]
fn dropped_before_poll() {
    counted(async |buffers| {
        let (pipes, chain) = reads(buffers);
        assert_eq!(buffers.live(), 2);
        drop(chain);
        assert_eq!(buffers.live(), 0, "what was never submitted is freed at once");
        assert_eq!(pipes[0].reader.owners(), 1);
    });
}

#[test]
fn dropped_in_flight() {
    for hard in [false, true] {
        for turned in [false, true] {
            counted(async |buffers| {
                let (_pipes, chain) = reads(buffers);
                let mut chain = if hard { chain.hard() } else { chain };
                assert!(poll_once(&mut chain).await.is_pending());
                if turned {
                    turn().await;
                }
                drop(chain);
                assert_eq!(buffers.live(), 2, "the kernel may still use them");
                until("the dropped chain is freed", || buffers.live() == 0).await;
            });
        }
    }
}

/// The second runs when the chain goes.
#[test]
fn dropped_half_way() {
    for hard in [false, true] {
        counted(async |buffers| {
            let (mut pipes, chain) = reads(buffers);
            let mut chain = if hard { chain.hard() } else { chain };
            assert!(submit_only(&mut chain).await.is_pending());
            pipes[0].write(b"hello");
            ringspun::time::sleep(Duration::from_millis(5)).await;
            drop(chain);
            until("the dropped chain is freed", || buffers.live() == 0).await;
        });
    }
}

/// Freed at once, and what stands before and behind it in the backlog is as it was.
#[test]
fn dropped_in_the_backlog() {
    let ledger = Ledger::open();
    let runtime = builder().entries(2).build().expect("a ring");
    runtime.block_on(async {
        let ring = AsyncIoUring::current();
        let mut before = [ring.nop(), ring.nop(), ring.nop()];
        for nop in &mut before {
            assert!(poll_once(nop).await.is_pending());
        }
        let (pipes, mut chain) = reads(&ledger.buffers);
        assert!(poll_once(&mut chain).await.is_pending());
        let mut behind = link((Nop::new(), Nop::new()));
        assert!(poll_once(&mut behind).await.is_pending());
        drop(chain);
        assert_eq!(ledger.buffers.live(), 0, "the kernel never had it");
        assert_eq!(pipes[0].reader.owners(), 1);
        for nop in before {
            nop.await.expect("nothing can fail");
        }
        let (first, second) = behind.await.expect("it fits");
        assert!(first.is_ok() && second.is_ok());
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn completed_then_dropped() {
    counted(async |buffers| {
        let (mut pipes, mut chain) = reads(buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        for pipe in &mut pipes {
            pipe.write(b"hello");
        }
        ringspun::time::sleep(Duration::from_millis(10)).await;
        drop(chain);
        until("the dropped chain is freed", || buffers.live() == 0).await;
    });
}

#[test]
fn runtime_shut_down() {
    for hard in [false, true] {
        counted(async |buffers| {
            let (_pipes, chain) = reads(buffers);
            let mut chain = if hard { chain.hard() } else { chain };
            assert!(submit_only(&mut chain).await.is_pending());
            ringspun::spawn(async move { chain.await.map(drop) }).detach();
            turn().await;
        });
        // Kept beyond the runtime: polled, dropped.
        for polled in [false, true] {
            let ledger = Ledger::open();
            let runtime = runtime();
            let (pipes, mut chain) = runtime.block_on(async {
                let (pipes, chain) = reads(&ledger.buffers);
                let mut chain = if hard { chain.hard() } else { chain };
                assert!(submit_only(&mut chain).await.is_pending());
                (pipes, chain)
            });
            drop(runtime);
            if polled {
                let Poll::Ready(Ok((first, second))) = tokio_test::task::spawn(&mut chain).poll()
                else {
                    panic!("a drained chain has its outcome")
                };
                assert_errno(&first, libc::ECANCELED);
                assert_errno(&second, libc::ECANCELED);
            }
            drop((pipes, chain));
            ledger.close();
        }
    }
}

/// In the backlog when the runtime goes.
#[test]
fn runtime_shut_down_in_the_backlog() {
    let ledger = Ledger::open();
    let runtime = builder().entries(2).build().expect("a ring");
    let kept = {
        let _entered = runtime.enter();
        let (pipes, mut chain) = reads(&ledger.buffers);
        let mut filler = AsyncIoUring::current().nop();
        assert!(tokio_test::task::spawn(&mut filler).poll().is_pending());
        assert!(tokio_test::task::spawn(&mut chain).poll().is_pending());
        (pipes, chain, filler)
    };
    drop(runtime);
    let (pipes, mut chain, filler) = kept;
    let Poll::Ready(Ok((first, second))) = tokio_test::task::spawn(&mut chain).poll() else {
        panic!("what was never submitted has ended")
    };
    assert_errno(&first, libc::ECANCELED);
    assert_errno(&second, libc::ECANCELED);
    drop((pipes, chain, filler, first, second));
    ledger.close();
}
