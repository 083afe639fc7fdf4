//! User code that panics or comes back in: wakers, destructors, `prepare`, `complete`.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use io_uring::opcode;
use ringspun::model;
use ringspun::op::{Completion, Nop, Op, Read, Sqe, Submission, link, submit};
use ringspun::runtime::Runtime;

use super::ops::fd;
use super::support::{Bell, poll, pump, runtime, runtime_of, start};

/// A payload whose own destructor panics.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        // Without size, so that the one that is leaked in the end is no memory lost.
        std::panic::panic_any(());
    }
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(PanicsAgain);
    }
}

/// Panics where it is told to.
struct Panicking {
    memory: Box<[u8]>,
    prepare: bool,
    complete: bool,
}

impl Panicking {
    fn new(prepare: bool, complete: bool) -> Panicking {
        Panicking { memory: vec![0; 4].into_boxed_slice(), prepare, complete }
    }
}

// SAFETY: O1: the entry points to `memory`.
unsafe impl Op for Panicking {
    type Output = Box<[u8]>;

    fn prepare(&mut self) -> Sqe {
        assert!(!self.prepare, "prepare");
        let mut sqe = Sqe::new(opcode::Read::CODE);
        sqe.addr = self.memory.as_mut_ptr() as u64;
        sqe.len = 4;
        sqe
    }

    unsafe fn complete(self, _completion: Completion) -> Box<[u8]> {
        if self.complete {
            std::panic::panic_any(PanicsAgain);
        }
        self.memory
    }
}

/// Polls with a waker that panics when it is woken.
fn start_with_panicking_waker<T: Op>(future: &mut Submission<T>) {
    let waker = Waker::from(Arc::new(PanickingWaker));
    let polled = Future::poll(Pin::new(future), &mut Context::from_waker(&waker));
    assert!(polled.is_pending());
}

#[test]
fn waker_panics() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let bell = Arc::new(Bell(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&bell));
    let mut first = submit(Nop::new());
    start_with_panicking_waker(&mut first);
    let mut second = submit(Nop::new());
    assert!(Future::poll(Pin::new(&mut second), &mut Context::from_waker(&waker)).is_pending());
    pump(&runtime);
    model::complete(0, 0, 0);
    model::complete(0, 0, 0);
    pump(&runtime);
    assert_eq!(bell.rung(), 1, "the wake behind the panic is not lost");
    assert!(poll(&mut first).is_ready());
    assert!(poll(&mut second).is_ready());
}

/// The op is still on our side: its end wakes in the middle of the cancel.
#[test]
fn waker_of_a_queued_op_panics() {
    let runtime = runtime_of(1);
    let _entered = runtime.enter();
    let mut filler = submit(Nop::new());
    start(&mut filler);
    let mut queued = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
    start_with_panicking_waker(&mut queued);
    queued.request_cancel();
    assert!(poll(&mut queued).is_ready());
}

/// A cancel that is due when a waker panics is not lost.
#[test]
fn waker_of_a_leader_panics() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut chain = link((Nop::new(), Nop::new())).hard();
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(Future::poll(Pin::new(&mut chain), &mut Context::from_waker(&waker)).is_pending());
    pump(&runtime);
    model::deaf(true);
    chain.request_cancel();
    pump(&runtime);
    pump(&runtime);
    model::deaf(false);
    // The leader ends; its follower starts, and is to be cancelled now.
    model::complete(0, 0, 0);
    pump(&runtime);
    pump(&runtime);
    pump(&runtime);
    assert!(model::pending().is_empty(), "the follower was cancelled");
}

#[test]
fn prepare_panics() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut future = submit(Panicking::new(true, false));
    let _id = future.id();
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut future).is_ready())).is_err());
    drop(future);
    let mut chain = link((Panicking::new(false, false), Panicking::new(true, false)));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut chain).is_ready())).is_err());
    drop(chain);
    pump(&runtime);
    assert!(model::pending().is_empty());
}

/// In the future, in an orphan, and in a member of a chain.
#[test]
fn complete_panics() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let run = |what: &mut dyn FnMut()| {
        let panic = catch_unwind(AssertUnwindSafe(what)).expect_err("it panics");
        std::mem::drop(catch_unwind(AssertUnwindSafe(|| drop(panic))));
    };
    let mut future = submit(Panicking::new(false, true));
    start(&mut future);
    pump(&runtime);
    model::complete(0, 4, 0);
    pump(&runtime);
    run(&mut || drop(poll(&mut future)));
    drop(future);

    let mut orphan = submit(Panicking::new(false, true));
    start(&mut orphan);
    let mut other = submit(Nop::new());
    start(&mut other);
    pump(&runtime);
    drop(orphan);
    model::complete(0, 4, 0);
    model::complete(0, 0, 0);
    pump(&runtime);
    assert!(poll(&mut other).is_ready());

    let mut chain = link((Panicking::new(false, true), Panicking::new(false, false)));
    start(&mut chain);
    pump(&runtime);
    model::complete(0, 4, 0);
    model::complete(0, 4, 0);
    pump(&runtime);
    run(&mut || drop(poll(&mut chain)));
    drop(chain);
}

/// A destructor in an orphan turns the loop, submits and drops other ops.
#[test]
fn destructor_turns_the_loop() {
    struct Turns {
        runtime: Weak<Runtime>,
        others: RefCell<Vec<Submission<Read<Box<[u8]>>>>>,
        memory: Box<[u8]>,
    }

    impl Drop for Turns {
        fn drop(&mut self) {
            let Some(runtime) = self.runtime.upgrade() else { return };
            let _entered = runtime.enter();
            self.others.borrow_mut().clear();
            let mut new = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
            start(&mut new);
            pump(&runtime);
            drop(new);
            pump(&runtime);
            pump(&runtime);
        }
    }

    // SAFETY: O1: the entry points to `memory`.
    unsafe impl Op for Turns {
        type Output = ();

        fn prepare(&mut self) -> Sqe {
            let mut sqe = Sqe::new(opcode::Read::CODE);
            sqe.addr = self.memory.as_mut_ptr() as u64;
            sqe.len = self.memory.len() as u32;
            sqe
        }

        unsafe fn complete(self, _completion: Completion) {}
    }

    let runtime = Rc::new(runtime());
    let entered = runtime.enter();
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
        start(&mut other);
        others.push(other);
    }
    let mut future = submit(Turns {
        runtime: Rc::downgrade(&runtime),
        others: RefCell::new(others),
        memory: vec![0; 4].into_boxed_slice(),
    });
    start(&mut future);
    pump(&runtime);
    drop(future);
    // `turn` inside `turn` is refused, so completions come in by the drop of the guard's ring.
    model::complete(3, 4, 0);
    model::complete(0, 4, 0);
    let _ = catch_unwind(AssertUnwindSafe(|| pump(&runtime)));
    for _ in 0..4 {
        pump(&runtime);
    }
    assert!(model::pending().is_empty());
    drop(entered);
}

thread_local! {
    static RUNTIME: RefCell<Option<Rc<Runtime>>> = const { RefCell::new(None) };
}

/// A waker whose clone turns the loop, in which the reserved op is cancelled.
#[test]
fn waker_turns_the_loop_when_cloned() {
    static TURNING: RawWakerVTable = RawWakerVTable::new(
        |data| {
            let runtime = RUNTIME.with(|runtime| runtime.borrow().clone());
            if let Some(runtime) = runtime {
                pump(&runtime);
            }
            RawWaker::new(data, &TURNING)
        },
        |_| {},
        |_| {},
        |_| {},
    );
    let runtime = Rc::new(runtime());
    let entered = runtime.enter();
    RUNTIME.set(Some(Rc::clone(&runtime)));
    // SAFETY: the functions do nothing with the data.
    let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TURNING)) };
    let mut cx = Context::from_waker(&waker);
    let mut future = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
    let id = future.id();
    runtime.handle().cancel(id);
    let polled =
        catch_unwind(AssertUnwindSafe(|| Future::poll(Pin::new(&mut future), &mut cx).is_ready()));
    drop(future);
    pump(&runtime);
    pump(&runtime);
    RUNTIME.set(None);
    drop(entered);
    drop(runtime);
    assert!(polled.is_ok(), "a debug assertion, with the entry pushed, was undefined behaviour");
}

#[test]
#[should_panic(expected = "deadlock in the model")]
fn deadlock() {
    let runtime = runtime();
    runtime.block_on(async {
        let _ = submit(Nop::new()).await;
    });
}

#[test]
fn main_panics_with_ops_in_flight() {
    let runtime = runtime();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut future = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
            start(&mut future);
            ringspun::task::yield_now().await;
            ringspun::time::sleep(Duration::from_micros(1)).await;
            panic!("main");
        })
    }));
    assert!(panicked.is_err());
    runtime.block_on(async { ringspun::time::sleep(Duration::from_micros(1)).await });
    assert!(model::pending().is_empty());
}
