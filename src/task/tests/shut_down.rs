//! What is kept beyond the runtime, and what is spawned while it ends.

use super::*;
use crate::task::{CoreBound, spawn};

#[test]
fn pending_tasks_are_dropped() {
    let tasks = core();
    let (held, dropped) = flag();
    let mut handle = block_on(&tasks, async {
        spawn(async move {
            let _held = held;
            pending::<()>().await;
        })
    });
    tasks.shutdown();
    assert!(dropped.get());
    tasks.shutdown();
    assert_eq!(tasks.len(), 0);
    drop(tasks);
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Err(error)) if error.is_cancelled()));
}

#[test]
fn handles_and_wakers_are_kept() {
    let tasks = core();
    let place = Rc::new(RefCell::new(None));
    let _handle = block_on(&tasks, async { spawn(keep_waker(Rc::clone(&place))) });
    let unread = block_on(&tasks, async { spawn(async { Rc::new(1) }) });
    turn(&tasks, 1);
    let shared = super::super::sync::Arc::clone(tasks.shared());
    drop(tasks);
    let waker: Waker = place.borrow_mut().take().unwrap();
    waker.wake_by_ref();
    waker.clone().wake();
    let local = crate::wake::LocalWaker::new(&waker);
    local.wake();
    drop(waker);
    drop(unread);
    assert!(shared.send(Box::new(|| ())).is_err());
}

#[test]
fn result_is_kept_in_its_handle() {
    let tasks = core();
    let mut handle = block_on(&tasks, async { spawn(async { Rc::new(1) }) });
    turn(&tasks, 1);
    drop(tasks);
    assert!(matches!(poll_once(&mut handle), Poll::Ready(Ok(one)) if *one == 1));
}

/// REVIEW 27: the last waker goes on another thread, and with it the header; the output is gone.
#[test]
fn last_waker_dropped_on_another_thread() {
    let tasks = core();
    let place = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&place);
    let told = Rc::new(RefCell::new(Vec::new()));
    let output = Tell("output", Rc::clone(&told));
    let future = Tell("future", Rc::clone(&told));
    let handle = block_on(&tasks, async {
        spawn(poll_fn(move |cx| {
            let _held = &future;
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(Tell(output.0, Rc::clone(&output.1)))
        }))
    });
    turn(&tasks, 1);
    let waker: Waker = place.borrow_mut().take().unwrap();
    // `future` and the `output` that it copies from.
    assert_eq!(told.borrow().len(), 2);
    drop(tasks);
    drop(handle);
    assert_eq!(told.borrow().len(), 3, "the output went with its handle");
    std::thread::spawn(move || drop(waker)).join().unwrap();
}

#[test]
fn spawned_in_a_drop() {
    struct SpawnOnDrop(u32, Rc<Cell<u32>>);
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            if self.0 > 0 {
                let next = SpawnOnDrop(self.0 - 1, Rc::clone(&self.1));
                let mut handle = spawn(async move {
                    let _next = next;
                });
                let answer = poll_once(&mut handle);
                assert!(matches!(answer, Poll::Ready(Err(error)) if error.is_cancelled()));
                assert!(handle.is_finished());
                handle.abort();
                handle.abort_handle().abort();
            }
        }
    }
    let tasks = core();
    let drops = Rc::new(Cell::new(0));
    let first = SpawnOnDrop(3, Rc::clone(&drops));
    block_on(&tasks, async {
        spawn(async move {
            let _first = first;
            pending::<()>().await;
        })
        .detach();
    });
    tasks.shutdown();
    assert_eq!(drops.get(), 4);
    assert_eq!(tasks.panics(), 0);
}

#[test]
#[cfg(not(miri))] // Leaks, which is the point.
fn spawned_in_a_drop_for_ever() {
    struct Endless(Rc<Cell<u32>>);
    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            let next = Endless(Rc::clone(&self.0));
            spawn(async move {
                let _next = next;
            })
            .detach();
        }
    }
    let tasks = core();
    let drops = Rc::new(Cell::new(0));
    let first = Endless(Rc::clone(&drops));
    block_on(&tasks, async {
        spawn(async move {
            let _first = first;
            pending::<()>().await;
        })
        .detach();
    });
    tasks.shutdown();
    assert_eq!(drops.get(), 101);
}

#[test]
fn joined_itself() {
    let tasks = core();
    let (held, dropped) = flag();
    let place = Rc::new(RefCell::new(None::<crate::task::JoinHandle<()>>));
    let own = Rc::clone(&place);
    block_on(&tasks, async {
        *place.borrow_mut() = Some(spawn(async move {
            let _held = held;
            let handle = own.borrow_mut().take().unwrap();
            handle.await.unwrap();
        }));
    });
    turn(&tasks, 1);
    drop(tasks);
    assert!(dropped.get());
}

#[test]
fn destructors_panic_and_wake() {
    struct Wake(Waker);
    impl Drop for Wake {
        fn drop(&mut self) {
            self.0.wake_by_ref();
            panic!("in a destructor");
        }
    }
    let tasks = core();
    block_on(&tasks, async {
        for _ in 0..3 {
            let mut wake = None;
            spawn(poll_fn(move |cx| {
                wake.get_or_insert_with(|| Wake(cx.waker().clone()));
                Poll::<()>::Pending
            }))
            .detach();
        }
    });
    turn(&tasks, 1);
    tasks.shutdown();
    assert_eq!(tasks.panics(), 3);
    assert!(!tasks.has_ready());
}

#[test]
fn closures_are_dropped_on_the_core() {
    let tasks = core();
    let bound = {
        let _entered = tasks.enter();
        CoreBound::new(flag())
    };
    let dropped = Rc::clone(&bound.access().1);
    std::thread::spawn(move || drop(bound)).join().unwrap();
    assert!(!dropped.get());
    tasks.shutdown();
    assert!(dropped.get());
}

#[test]
fn two_cores_on_one_thread() {
    let place = Rc::new(RefCell::new(None));
    let first = core();
    block_on(&first, async { spawn(keep_waker(Rc::clone(&place))).detach() });
    turn(&first, 1);
    let second = core();
    let _entered = second.enter();
    let waker: Waker = place.borrow_mut().take().unwrap();
    assert!(crate::wake::LocalWaker::new(&waker).own_task().is_none(), "not of the second core");
    waker.wake_by_ref();
    assert!(!second.has_ready() && !first.has_ready());
    turn(&first, 1);
    assert!(place.borrow().is_some(), "polled again, through its inbox");
    place.borrow_mut().take();
    drop(first);
    waker.wake();
}
