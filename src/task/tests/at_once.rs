//! Attacks on tasks that are ended at once, by `JoinHandle::end`, while others are polled.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::task::{JoinHandle, ScopedValue, spawn, yield_now};

/// Runs what it was given when it is dropped.
struct Then<F: FnMut()>(F);

impl<F: FnMut()> Drop for Then<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

type Handles = Rc<RefCell<Vec<JoinHandle<()>>>>;

/// Ends them from a copy of the list, which is not borrowed meanwhile.
fn end_all(handles: &Handles) {
    let taken = handles.take();
    for handle in &taken {
        handle.end();
    }
    handles.borrow_mut().extend(taken);
}

/// Reads itself after everything that may have freed it.
async fn holding<T: Copy>(value: Box<T>, then: impl FnMut()) -> T {
    let _then = Then(then);
    pending::<()>().await;
    *value
}

#[test]
fn the_polled_task_by_destructors_of_ended_ones() {
    let tasks = core();
    let handles: Handles = Rc::default();
    let seen = Rc::new(Cell::new(0));
    block_on(&tasks, async {
        // Each ends all others, and so the one that is polled, from ever deeper destructors.
        for _ in 0..5 {
            let (all, seen) = (Rc::clone(&handles), Rc::clone(&seen));
            let task = spawn(async move {
                let again = Rc::clone(&all);
                holding(Box::new(7_u64), move || {
                    seen.set(seen.get() + 1);
                    end_all(&again);
                })
                .await;
            });
            handles.borrow_mut().push(task);
        }
        yield_now().await;
        let all = Rc::clone(&handles);
        let polled = spawn(async move {
            let mine = Box::new([5_u64; 16]);
            end_all(&all);
            assert_eq!(mine.iter().sum::<u64>(), 80, "it was not dropped in its own poll");
            yield_now().await;
            unreachable!("it is ended in its turn");
        });
        handles.borrow_mut().push(polled);
        yield_now().await;
        yield_now().await;
        assert_eq!(seen.get(), 5);
        assert!(handles.borrow().iter().all(JoinHandle::is_finished));
    });
}

#[test]
fn a_turn_in_the_destructor_of_a_task_that_is_ended_between_turns() {
    let tasks = core();
    let handles: Handles = Rc::default();
    let _entered = tasks.enter();
    let (outer, again) = (Rc::clone(&handles), Rc::clone(&tasks));
    let first = spawn(async move {
        holding(Box::new(1), move || {
            // Not within a turn: this one polls the others, each of which ends all.
            again.run(256, &mut |_| {});
            end_all(&outer);
        })
        .await;
    });
    tasks.run(256, &mut |_| {});
    for _ in 0..3 {
        let all = Rc::clone(&handles);
        let task = spawn(async move {
            let mine = Box::new([3_u64; 8]);
            let again = Rc::clone(&all);
            let _then = Then(move || end_all(&again));
            end_all(&all);
            assert_eq!(mine.iter().sum::<u64>(), 24);
            pending::<()>().await;
        });
        handles.borrow_mut().push(task);
    }
    first.end();
    for _ in 0..3 {
        tasks.run(256, &mut |_| {});
    }
    assert!(first.is_finished() && handles.borrow().iter().all(JoinHandle::is_finished));
    assert_eq!((tasks.len(), tasks.interrupted()), (0, false));
    handles.borrow_mut().clear();
}

#[test]
fn panics_on_the_way_leave_nothing_behind() {
    let tasks = core();
    let handles: Handles = Rc::default();
    block_on(&tasks, async {
        for _ in 0..4 {
            let all = Rc::clone(&handles);
            let task = spawn(async move {
                holding(Box::new(1), move || {
                    end_all(&all);
                    panic!("in a destructor");
                })
                .await;
            });
            handles.borrow_mut().push(task);
        }
        yield_now().await;
        let all = Rc::clone(&handles);
        let polled = spawn(async move {
            let caught = catch_unwind(AssertUnwindSafe(|| end_all(&all)));
            assert!(caught.is_ok(), "it is the task's own, and for its handle");
            // The one that is polled is known as before.
            all.borrow()[4].end();
            panic!("and then in the poll");
        });
        handles.borrow_mut().push(polled);
        yield_now().await;
        yield_now().await;
        for handle in handles.take() {
            assert!(handle.await.expect_err("each panicked").is_panic());
        }
        assert!(!tasks.interrupted());
    });
}

/// Each level ends the next: as deep as the limit, and then by turns.
#[test]
fn a_chain_of_ends_longer_than_the_stack() {
    let tasks = core();
    let links = if cfg!(miri) { 100 } else { 100_000 };
    let _entered = tasks.enter();
    let mut next: Option<JoinHandle<()>> = None;
    for _ in 0..links {
        let held = next.take();
        next = Some(spawn(async move {
            let mut held = held;
            let _then = Then(move || {
                if let Some(handle) = held.take() {
                    handle.end();
                }
            });
            pending::<()>().await;
        }));
    }
    for _ in 0..=links / 256 {
        tasks.run(256, &mut |_| {});
    }
    next.take().expect("the last").end();
    assert!(tasks.len() >= links - 17, "as deep as that and no deeper");
    while tasks.has_ready() {
        tasks.run(256, &mut |_| {});
    }
    assert_eq!(tasks.len(), 0);
}

#[test]
fn another_core_on_this_thread_does_not_end_it_at_once() {
    let (tasks, other) = (core(), core());
    let (dropped, was_dropped) = flag();
    block_on(&tasks, async {
        let here = spawn(async move {
            let _dropped = dropped;
            pending::<()>().await;
        });
        yield_now().await;
        let here = Rc::new(here);
        let there = Rc::clone(&here);
        block_on(&other, async move {
            there.end();
        });
        assert!(!was_dropped.get(), "by its own core only");
        while !here.is_finished() {
            yield_now().await;
        }
        assert!(was_dropped.get());
    });
    other.shutdown();
}

/// Other threads may free the header: nothing that is bound may be left in it.
#[test]
fn values_go_on_their_own_thread_while_a_waker_is_elsewhere() {
    static BOUND: ScopedValue<Home> = ScopedValue::new();
    struct Home(std::thread::ThreadId, Rc<Cell<bool>>);
    impl Drop for Home {
        fn drop(&mut self) {
            assert_eq!(self.0, std::thread::current().id());
            self.1.set(true);
        }
    }
    for way in 0..3 {
        let gone = Rc::new(Cell::new(false));
        let place = Rc::new(RefCell::new(None));
        let tasks = core();
        let handle = {
            let _entered = tasks.enter();
            let home = Home(std::thread::current().id(), Rc::clone(&gone));
            let handle = BOUND.bind(home, || spawn(keep_waker(Rc::clone(&place))));
            tasks.run(1, &mut |_| {});
            handle
        };
        let waker = place.take().expect("it was polled");
        let elsewhere = std::thread::spawn(move || {
            std::thread::yield_now();
            waker.wake();
        });
        match way {
            0 => {
                let _entered = tasks.enter();
                handle.end();
                assert!(gone.get(), "at once");
            }
            1 => tasks.shutdown(),
            _ => {
                handle.abort();
                turn(&tasks, 1);
            }
        }
        assert!(gone.get());
        drop((handle, tasks));
        elsewhere.join().expect("frees a header, and nothing more");
    }
}
