//! Situations, each by its name. All run under Miri too.

// Handles are what these tests carry out of the loop, and each way to wake is tried.
#![allow(clippy::async_yields_async, clippy::waker_clone_wake)]

mod at_once;
mod bound;
mod cost;
mod ended;
mod sets;
mod shut_down;
mod threads;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::Thread;
use std::time::Duration;

use super::Tasks;
use crate::wake::Notify;

/// Ends a sleep by `unpark`, and counts.
pub(super) struct Unpark {
    thread: Thread,
}

impl Notify for Unpark {
    fn notify(&self) {
        self.thread.unpark();
    }
}

/// A core for the test's thread.
pub(super) fn core() -> Rc<Tasks> {
    Tasks::new(Box::new(Unpark { thread: std::thread::current() }))
}

/// The loop, without a ring.
pub(super) fn block_on<T>(tasks: &Rc<Tasks>, main: impl Future<Output = T>) -> T {
    let _entered = tasks.enter();
    let mut main = pin!(main);
    let mut output = None;
    tasks.wake_main();
    loop {
        tasks.drain_inbox();
        tasks.run(256, &mut |cx| {
            if output.is_none()
                && let Poll::Ready(value) = main.as_mut().poll(cx)
            {
                output = Some(value);
            }
        });
        if let Some(output) = output {
            return output;
        }
        if !tasks.has_ready() && tasks.prepare_sleep() {
            std::thread::park();
            tasks.awake();
        }
    }
}

/// Turns that do not wait, without a main.
pub(super) fn turn(tasks: &Rc<Tasks>, turns: usize) {
    let _entered = tasks.enter();
    for _ in 0..turns {
        tasks.drain_inbox();
        tasks.run(256, &mut |_| {});
    }
}

/// Says into a list that it was dropped.
pub(super) struct Tell(pub(super) &'static str, pub(super) Rc<RefCell<Vec<&'static str>>>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

/// Says that it was dropped.
pub(super) struct Flag(pub(super) Rc<Cell<bool>>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

pub(super) fn flag() -> (Flag, Rc<Cell<bool>>) {
    let dropped = Rc::new(Cell::new(false));
    (Flag(Rc::clone(&dropped)), dropped)
}

/// Panics when it is dropped.
pub(super) struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Puts its waker somewhere and never ends.
pub(super) fn keep_waker(place: Rc<RefCell<Option<Waker>>>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        *place.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
}

pub(super) fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn completes() {
    let tasks = core();
    let output = block_on(&tasks, async {
        let one = super::spawn(async { 1 });
        let two = super::spawn(async {
            super::yield_now().await;
            2
        });
        one.await.unwrap() + two.await.unwrap()
    });
    assert_eq!(output, 3);
    assert_eq!(tasks.len(), 0);
}

#[test]
fn runs_in_the_order_of_spawns_and_wakes() {
    let tasks = core();
    let order = Rc::new(RefCell::new(Vec::new()));
    let _entered = tasks.enter();
    for n in 0..3 {
        let order = Rc::clone(&order);
        super::spawn(async move {
            order.borrow_mut().push(n);
            super::yield_now().await;
            order.borrow_mut().push(n + 10);
        })
        .detach();
    }
    turn(&tasks, 1);
    assert_eq!(*order.borrow(), [0, 1, 2, 10, 11, 12]);
}

#[test]
fn woken_by_itself_it_starves_nobody() {
    let tasks = core();
    let _entered = tasks.enter();
    let greedy = super::spawn(async {
        loop {
            super::yield_now().await;
        }
    });
    let modest = super::spawn(async {
        for _ in 0..10 {
            super::yield_now().await;
        }
    });
    assert_eq!(tasks.run(8, &mut |_| {}), 8, "the budget bounds the turn");
    assert!(tasks.has_ready());
    tasks.run(64, &mut |_| {});
    assert!(modest.is_finished());
    assert!(!greedy.is_finished());
}

#[test]
fn queued_once_however_often_it_is_woken() {
    let tasks = core();
    let _entered = tasks.enter();
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    let handle = super::spawn(poll_fn(move |cx| {
        count.set(count.get() + 1);
        if count.get() == 1 {
            cx.waker().wake_by_ref();
            cx.waker().clone().wake();
            crate::wake::LocalWaker::new(cx.waker()).wake();
        }
        Poll::<()>::Pending
    }));
    assert_eq!(tasks.run(256, &mut |_| {}), 2);
    assert_eq!(polls.get(), 2);
    handle.abort();
}

#[test]
fn spawned_outside_a_runtime() {
    let panic = std::panic::catch_unwind(|| super::spawn(async {}).detach()).unwrap_err();
    let text = panic.downcast_ref::<&str>().unwrap();
    assert!(text.contains("ringspun::spawn was called outside a runtime"), "{text}");
}

#[test]
fn names_and_ids_are_known_inside() {
    let tasks = core();
    tasks.set_tick(5);
    let (seen, id) = block_on(&tasks, async {
        assert_eq!(super::name().unwrap().as_str(), "main");
        let handle = super::Builder::new().name("worker").spawn(async {
            super::yield_now().await;
            (super::name(), super::id())
        });
        let id = handle.id();
        let nameless = super::spawn(async { super::name() });
        assert_eq!(nameless.await.unwrap(), None);
        (handle.await.unwrap(), id)
    });
    assert_eq!(seen.0.unwrap().as_str(), "worker");
    assert_eq!(seen.1, id);
    assert_eq!(super::try_id(), None);
}

#[test]
fn listed_while_it_lives() {
    let tasks = core();
    let _entered = tasks.enter();
    tasks.set_tick(7);
    let waits = super::Builder::new().name(String::from("waits")).spawn(pending::<()>());
    super::spawn(async {}).detach();
    turn(&tasks, 1);
    tasks.set_tick(10);
    let mut seen = Vec::new();
    tasks.for_each(&mut |info| seen.push(info));
    assert_eq!(seen.len(), 2, "main and the one that waits");
    assert_eq!(seen[0].name.as_ref().unwrap().as_str(), "main");
    assert_eq!(seen[1].name.as_ref().unwrap().as_str(), "waits");
    assert_eq!(
        (seen[1].id, seen[1].age, seen[1].ready),
        (waits.id(), Duration::from_millis(3 * u64::from(super::TICK_MS)), false)
    );
    assert!(seen[1].site.file().ends_with("mod.rs"));
}

#[test]
fn main_is_polled_only_when_woken() {
    let tasks = core();
    let _entered = tasks.enter();
    let kept = RefCell::new(None::<Waker>);
    let polls = Cell::new(0);
    let mut main = |cx: &mut Context<'_>| {
        polls.set(polls.get() + 1);
        *kept.borrow_mut() = Some(cx.waker().clone());
    };
    assert_eq!(tasks.run(256, &mut main), 0);
    tasks.wake_main();
    tasks.wake_main();
    assert_eq!(tasks.run(256, &mut main), 1);
    kept.borrow().as_ref().unwrap().wake_by_ref();
    assert_eq!(tasks.run(256, &mut main), 1);
    assert_eq!(polls.get(), 2);
}

#[test]
fn the_waker_of_main_is_kept_beyond_block_on() {
    let tasks = core();
    let kept = Rc::new(RefCell::new(None::<Waker>));
    for n in 0..100 {
        let old = kept.borrow_mut().take();
        let place = Rc::clone(&kept);
        let answer = block_on(
            &tasks,
            poll_fn(|cx| {
                *place.borrow_mut() = Some(cx.waker().clone());
                Poll::Ready(n)
            }),
        );
        assert_eq!(answer, n);
        if let Some(old) = old {
            old.wake();
        }
    }
    drop(tasks);
    kept.take().unwrap().wake();
}

#[test]
fn main_panics() {
    let tasks = core();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        block_on(&tasks, async { panic!("main") });
    }));
    assert!(caught.is_err());
    assert_eq!(block_on(&tasks, async { 1 }), 1, "the core is as good as new");
}

#[test]
#[should_panic = "may not turn the loop"]
fn turned_within_a_turn() {
    let tasks = core();
    let _entered = tasks.enter();
    tasks.wake_main();
    let inner = Rc::clone(&tasks);
    tasks.run(1, &mut |_| {
        inner.run(1, &mut |_| {});
    });
}
