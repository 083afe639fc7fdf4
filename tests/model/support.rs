//! Runtimes on the model, and polls by hand.

use std::cell::Cell;
use std::fmt::{self, Debug, Write as _};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ringspun::op::{Completion, Op, Sqe};
use ringspun::runtime::{Builder, Runtime};

/// A runtime on a small ring, by hand.
pub fn runtime() -> Runtime {
    runtime_of(16)
}

pub fn runtime_of(entries: u32) -> Runtime {
    ringspun::model::manual();
    Builder::new().entries(entries).build().expect("the model never refuses")
}

/// A runtime that waits for nothing when it goes.
pub fn hasty_runtime() -> Runtime {
    ringspun::model::manual();
    Builder::new()
        .entries(16)
        .shutdown_timeout(Duration::ZERO)
        .build()
        .expect("the model never refuses")
}

/// Hands over and takes in, without waiting.
pub fn pump(runtime: &Runtime) {
    runtime.turn(Some(Duration::ZERO)).expect("the model never fails");
}

pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls what must not be ready yet.
#[track_caller]
pub fn start<F: Future + Unpin>(future: &mut F) {
    assert!(poll(future).is_pending());
}

/// Has whatever is pending done at random, until `future` is ready.
pub fn settle<F: Future>(runtime: &Runtime, seed: u64, future: F) -> F::Output {
    ringspun::model::automatic(seed);
    let output = runtime.block_on(future);
    ringspun::model::manual();
    output
}

/// What became of the ops that were made.
#[derive(Debug, Default)]
pub struct Counts {
    pub made: Cell<usize>,
    pub completed: Cell<usize>,
    pub ended: Cell<usize>,
}

impl Counts {
    #[track_caller]
    pub fn all_ended(&self) {
        assert_eq!(self.ended.get(), self.made.get(), "each op ends once: {self:?}");
    }
}

/// An op that is counted: O3 is checked with it.
pub struct Watched<T> {
    op: T,
    token: Token,
}

struct Token(Rc<Counts>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.ended.set(self.0.ended.get() + 1);
    }
}

impl<T> Watched<T> {
    pub fn new(op: T, counts: &Rc<Counts>) -> Watched<T> {
        counts.made.set(counts.made.get() + 1);
        Watched { op, token: Token(Rc::clone(counts)) }
    }
}

// SAFETY: O1: the entry is that of `op`, which promises it.
unsafe impl<T: Op<Output: Debug>> Op for Watched<T> {
    type Output = T::Output;

    const RESTARTABLE: bool = T::RESTARTABLE;

    fn prepare(&mut self) -> Sqe {
        self.op.prepare()
    }

    unsafe fn complete(self, completion: Completion) -> T::Output {
        let counts = &self.token.0;
        counts.completed.set(counts.completed.get() + 1);
        // SAFETY: the caller's promise, for the entry that `op` prepared.
        let output = unsafe { self.op.complete(completion) };
        // Looks at all of it: what is said to be initialised must be.
        write!(Nowhere, "{output:?}").expect("no error");
        output
    }
}

struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        std::hint::black_box(text);
        Ok(())
    }
}

/// Counts its wakes.
#[derive(Debug, Default)]
pub struct Bell(pub AtomicUsize);

impl Bell {
    pub fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
