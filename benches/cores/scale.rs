//! Whether an echo server scales by cores: what a message costs in CPU time with two cores, beside
//! what it costs with one.
//!
//! Each core has a listener of its own. Counted is the CPU time of the cores' threads alone; the
//! clients are other processes, one for each core. This machine may have two CPUs only, so a core
//! and its client share one: they take turns, 64 connections at a time, in the same way in each of
//! the contests. Two busy CPUs may slow each other down whatever they run (caches, hyper-threads),
//! so one core is measured twice: alone, and beside a process of its own that does the same on the
//! other CPU. Only the latter says what the two cores of one process cost each other.

use std::io;

use crate::contest::{BYTES, CLIENT, CONNECTIONS, Contest, Kind};
use crate::support::{median, percentile, rounds};

/// Times that each connection is served in a round.
const TURNS: usize = 400;

pub(crate) fn compare() -> io::Result<()> {
    let mut alone = Contest::new(Kind::Bare, &[0], CLIENT)?;
    let mut beside = Contest::new(Kind::Bare, &[0], CLIENT)?.with_neighbour()?;
    let mut both = Contest::new(Kind::Bare, &[0, 1], CLIENT)?;
    for contest in [&mut alone, &mut beside, &mut both] {
        contest.round(TURNS / 4)?;
    }
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds() {
        let one = alone.round(TURNS)?[0];
        let neighbours = beside.round(TURNS)?[0];
        let two = both.round(TURNS)?;
        for (kept, new) in samples.iter_mut().zip([one, neighbours, two[0], two[1]]) {
            kept.push(new);
        }
    }
    let [one, neighbours, first, second] = samples;
    println!(
        "echo of {BYTES} bytes, {CONNECTIONS} connections a core: CPU time of a core for a \
         message, {} rounds",
        rounds()
    );
    for (name, own) in [
        ("1 core, alone", &one),
        ("1 core, another process beside", &neighbours),
        ("2 cores, the first", &first),
        ("2 cores, the second", &second),
    ] {
        println!("  {name:<32} {:>8.0} ns", median(own.clone()));
    }
    let mean: Vec<f64> = first.iter().zip(&second).map(|(one, two)| (one + two) / 2.0).collect();
    say("2 cores / 1 core alone", &mean, &one);
    say("2 cores / 1 core, beside", &mean, &neighbours);
    say("its first core alone: / beside", &first, &neighbours);
    Ok(())
}

/// Whether it is the same, within 5 %.
pub(crate) fn say(what: &str, own: &[f64], other: &[f64]) {
    let ratio = say_ratio(what, own, other);
    let within = (ratio - 1.0).abs() <= 0.05;
    println!(": {}", if within { "within 5 %" } else { "NOT within 5 %" });
}

/// Begins a line with the ratio of the two, round by round; gives its median.
pub(crate) fn say_ratio(what: &str, own: &[f64], other: &[f64]) -> f64 {
    let mut ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
    let at = [0.1, 0.25, 0.5, 0.75, 0.9].map(|part| percentile(&mut ratios, part));
    print!(
        "  {what:<32} {:.3}  (quartiles {:.3} to {:.3}, tenths {:.3} to {:.3})",
        at[2], at[1], at[3], at[0], at[4],
    );
    at[2]
}
