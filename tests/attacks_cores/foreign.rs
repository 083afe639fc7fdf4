//! Handles on foreign executors.

use std::cell::Cell;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on as foreign_block_on;
use ringspun::time::sleep;

use crate::support::{CountDrop, builder, cores, ends};

#[test]
fn polled_by_foreign_executors_while_the_core_ends() {
    ends(|| {
        for round in 0..100_u64 {
            let runtime = cores(2);
            let handles: Vec<_> = (0..40)
                .map(|n| {
                    runtime.handle().spawn_on(1, move || async move {
                        sleep(Duration::from_micros(n * 20)).await;
                        n
                    })
                })
                .collect();
            let threads: Vec<_> = handles
                .into_iter()
                .map(|handle| {
                    thread::spawn(move || match foreign_block_on(handle) {
                        Ok(_) => {}
                        Err(error) => assert!(error.is_cancelled()),
                    })
                })
                .collect();
            thread::sleep(Duration::from_micros(round * 8));
            drop(runtime);
            threads.into_iter().for_each(|thread| thread.join().expect("it answers"));
        }
    });
}

#[test]
fn aborted_from_everywhere() {
    ends(|| {
        let runtime = cores(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        for round in 0..300 {
            let guard = CountDrop(Arc::clone(&dropped));
            let sent =
                Arc::new(Mutex::new(Some(runtime.handle().spawn_on(1, move || async move {
                    let _guard = guard;
                    pending::<()>().await;
                }))));
            let aborts: Vec<_> = (0..3)
                .map(|_| {
                    let sent = Arc::clone(&sent);
                    thread::spawn(move || {
                        sent.lock().expect("no panic").as_ref().expect("there").abort();
                    })
                })
                .collect();
            if round % 2 == 0 {
                runtime.handle().cores()[1].run(thread::yield_now);
            }
            aborts.into_iter().for_each(|abort| abort.join().expect("no panic"));
            let sent = sent.lock().expect("no panic").take().expect("there");
            assert!(foreign_block_on(sent).unwrap_err().is_cancelled());
        }
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 300);
    });
}

#[test]
fn blocked_cores_are_asked_together() {
    ends(|| {
        let runtime =
            builder().cores(30).shutdown_timeout(Duration::from_millis(10)).build().expect("rings");
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for core in &runtime.handle().cores()[1..] {
            let (wait, (said, entered)) = (Arc::clone(&wait), mpsc::channel());
            core.run(move || {
                said.send(()).expect("it is awaited");
                let _ = wait.lock().map(|wait| wait.recv());
            });
            entered.recv().expect("it runs");
        }
        let start = Instant::now();
        let report = runtime.shutdown_within(Duration::ZERO).expect("a whole ring");
        println!("took {:?}", start.elapsed());
        assert_eq!(report.cores_left_behind.len(), 29);
        drop(go_on);
    });
}

#[test]
fn a_thousand_spawns_leave_no_task_behind() {
    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(0) };
    }
    ends(|| {
        let runtime = cores(2);
        let handle = runtime.handle();
        runtime.block_on(async {
            for _ in 0..1000 {
                let sent = handle.spawn_on(1, || async { LEFT.set(LEFT.get() + 1) });
                sent.await.expect("it runs");
            }
            let left = handle.cores()[1].call(|| (LEFT.get(), ringspun::task::list().len()));
            // Main, and at most the one whose answer we just had.
            let (ran, left) = left.await.expect("it runs");
            assert!(ran == 1000 && left <= 2, "{ran} {left}");
        });
    });
}
