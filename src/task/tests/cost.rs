//! What a task costs: bytes, allocations, and (run by hand, in release) nanoseconds.
//!
//! # Safety
//!
//! The counting allocator counts and passes everything on.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::time::Instant;

use super::*;
use crate::task::{spawn, yield_now};

struct Counting;

thread_local! {
    static ALLOCATED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: all work is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (calls, bytes) = ALLOCATED.get();
        ALLOCATED.set((calls + 1, bytes + layout.size()));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

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
    let before = ALLOCATED.get();
    let handles = warm(100);
    let after = ALLOCATED.get();
    let tasks_made = if cfg!(miri) { 100 } else { 0 };
    assert_eq!(after.0 - before.0, 1 + tasks_made, "the `Vec`; tasks reuse memory");
    let state = [7_u64; 4];
    let future = poll_fn(move |_| if state[0] == 7 { Poll::Pending } else { Poll::Ready(()) });
    let size = size_of_val(&future);
    let before = ALLOCATED.get();
    let other = spawn(future);
    let after = ALLOCATED.get();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 64 + size));
    let before = ALLOCATED.get();
    turn(&tasks, 2);
    other.abort();
    turn(&tasks, 1);
    drop((handles, other));
    assert_eq!(ALLOCATED.get(), before, "polls, aborts and ends allocate nothing");
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
