//! Situations that need tasks and no kernel. All run under Miri too; those with a deadline are in
//! `tests/functional/scope.rs`.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{All, AllOk, AnyOk, Cause, Scope, TaskGroup, Until, scope};
use crate::task::{JoinError, Tasks, yield_now};
use crate::wake::Notify;

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

/// The loop, for what needs nothing from outside.
fn block_on<T>(main: impl Future<Output = T>) -> T {
    let tasks = Tasks::new(Box::new(Nobody));
    let output = run(&tasks, main);
    tasks.shutdown();
    output
}

fn run<T>(tasks: &Rc<Tasks>, main: impl Future<Output = T>) -> T {
    let _entered = tasks.enter();
    let mut main = pin!(main);
    let mut output = None;
    tasks.wake_main();
    for _ in 0..100_000 {
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
    }
    panic!("nothing goes on");
}

/// Counts itself while it lives.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Alive {
        count.set(count.get() + 1);
        Alive(Rc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn wait<T>(alive: Alive) -> T {
    let output = pending().await;
    drop(alive);
    output
}

async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

async fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

type Kept = Rc<RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>>;

#[test]
fn waits_though_handles_are_forgotten_and_the_body_returns_early() {
    let done = Rc::new(Cell::new(0));
    let outputs = block_on(scope(AllOk::<usize, ()>::new(), async |scope| {
        for n in 0..3 {
            let done = Rc::clone(&done);
            let child = scope.spawn(async move {
                turns(5 - n).await;
                done.set(done.get() + 1);
                Ok(n)
            });
            assert_eq!(child.index(), n);
            // Forgotten it leaks the scope's list, which Miri would report.
            let _forgotten = (!cfg!(miri)).then(|| std::mem::ManuallyDrop::new(child));
            if n == 1 {
                return;
            }
        }
    }));
    assert_eq!((outputs.unwrap(), done.get()), (vec![0, 1], 2));
}

#[test]
fn the_first_error_cancels_the_rest_and_keeps_what_was_done() {
    let alive = Rc::new(Cell::new(0));
    let result = block_on(scope(AllOk::new(), async |scope| {
        scope.spawn(async { Ok(1) });
        scope.spawn(wait(Alive::new(&alive)));
        scope.spawn(async {
            turns(3).await;
            Err("broken")
        });
        pending::<()>().await;
    }));
    assert_eq!(alive.get(), 0);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert!(matches!(error.cause(), Cause::Failed("broken")));
    assert_eq!(error.into_partial(), [Some(1), None, None]);
}

#[test]
fn the_body_fails() {
    fn refuse() -> Result<(), String> {
        Err("of the body".to_owned())
    }
    let alive = Rc::new(Cell::new(0));
    let result = block_on(scope(AllOk::new(), async |scope| {
        scope.spawn(wait::<Result<u8, String>>(Alive::new(&alive)));
        turns(1).await;
        refuse()?;
        Ok(())
    }));
    assert_eq!((result.unwrap_err().to_string().as_str(), alive.get()), ("of the body", 0));
}

#[test]
fn the_body_panics_when_all_children_have_ended() {
    let alive = Rc::new(Cell::new(0));
    let panic = block_on(async {
        let mut scope = Box::pin(scope(All::new(), async |scope| {
            scope.spawn(wait::<()>(Alive::new(&alive)));
            turns(1).await;
            panic!("of the body");
        }));
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| scope.as_mut().poll(cx))) {
            Ok(polled) => polled.map(|_| None),
            Err(payload) => {
                assert_eq!(alive.get(), 0, "before the panic goes on");
                Poll::Ready(payload.downcast_ref::<&str>().copied())
            }
        })
        .await
    });
    assert_eq!(panic, Some("of the body"));
}

#[test]
fn a_joiner_that_panics_is_as_a_body_that_does() {
    let alive = Rc::new(Cell::new(0));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let joiner = Until::new(|_: &Result<(), JoinError>| panic!("of the joiner"));
        block_on(scope(joiner, async |scope| {
            scope.spawn(async {});
            scope.spawn(wait(Alive::new(&alive)));
        }))
    }));
    assert!(panic.is_err());
    assert_eq!(alive.get(), 0);
}

#[test]
fn a_child_panics() {
    let failed = block_on(scope(AllOk::<(), ()>::new(), async |scope| {
        scope.spawn(async { panic!("of a child") });
    }));
    let Cause::Panicked(error) = failed.unwrap_err().into_cause() else { panic!("it is one") };
    assert_eq!(error.into_panic().downcast_ref(), Some(&"of a child"));
    let any = block_on(scope(AnyOk::<u8, ()>::new(), async |scope| {
        scope.spawn(async { panic!("of a child") });
        scope.spawn(async { Ok(3) });
    }));
    assert_eq!(any.unwrap(), 3);
}

#[test]
fn any_of_several() {
    let alive = Rc::new(Cell::new(0));
    let any = block_on(scope(AnyOk::new(), async |scope| {
        scope.spawn(async { Err("first") });
        scope.spawn(wait(Alive::new(&alive)));
        scope.spawn(async {
            turns(2).await;
            Ok("second")
        });
    }));
    assert_eq!((any.unwrap(), alive.get()), ("second", 0));
    let none = block_on(scope(AnyOk::<(), _>::new(), async |scope| {
        scope.spawn(async {
            turns(1).await;
            Err(0)
        });
        scope.spawn(async { Err(1) });
    }));
    let (cause, others) = none.unwrap_err().into_parts();
    assert!(matches!(cause, Cause::Failed(1)), "the first in time");
    assert!(matches!(others[..], [(0, Cause::Failed(0))]));
    let empty = block_on(scope(AnyOk::<(), ()>::new(), async |_| {}));
    assert!(matches!(empty.unwrap_err().cause(), Cause::Empty));
}

#[test]
fn until_it_is_enough() {
    let joiner = Until::new(|result: &Result<u32, JoinError>| matches!(result, Ok(2)));
    let results = block_on(scope(joiner, async |scope| {
        for n in [1, 2, 3] {
            scope.spawn(async move {
                turns(n as usize).await;
                n
            });
        }
    }));
    let results = results.into_iter().map(Result::ok).collect::<Vec<_>>();
    assert_eq!(results, [Some(1), Some(2), None]);
}

#[test]
fn children_spawn_siblings() {
    fn grow(scope: Scope<usize>, left: usize) -> Pin<Box<dyn Future<Output = usize>>> {
        Box::pin(async move {
            if left > 0 {
                scope.spawn(grow(scope.clone(), left - 1));
            }
            left
        })
    }
    let results = block_on(scope(All::new(), async |scope| {
        scope.spawn(grow(scope.clone(), 4));
    }));
    let left = results.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(left, [4, 3, 2, 1, 0]);
}

#[test]
fn cancelled_by_a_child_and_spawned_too_late() {
    let alive = Rc::new(Cell::new(0));
    let kept = RefCell::new(None);
    let result = block_on(scope(AllOk::<(), ()>::new(), async |scope| {
        *kept.borrow_mut() = Some(scope.clone());
        scope.spawn(wait(Alive::new(&alive)));
        let handle = scope.clone();
        let late = Rc::clone(&alive);
        scope.spawn(async move {
            handle.cancel();
            assert!(handle.is_cancelled());
            assert!(handle.spawn(wait(Alive::new(&late))).is_refused());
            Ok(())
        });
        pending::<()>().await;
    }));
    let error = result.unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.into_partial(), [None, Some(()), None]);
    let kept = kept.into_inner().unwrap();
    assert!(kept.spawn(wait(Alive::new(&alive))).is_refused() && kept.is_empty());
    assert_eq!(alive.get(), 0);
}

#[test]
fn one_child_is_aborted() {
    let results = block_on(scope(All::new(), async |scope| {
        let child = scope.spawn(pending::<()>());
        scope.spawn(async {});
        turns(1).await;
        child.abort();
        child.abort();
    }));
    assert!(results[0].as_ref().unwrap_err().is_cancelled() && results[1].is_ok());
}

#[test]
fn dropped_it_drops_its_children_before_it_returns() {
    let alive = Rc::new(Cell::new(0));
    block_on(async {
        let mut outer = Box::pin(scope(All::new(), async |outer| {
            for _ in 0..3 {
                let alive = Rc::clone(&alive);
                outer.spawn(scope(All::new(), async move |inner| {
                    inner.spawn(wait::<()>(Alive::new(&alive)));
                    wait::<()>(Alive::new(&alive)).await;
                }));
            }
        }));
        assert!(poll_once(&mut outer).await.is_pending());
        turns(2).await;
        assert_eq!(alive.get(), 6);
        drop(outer);
        assert_eq!(alive.get(), 0);
    });
}

#[test]
fn dropped_while_it_is_nested_deeply() {
    fn nest(left: usize, alive: Alive) -> Pin<Box<dyn Future<Output = ()>>> {
        let count = Rc::clone(&alive.0);
        Box::pin(async move {
            let _alive = alive;
            scope(All::new(), async move |scope| {
                if left > 0 {
                    scope.spawn(nest(left - 1, Alive::new(&count)));
                }
                pending::<()>().await;
            })
            .await;
        })
    }
    let depth = if cfg!(miri) { 40 } else { 20_000 };
    let alive = Rc::new(Cell::new(0));
    block_on(async {
        let mut outer = nest(depth, Alive::new(&alive));
        assert!(poll_once(&mut outer).await.is_pending());
        while alive.get() < depth {
            yield_now().await;
        }
        drop(outer);
        assert!(alive.get() > 0, "not by recursion");
        while alive.get() > 0 {
            yield_now().await;
        }
    });
}

#[test]
fn dropped_by_its_own_child() {
    let kept: Kept = Rc::default();
    let alive = Rc::new(Cell::new(0));
    block_on(async {
        let (inside, token) = (Rc::clone(&kept), Rc::clone(&alive));
        let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            let body = async move |scope: &Scope<()>| {
                scope.spawn(wait(Alive::new(&token)));
                let token = Alive::new(&token);
                scope.spawn(async move {
                    let scope = inside.borrow_mut().take();
                    drop(scope);
                    assert_eq!(token.0.get(), 1, "its sibling is gone; it is not");
                });
            };
            drop(scope(All::new(), body).await);
        });
        assert!(poll_once(&mut future).await.is_pending());
        *kept.borrow_mut() = Some(future);
        turns(2).await;
    });
    assert_eq!(alive.get(), 0);
}

/// The child of one scope drops another, in whose child's destructor the first is dropped.
#[test]
fn dropped_by_the_destructor_of_a_sibling_of_a_sibling() {
    struct Takes(Kept);
    impl Drop for Takes {
        fn drop(&mut self) {
            let taken = self.0.borrow_mut().take();
            drop(taken);
        }
    }
    let (first, second): (Kept, Kept) = Default::default();
    let after = Rc::new(Cell::new(0));
    block_on(async {
        let (takes_second, done) = (Takes(Rc::clone(&second)), Rc::clone(&after));
        let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            let body = async move |scope: &Scope<()>| {
                scope.spawn(async move {
                    drop(takes_second);
                    // Still here: it was being polled.
                    done.set(1);
                    pending::<()>().await;
                    done.set(2);
                });
            };
            drop(scope(All::new(), body).await);
        });
        assert!(poll_once(&mut future).await.is_pending());
        *first.borrow_mut() = Some(future);
        let takes_first = Takes(Rc::clone(&first));
        let mut future: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
            let body = async move |scope: &Scope<()>| {
                scope.spawn(async move {
                    let _takes_first = takes_first;
                    pending::<()>().await;
                });
            };
            drop(scope(All::new(), body).await);
        });
        assert!(poll_once(&mut future).await.is_pending());
        *second.borrow_mut() = Some(future);
        turns(3).await;
        assert!(first.borrow().is_none() && second.borrow().is_none());
    });
    assert_eq!((after.get(), Rc::strong_count(&after)), (1, 1));
}

#[test]
fn dropped_outside_of_its_runtime() {
    let tasks = Tasks::new(Box::new(Nobody));
    let alive = Rc::new(Cell::new(0));
    let mut future = Box::pin(scope(All::new(), async |scope| {
        scope.spawn(wait::<()>(Alive::new(&alive)));
    }));
    assert!(run(&tasks, poll_once(&mut future)).is_pending());
    drop(future);
    assert_eq!(alive.get(), 1);
    run(&tasks, turns(2));
    assert_eq!(alive.get(), 0);
    tasks.shutdown();
}

#[test]
fn the_runtime_ends_first() {
    let tasks = Tasks::new(Box::new(Nobody));
    let mut future = Box::pin(scope(AllOk::<(), ()>::new(), async |scope| {
        scope.spawn(pending());
        turns(1).await;
        scope.spawn(pending());
    }));
    assert!(run(&tasks, poll_once(&mut future)).is_pending());
    tasks.shutdown();
    let mut cx = Context::from_waker(Waker::noop());
    let _entered = tasks.enter();
    let Poll::Ready(result) = future.as_mut().poll(&mut cx) else { panic!("nothing to wait for") };
    assert!(result.unwrap_err().is_cancelled());
}

#[test]
fn a_group_is_waited_for() {
    block_on(async {
        let group = TaskGroup::new();
        let task = group
            .spawn(async {
                turns(3).await;
                7
            })
            .unwrap();
        group.spawn(pending::<()>()).unwrap().abort();
        let mut waits = Box::pin(group.wait());
        assert!(poll_once(&mut waits).await.is_pending());
        assert_eq!(group.len(), 2);
        group.close();
        waits.await;
        assert!(group.is_empty() && group.is_closed());
        assert_eq!(task.await.unwrap(), 7);
        group.spawn(async {}).unwrap_err();
    });
}
