//! What a task costs: spawn and join, a yield, the bytes that it takes over its future, a wake from
//! another thread.

#![allow(unsafe_code, reason = "the raw ring and the CPU clock")]

mod support;

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringspun::runtime::Runtime;

use support::{Contestant, compare, median, per_op, percentile, rounds};

fn main() -> std::io::Result<()> {
    let runtime = Runtime::new()?;
    spawn_join(&runtime);
    yields(&runtime);
    wake_from_a_thread(&runtime);
    Ok(())
}

fn spawn_join(runtime: &Runtime) {
    const TASKS: u64 = 200_000;
    compare(
        "spawn and join",
        rounds(),
        vec![
            Contestant::new("one by one", || {
                let started = Instant::now();
                runtime.block_on(async {
                    for number in 0..TASKS {
                        black_box(ringspun::spawn(async move { number }).await.expect("no panic"));
                    }
                });
                per_op(started, TASKS)
            }),
            Contestant::new("by 1000", || {
                let started = Instant::now();
                runtime.block_on(async {
                    let mut handles = Vec::with_capacity(1000);
                    for _ in 0..TASKS / 1000 {
                        handles.extend((0..1000_u64).map(|n| ringspun::spawn(async move { n })));
                        for handle in handles.drain(..) {
                            black_box(handle.await.expect("no panic"));
                        }
                    }
                });
                per_op(started, TASKS)
            }),
        ],
    );
}

fn yields(runtime: &Runtime) {
    const YIELDS: u64 = 2_000_000;
    let run = |tasks: u64| {
        let started = Instant::now();
        runtime.block_on(async {
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    ringspun::spawn(async move {
                        for _ in 0..YIELDS / tasks {
                            ringspun::task::yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await.expect("no panic");
            }
        });
        per_op(started, YIELDS)
    };
    compare(
        "yield",
        rounds(),
        vec![Contestant::new("1 task", || run(1)), Contestant::new("1000 tasks", || run(1000))],
    );
}

/// From the call of `wake` on another thread to the task running again, the core asleep.
fn wake_from_a_thread(runtime: &Runtime) {
    const WAKES: usize = 2000;
    let (to_waker, wakers) = mpsc::channel::<std::task::Waker>();
    let (to_task, instants) = mpsc::channel::<Instant>();
    let thread = thread::spawn(move || {
        for waker in wakers {
            thread::sleep(Duration::from_micros(50));
            let _ = to_task.send(Instant::now());
            waker.wake();
        }
    });
    let mut latencies = runtime.block_on(async {
        let mut latencies = Vec::with_capacity(WAKES);
        for _ in 0..WAKES {
            let mut sent = false;
            let woken_at = std::future::poll_fn(|cx| {
                if !sent {
                    sent = true;
                    to_waker.send(cx.waker().clone()).expect("the thread waits");
                    return std::task::Poll::Pending;
                }
                match instants.try_recv() {
                    Ok(at) => std::task::Poll::Ready(at),
                    Err(_) => std::task::Poll::Pending,
                }
            })
            .await;
            latencies.push(woken_at.elapsed().as_nanos() as f64 / 1000.0);
        }
        latencies
    });
    drop(to_waker);
    thread.join().expect("the waking thread");
    println!(
        "wake from another thread, the core asleep\n  p50 {:.1} us, p99 {:.1} us",
        median(latencies.clone()),
        percentile(&mut latencies, 0.99),
    );
}
