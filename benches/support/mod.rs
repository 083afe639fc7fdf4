//! Measuring side by side: the contestants take turns in short rounds of one run, and what counts
//! is the median of the ratios, for the machine's speed drifts by more than the differences.

#![allow(dead_code, reason = "each bench uses a part")]

use std::time::{Duration, Instant};

/// What one round of a contestant gave: nanoseconds for one operation.
pub(crate) type NsPerOp = f64;

/// A contestant: runs a round and says what it cost.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) round: Box<dyn FnMut() -> NsPerOp + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &'static str, round: impl FnMut() -> NsPerOp + 'a) -> Contestant<'a> {
        Contestant { name, round: Box::new(round) }
    }
}

/// Lets the contestants take turns and prints each one's median, its best round, and the median of
/// its speed relative to the first's round just before.
pub(crate) fn compare(title: &str, rounds: usize, mut contestants: Vec<Contestant<'_>>) {
    let mut samples = vec![Vec::new(); contestants.len()];
    for contestant in &mut contestants {
        (contestant.round)();
    }
    for _ in 0..rounds {
        for (contestant, samples) in contestants.iter_mut().zip(&mut samples) {
            samples.push((contestant.round)());
        }
    }
    println!("{title}");
    for (contestant, own) in contestants.iter().zip(&samples) {
        let ratios: Vec<f64> = samples[0].iter().zip(own).map(|(first, own)| first / own).collect();
        println!(
            "  {:<28} {:>10.1} ns  (best {:>9.1})   {:>5.2} of {}",
            contestant.name,
            median(own.clone()),
            own.iter().copied().fold(f64::INFINITY, f64::min),
            median(ratios),
            contestants[0].name,
        );
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    percentile(&mut values, 0.5)
}

pub(crate) fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Nanoseconds for one of `operations` that ran since `started`.
pub(crate) fn per_op(started: Instant, operations: u64) -> NsPerOp {
    started.elapsed().as_nanos() as f64 / operations as f64
}

/// The CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Rounds of each comparison: `cargo bench` asks for `RINGSPUN_BENCH_ROUNDS`, else 15.
pub(crate) fn rounds() -> usize {
    std::env::var("RINGSPUN_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15)
}
