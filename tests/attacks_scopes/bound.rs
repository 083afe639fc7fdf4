//! Scoped values: what is bound in one task is not seen in another, whoever runs within whom.

// Handles are what these tests carry out of the loop.
#![allow(clippy::async_yields_async)]

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use ringspun::runtime::Handle;
use ringspun::scope::{All, scope};
use ringspun::task::{ScopedValue, spawn, yield_now};

use crate::support::{Then, block_on, ends, poll_once, runtime};

static WHO: ScopedValue<u32> = ScopedValue::new();

/// The destructor of a bound task turns another runtime, with a main of its own.
#[test]
fn a_runtime_turned_by_a_destructor_under_a_binding() {
    let seen = ends(|| {
        let (outer, inner) = (runtime(), runtime());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let unbound = inner.block_on(async { spawn(async { WHO.copied() }) });
        let told = Rc::clone(&seen);
        let task = outer.block_on(async {
            WHO.bind(1, || {
                spawn(async move {
                    let _then = Then(move || {
                        let main = inner.block_on(async {
                            let bound = spawn(async { WHO.copied() }).await.expect("no panic");
                            (WHO.copied(), bound)
                        });
                        told.borrow_mut().push((WHO.copied(), main));
                    });
                    pending::<()>().await;
                })
            })
        });
        outer.turn(Some(std::time::Duration::ZERO)).expect("the ring works");
        // Outside of the loop of either.
        drop(outer);
        assert!(task.is_finished() && unbound.is_finished() && !WHO.is_bound());
        seen.take()
    });
    assert_eq!(seen, [(Some(1), (Some(1), Some(1)))]);
}

#[test]
fn what_is_sent_to_a_core_from_itself_has_nothing() {
    let seen = block_on(|| async {
        let handle = Handle::current();
        let sent = WHO.bind(3, || handle.spawn(|| async { WHO.copied() }));
        let called = WHO.bind(3, || handle.core(0).expect("it").spawn(|| async { WHO.copied() }));
        (sent.await.expect("runs"), called.await.expect("runs"))
    });
    assert_eq!(seen, (None, None));
}

/// A panic in each place where something is bound leaves the thread as it was.
#[test]
fn panics_under_bindings() {
    block_on(|| async {
        WHO.bind_async(1, async {
            let nested = catch_unwind(|| WHO.bind(2, || WHO.bind(3, || panic!("inside"))));
            assert!(nested.is_err() && WHO.copied() == Some(1));
            let task = WHO.bind(4, || {
                spawn(async {
                    let _then = Then(|| assert_eq!(WHO.copied(), Some(4)));
                    panic!("in a poll");
                })
            });
            assert!(task.await.expect_err("it panicked").is_panic());
            assert_eq!(WHO.copied(), Some(1));
            let mut bound = Box::pin(WHO.bind_async(5, async {
                let _then = Then(|| panic!("in a destructor"));
                pending::<()>().await;
            }));
            assert!(poll_once(&mut bound).await.is_pending());
            assert!(catch_unwind(AssertUnwindSafe(|| drop(bound))).is_err());
            assert_eq!(WHO.copied(), Some(1));
        })
        .await;
        assert!(!WHO.is_bound());
    });
}

/// Its child is ended at once, under its own binding, in a task that has another.
#[test]
fn children_ended_within_the_poll_of_others() {
    let seen = block_on(|| async {
        let seen = Rc::new(Cell::new(None));
        let told = Rc::clone(&seen);
        let mut run = Box::pin(scope(All::<()>::new(), async move |scope| {
            WHO.bind(7, || {
                scope.spawn(async move {
                    let _then = Then(move || told.set(WHO.copied()));
                    pending::<()>().await;
                })
            });
            pending::<()>().await;
        }));
        assert!(poll_once(&mut run).await.is_pending());
        yield_now().await;
        let dropper = WHO.bind(8, || {
            spawn(async move {
                drop(run);
                WHO.copied()
            })
        });
        (dropper.await.expect("no panic"), seen.take(), WHO.copied())
    });
    assert_eq!(seen, (Some(8), Some(7), None));
}
