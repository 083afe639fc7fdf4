//! The life of runtimes.

use std::future::{pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::executor::block_on as foreign_block_on;
use ringspun::runtime::{self, Builder, Handle};
use ringspun::time::sleep;

use crate::support::{
    CountDrop, PATIENCE, PanicsInDrop, builder, child, cores, ends, in_a_process,
};

#[test]
fn built_and_dropped_a_thousand_times() {
    if !child() {
        // Alone in its process: the descriptors and threads of others would be counted.
        let status = in_a_process("built_and_dropped_a_thousand_times").status().expect("runs");
        assert!(status.success());
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").expect("procfs").count();
    let threads = || std::fs::read_dir("/proc/self/task").expect("procfs").count();
    let mut before = None;
    for round in 0..1000 {
        let runtime = cores(2);
        let there = runtime.handle().spawn_on(1, move || async move { round });
        if round % 2 == 0 {
            assert_eq!(runtime.block_on(there).expect("it runs"), round);
        }
        drop(runtime);
        if round == 10 {
            before = Some((open(), threads()));
        }
    }
    assert_eq!(before, Some((open(), threads())), "descriptors and threads, then and now");
}

#[test]
fn more_cores_than_a_word_has_bits() {
    ends(|| {
        let runtime = builder().entries(2).cores(70).build().expect("70 rings");
        let sum = runtime.block_on(async {
            let mut sum = 0;
            for core in Handle::current().spawn_all(|core| async move { core }) {
                sum += core.await.expect("it runs");
            }
            sum
        });
        assert_eq!(sum, 69 * 70 / 2);
        assert!(runtime.shutdown().cores_left_behind.is_empty());
    });
}

#[test]
fn more_cores_than_can_be() {
    let error = Builder::new().cores(usize::MAX).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
}

#[test]
fn dropped_inside_a_panic_with_destructors_that_panic() {
    ends(|| {
        let runtime = cores(2);
        for core in 0..2 {
            runtime.handle().cores()[core].run(|| drop(PanicsInDrop));
            drop(runtime.handle().spawn_on(core, || async {
                let _panics = PanicsInDrop;
                pending::<()>().await;
            }));
        }
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            runtime.block_on(async { sleep(Duration::from_millis(2)).await });
            let _held = runtime;
            panic!("with a runtime in hand");
        }));
        assert!(panicked.is_err());
    });
}

#[test]
fn a_runtime_that_never_turned() {
    ends(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let runtime = cores(2);
        let polled = Arc::new(AtomicBool::new(false));
        let (guard, seen) = (CountDrop(Arc::clone(&dropped)), Arc::clone(&polled));
        let never = runtime.handle().spawn(move || async move {
            let _guard = guard;
            seen.store(true, Ordering::SeqCst);
        });
        drop(runtime);
        assert!(foreign_block_on(never).unwrap_err().is_cancelled());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(!polled.load(Ordering::SeqCst));
    });
}

#[test]
fn shut_down_inside_another_runtime() {
    ends(|| {
        let outer = cores(1);
        outer.block_on(async {
            let inner = cores(2);
            drop(inner.handle().spawn_on(1, pending::<()>));
            let report = inner.shutdown();
            assert!(report.cores_left_behind.is_empty());
            assert!(report.cores_failed.is_empty());
            // And dropped.
            drop(cores(2));
            assert_eq!(runtime::core_index(), Some(0));
        });
    });
}

#[test]
fn shut_down_at_once_polls_nothing_more() {
    ends(|| {
        let runtime = cores(1);
        let polled = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&polled);
        drop(runtime.handle().spawn(move || {
            poll_fn(move |_| -> Poll<()> {
                seen.fetch_add(1, Ordering::SeqCst);
                Poll::Pending
            })
        }));
        let _ = runtime.shutdown();
        assert_eq!(polled.load(Ordering::SeqCst), 0);
    });
}

/// Tasks that hop are on no core for a moment: on the way.
#[test]
fn shut_down_within_a_grace_while_a_task_hops_from_core_to_core() {
    const HOPS: usize = 3000;
    fn hop(left: usize, done: Arc<AtomicUsize>) {
        let handle = Handle::current();
        let to = left % handle.cores().len();
        drop(handle.clone().spawn_on(to, move || async move {
            done.fetch_add(1, Ordering::SeqCst);
            if left > 1 {
                hop(left - 1, done);
            }
        }));
    }
    for count in [2, 3] {
        let hops = ends(move || {
            let runtime = cores(count);
            let done = Arc::new(AtomicUsize::new(0));
            let hops = Arc::clone(&done);
            runtime.handle().cores()[1].run(move || hop(HOPS, hops));
            let _ = runtime.shutdown_within(PATIENCE).expect("the ring is whole");
            done.load(Ordering::SeqCst)
        });
        assert_eq!(hops, HOPS);
    }
}

#[test]
fn shut_down_within_a_grace_while_tasks_hop_for_ever() {
    fn hop() {
        let handle = Handle::current();
        let to = (runtime::core_index().expect("a core") + 1) % handle.cores().len();
        drop(handle.clone().spawn_on(to, || async { hop() }));
    }
    ends(|| {
        let runtime = cores(3);
        runtime.handle().cores()[1].run(hop);
        let report = runtime.shutdown_within(Duration::from_millis(50)).expect("a whole ring");
        assert!(report.cores_left_behind.is_empty());
    });
}

#[test]
fn a_spawn_before_the_shutdown_of_its_core_is_run() {
    ends(|| {
        for _ in 0..300 {
            let runtime = cores(2);
            let core = runtime.handle().cores()[1].clone();
            let sent = core.spawn(|| async { 7 });
            core.shutdown(PATIENCE);
            assert_eq!(foreign_block_on(sent).expect("it was sent before the end was asked"), 7);
        }
    });
}

#[test]
fn spawns_that_race_with_the_shutdown_all_answer() {
    ends(|| {
        for _ in 0..50 {
            let runtime = cores(2);
            let handle = runtime.handle();
            let (ran, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (handle, ran, gone) = (handle.clone(), ran.clone(), gone.clone());
                    thread::spawn(move || {
                        for n in 0..200 {
                            let guard = CountDrop(Arc::clone(&gone));
                            let sent = handle.spawn_on(1, move || async move {
                                let _guard = guard;
                                n
                            });
                            match foreign_block_on(sent) {
                                Ok(answer) => {
                                    assert_eq!(answer, n);
                                    ran.fetch_add(1, Ordering::SeqCst);
                                }
                                Err(error) => assert!(error.is_cancelled()),
                            }
                        }
                    })
                })
                .collect();
            let enders: Vec<_> = (0..3)
                .map(|grace| {
                    let core = handle.cores()[1].clone();
                    thread::spawn(move || core.shutdown(Duration::from_millis(grace)))
                })
                .collect();
            enders.into_iter().for_each(|ender| ender.join().expect("no panic"));
            senders.into_iter().for_each(|sender| sender.join().expect("all answer"));
            drop(runtime);
            assert_eq!(gone.load(Ordering::SeqCst), 600, "every future was dropped");
        }
    });
}
