//! The situations that every op with one result has to survive, written once.
//!
//! A test file describes its op as a [`Case`] and has one line for each situation:
//!
//! ```ignore
//! #[test]
//! fn dropped_in_flight() {
//!     suite::dropped_in_flight::<ReadOfAPipe>();
//! }
//! ```
//!
//! Each situation runs in a file table of its own and ends by counting: no descriptor, no buffer is
//! left, and none was freed while the kernel had it.

use std::io;
use std::task::Poll;
use std::time::Duration;

use ringspun::buf::BufResult;
use ringspun::op::{Op, Submission};
use ringspun::runtime::Runtime;
use ringspun::uring::AsyncIoUring;

use crate::support::{Buffers, Ledger, poll_once, runtime, submit_only, turn, until};

/// One op and what it works on.
pub(crate) trait Case: Sized + 'static {
    /// The op.
    type Op: Op<Output: Outcome>;

    /// True: in the kernel it waits until [`release`](Case::release). Then a cancel or a deadline
    /// is its outcome. False: it is over as soon as the kernel sees it, and its own outcome wins.
    const WAITS: bool;

    /// Opens what the op works on. Called inside the runtime.
    fn new(buffers: &Buffers) -> Self;

    /// One op that will succeed. Called up to twice.
    fn op(&mut self) -> Submission<Self::Op>;

    /// Lets ops that wait succeed.
    fn release(&mut self) {}

    /// Looks at what a successful op gave.
    fn check(&mut self, output: <Self::Op as Op>::Output);

    /// One op that the kernel refuses.
    fn bad_op(&mut self) -> Submission<Self::Op>;

    /// The errno with which it does.
    const ERRNO: i32;
}

/// What ops give.
pub(crate) trait Outcome {
    /// Why it failed.
    fn error(&self) -> Option<&io::Error>;
}

impl<T> Outcome for io::Result<T> {
    fn error(&self) -> Option<&io::Error> {
        self.as_ref().err()
    }
}

impl<T, B> Outcome for BufResult<T, B> {
    fn error(&self) -> Option<&io::Error> {
        self.0.as_ref().err()
    }
}

/// Runs one situation inside a runtime and counts afterwards.
fn situation<C: Case>(test: impl AsyncFnOnce(&mut C, &Buffers) + Send) {
    alone(|| in_a_runtime(test));
}

/// Runs `test` on a thread of its own: kernel workers keep the file table that their thread had
/// when they started, so a second table needs a second thread.
pub(crate) fn alone(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        if let Err(panic) = scope.spawn(test).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn in_a_runtime<C: Case>(test: impl AsyncFnOnce(&mut C, &Buffers)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    let buffers = ledger.buffers.clone();
    runtime.block_on(async {
        let mut case = C::new(&buffers);
        test(&mut case, &buffers).await;
    });
    end(runtime);
    ledger.close();
}

/// Ends the runtime; no op may be counted as in flight then.
fn end(runtime: Runtime) {
    let handle = runtime.handle();
    drop(runtime);
    let left = handle.metrics().total();
    assert_eq!(left.ops_in_flight().collect::<Vec<_>>(), []);
    assert_eq!((left.ops_awaited, left.ops_orphaned, left.stale), (0, 0, 0));
}

/// Succeeds: released before it is submitted, and while it is in flight.
pub(crate) fn ok<C: Case>() {
    situation::<C>(async |case, _| {
        let mut op = case.op();
        if C::WAITS {
            assert!(submit_only(&mut op).await.is_pending(), "it should wait");
        }
        case.release();
        let output = op.await;
        case.check(output);
    });
    situation::<C>(async |case, _| {
        case.release();
        let op = case.op();
        let output = op.await;
        case.check(output);
    });
}

/// Fails as the kernel says.
pub(crate) fn error<C: Case>() {
    situation::<C>(async |case, _| {
        let output = case.bad_op().await;
        let error = output.error().expect("it should fail");
        assert_eq!(error.raw_os_error(), Some(C::ERRNO), "{error}");
    });
}

/// The deadline ends what waits; otherwise the op's own outcome is the outcome.
pub(crate) fn timeout<C: Case>() {
    situation::<C>(async |case, _| {
        let output = case.op().timeout(Duration::from_millis(5)).await;
        if C::WAITS {
            let error = output.error().expect("it should time out");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        } else if let Some(error) = output.error() {
            // The machine was busy with something else.
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        } else {
            case.check(output);
        }
    });
    // Faster than its deadline, which then is not in the way of anything.
    situation::<C>(async |case, _| {
        case.release();
        let output = case.op().timeout(Duration::from_secs(3600)).await;
        case.check(output);
    });
}

/// By its id: before the first poll, in the queue, and in the kernel.
pub(crate) fn cancelled<C: Case>() {
    situation::<C>(async |case, _| {
        let ring = AsyncIoUring::current();
        let mut op = case.op();
        let id = op.id();
        assert_eq!(ring.cancel(id).await, Ok(()));
        assert_cancelled(&op.await);
        assert!(ring.cancel(id).await.is_err(), "a late cancel finds nothing");
    });
    for turned in [false, true] {
        situation::<C>(async |case, _| {
            let ring = AsyncIoUring::current();
            let mut op = case.op();
            let id = op.id();
            let mut polled = poll_once(&mut op).await;
            if turned && polled.is_pending() {
                turn().await;
            }
            let answer = ring.cancel(id).await;
            let output = loop {
                match polled {
                    Poll::Ready(output) => break output,
                    Poll::Pending => polled = Poll::Ready((&mut op).await),
                }
            };
            if C::WAITS {
                // Under chaos it may be in a kernel worker, or ended by a signal just now.
                assert!(answer == Ok(()) || is_chaos(), "{answer:?}");
                assert_cancelled(&output);
            } else if output.error().is_some() {
                assert_cancelled(&output);
            } else {
                case.check(output);
            }
        });
    }
}

/// Never polled, with and without a name.
pub(crate) fn dropped_before_poll<C: Case>() {
    situation::<C>(async |case, buffers| {
        let before = buffers.live();
        drop(case.op());
        let mut named = case.op();
        let id = named.id();
        drop(named);
        assert_eq!(buffers.live(), before, "what was never submitted is freed at once");
        assert!(AsyncIoUring::current().cancel(id).await.is_err());
    });
}

/// Dropped in the queue, and in the kernel.
pub(crate) fn dropped_in_flight<C: Case>() {
    for turned in [false, true] {
        situation::<C>(async |case, buffers| {
            let before = buffers.live();
            let mut op = case.op();
            let polled = poll_once(&mut op).await;
            if turned && C::WAITS {
                turn().await;
            }
            let owned = buffers.live();
            if polled.is_pending() {
                drop(op);
                // Under chaos a signal may have ended it; then it is freed at once.
                let kept = buffers.live() == owned || is_chaos();
                assert!(kept, "the kernel may still use it");
            } else {
                drop((op, polled));
            }
            let counted = buffers.clone();
            until("the dropped op is freed", move || counted.live() == before).await;
        });
    }
}

/// Its answer is there and nobody takes it.
pub(crate) fn completed_then_dropped<C: Case>() {
    situation::<C>(async |case, buffers| {
        let before = buffers.live();
        let mut op = case.op();
        let polled = submit_only(&mut op).await;
        case.release();
        // Kernel workers are done some time; sooner or later makes no difference to the count.
        ringspun::time::sleep(Duration::from_millis(5)).await;
        turn().await;
        drop((op, polled));
        let counted = buffers.clone();
        until("the op is freed", move || counted.live() == before).await;
    });
}

/// With the op in a task, kept beyond the runtime and dropped, kept and polled.
pub(crate) fn runtime_shut_down<C: Case>() {
    situation::<C>(async |case, _| {
        let mut op = case.op();
        let _polled = submit_only(&mut op).await;
        ringspun::spawn(op).detach();
    });
    alone(kept_beyond_the_runtime::<C>);
}

fn kept_beyond_the_runtime<C: Case>() {
    let ledger = Ledger::open();
    let runtime = runtime();
    let (case, mut dropped, mut polled) = runtime.block_on(async {
        let mut case = C::new(&ledger.buffers);
        let (mut one, mut other) = (case.op(), case.op());
        let polled = [submit_only(&mut one).await, submit_only(&mut other).await];
        let keep = polled.map(|polled| polled.is_pending());
        (case, keep[0].then_some(one), keep[1].then_some(other))
    });
    end(runtime);
    dropped.take();
    if let Some(op) = &mut polled {
        // The answer came while the runtime ended: it is the outcome, and needs no runtime.
        let output = tokio_test::task::spawn(op).poll();
        let Poll::Ready(output) = output else { panic!("a drained op has its outcome") };
        if C::WAITS {
            assert_cancelled(&output);
        }
    }
    drop((case, polled));
    ledger.close();
}

#[track_caller]
fn assert_cancelled(output: &impl Outcome) {
    let error = output.error().expect("it should be cancelled");
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
}

/// Whether faults are injected.
fn is_chaos() -> bool {
    std::env::var_os("RINGSPUN_CHAOS_SEED").is_some()
}
