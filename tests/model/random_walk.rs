//! Many ops of many kinds at once, by a seed.

use std::rc::Rc;
use std::time::Duration;

use ringspun::buf::IoBufMut;
use ringspun::model;
use ringspun::op::{Op, Read, Submission, link, submit};

use super::ops::{self, fd};
use super::support::{Counts, Watched, runtime_of};

const SEEDS: u64 = if cfg!(miri) { 2 } else { 300 };
const STEPS: usize = if cfg!(miri) { 30 } else { 200 };

#[test]
fn random_walk() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        walk(seed);
    }
}

/// A number that depends on seed and step.
fn dice(seed: u64, step: usize, sides: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (step as u64 + 7);
    (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % sides
}

fn walk(seed: u64) {
    let counts = Rc::new(Counts::default());
    let runtime = runtime_of(1 << dice(seed, 0, 5));
    model::automatic(seed);
    let inner = Rc::clone(&counts);
    let kept = runtime.block_on(async move { steps(seed, &inner).await });
    model::manual();
    drop(runtime);
    drop(kept);
    counts.all_ended();
    assert_eq!(model::descriptors_open(), 0);
}

type Reading = Submission<Watched<Read<Box<[u8]>>>>;

async fn steps(seed: u64, counts: &Rc<Counts>) -> Vec<Reading> {
    let mut kept: Vec<Reading> = Vec::new();
    let read = || Read::new(fd(), vec![0; 8].into_boxed_slice(), 0);
    for step in 0..STEPS {
        match dice(seed, step, 10) {
            0 => one(Watched::new(ops::Accept::new(), counts), seed, step).await,
            1 => one(Watched::new(ops::RecvMsg::new(), counts), seed, step).await,
            2 => one(Watched::new(ops::SendZc::new(), counts), seed, step).await,
            3 => one(Watched::new(ops::Statx::new(), counts), seed, step).await,
            4 => {
                let buf = vec![0; 8].slice_mut(1..5);
                one(Watched::new(Read::new(fd(), buf, 0), counts), seed, step).await;
            }
            5 => {
                let pair = (Watched::new(read(), counts), Watched::new(read(), counts));
                let chain = link(pair);
                if dice(seed, step, 3) == 0 {
                    let _ = chain.timeout(Duration::from_micros(50)).await;
                } else {
                    let task = ringspun::spawn(async move { drop(chain.await) });
                    ringspun::task::yield_now().await;
                    if dice(seed, step, 2) == 0 {
                        task.abort();
                    }
                    task.detach();
                }
            }
            6 | 7 => {
                let mut future = submit(Watched::new(read(), counts));
                futures::future::poll_immediate(&mut future).await;
                // An op that is done must not be polled again.
                if !format!("{future:?}").contains("Done") {
                    kept.push(future);
                }
            }
            8 if !kept.is_empty() => {
                drop(kept.swap_remove(dice(seed, step, kept.len() as u64) as usize));
            }
            9 if !kept.is_empty() => {
                let future = kept.swap_remove(dice(seed, step, kept.len() as u64) as usize);
                drop(future.cancel().await);
            }
            _ => ringspun::task::yield_now().await,
        }
    }
    kept
}

/// Awaits it, drops it, or lets a task do either.
async fn one<T: Op<Output: std::fmt::Debug>>(op: T, seed: u64, step: usize) {
    let mut future = submit(op);
    match dice(seed ^ 0x55, step, 4) {
        0 => drop(future.await),
        1 => drop(futures::future::poll_immediate(&mut future).await),
        2 => drop(future.timeout(Duration::from_micros(50)).await),
        _ => ringspun::spawn(async move { drop(future.await) }).detach(),
    }
}
