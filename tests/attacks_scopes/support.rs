//! What the attacks stand on.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ringspun::runtime::{Builder, CoreMetrics, Runtime};

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `attack` on a thread of its own, so that one that hangs fails.
#[track_caller]
pub(crate) fn ends<R: Send + 'static>(attack: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let answer = attack();
        let _ = done.send(());
        answer
    });
    if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("this hangs");
    }
    thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

pub(crate) fn runtime() -> Runtime {
    Builder::new().entries(8).build().expect("a ring")
}

/// Runs `main` on a runtime of its own, on a thread of its own.
#[track_caller]
pub(crate) fn block_on<F, R>(main: impl FnOnce() -> F + Send + 'static) -> R
where
    F: Future<Output = R>,
    R: Send + 'static,
{
    ends(move || runtime().block_on(main()))
}

pub(crate) async fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// How many ops of this name are in flight, and how many were begun.
pub(crate) fn op(metrics: &CoreMetrics, name: &str) -> (u64, u64) {
    let op = metrics.ops.iter().find(|op| op.name == name);
    op.map_or((0, 0), |op| (op.in_flight, op.started))
}

/// Runs what it was given when it is dropped.
pub(crate) struct Then<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for Then<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Counts itself while it lives.
pub(crate) struct Alive(Rc<Cell<usize>>);

impl Alive {
    pub(crate) fn new(count: &Rc<Cell<usize>>) -> Alive {
        count.set(count.get() + 1);
        Alive(Rc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Numbers that look random, and are the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
