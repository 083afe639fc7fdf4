//! What a task costs: bytes, allocations, and (run by hand, in release) nanoseconds.

use std::time::Instant;

use allocation_counter::measure;

use super::*;
use crate::task::{spawn, yield_now};

#[test]
fn one_allocation_of_64_bytes_more_than_the_future() {
    let tasks = core();
    let _entered = tasks.enter();
    // Warm: list, queue, shares, and 64 blocks of the smallest size.
    let warm = |count| -> Vec<_> { (0..count).map(|_| spawn(pending::<()>())).collect() };
    for count in [100, 100] {
        let handles = warm(count);
        turn(&tasks, 1);
        handles.iter().for_each(|handle| handle.abort());
        turn(&tasks, 1);
    }
    let mut handles = None;
    let made = measure(|| handles = Some(warm(100)));
    let tasks_made = if cfg!(miri) { 100 } else { 0 };
    assert_eq!(made.count_total, 1 + tasks_made, "the `Vec`; tasks reuse memory");
    let state = [7_u64; 4];
    let future = poll_fn(move |_| if state[0] == 7 { Poll::Pending } else { Poll::Ready(()) });
    let size = size_of_val(&future) as u64;
    let mut other = None;
    let made = measure(|| other = Some(spawn(future)));
    assert_eq!((made.count_total, made.bytes_total), (1, 64 + size));
    let made = measure(|| {
        turn(&tasks, 2);
        if let Some(other) = &other {
            other.abort();
        }
        turn(&tasks, 1);
        drop((handles, other));
    });
    assert_eq!(made.count_total, 0, "polls, aborts and ends allocate nothing");
}

fn per_turn(label: &str, count: u32, mut round: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    }
    println!("{label}: {best:.1} ns");
}

/// `cg test --release --lib cost -- --ignored --nocapture --test-threads 1`
#[test]
#[ignore = "prints times"]
fn times() {
    const COUNT: u32 = 400_000;
    let tasks = core();
    per_turn("spawn and join, batches of 100", COUNT, || {
        block_on(&tasks, async {
            let mut handles = Vec::with_capacity(100);
            for _ in 0..COUNT / 100 {
                handles.extend((0..100).map(|_| spawn(async {})));
                for handle in handles.drain(..) {
                    handle.await.unwrap();
                }
            }
        });
    });
    per_turn("spawn and join, batches of 1000", COUNT, || {
        block_on(&tasks, async {
            let mut handles = Vec::with_capacity(1000);
            for _ in 0..COUNT / 1000 {
                handles.extend((0..1000).map(|_| spawn(async {})));
                for handle in handles.drain(..) {
                    handle.await.unwrap();
                }
            }
        });
    });
    per_turn("spawn and join, one by one", COUNT, || {
        block_on(&tasks, async {
            for _ in 0..COUNT {
                spawn(async {}).await.unwrap();
            }
        });
    });
    per_turn("spawn detached, batches of 1000", COUNT, || {
        block_on(&tasks, async {
            for _ in 0..COUNT / 1000 {
                (0..1000).for_each(|_| spawn(async {}).detach());
                yield_now().await;
            }
        });
    });
    per_turn("yield alone", COUNT, || {
        block_on(&tasks, async {
            for _ in 0..COUNT {
                yield_now().await;
            }
        });
    });
    per_turn("yield of a task alone", COUNT, || {
        block_on(&tasks, async {
            spawn(async {
                for _ in 0..COUNT {
                    yield_now().await;
                }
            })
            .await
            .unwrap();
        });
    });
    per_turn("yield among 1000", COUNT, || {
        block_on(&tasks, async {
            let mut handles = Vec::with_capacity(1000);
            handles.extend((0..1000).map(|_| {
                spawn(async {
                    for _ in 0..COUNT / 1000 {
                        yield_now().await;
                    }
                })
            }));
            for handle in handles {
                handle.await.unwrap();
            }
        });
    });
    let system = per_allocation();
    println!("malloc and free of 64 bytes, batches of 1000: {system:.1} ns");
}

fn per_allocation() -> f64 {
    let mut boxes: Vec<Box<[u8; 64]>> = Vec::with_capacity(1000);
    let start = Instant::now();
    for _ in 0..400 {
        boxes.extend((0..1000).map(|n| std::hint::black_box(Box::new([n as u8; 64]))));
        boxes.drain(..).for_each(drop);
    }
    start.elapsed().as_secs_f64() * 1e9 / 400_000.0
}
