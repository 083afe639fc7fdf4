//! Sets of tasks.

use super::*;
use crate::task::{JoinSet, yield_now};

#[test]
fn joined_in_the_order_of_their_ends() {
    let tasks = core();
    let order = block_on(&tasks, async {
        let mut set = JoinSet::new();
        for n in [3, 1, 2] {
            set.spawn(async move {
                for _ in 0..n {
                    yield_now().await;
                }
                n
            });
        }
        let mut order = Vec::new();
        while let Some(n) = set.join_next().await {
            order.push(n.unwrap());
        }
        order
    });
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn dropped_it_aborts() {
    let tasks = core();
    let _entered = tasks.enter();
    let (held, dropped) = flag();
    let mut set = JoinSet::new();
    set.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    turn(&tasks, 1);
    drop(set);
    assert!(!dropped.get());
    turn(&tasks, 1);
    assert!(dropped.get());
}

#[test]
fn detached_they_go_on() {
    let tasks = core();
    let _entered = tasks.enter();
    let done = Rc::new(Cell::new(false));
    let mut set = JoinSet::new();
    let inner = Rc::clone(&done);
    set.spawn(async move {
        yield_now().await;
        inner.set(true);
    });
    set.detach_all();
    assert!(set.is_empty());
    drop(set);
    turn(&tasks, 1);
    assert!(done.get());
}

#[test]
fn shut_down_and_panicked() {
    let tasks = core();
    block_on(&tasks, async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("member") });
        assert!(set.try_join_next().is_none());
        assert!(set.join_next().await.unwrap().unwrap_err().is_panic());
        let abort = set.spawn(pending());
        set.spawn(pending());
        assert_eq!(set.len(), 2);
        abort.abort();
        assert!(set.join_next_with_id().await.unwrap().unwrap_err().is_cancelled());
        set.shutdown().await;
        assert!(set.join_next().await.is_none());
        set.spawn(async {});
        set.join_all().await;
    });
}

#[test]
fn spawned_outside_a_runtime() {
    let mut set = JoinSet::new();
    let spawned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        set.spawn(async { 1 });
    }));
    assert!(spawned.is_err());
    let tasks = core();
    block_on(&tasks, async {
        set.spawn(async {
            yield_now().await;
            2
        });
        set.spawn(async { 3 });
        let first = set.join_next().await.unwrap().unwrap();
        assert_eq!(first + set.join_next().await.unwrap().unwrap(), 5);
        assert!(set.join_next().await.is_none());
    });
}
