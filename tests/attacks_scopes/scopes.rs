//! Scopes: children that do not want to end, destructors that act, runtimes within runtimes.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use ringspun::op::{Timeout, submit};
use ringspun::scope::{All, AllOk, AnyOk, Scope, TaskScope, scope};
use ringspun::task::{JoinHandle, spawn, yield_now};
use ringspun::time::sleep;

use crate::support::{Alive, PATIENCE, Then, block_on, ends, poll_once, runtime};

const SHORT: Duration = Duration::from_millis(20);

type Kept<T> = Rc<RefCell<Option<Pin<Box<dyn Future<Output = T>>>>>>;

/// Spawns two more of its kind in each turn.
fn breed(scope: &Scope<()>, room: usize) -> impl Future<Output = ()> + use<> {
    let scope = scope.clone();
    async move {
        loop {
            if scope.len() < room {
                scope.spawn(Box::pin(breed(&scope, room)) as Pin<Box<dyn Future<Output = ()>>>);
            }
            yield_now().await;
        }
    }
}

#[test]
fn children_that_spawn_siblings_for_ever_end_at_the_deadline() {
    let (began, results) = block_on(|| async {
        let began = Instant::now();
        let scope = TaskScope::new(All::new()).timeout(SHORT);
        let results = scope.run(async |scope| drop(scope.spawn(breed(scope, 500)))).await;
        (began, results.len())
    });
    assert!(results > 1 && (SHORT..PATIENCE).contains(&began.elapsed()));
}

#[test]
fn siblings_that_end_at_once_and_spawn_the_next() {
    fn next(scope: &Scope<()>) -> Pin<Box<dyn Future<Output = ()>>> {
        let scope = scope.clone();
        Box::pin(async move {
            scope.spawn(next(&scope));
        })
    }
    let ended = block_on(|| async {
        let scope = TaskScope::new(All::new()).timeout(SHORT);
        scope.run(async |scope| drop(scope.spawn(next(scope)))).await.len()
    });
    assert!(ended > 1);
}

/// A refused future spawns another one in its destructor, which is refused, and so on.
#[test]
fn destructors_that_spawn_into_a_scope_that_refuses() {
    struct Again(Scope<()>, Rc<Cell<usize>>);
    impl Drop for Again {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            let again = Again(self.0.clone(), Rc::clone(&self.1));
            self.0.spawn(async move {
                let _again = again;
                pending::<()>().await;
            });
        }
    }
    let drops = block_on(|| async {
        let drops = Rc::new(Cell::new(0));
        let begin = |scope: &Scope<()>| {
            let again = Again(scope.clone(), Rc::clone(&drops));
            async move {
                let _again = again;
                pending::<()>().await;
            }
        };
        // While it is being ended, and when it is over.
        let mut kept = None;
        scope(All::new(), async |scope| {
            scope.spawn(begin(scope));
            yield_now().await;
            scope.cancel();
            kept = Some(scope.clone());
            pending::<()>().await;
        })
        .await;
        let while_it_ends = drops.take();
        let kept = kept.expect("the body ran");
        assert!(kept.spawn(begin(&kept)).is_refused());
        (while_it_ends, drops.get())
    });
    assert!(drops.0 > 1 && drops.1 > 1, "{drops:?}");
}

#[test]
fn a_child_polls_its_own_scope_to_the_end() {
    block_on(|| async {
        let kept: Kept<usize> = Rc::default();
        let alive = Rc::new(Cell::new(0));
        let (inside, counted) = (Rc::clone(&kept), Rc::clone(&alive));
        let run = scope(All::<()>::new(), async move |scope| {
            let scope_of_child = scope.clone();
            let sibling = Alive::new(&counted);
            scope.spawn(async move {
                let _alive = sibling;
                pending().await
            });
            scope.spawn(async move {
                let mine = Box::new([6_u64; 32]);
                let mut run = inside.take().expect("main has put it there");
                // It ends the child that is being polled: not now.
                scope_of_child.cancel();
                assert!(poll_once(&mut run).await.is_pending());
                // And now in a destructor.
                drop(run);
                assert_eq!(mine.iter().sum::<u64>(), 192);
                pending::<()>().await;
            });
            pending::<()>().await;
        });
        let mut run: Pin<Box<dyn Future<Output = usize>>> = Box::pin(async { run.await.len() });
        assert!(poll_once(&mut run).await.is_pending());
        *kept.borrow_mut() = Some(run);
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(alive.get(), 0);
    });
}

/// Each child's destructor drops the scope of the next, far deeper than the stack would be.
#[test]
fn scopes_in_scopes_in_scopes() {
    const DEPTH: usize = 3000;
    fn nested(depth: usize, alive: &Rc<Cell<usize>>) -> Pin<Box<dyn Future<Output = ()>>> {
        let alive = Rc::clone(alive);
        Box::pin(async move {
            let _alive = Alive::new(&alive);
            if depth > 0 {
                scope(All::new(), async |scope| drop(scope.spawn(nested(depth - 1, &alive)))).await;
            }
            pending::<()>().await;
        })
    }
    let alive = block_on(|| async {
        let alive = Rc::new(Cell::new(0));
        let mut run = nested(DEPTH, &alive);
        while alive.get() <= DEPTH {
            let _pending = poll_once(&mut run).await;
            yield_now().await;
        }
        drop(run);
        assert!(alive.get() < DEPTH, "some of them at once");
        while alive.get() > 0 {
            yield_now().await;
        }
        alive.get()
    });
    assert_eq!(alive, 0);
}

/// Children of one scope on two cores of one thread, one of which goes while the scope runs.
#[test]
fn a_scope_over_two_runtimes_of_one_thread() {
    let (left, results) = ends(|| {
        let alive = Rc::new(Cell::new(0));
        let (outer, inner) = (runtime(), runtime());
        let results = outer.block_on(async {
            let inner = inner;
            let results = scope(All::new(), async |scope| {
                let there = inner.enter();
                for _ in 0..3 {
                    let alive = Alive::new(&alive);
                    scope.spawn(async move {
                        let _alive = alive;
                        pending::<()>().await;
                    });
                }
                drop(there);
                let here = Alive::new(&alive);
                scope.spawn(async move {
                    let _alive = here;
                    pending::<()>().await;
                });
                scope.spawn(async {});
                yield_now().await;
                scope.cancel();
                // What is not of this core ends with its own.
                drop(inner);
            });
            results.await
        });
        (alive.get(), results.iter().map(Result::is_ok).collect::<Vec<_>>())
    });
    assert_eq!((left, results), (0, vec![false, false, false, false, true]));
}

#[test]
fn the_runtime_goes_while_scopes_run() {
    let left = ends(|| {
        let alive = Rc::new(Cell::new(0));
        let runtime = runtime();
        runtime.block_on(async {
            for _ in 0..50 {
                let alive = Rc::clone(&alive);
                spawn(async move {
                    let limit = TaskScope::new(AllOk::<(), ()>::new()).timeout(PATIENCE);
                    let ran = limit.run(async |scope| {
                        for _ in 0..4 {
                            let (alive, late) = (Alive::new(&alive), scope.clone());
                            scope.spawn(async move {
                                let _late = Then(move || drop(late.spawn(pending())));
                                let _alive = alive;
                                let _ = submit(Timeout::new(PATIENCE, 0, 0)).await;
                                Ok(())
                            });
                        }
                        pending::<()>().await;
                    });
                    let _ = ran.await;
                })
                .detach();
            }
            yield_now().await;
            sleep(Duration::from_millis(1)).await;
            assert_eq!(alive.get(), 200);
        });
        drop(runtime);
        alive.get()
    });
    assert_eq!(left, 0);
}

/// Kept beyond its runtime, and dropped with none there, or in another.
#[test]
fn a_scope_that_outlives_its_runtime() {
    for again in [false, true] {
        let left = ends(move || {
            let alive = Rc::new(Cell::new(0));
            let first = runtime();
            let (run, handle) = first.block_on(async {
                let counted = Rc::clone(&alive);
                let kept = Rc::new(RefCell::new(None));
                let shown = Rc::clone(&kept);
                let mut run = Box::pin(scope(All::<()>::new(), async move |scope| {
                    let alive = Alive::new(&counted);
                    scope.spawn(async move {
                        let _alive = alive;
                        pending::<()>().await;
                    });
                    *shown.borrow_mut() = Some(scope.clone());
                    pending::<()>().await;
                }));
                assert!(poll_once(&mut run).await.is_pending());
                let handle = kept.take().expect("the body ran");
                (run, handle)
            });
            if again {
                runtime().block_on(async {
                    drop(run);
                    assert_eq!(alive.get(), 1, "not the core of the child");
                    assert!(handle.spawn(pending()).is_refused());
                });
                first.block_on(yield_now());
            } else {
                drop(first);
                drop(run);
                assert!(handle.spawn(async {}).is_refused());
            }
            alive.get()
        });
        assert_eq!(left, 0);
    }
}

#[test]
fn panics_of_all_at_once() {
    let text = block_on(|| async {
        let alive = Rc::new(Cell::new(0));
        let run = scope(All::<()>::new(), async |scope| {
            for place in 0..6 {
                let alive = Alive::new(&alive);
                scope.spawn(async move {
                    let _alive = alive;
                    let _then = Then(move || {
                        if place % 2 == 0 && !std::thread::panicking() {
                            panic!("in a destructor");
                        }
                    });
                    if place < 3 {
                        panic!("in a child");
                    }
                    pending::<()>().await;
                });
            }
            yield_now().await;
            let _then = Then(|| assert!(std::thread::panicking()));
            panic!("in the body");
        });
        let mut run = Box::pin(run);
        let payload = loop {
            match catch_unwind(AssertUnwindSafe(|| {
                run.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            })) {
                Ok(Poll::Pending) => yield_now().await,
                Ok(Poll::Ready(_)) => unreachable!("the body panicked"),
                Err(payload) => break payload,
            }
        };
        drop(run);
        assert_eq!(alive.get(), 0);
        *payload.downcast::<&str>().expect("ours")
    });
    assert_eq!(text, "in the body");
}

/// A child that unwinds tells its scope all the same; a second panic there would end the process.
#[test]
fn a_foreign_waker_that_panics_while_a_child_unwinds() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let results = block_on(|| async {
        let mut run = Box::pin(scope(All::<()>::new(), async |scope| {
            scope.spawn(async {
                let _then = Then(|| panic!("in a destructor"));
                yield_now().await;
            });
        }));
        let waker = Waker::from(Arc::new(Panics));
        let first = run.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(first.is_pending());
        for _ in 0..3 {
            yield_now().await;
        }
        run.await
    });
    assert!(results[0].as_ref().is_err_and(|error| error.is_panic()));
}

#[test]
fn a_winner_whose_losers_act_when_they_go() {
    let (winner, after) = block_on(|| async {
        let others: Rc<RefCell<Vec<JoinHandle<()>>>> = Rc::default();
        let after = Rc::new(Cell::new(0));
        let winner = scope(AnyOk::<u8, ()>::new(), async |scope| {
            for _ in 0..4 {
                let (others, after, again) = (Rc::clone(&others), Rc::clone(&after), scope.clone());
                scope.spawn(async move {
                    let _then = Then(move || {
                        let counted = Rc::clone(&after);
                        let task = spawn(async move { counted.set(counted.get() + 1) });
                        others.borrow_mut().push(task);
                        again.cancel();
                        assert!(again.spawn(async { Ok(9) }).is_refused());
                    });
                    pending().await
                });
            }
            yield_now().await;
            scope.spawn(async { Ok(7) });
        });
        let winner = winner.await.expect("one won");
        for other in others.take() {
            other.await.expect("a task as any other");
        }
        (winner, after.get())
    });
    assert_eq!((winner, after), (7, 4));
}
