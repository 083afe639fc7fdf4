//! Scopes and scoped values with a kernel beneath: deadlines, ops in flight, the end of a runtime.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ringspun::op::{Read, submit};
use ringspun::scope::{All, AllOk, AnyOk, KeepOk, Scope, TaskGroup, TaskScope, scope};
use ringspun::task::{self, ScopedValue};
use ringspun::time::{sleep, timeout};

use crate::support::{Ledger, PATIENCE, Pipe, block_on, runtime, turn, until};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_deadline_gives_what_is_there() {
    let started = Instant::now();
    let (all, kept, any, empty) = block_on(async {
        let bodies = async |scope: &Scope<io::Result<u8>>| {
            scope.spawn(async { Ok(1) });
            scope.spawn(async {
                sleep(PATIENCE).await;
                Ok(2)
            });
            scope.spawn(async { Ok(3) });
        };
        let all = TaskScope::new(AllOk::new()).timeout(SHORT).run(bodies).await;
        let kept = TaskScope::new(KeepOk::new()).deadline(Instant::now() + SHORT);
        let kept = kept.run(bodies).await;
        let any = TaskScope::new(AnyOk::<(), io::Error>::new()).timeout(SHORT);
        let any = any.run(async |scope| drop(scope.spawn(pending()))).await;
        let empty = TaskScope::new(All::<()>::new()).timeout(SHORT);
        (all, kept, any, empty.run(async |_| pending::<()>().await).await)
    });
    assert!((4 * SHORT..PATIENCE).contains(&started.elapsed()));
    let error = all.expect_err("one is late");
    assert!(error.is_deadline());
    assert_eq!(error.partial(), &[Some(1), None, Some(3)]);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    assert_eq!(kept, [1, 3]);
    assert!(any.expect_err("it is late").is_deadline() && empty.is_empty());
}

#[test]
fn a_deadline_that_is_not_reached_and_one_that_has_passed() {
    block_on(async {
        let body = async |scope: &Scope<u8>| drop(scope.spawn(async { 5 }));
        let results = TaskScope::new(All::new()).timeout(PATIENCE).run(body).await;
        assert_eq!(results[0].as_ref().ok(), Some(&5));
        let past = Instant::now() - Duration::from_secs(1);
        let late = TaskScope::new(AllOk::<(), io::Error>::new()).deadline(past);
        let late = late.run(async |scope| drop(scope.spawn(pending()))).await;
        assert!(late.expect_err("nobody can be in time").is_deadline());
    });
}

#[test]
fn a_scope_in_a_scope_ends_with_its_deadline() {
    let ended = Rc::new(Cell::new(0));
    struct Count(Rc<Cell<u32>>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let result = block_on(async {
        let outer = TaskScope::new(AllOk::<(), io::Error>::new()).name("outer").timeout(SHORT);
        let count = Rc::clone(&ended);
        outer
            .run(async move |outer| {
                outer.spawn(async move {
                    let inner = TaskScope::new(AllOk::<(), io::Error>::new()).timeout(PATIENCE);
                    let inner = inner.run(async |inner| {
                        for _ in 0..10 {
                            let count = Count(Rc::clone(&count));
                            inner.spawn(async move {
                                let _count = count;
                                pending().await
                            });
                        }
                    });
                    inner.await?;
                    Ok(())
                });
            })
            .await
    });
    assert!(result.expect_err("the outer one is first").is_deadline());
    assert_eq!(ended.get(), 10);
}

#[test]
fn children_with_ops_in_flight() {
    let ledger = Ledger::open();
    block_on(async {
        for way in ["deadline", "cancel", "drop", "body"] {
            let pipe = Pipe::new();
            let limit = if way == "deadline" { SHORT } else { PATIENCE };
            let scope = TaskScope::new(AllOk::new()).timeout(limit);
            let scope = scope.run(async |scope| {
                for _ in 0..3 {
                    let buf = ledger.buffers.empty(8);
                    let read = submit(Read::new(&pipe.reader, buf, Read::CURSOR));
                    scope.spawn(async move { read.await.0 });
                }
                turn().await;
                match way {
                    "cancel" => scope.cancel(),
                    "body" => return Err(io::Error::from(io::ErrorKind::AddrInUse)),
                    _ => {}
                }
                Ok(())
            });
            if way == "drop" {
                timeout(SHORT, scope).await.expect_err("nothing is written");
            } else {
                let error = scope.await.expect_err("nothing is written");
                assert_eq!(error.is_deadline(), way == "deadline");
                assert_eq!(error.is_cancelled(), way == "cancel");
            }
            let buffers = ledger.buffers.clone();
            until("the kernel lets go", move || buffers.live() == 0).await;
        }
    });
    ledger.close();
}

#[test]
fn the_runtime_is_dropped_under_a_scope() {
    let ledger = Ledger::open();
    let token = Rc::new(());
    let runtime = runtime();
    runtime.block_on(async {
        let pipe = Pipe::new();
        let (buf, kept) = (ledger.buffers.empty(8), Rc::clone(&token));
        task::spawn(async move {
            let pipe = pipe;
            scope(All::new(), async |scope| {
                let read = submit(Read::new(&pipe.reader, buf, Read::CURSOR));
                scope.spawn(async move {
                    let _kept = kept;
                    drop(read.await);
                });
            })
            .await;
        })
        .detach();
        turn().await;
        turn().await;
    });
    assert_eq!(Rc::strong_count(&token), 2);
    drop(runtime);
    assert_eq!(Rc::strong_count(&token), 1);
    ledger.close();
}

#[test]
fn a_hundred_thousand_children() {
    const COUNT: usize = 100_000;
    block_on(async {
        let numbers = scope(AllOk::<usize, io::Error>::new(), async |scope| {
            for n in 0..COUNT {
                scope.spawn(async move {
                    task::yield_now().await;
                    Ok(n)
                });
            }
        });
        let numbers = numbers.await.expect("none fails");
        assert!(numbers.into_iter().eq(0..COUNT));
        let cut = TaskScope::new(KeepOk::<usize, ()>::new()).timeout(SHORT);
        let cut = cut.run(async |scope| {
            for _ in 0..COUNT {
                scope.spawn(pending());
            }
        });
        assert!(cut.await.is_empty());
        assert_eq!(task::list().len(), 1, "main is alone");
    });
}

#[test]
fn children_are_listed_by_the_name_of_the_scope() {
    block_on(async {
        let named = TaskScope::new(All::new()).name("fetches");
        let results = named.run(async |scope| {
            assert_eq!(scope.name().map(|name| name.as_str()), Some("fetches"));
            scope.spawn(async { task::name() });
            scope.spawn_with(task::Builder::new().name("own"), async { task::name() });
        });
        let names = results.await.into_iter().map(|name| name.expect("no panic"));
        let names = names.map(|name| name.expect("it has one").to_string()).collect::<Vec<_>>();
        assert_eq!(names, ["fetches", "own"]);
    });
}

#[test]
fn a_group_is_waited_for_at_most_so_long() {
    block_on(async {
        let group = TaskGroup::new();
        let slow = group.spawn(pending::<()>()).expect("it is open");
        group.close();
        timeout(SHORT, group.wait()).await.expect_err("one does not end");
        slow.abort();
        group.wait().await;
        let error = group.spawn(async {}).expect_err("it is closed");
        assert!(error.to_string().contains("closed"), "{error}");
    });
}

static TRACE: ScopedValue<u64> = ScopedValue::new();

#[test]
fn values_are_inherited_by_children_and_not_by_what_is_sent_to_the_core() {
    let runtime = runtime();
    let handle = runtime.handle();
    runtime.block_on(async {
        let bound = TRACE.bind_async(7, async {
            let results = scope(All::new(), async |scope| {
                for _ in 0..3 {
                    scope.spawn(async {
                        sleep(Duration::from_millis(1)).await;
                        TRACE.copied()
                    });
                }
            });
            let sent = handle.spawn(|| async { TRACE.copied() });
            let blocked = ringspun::spawn_blocking(|| TRACE.copied());
            let seen = results.await.into_iter().map(|seen| seen.expect("no panic"));
            let seen = seen.collect::<Vec<_>>();
            (seen, sent.await.expect("no panic"), blocked.await.expect("no panic"))
        });
        assert_eq!(bound.await, (vec![Some(7); 3], None, None));
    });
}
