//! Scoped values.

use super::*;
use crate::task::{JoinSet, ScopedValue, spawn, yield_now};

static NUMBER: ScopedValue<u32> = ScopedValue::new();
static NAME: ScopedValue<&'static str> = ScopedValue::new();
static TOKEN: ScopedValue<Rc<Cell<u32>>> = ScopedValue::new();

#[test]
fn bound_for_a_call_and_hidden_by_another() {
    assert!(!NUMBER.is_bound());
    NUMBER.bind(1, || {
        NAME.bind("one", || {
            assert_eq!(NUMBER.bind(2, || NUMBER.with(|number| *number)), 2);
            assert_eq!((NUMBER.copied(), NAME.cloned()), (Some(1), Some("one")));
        });
        assert!(!NAME.is_bound());
    });
    let panic = std::panic::catch_unwind(|| NUMBER.bind(3, || panic!("inside")));
    assert!(panic.is_err() && NUMBER.copied().is_none());
}

#[test]
#[should_panic(expected = "a ScopedValue<u32> was read where it is not bound")]
fn not_bound() {
    NAME.bind("other", || NUMBER.with(|_| ()));
}

#[test]
fn inherited_by_tasks_for_their_whole_life() {
    let tasks = core();
    let token = Rc::new(Cell::new(0));
    block_on(&tasks, async {
        let child = TOKEN.bind(Rc::clone(&token), || {
            let mut set = JoinSet::new();
            set.spawn(async {
                yield_now().await;
                spawn(async { TOKEN.with(|token| token.set(token.get() + 1)) }).await.unwrap();
            });
            set
        });
        assert_eq!(Rc::strong_count(&token), 2);
        assert!(!TOKEN.is_bound());
        child.join_all().await;
        let handle = TOKEN.bind(Rc::clone(&token), || spawn(async {}));
        yield_now().await;
        assert_eq!(Rc::strong_count(&token), 1, "released with the future, not with the handle");
        handle.await.unwrap();
    });
    assert_eq!((token.get(), Rc::strong_count(&token)), (1, 1));
}

#[test]
fn each_task_sees_its_own() {
    let tasks = core();
    block_on(&tasks, async {
        let mut handles = Vec::new();
        for number in 0..4 {
            handles.push(NUMBER.bind(number, || {
                spawn(async move {
                    for _ in 0..3 {
                        assert_eq!(NUMBER.copied(), Some(number));
                        yield_now().await;
                    }
                })
            }));
            handles.push(spawn(async {
                for _ in 0..3 {
                    assert!(!NUMBER.is_bound());
                    yield_now().await;
                }
            }));
        }
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[test]
fn around_the_loop_it_is_for_main_alone() {
    let tasks = core();
    let _entered = tasks.enter();
    let before = spawn(async { NUMBER.copied() });
    let (seen, inherited) = NUMBER.bind(5, || {
        block_on(&tasks, async {
            let seen = before.await.unwrap();
            assert_eq!(NUMBER.copied(), Some(5));
            (seen, spawn(async { NUMBER.copied() }).await.unwrap())
        })
    });
    assert_eq!((seen, inherited), (None, Some(5)));
}

#[test]
fn bound_for_a_future() {
    let tasks = core();
    block_on(&tasks, async {
        let both = NUMBER.bind_async(
            1,
            NAME.bind_async("inner", async {
                yield_now().await;
                assert_eq!((NUMBER.copied(), NAME.copied()), (Some(1), Some("inner")));
                NUMBER.bind_async(2, async { NUMBER.copied() }).await
            }),
        );
        assert_eq!(both.await, Some(2));
        assert!(!NUMBER.is_bound() && !NAME.is_bound());
    });
}

/// Keeps what is bound when it is dropped.
struct Look(Rc<Cell<Option<u32>>>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.set(NUMBER.copied());
    }
}

#[test]
fn bound_while_futures_are_dropped() {
    let tasks = core();
    let seen = Rc::new(Cell::new(None));
    let future = |seen: &Rc<Cell<Option<u32>>>| {
        let look = Look(Rc::clone(seen));
        async move {
            let _look = look;
            pending::<()>().await;
        }
    };
    block_on(&tasks, async {
        drop(NUMBER.bind_async(1, future(&seen)));
        assert_eq!(seen.take(), Some(1), "never polled");
        let aborted = NUMBER.bind(2, || spawn(future(&seen)));
        yield_now().await;
        aborted.abort();
        aborted.await.unwrap_err();
        assert_eq!(seen.take(), Some(2));
        let ended = NUMBER.bind(3, || spawn(future(&seen)));
        let unbound = spawn(future(&seen));
        NUMBER.bind(4, || {
            ended.end();
            assert_eq!(seen.take(), Some(3), "at once, and under its own");
            assert_eq!(NUMBER.copied(), Some(4));
            seen.set(Some(0));
            unbound.end();
            assert_eq!(seen.take(), None);
        });
    });
}

#[test]
fn a_value_that_panics_in_its_drop() {
    static WORSE: ScopedValue<PanicOnDrop> = ScopedValue::new();
    let tasks = core();
    block_on(&tasks, async {
        let kept = std::panic::catch_unwind(|| WORSE.bind(PanicOnDrop, || spawn(async { 7 })));
        // The task has it too, so it ends there.
        assert_eq!(kept.expect("not yet").await.unwrap(), 7);
        spawn(async {}).await.unwrap();
    });
    assert_eq!(tasks.panics(), 1);
}

#[test]
fn a_chain_longer_than_the_stack() {
    let tasks = core();
    let _entered = tasks.enter();
    let mut handle = None;
    fn deeper(left: u32, handle: &mut Option<crate::task::JoinHandle<()>>) {
        match left {
            0 => *handle = Some(spawn(pending())),
            _ => NUMBER.bind(left, || deeper(left - 1, handle)),
        }
    }
    deeper(500, &mut handle);
    drop(handle);
    let next = Rc::new(RefCell::new(None));
    // Each task binds once more and spawns the next.
    fn chain(
        left: u32,
        next: Rc<RefCell<Option<u32>>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            if left == 0 {
                *next.borrow_mut() = NUMBER.copied();
                return;
            }
            NUMBER.bind(left, || spawn(chain(left - 1, next)).detach());
        })
    }
    let links = if cfg!(miri) { 100 } else { 200_000 };
    spawn(chain(links, Rc::clone(&next))).detach();
    while next.borrow().is_none() {
        turn(&tasks, 1);
    }
    assert_eq!(*next.borrow(), Some(1));
}

#[test]
fn shut_down_while_tasks_have_bindings() {
    let tasks = core();
    let token = Rc::new(Cell::new(0));
    let handle = {
        let _entered = tasks.enter();
        TOKEN.bind(Rc::clone(&token), || spawn(pending::<()>()))
    };
    tasks.shutdown();
    assert_eq!(Rc::strong_count(&token), 1);
    assert!(handle.is_finished());
}
