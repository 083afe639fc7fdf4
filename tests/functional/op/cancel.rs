//! `ASYNC_CANCEL`: of ops in each state, by names that live and names that do not.

use std::io;
use std::task::Poll;
use std::time::Duration;

use ringspun::op::{
    CWD, Cancel, CancelError, Nop, OpId, OpenAt, PollAdd, Read, Submission, submit,
};
use ringspun::uring::AsyncIoUring;

use super::held::assert_cancelled;
use super::sockets::{fifo, poll_now};
use crate::support::{
    CountedBuf, Ledger, Pipe, block_on, builder, poll_once, runtime, submit_only, turn, until,
};

const IN: u32 = libc::POLLIN as u32;

/// Runs `test` in a runtime and counts afterwards. The op to be cancelled reads an empty pipe.
fn counted(test: impl AsyncFnOnce(Target)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let pipe = Pipe::new();
        let read = Read::new(&pipe.reader, ledger.buffers.empty(16), Read::CURSOR);
        let mut op = submit(read);
        let id = op.id();
        test(Target { pipe, op, id }).await;
    });
    drop(runtime);
    ledger.close();
}

struct Target {
    pipe: Pipe,
    op: Submission<Read<CountedBuf>>,
    id: OpId,
}

/// Asked: found at once, or (a kernel worker has it) on its way. Under chaos a signal, or the
/// second of two cancels, may have been faster; the op's outcome is the same.
#[track_caller]
fn was_asked(answer: Result<(), CancelError>) {
    let chaos = std::env::var_os("RINGSPUN_CHAOS_SEED").is_some();
    assert!(chaos || answer != Err(CancelError::NotFound));
}

#[test]
fn ok() {
    // Reserved.
    counted(async |target| {
        assert_eq!(Cancel::new(target.id).await, Ok(()));
        assert_cancelled(&target.op.await);
    });
    // In the queue, in the kernel.
    for turned in [false, true] {
        counted(async |mut target| {
            assert!(poll_once(&mut target.op).await.is_pending());
            if turned {
                turn().await;
            }
            was_asked(Cancel::new(target.id).await);
            assert_cancelled(&target.op.await);
        });
    }
}

#[test]
fn ok_in_the_backlog() {
    let runtime = builder().entries(1).build().expect("a ring");
    runtime.block_on(async {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut filler = ring.nop();
        assert!(poll_once(&mut filler).await.is_pending());
        let mut op = ring.poll_add(&pipe.reader, IN);
        let id = op.id();
        assert!(poll_once(&mut op).await.is_pending());
        // Without the kernel: at the first poll.
        assert_eq!(poll_once(&mut ring.cancel(id)).await, Poll::Ready(Ok(())));
        assert_cancelled(&op.await);
        filler.await.expect("nothing can fail");
    });
}

#[test]
fn error() {
    counted(async |target| {
        let ring = AsyncIoUring::current();
        // Completed and taken.
        let mut nop = ring.nop();
        let done = nop.id();
        nop.await.expect("nothing can fail");
        // Reserved and dropped.
        let dropped = ring.nop().id();
        for id in [done, dropped] {
            assert_eq!(ring.cancel(id).await, Err(CancelError::NotFound));
        }
        // Completed and not taken.
        let mut nop = ring.nop();
        let done = nop.id();
        let polled = submit_only(&mut nop).await;
        ringspun::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(ring.cancel(done).await, Err(CancelError::NotFound));
        drop((nop, polled, target.op));
        let error = io::Error::from(CancelError::NotFound);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("there is no such op"), "{error}");
    });
}

/// The name of an op of another ring, which has one of the same number.
#[test]
fn error_on_another_ring() {
    let (first, second) = (runtime(), runtime());
    let pipe = Pipe::new();
    let begin = || async {
        let mut op = submit(PollAdd::new(&pipe.reader, IN));
        let id = op.id();
        assert!(submit_only(&mut op).await.is_pending());
        (op, id)
    };
    let (op, foreign) = first.block_on(begin());
    let (mut own, _) = second.block_on(begin());
    second.block_on(async {
        let ring = AsyncIoUring::current();
        assert_eq!(ring.cancel(foreign).await, Err(CancelError::NotFound));
        ring.nop().await.expect("nothing can fail");
        assert!(poll_once(&mut own).await.is_pending(), "ours is not theirs");
    });
    first.block_on(async {
        assert_eq!(Cancel::new(foreign).await, Ok(()));
        assert_cancelled(&op.await);
    });
}

/// A cancel that nobody waits for any longer goes on.
#[test]
fn timeout() {
    counted(async |mut target| {
        assert!(submit_only(&mut target.op).await.is_pending());
        let cancel = Cancel::new(target.id);
        let _answer = ringspun::time::timeout(Duration::ZERO, cancel).await;
        assert_cancelled(&target.op.await);
    });
}

/// Twice, at once and after one another; by its name and by its future.
#[test]
fn cancelled() {
    counted(async |mut target| {
        assert!(submit_only(&mut target.op).await.is_pending());
        let (mut first, mut second) = (Cancel::new(target.id), Cancel::new(target.id));
        let polled = (poll_once(&mut first).await, poll_once(&mut second).await);
        assert!(polled.0.is_pending() && polled.1.is_pending());
        was_asked(first.await);
        // The second comes while the op ends or after.
        let _either = second.await;
        assert_cancelled(&target.op.await);
        assert_eq!(Cancel::new(target.id).await, Err(CancelError::NotFound));
    });
    counted(async |mut target| {
        assert!(submit_only(&mut target.op).await.is_pending());
        target.op.request_cancel();
        target.op.request_cancel();
        let _either = Cancel::new(target.id).await;
        assert_cancelled(&target.op.await);
    });
    // Reserved: the first ends it.
    counted(async |target| {
        assert_eq!(Cancel::new(target.id).await, Ok(()));
        assert_eq!(Cancel::new(target.id).await, Err(CancelError::NotFound));
        assert_cancelled(&target.op.await);
    });
}

#[test]
fn dropped_before_poll() {
    counted(async |mut target| {
        assert!(submit_only(&mut target.op).await.is_pending());
        drop(Cancel::new(target.id));
        turn().await;
        assert!(poll_once(&mut target.op).await.is_pending(), "nobody asked for its end");
        target.pipe.write(b"hello");
        assert_eq!(target.op.await.0.expect("bytes are there"), 5);
    });
}

/// Only the answer is not heard.
#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async |mut target| {
            assert!(submit_only(&mut target.op).await.is_pending());
            let mut cancel = Cancel::new(target.id);
            let _either = poll_once(&mut cancel).await;
            if turned {
                turn().await;
            }
            drop(cancel);
            assert_cancelled(&target.op.await);
        });
    }
    // In the backlog, where the cancel itself is forgotten: the ring sends another.
    let runtime = builder().entries(1).build().expect("a ring");
    runtime.block_on(async {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut op = ring.poll_add(&pipe.reader, IN);
        let id = op.id();
        assert!(submit_only(&mut op).await.is_pending());
        turn().await;
        let mut fillers: Vec<_> = (0..10).map(|_| ring.nop()).collect();
        for filler in &mut fillers {
            assert!(poll_once(filler).await.is_pending());
        }
        let mut cancel = ring.cancel(id);
        assert!(poll_once(&mut cancel).await.is_pending());
        drop(cancel);
        assert_cancelled(&op.await);
        for filler in fillers {
            filler.await.expect("nothing can fail");
        }
    });
}

#[test]
fn completed_then_dropped() {
    counted(async |mut target| {
        assert!(submit_only(&mut target.op).await.is_pending());
        let mut cancel = Cancel::new(target.id);
        let polled = submit_only(&mut cancel).await;
        ringspun::time::sleep(Duration::from_millis(5)).await;
        drop((cancel, polled));
        assert_cancelled(&target.op.await);
    });
}

#[test]
fn runtime_shut_down() {
    counted(async |mut target| {
        assert!(submit_only(&mut target.op).await.is_pending());
        ringspun::spawn(Cancel::new(target.id)).detach();
    });
    let ledger = Ledger::open();
    let runtime = runtime();
    let kept = runtime.block_on(async {
        let pipe = Pipe::new();
        let mut op = submit(Read::new(&pipe.reader, ledger.buffers.empty(16), Read::CURSOR));
        let id = op.id();
        assert!(submit_only(&mut op).await.is_pending());
        let mut cancel = Cancel::new(id);
        assert!(poll_once(&mut cancel).await.is_pending());
        (pipe, op, cancel)
    });
    drop(runtime);
    let (pipe, mut op, cancel) = kept;
    drop(cancel);
    let Poll::Ready(output) = poll_now(&mut op) else { panic!("a drained op has its outcome") };
    assert_cancelled(&output);
    drop((pipe, op, output));
    ledger.close();
}

/// The cancel is in the backlog, kept, and never polled again: the op ends all the same.
#[test]
fn runtime_shut_down_with_the_cancel_in_the_backlog() {
    let ledger = Ledger::open();
    let runtime = builder().entries(1).build().expect("a ring");
    let kept = runtime.block_on(async {
        let pipe = Pipe::new();
        let mut op = submit(PollAdd::new(&pipe.reader, IN));
        let id = op.id();
        assert!(submit_only(&mut op).await.is_pending());
        turn().await;
        let mut fillers = [(); 3].map(|()| submit(Nop::new()));
        for filler in &mut fillers {
            assert!(poll_once(filler).await.is_pending());
        }
        let mut cancel = Cancel::new(id);
        assert!(poll_once(&mut cancel).await.is_pending());
        (pipe, op, cancel, fillers)
    });
    drop(runtime);
    let (pipe, mut op, cancel, fillers) = kept;
    let Poll::Ready(output) = poll_now(&mut op) else { panic!("a drained op has its outcome") };
    assert_cancelled(&output);
    drop((pipe, op, cancel, fillers));
    ledger.close();
}

/// Opening a FIFO waits in a kernel worker: the cancel is a signal to it.
#[test]
fn already_in_progress() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = fifo(dir.path());
    block_on(async {
        let ring = AsyncIoUring::current();
        // Without O_CREAT the kernel tries first without waiting, and a FIFO then opens at once.
        let mut open = submit(OpenAt::new(CWD, path, libc::O_RDONLY | libc::O_CREAT, 0o600));
        let id = open.id();
        assert!(submit_only(&mut open).await.is_pending());
        // The worker has to have taken it.
        ringspun::time::sleep(Duration::from_millis(50)).await;
        let answer = ring.cancel(id).await;
        was_asked(answer);
        let error = open.await.expect_err("cancelled");
        // Never EINTR, never 512.
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{answer:?}");
        assert_eq!(
            io::Error::from(CancelError::AlreadyInProgress).raw_os_error(),
            Some(libc::EALREADY)
        );
    });
}

#[test]
fn by_a_handle_of_another_thread() {
    let runtime = runtime();
    runtime.block_on(async {
        let handle = runtime.handle();
        for reserved in [false, true] {
            let pipe = Pipe::new();
            let mut op = submit(PollAdd::new(&pipe.reader, IN));
            let id = op.id();
            if !reserved {
                assert!(submit_only(&mut op).await.is_pending());
            }
            let handle = handle.clone();
            let thread = std::thread::spawn(move || {
                // Once more, and one that is long gone: nobody is hit.
                handle.cancel(id);
                handle.cancel(id);
            });
            if reserved {
                thread.join().expect("no panic");
                turn().await;
                assert_cancelled(&op.await);
            } else {
                assert_cancelled(&op.await);
                thread.join().expect("no panic");
            }
        }
    });
    let (handle, mut op) = (runtime.handle(), submit(Nop::new()));
    let id = runtime.block_on(async { op.id() });
    drop(op);
    drop(runtime);
    handle.cancel(id);
}

/// One slot, used again and again; all the names that it had find nothing.
#[test]
fn a_late_name_never_hits_the_next_op() {
    const ROUNDS: usize = 10_000;
    block_on(async {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut first = ring.nop();
        let mut late = vec![first.id()];
        first.await.expect("nothing can fail");
        for round in 0..ROUNDS {
            let mut op = ring.poll_add(&pipe.reader, IN);
            let id = op.id();
            assert!(!late.contains(&id));
            assert!(poll_once(&mut op).await.is_pending());
            for old in &late {
                assert_eq!(poll_once(&mut ring.cancel(*old)).await, NOT_FOUND);
            }
            assert!(poll_once(&mut op).await.is_pending(), "round {round}");
            was_asked(ring.cancel(id).await);
            assert_cancelled(&op.await);
            // The first and the last few.
            if late.len() == 4 {
                late.remove(1);
            }
            late.push(id);
        }
    });
}

const NOT_FOUND: Poll<Result<(), CancelError>> = Poll::Ready(Err(CancelError::NotFound));

/// As many cancels as ops, through a queue of one entry: none is lost.
#[test]
fn a_storm_of_cancels() {
    let ledger = Ledger::open();
    let runtime = builder().entries(1).build().expect("a ring");
    runtime.block_on(async {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut ops: Vec<_> = (0..500).map(|_| ring.poll_add(&pipe.reader, IN)).collect();
        for op in &mut ops {
            assert!(poll_once(op).await.is_pending());
        }
        turn().await;
        let mut cancels = Vec::new();
        for (at, op) in ops.iter_mut().enumerate() {
            if at % 2 == 0 {
                op.request_cancel();
            } else {
                let mut cancel = ring.cancel(op.id());
                let _either = poll_once(&mut cancel).await;
                // Every other one is dropped after its first poll.
                cancels.extend((at % 4 == 1).then_some(cancel));
            }
        }
        drop(cancels);
        for op in ops {
            assert_cancelled(&op.await);
        }
        until("nothing is left of them", || pipe.reader.owners() == 1).await;
    });
    drop(runtime);
    ledger.close();
}
