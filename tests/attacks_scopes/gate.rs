//! The limit of operations on files, with a queue that is always full, a backlog, and everything
//! that ends ops: whatever happens, who waits comes to his turn, and nothing is counted twice.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use ringspun::fs::{self, File};
use ringspun::op::{CancelFd, Nop, Read, link, submit};
use ringspun::runtime::{Builder, Runtime};
use ringspun::scope::{AnyOk, scope};
use ringspun::task::{spawn, yield_now};
use ringspun::time::{sleep, timeout};

use crate::support::{Numbers, ends, poll_once};

fn limited(limit: usize) -> Runtime {
    Builder::new().entries(2).file_ops(limit).build().expect("a ring")
}

fn file() -> (tempfile::NamedTempFile, std::path::PathBuf) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&[7; 4096]).expect("room");
    let path = file.path().to_owned();
    (file, path)
}

#[track_caller]
fn assert_quiet(runtime: &Runtime, limit: usize) {
    let metrics = runtime.metrics();
    assert_eq!((metrics.file_ops, metrics.file_ops_waiting), (0, 0));
    assert!((1..=limit).contains(&metrics.file_ops_max), "{}", metrics.file_ops_max);
    assert_eq!(metrics.ops_in_flight().collect::<Vec<_>>(), []);
    assert_eq!((metrics.ops_awaited, metrics.ops_orphaned, metrics.backlog), (0, 0, 0));
    assert_eq!(metrics.stale, 0);
}

/// Waits until the orphans have had their last answers.
async fn settle(runtime: &Runtime) {
    while runtime.metrics().ops_orphaned + runtime.metrics().file_ops > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

type Job = Pin<Box<dyn Future<Output = ()>>>;

fn job(file: &Rc<File>, path: &std::path::Path, numbers: &mut Numbers) -> Job {
    let (file, path, offset) = (Rc::clone(file), path.to_owned(), numbers.below(4000));
    let micros = Duration::from_micros(numbers.below(300));
    match numbers.below(8) {
        0 | 1 => Box::pin(async move {
            let (count, _) = file.read_at(Vec::with_capacity(32), offset).await;
            // An end by descriptor may meet it.
            let ended = |error: &std::io::Error| error.raw_os_error() == Some(libc::ECANCELED);
            assert!(
                count.as_ref().is_ok_and(|count| *count == 32) || count.is_err_and(|e| ended(&e))
            );
        }),
        2 => Box::pin(async move { drop(fs::read(path).await.expect("it is there")) }),
        3 => Box::pin(async move { drop(timeout(micros, fs::read(path)).await) }),
        4 => Box::pin(async move {
            let mut read = Box::pin(file.read_at(Vec::with_capacity(64), offset));
            let _pending = poll_once(&mut read).await;
            yield_now().await;
        }),
        5 => Box::pin(async move {
            let nops: Vec<_> = (0..6).map(|_| spawn(submit(Nop::new()))).collect();
            for nop in nops {
                nop.await.expect("no panic").expect("no-ops succeed");
            }
        }),
        6 => Box::pin(async move { drop(submit(CancelFd::new(&*file)).await) }),
        _ => Box::pin(async move {
            let losers = scope(AnyOk::<(), ()>::new(), async |scope| {
                for _ in 0..3 {
                    let path = path.clone();
                    scope.spawn(async move { fs::metadata(path).await.map(drop).map_err(drop) });
                }
            });
            losers.await.expect("one of them");
        }),
    }
}

#[test]
fn all_that_ends_ops_with_a_queue_of_two_entries() {
    for limit in [1, 2, 7] {
        for seed in 1..=4 {
            ends(move || {
                let (_kept, path) = file();
                let runtime = limited(limit);
                runtime.block_on(async {
                    let mut numbers = Numbers(seed * 0x9e37_79b9);
                    let file = Rc::new(File::open(&path).await.expect("there"));
                    let tasks: Vec<_> = (0..400)
                        .map(|_| (spawn(job(&file, &path, &mut numbers)), numbers.below(10)))
                        .collect();
                    yield_now().await;
                    for (task, fate) in tasks {
                        match fate {
                            0 => task.abort(),
                            1 => drop(task),
                            _ => task.await.expect("no panic"),
                        }
                    }
                    // Who comes last comes through as well.
                    let last = file.read_at(Vec::with_capacity(8), 0).await;
                    assert_eq!(last.0.expect("nobody ends it"), 8);
                });
                runtime.run_until_idle().expect("the ring works");
                runtime.block_on(settle(&runtime));
                assert_quiet(&runtime, limit);
            });
        }
    }
}

/// Chains come past the limit; whoever waits must not be stuck behind them, nor they behind him.
#[test]
fn chains_beside_a_limit_of_one() {
    ends(|| {
        let (_kept, path) = file();
        let runtime = limited(1);
        runtime.block_on(async {
            let file = Rc::new(File::open(&path).await.expect("there"));
            let tasks: Vec<_> = (0..60)
                .map(|number: u64| {
                    let file = Rc::clone(&file);
                    spawn(async move {
                        if number.is_multiple_of(3) {
                            let read = Read::new(&*file, Vec::with_capacity(8), number);
                            let chain = link((Nop::new(), read));
                            let (nop, (count, _)) = chain.await.expect("it is short");
                            assert!(nop.is_ok() && count.expect("read") == 8);
                        } else {
                            let (count, _) = file.read_at(Vec::with_capacity(8), number).await;
                            assert_eq!(count.expect("read"), 8);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
        assert_quiet(&runtime, 1);
    });
}

/// Between two `block_on`s, and at the end, with hundreds in the line.
#[test]
fn runtimes_that_go_with_a_full_line() {
    for limit in [1, 3] {
        ends(move || {
            let (_kept, path) = file();
            let runtime = limited(limit);
            let handle = runtime.handle();
            for round in 0..20 {
                runtime.block_on(async {
                    for _ in 0..20 {
                        spawn(fs::read(path.clone())).detach();
                    }
                    for _ in 0..round % 4 {
                        yield_now().await;
                    }
                });
            }
            let begun = runtime.metrics();
            assert!(begun.tasks > 0);
            drop(runtime);
            let metrics = handle.metrics().total();
            assert_eq!(
                (metrics.file_ops, metrics.file_ops_waiting, metrics.ops_awaited),
                (0, 0, 0)
            );
            assert_eq!(metrics.ops_in_flight().collect::<Vec<_>>(), []);
        });
    }
}

/// Turned by hand, from outside: the line moves without a main future.
#[test]
fn a_line_without_anybody_who_waits() {
    ends(|| {
        let (_kept, path) = file();
        let runtime = limited(1);
        let tasks = runtime
            .block_on(async { (0..50).map(|_| spawn(fs::read(path.clone()))).collect::<Vec<_>>() });
        runtime.run_until_idle().expect("the ring works");
        assert!(tasks.iter().all(|task| task.is_finished()));
        assert_quiet(&runtime, 1);
    });
}
