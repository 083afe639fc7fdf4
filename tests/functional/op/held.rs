//! Situations of ops that never wait in the kernel: here the ring or a chain makes them wait.
//!
//! ```text
//!  backlog:  nop | op              a queue of one entry, which the nop has
//!  chain:    read(pipe) --> op     the kernel has the op and has not started it
//! ```

use std::io;

use ringspun::buf::BufResult;
use ringspun::op::{Link, Nop, Read, link, submit};
use ringspun::runtime::Builder;
use ringspun::uring::AsyncIoUring;

use super::suite::{Case, Outcome};
use crate::support::{
    Buffers, CountedBuf, Ledger, Pipe, builder, poll_once, runtime, submit_only, turn, until,
};

/// A case whose op can be had without its future, as chains need it.
pub(crate) trait Bare: Case {
    /// One op that will succeed.
    fn bare(&mut self) -> Self::Op;
}

const HELLO: &[u8] = b"hello";

/// `op` behind a read that waits for five bytes.
fn chain<C: Bare>(case: &mut C, buffers: &Buffers) -> (Pipe, Link<(Read<CountedBuf>, C::Op)>) {
    let pipe = Pipe::new();
    let read = Read::new(&pipe.reader, buffers.empty(HELLO.len()), Read::CURSOR);
    let chain = link((read, case.bare()));
    (pipe, chain)
}

fn in_chain<C: Bare>(test: impl AsyncFnOnce(&mut C, &Buffers) + Send) {
    alone(|| counted(&builder(), test));
}

/// With the queue full of a nop.
fn in_backlog<C: Bare>(test: impl AsyncFnOnce(&mut C, &Buffers) + Send) {
    alone(|| {
        counted(&builder().entries(1), async |case, buffers| {
            let mut filler = submit(Nop::new());
            assert!(poll_once(&mut filler).await.is_pending());
            test(case, buffers).await;
            filler.await.expect("nothing can fail");
        });
    });
}

/// Runs `test` in a runtime and counts afterwards.
fn counted<C: Bare>(builder: &Builder, test: impl AsyncFnOnce(&mut C, &Buffers)) {
    let ledger = Ledger::open();
    let runtime = builder.clone().build().expect("a ring");
    let buffers = ledger.buffers.clone();
    runtime.block_on(async {
        let mut case = C::new(&buffers);
        test(&mut case, &buffers).await;
    });
    drop(runtime);
    ledger.close();
}

/// Runs `test` on a thread of its own: kernel workers keep the file table that their thread had
/// when they started, so a second table needs a second thread.
fn alone(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        if let Err(panic) = scope.spawn(test).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// When its turn comes, it runs.
pub(crate) fn ok<C: Bare>() {
    in_backlog::<C>(async |case, _| {
        let output = case.op().await;
        case.check(output);
    });
    in_chain::<C>(async |case, buffers| {
        let (mut pipe, mut chain) = chain(case, buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        pipe.write(HELLO);
        let ((count, _buf), output) = chain.await.expect("it fits");
        assert_eq!(count.expect("bytes are there"), HELLO.len());
        case.check(output);
    });
}

/// The deadline of its chain.
pub(crate) fn timeout<C: Bare>() {
    in_chain::<C>(async |case, buffers| {
        let (_pipe, chain) = chain(case, buffers);
        let timed = chain.timeout(std::time::Duration::from_millis(5));
        let (read, output) = timed.await.expect("it fits");
        assert_kind(&read, io::ErrorKind::TimedOut);
        assert_kind(&output, io::ErrorKind::TimedOut);
    });
}

/// In the backlog at once and without the kernel; in a chain before it has started.
pub(crate) fn cancelled<C: Bare>() {
    in_backlog::<C>(async |case, _| {
        let ring = AsyncIoUring::current();
        let mut op = case.op();
        let id = op.id();
        assert!(poll_once(&mut op).await.is_pending());
        assert_eq!(ring.cancel(id).await, Ok(()));
        let std::task::Poll::Ready(output) = poll_once(&mut op).await else {
            panic!("what the kernel has not seen ends at once")
        };
        assert_cancelled(&output);
        assert!(ring.cancel(id).await.is_err(), "a late cancel finds nothing");
    });
    for turned in [false, true] {
        in_chain::<C>(async |case, buffers| {
            let (_pipe, mut chain) = chain(case, buffers);
            assert!(poll_once(&mut chain).await.is_pending());
            if turned {
                turn().await;
            }
            chain.request_cancel();
            let (read, output): (BufResult<usize, CountedBuf>, _) = chain.await.expect("it fits");
            assert_cancelled(&read);
            assert_cancelled(&output);
        });
    }
}

/// In the backlog it is freed at once, in a chain when the kernel says so.
pub(crate) fn dropped_in_flight<C: Bare>() {
    in_backlog::<C>(async |case, buffers| {
        let before = buffers.live();
        let mut op = case.op();
        assert!(poll_once(&mut op).await.is_pending());
        drop(op);
        assert_eq!(buffers.live(), before, "the kernel never had it");
    });
    for turned in [false, true] {
        in_chain::<C>(async |case, buffers| {
            let before = buffers.live();
            let (_pipe, mut chain) = chain(case, buffers);
            assert!(poll_once(&mut chain).await.is_pending());
            if turned {
                turn().await;
            }
            let owned = buffers.live();
            drop(chain);
            assert_eq!(buffers.live(), owned, "the kernel may still use it");
            let counted = buffers.clone();
            until("the dropped chain is freed", move || counted.live() == before).await;
        });
    }
}

/// Behind a read that never ends, in a task and kept beyond the runtime.
pub(crate) fn runtime_shut_down<C: Bare>() {
    in_chain::<C>(async |case, buffers| {
        let (_pipe, mut chain) = chain(case, buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        ringspun::spawn(async move { chain.await.map(drop) }).detach();
        turn().await;
    });
    alone(kept_beyond_the_runtime::<C>);
}

fn kept_beyond_the_runtime<C: Bare>() {
    let ledger = Ledger::open();
    let runtime = runtime();
    let kept = runtime.block_on(async {
        let mut case = C::new(&ledger.buffers);
        let (pipe, mut chain) = chain(&mut case, &ledger.buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        (case, pipe, chain)
    });
    drop(runtime);
    drop(kept);
    ledger.close();
}

#[track_caller]
pub(crate) fn assert_cancelled(output: &impl Outcome) {
    let error = output.error().expect("it should be cancelled");
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
}

#[track_caller]
pub(crate) fn assert_kind(output: &impl Outcome, kind: io::ErrorKind) {
    let error = output.error().expect("it should fail");
    assert_eq!(error.kind(), kind, "{error}");
}
