//! What a sleep costs and how late it is: 10 000 at once, of 1 to 100 ms, on one core.

#![allow(unsafe_code, reason = "the raw ring and the CPU clock")]

mod support;

use std::time::{Duration, Instant};

use ringspun::runtime::{Builder, Runtime};

use support::{median, percentile, rounds, thread_cpu};

const SLEEPS: u64 = 10_000;

fn main() -> std::io::Result<()> {
    println!("{SLEEPS} sleeps of 1 to 100 ms, each a task");
    measure("default slack", &Builder::new())?;
    measure("exact", &Builder::new().timer_slack(Duration::ZERO))
}

fn measure(name: &str, builder: &Builder) -> std::io::Result<()> {
    let runtime = builder.clone().build()?;
    let mut cpu = Vec::new();
    let mut late_p50 = Vec::new();
    let mut late_p99 = Vec::new();
    round(&runtime);
    for _ in 0..rounds() {
        let before = thread_cpu();
        let mut late = round(&runtime);
        cpu.push((thread_cpu() - before).as_nanos() as f64 / SLEEPS as f64);
        late_p50.push(percentile(&mut late, 0.5));
        late_p99.push(percentile(&mut late, 0.99));
    }
    println!(
        "  {name:<16} {:>8.0} ns of CPU each, late by p50 {:.0} us, p99 {:.0} us",
        median(cpu),
        median(late_p50),
        median(late_p99),
    );
    Ok(())
}

/// How late each of them was, in microseconds.
fn round(runtime: &Runtime) -> Vec<f64> {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..SLEEPS)
            .map(|number| {
                ringspun::spawn(async move {
                    let duration = Duration::from_micros(1000 + number * 7919 % 99_000);
                    let due = Instant::now() + duration;
                    ringspun::time::sleep_until(due).await;
                    due.elapsed().as_nanos() as f64 / 1000.0
                })
            })
            .collect();
        let mut late = Vec::with_capacity(tasks.len());
        for task in tasks {
            late.push(task.await.expect("no panic"));
        }
        late
    })
}
