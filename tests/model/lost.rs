//! What the kernel may own at the end of the runtime is leaked, never freed.
//!
//! The tests whose names end in `leaks` do leak: Miri runs them with `-Zmiri-ignore-leaks`.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::rc::Rc;

use io_uring::opcode;
use ringspun::model;
use ringspun::op::{Completion, Multishot, Op, Sqe, link, submit};

use super::ops::AcceptMulti;
use super::support::{hasty_runtime, pump, start};

/// Memory that the test can look at, whoever leaks it.
struct Shared {
    bytes: Rc<UnsafeCell<[u8; 8]>>,
    freed: Rc<Cell<usize>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.freed.set(self.freed.get() + 1);
    }
}

// SAFETY: O1: the memory is owned, by the `Rc`, and used by nobody else while this lives.
unsafe impl Op for Shared {
    type Output = io::Result<u32>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Read::CODE);
        sqe.addr = self.bytes.get() as u64;
        sqe.len = 8;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        completion.into_result()
    }
}

struct Ops {
    bytes: Vec<Rc<UnsafeCell<[u8; 8]>>>,
    freed: Rc<Cell<usize>>,
}

impl Ops {
    fn new() -> Ops {
        Ops { bytes: Vec::new(), freed: Rc::default() }
    }

    fn make(&mut self) -> Shared {
        let bytes = Rc::new(UnsafeCell::new([0; 8]));
        self.bytes.push(Rc::clone(&bytes));
        Shared { bytes, freed: Rc::clone(&self.freed) }
    }

    /// The kernel writes after the end of the runtime. Nothing may have been freed.
    fn check(self, lost: usize) {
        assert_eq!(self.freed.get(), 0);
        assert_eq!(model::pending().len(), lost);
        while !model::pending().is_empty() {
            model::complete(0, 8, 0);
        }
        assert_eq!(self.freed.get(), 0);
        for bytes in &self.bytes {
            assert_eq!(Rc::strong_count(bytes), 2, "leaked, not freed");
        }
    }
}

#[test]
fn future_outlives_an_undrained_ring_leaks() {
    let mut ops = Ops::new();
    let runtime = hasty_runtime();
    let entered = runtime.enter();
    model::deaf(true);
    let mut kept = submit(ops.make());
    start(&mut kept);
    let mut chain = link((ops.make(), ops.make()));
    start(&mut chain);
    pump(&runtime);
    drop(entered);
    drop(runtime);
    let kept = Box::new(kept);
    drop(kept);
    drop(Some(chain));
    // The second member of the chain never starts before the first is done.
    ops.check(2);
}

#[test]
fn lost_future_is_polled_leaks() {
    let mut ops = Ops::new();
    let runtime = hasty_runtime();
    let entered = runtime.enter();
    model::deaf(true);
    let mut kept = submit(ops.make());
    start(&mut kept);
    pump(&runtime);
    drop(entered);
    drop(runtime);
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || start(&mut kept)));
    assert!(polled.is_err(), "its outcome will never be known");
    ops.check(1);
}

#[test]
fn orphans_and_tasks_leaks() {
    let mut ops = Ops::new();
    let runtime = hasty_runtime();
    let entered = runtime.enter();
    model::deaf(true);
    let mut orphan = submit(ops.make());
    start(&mut orphan);
    pump(&runtime);
    drop(orphan);
    let in_task = submit(ops.make());
    ringspun::spawn(async move { drop(in_task.await) }).detach();
    let mut stream = Multishot::new(AcceptMulti::new());
    ringspun::spawn(async move {
        std::future::poll_fn(|cx| {
            futures::Stream::poll_next(std::pin::Pin::new(&mut stream), cx).map(drop)
        })
        .await;
    })
    .detach();
    pump(&runtime);
    model::complete(2, model::descriptor(), model::MORE);
    model::complete(2, model::descriptor(), model::MORE);
    drop(entered);
    drop(runtime);
    ops.check(3);
}

#[test]
fn stream_outlives_an_undrained_ring_leaks() {
    let runtime = hasty_runtime();
    let entered = runtime.enter();
    model::deaf(true);
    let mut stream = Multishot::new(AcceptMulti::new());
    let mut next = futures::StreamExt::next(&mut stream);
    start(&mut next);
    pump(&runtime);
    drop(entered);
    drop(runtime);
    drop(Box::new(stream));
    assert_eq!(model::pending().len(), 1);
    model::complete(0, -libc::ECANCELED, 0);
}
