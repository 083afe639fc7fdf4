//! What is counted: exact whatever ends an op, whole from every thread, and valid as text.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ringspun::fs;
use ringspun::op::{Nop, Timeout, submit};
use ringspun::runtime::{Builder, CoreMetrics, Handle, Park};
use ringspun::task::{spawn, yield_now};

use crate::support::{PATIENCE, ends, op, poll_once};

/// Sums over cores say all that the cores say.
#[test]
fn the_total_has_the_files_of_all_cores() {
    ends(|| {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(&[7; 64]).expect("room");
        let path = file.path().to_owned();
        let runtime = Builder::new().cores(2).file_ops(3).build().expect("two rings");
        runtime.block_on(async {
            let read = move || async move {
                let reads: Vec<_> = (0..20).map(|_| spawn(fs::read(path.clone()))).collect();
                for read in reads {
                    read.await.expect("no panic").expect("there");
                }
            };
            Handle::current().core(1).expect("two").spawn(read).await.expect("no panic");
        });
        let metrics = runtime.handle().metrics();
        assert_eq!((metrics.cores[0].file_ops_max, metrics.cores[1].file_ops_max), (0, 3));
        let total = metrics.total();
        assert_eq!((total.file_ops_max, total.file_ops, total.file_ops_waiting), (3, 0, 0));
    });
}

fn growing(metrics: &CoreMetrics) -> Vec<u64> {
    let mut figures = vec![
        metrics.turns,
        metrics.enters,
        metrics.submitted,
        metrics.completed,
        metrics.cancels_sent,
        metrics.orphaned,
        metrics.backlog_max,
        metrics.tasks_spawned,
        metrics.tasks_finished,
        metrics.polls,
        metrics.wakes_local,
        metrics.wakes_remote,
        metrics.notifies,
        metrics.calls,
        metrics.timers_fired,
        metrics.panics,
        metrics.longest_poll.as_millis() as u64,
    ];
    figures.extend([op(metrics, "NOP").1, op(metrics, "TIMEOUT").1]);
    figures
}

/// Another thread looks all the time: nothing goes back, nothing is below zero.
#[test]
fn seen_from_another_thread_while_it_works() {
    ends(|| {
        let runtime = Builder::new().entries(8).build().expect("a ring");
        let handle = runtime.handle();
        let done = Arc::new(AtomicBool::new(false));
        let watcher = {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut looks = 0_u64;
                let mut before = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let metrics = handle.metrics();
                    let core = &metrics.cores[0];
                    let now = growing(core);
                    assert!(before.iter().zip(&now).all(|(then, now)| then <= now), "{core:?}");
                    before = now;
                    let small = [core.tasks, core.tasks_ready, core.tasks_waiting, core.backlog];
                    assert!(small.iter().all(|count| *count < 10_000), "{core:?}");
                    let ops = [core.ops_awaited, core.ops_orphaned, core.timers];
                    assert!(ops.iter().all(|count| *count < 10_000), "{core:?}");
                    assert!(core.ops.iter().all(|op| op.in_flight < 10_000), "{core:?}");
                    assert!(core.tasks_running <= 1 && core.tasks_finished <= core.tasks_spawned);
                    looks += 1;
                }
                looks
            })
        };
        for round in 0..30_u64 {
            runtime.block_on(async {
                for _ in 0..100 {
                    let tasks: Vec<_> = (0..10).map(|_| spawn(submit(Nop::new()))).collect();
                    let mut dropped = Box::pin(submit(Timeout::new(PATIENCE, 0, 0)));
                    assert!(poll_once(&mut dropped).await.is_pending());
                    if round % 2 == 0 {
                        yield_now().await;
                    }
                    drop(dropped);
                    for task in tasks {
                        task.await.expect("no panic").expect("no-ops succeed");
                    }
                }
            });
        }
        done.store(true, Ordering::Relaxed);
        assert!(watcher.join().expect("all was as it should be") > 0);
        runtime.run_until_idle().expect("the ring works");
        let metrics = runtime.metrics();
        assert_eq!(op(&metrics, "NOP").1, 30 * 1000);
        assert_eq!((metrics.tasks_spawned, metrics.tasks_finished), (30_000, 30_000));
    });
}

/// As the format has it: each name has its HELP and its TYPE once, before its samples, which stand
/// together; no sample twice; a counter ends in `_total`, a gauge does not, and no name of one is
/// the family of another.
#[test]
fn text_for_prometheus() {
    let text = ends(|| {
        let runtime = Builder::new().cores(2).file_ops(2).build().expect("two rings");
        runtime.block_on(async {
            drop(fs::read("/proc/self/comm").await);
            submit(Nop::new()).await.expect("no-ops succeed");
        });
        runtime.handle().metrics().prometheus()
    });
    assert!(text.ends_with('\n') && text.is_ascii());
    let mut kinds = BTreeMap::new();
    let mut samples = BTreeSet::new();
    let mut helped = String::new();
    let mut open = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a text");
            assert!(!help.is_empty() && !help.contains('\\'));
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert_eq!(name, helped, "HELP stands before TYPE");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            open = name.to_owned();
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().expect("a name");
            assert_eq!(name, open, "samples stand together");
            assert!(samples.insert(sample.to_owned()), "{sample} twice");
            let value: f64 = value.parse().expect("a number");
            assert!((0.0..1e12).contains(&value), "{line}");
            assert!(name == "ringspun_process_io_workers" || sample.contains("core=\""));
        }
    }
    for name in kinds.keys() {
        if let Some(family) = name.strip_suffix("_total") {
            assert!(!kinds.contains_key(family), "{family} is two families for OpenMetrics");
        }
    }
    for name in ["file_ops", "file_ops_max", "file_ops_waiting", "ops_unawaited"] {
        assert!(text.contains(&format!("ringspun_{name}{{core=\"1\"}} ")), "{name}");
    }
}

/// A core that looks for work instead of sleeping is not taken for a blocked one.
#[test]
fn a_busy_core_that_has_nothing_to_do() {
    ends(|| {
        let runtime = Builder::new().cores(2).park(Park::Busy).build().expect("two rings");
        let core = runtime.handle().core(1).expect("two").clone();
        let deadline = std::time::Instant::now() + PATIENCE;
        while core.metrics().tasks_running > 0 || core.metrics().polls > 1 {
            assert!(std::time::Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!core.metrics().asleep && core.metrics().alive);
    });
}
