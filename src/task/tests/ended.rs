//! How tasks end: by themselves, by abort, by panic, with and without somebody who waits.

use super::*;
use crate::task::{CoreBound, spawn, yield_now};

#[test]
fn panics_and_is_joined() {
    let tasks = core();
    let error = block_on(&tasks, async {
        spawn(async {
            yield_now().await;
            let text = String::from("text 1");
            panic!("{text}");
        })
        .await
        .unwrap_err()
    });
    assert!(error.is_panic() && !error.is_cancelled());
    assert!(error.to_string().ends_with("panicked: text 1"), "{error}");
    assert_eq!(error.into_panic().downcast_ref::<String>().unwrap(), "text 1");
    assert_eq!(tasks.panics(), 0, "the joiner was told");
}

#[test]
fn errors_and_abort_handles_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<crate::task::JoinError>();
    crosses::<crate::task::AbortHandle>();
    crosses::<CoreBound<Rc<()>>>();
}

#[test]
fn panics_detached() {
    let tasks = core();
    let _entered = tasks.enter();
    crate::task::Builder::new().name("lonely").spawn(async { panic!("alone") }).detach();
    let handle = spawn(async { panic!("handle dropped later") });
    let after = spawn(async { 1 });
    turn(&tasks, 1);
    assert!(after.is_finished());
    assert_eq!(tasks.panics(), 1);
    drop(handle);
    assert_eq!(tasks.panics(), 2);
}

#[test]
fn destructors_panic() {
    let tasks = core();
    let _entered = tasks.enter();
    // The output of a detached task.
    spawn(async { PanicOnDrop }).detach();
    // The future, after its last poll.
    let held = PanicOnDrop;
    let ready = spawn(poll_fn(move |_| {
        let _held = &held;
        Poll::Ready(PanicOnDrop)
    }));
    // The future, aborted.
    let aborted = spawn(async {
        let _held = PanicOnDrop;
        pending::<()>().await;
    });
    // The future and the panic's own payload.
    let held = PanicOnDrop;
    spawn(poll_fn(move |_| -> Poll<()> {
        let _held = &held;
        std::panic::panic_any(PanicOnDrop)
    }))
    .detach();
    // An output that is taken by nobody.
    let unread = spawn(async { PanicOnDrop });
    turn(&tasks, 1);
    aborted.abort();
    turn(&tasks, 1);
    let Poll::Ready(Err(error)) = poll_once(&mut { ready }) else { panic!("not ready") };
    assert!(error.is_panic());
    let Poll::Ready(Err(error)) = poll_once(&mut { aborted }) else { panic!("not ready") };
    assert!(error.is_panic());
    let before = tasks.panics();
    drop(unread);
    assert_eq!(tasks.panics(), before + 1);
    // Output; output of `ready`; destructor and payload of the fourth; unread output.
    assert_eq!(tasks.panics(), 5);
    assert_eq!(block_on(&tasks, async { 1 }), 1);
}

#[test]
fn aborted_before_its_first_poll() {
    let tasks = core();
    let (held, dropped) = flag();
    let error = block_on(&tasks, async {
        let handle = spawn(async move {
            let _held = held;
            panic!("was polled");
        });
        handle.abort();
        assert!(!dropped.get(), "the loop drops, not `abort`");
        handle.await.unwrap_err()
    });
    assert!(error.is_cancelled());
    assert!(dropped.get());
}

#[test]
fn aborted_pending() {
    let tasks = core();
    let _entered = tasks.enter();
    let (held, dropped) = flag();
    let mut handle = spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    turn(&tasks, 1);
    assert!(poll_once(&mut handle).is_pending());
    handle.abort();
    handle.abort();
    assert!(!dropped.get() && !handle.is_finished());
    turn(&tasks, 1);
    assert!(dropped.get() && handle.is_finished());
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Err(error)) if error.is_cancelled()));
}

#[test]
fn aborted_by_itself() {
    let tasks = core();
    block_on(&tasks, async {
        let place = Rc::new(RefCell::new(None::<crate::task::AbortHandle>));
        let own = Rc::clone(&place);
        let goes_on = spawn(async move {
            yield_now().await;
            own.borrow().as_ref().unwrap().abort();
            pending::<()>().await;
        });
        *place.borrow_mut() = Some(goes_on.abort_handle());
        assert!(goes_on.await.unwrap_err().is_cancelled());

        let own = Rc::clone(&place);
        let ends = spawn(async move {
            yield_now().await;
            own.borrow().as_ref().unwrap().abort();
            5
        });
        *place.borrow_mut() = Some(ends.abort_handle());
        assert_eq!(ends.await.unwrap(), 5, "it was quicker");
    });
}

#[test]
fn aborted_finished() {
    let tasks = core();
    let _entered = tasks.enter();
    let mut handle = spawn(async { 3 });
    let abort = handle.abort_handle();
    turn(&tasks, 1);
    handle.abort();
    abort.abort();
    turn(&tasks, 1);
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Ok(3))));
    handle.abort();
    assert!(handle.is_finished());
}

#[test]
fn detached() {
    let tasks = core();
    let _entered = tasks.enter();
    let (held, dropped) = flag();
    spawn(async move {
        yield_now().await;
        held
    })
    .detach();
    turn(&tasks, 2);
    assert!(dropped.get(), "nobody wants the output");
}

#[test]
fn handle_dropped_after_the_end() {
    let tasks = core();
    let _entered = tasks.enter();
    let (held, dropped) = flag();
    let handle = spawn(async move { held });
    turn(&tasks, 1);
    assert!(!dropped.get());
    drop(handle);
    assert!(dropped.get());
}

#[test]
fn handle_dropped_with_its_join_waker() {
    struct Count(std::sync::atomic::AtomicU32);
    impl std::task::Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let tasks = core();
    let _entered = tasks.enter();
    let count = std::sync::Arc::new(Count(0.into()));
    let waker = Waker::from(count.clone());
    let mut handle = spawn(pending::<()>());
    for _ in 0..3 {
        let poll = std::pin::Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
    }
    assert_eq!(std::sync::Arc::strong_count(&count), 3, "kept once");
    drop(handle);
    assert_eq!(std::sync::Arc::strong_count(&count), 2, "dropped at once");

    let mut handle = spawn(async {});
    assert!(std::pin::Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    turn(&tasks, 1);
    assert_eq!(count.0.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn the_waker_of_the_joiner_panics() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("bad waker");
        }
    }
    let tasks = core();
    let _entered = tasks.enter();
    let waker = Waker::from(std::sync::Arc::new(Bad));
    let mut handle = spawn(async { 1 });
    assert!(std::pin::Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    turn(&tasks, 1);
    assert_eq!(tasks.panics(), 1);
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Ok(1))));
}

#[test]
fn joins_itself() {
    let tasks = core();
    let _entered = tasks.enter();
    let (held, dropped) = flag();
    let place = Rc::new(RefCell::new(None::<crate::task::JoinHandle<()>>));
    let own = Rc::clone(&place);
    let handle = spawn(async move {
        let _held = held;
        let handle = own.borrow_mut().take().unwrap();
        handle.await.unwrap();
    });
    let abort = handle.abort_handle();
    *place.borrow_mut() = Some(handle);
    turn(&tasks, 2);
    assert!(!dropped.get());
    abort.abort();
    turn(&tasks, 1);
    assert!(dropped.get(), "the cycle is cut, and Miri finds no leak");
}

#[test]
fn woken_after_the_end() {
    let tasks = core();
    let _entered = tasks.enter();
    let place = Rc::new(RefCell::new(None));
    let handle = spawn(keep_waker(Rc::clone(&place)));
    turn(&tasks, 1);
    handle.abort();
    turn(&tasks, 1);
    let waker: Waker = place.borrow_mut().take().unwrap();
    waker.wake_by_ref();
    assert!(!tasks.has_ready());
    waker.wake();
    assert!(!tasks.has_ready());
}

/// REVIEW 26: the local references of a task go to none, and come again from a waker.
#[test]
fn local_reference_taken_from_the_last_waker() {
    let tasks = core();
    let _entered = tasks.enter();
    let place = Rc::new(RefCell::new(None));
    let handle = spawn(keep_waker(Rc::clone(&place)));
    turn(&tasks, 1);
    handle.abort();
    turn(&tasks, 1);
    drop(handle);
    let waker: Waker = place.borrow_mut().take().unwrap();
    let local = crate::wake::LocalWaker::new(&waker);
    assert!(local.own_task().is_some());
    drop(waker);
    local.wake_by_ref();
    local.wake();
}

#[test]
fn value_bound_to_its_core() {
    let tasks = core();
    let _entered = tasks.enter();
    let (held, dropped) = flag();
    let mut bound = CoreBound::new((held, Rc::new(5)));
    assert_eq!(bound.with(|value| *value.1), 5);
    bound.with_mut(|value| value.1 = Rc::new(6));
    assert_eq!(*bound.access().1, 6);
    let (held, six) = bound.into_inner();
    assert_eq!(*six, 6);
    assert!(!dropped.get());
    drop(CoreBound::new(held));
    assert!(dropped.get());
    let mut future = CoreBound::future(async { Rc::new(1) });
    assert!(poll_once(&mut future).is_ready());
}
