//! Closures that may block, on threads of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use ringspun::runtime::Runtime;
use ringspun::spawn_blocking;
use ringspun::time::sleep;

use crate::support::{PATIENCE, Pipe, builder, text_of, thread_names, turn, until};

fn pool_of(name: &str, threads: usize) -> Runtime {
    let keep_alive = Duration::from_millis(20);
    let builder = builder().name(name).blocking_threads(threads).blocking_keep_alive(keep_alive);
    builder.build().expect("a ring")
}

fn threads_of(name: &str) -> usize {
    thread_names().iter().filter(|thread| thread.starts_with(name)).count()
}

#[test]
fn gives_its_result() {
    pool_of("result", 2).block_on(async {
        let text = String::from("moved in, moved out");
        let handle = spawn_blocking(move || text + "!");
        assert_eq!(handle.await.expect("a thread"), "moved in, moved out!");
    });
}

#[test]
fn a_panic_reaches_the_awaiter() {
    pool_of("panics", 1).block_on(async {
        let error = spawn_blocking(|| panic!("in the closure")).await;
        let error = error.expect_err("it panicked");
        assert!(error.is_panic() && !error.is_cancelled());
        assert!(error.to_string().contains("in the closure"), "{error}");
        assert_eq!(text_of(&*error.into_panic()), "in the closure");
        // The thread is none the worse for it.
        assert_eq!(spawn_blocking(|| 4).await.expect("a thread"), 4);
    });
}

#[test]
fn a_full_pool_makes_the_caller_wait_and_not_the_core() {
    pool_of("full", 2).block_on(async {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..8).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            spawn_blocking(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(10));
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        let started = Instant::now();
        let jobs = ringspun::spawn(join_all(jobs.collect::<Vec<_>>()));
        let mut beats = 0;
        while !jobs.is_finished() {
            sleep(Duration::from_millis(1)).await;
            beats += 1;
        }
        // 8 jobs of 10 ms on 2 threads.
        assert!(started.elapsed() >= Duration::from_millis(38), "{:?}", started.elapsed());
        assert!(jobs.await.expect("no panic").iter().all(Result::is_ok));
        assert!(most.load(Ordering::SeqCst) <= 2, "the cap was broken");
        assert!(beats >= 3, "the core stood still");
    });
}

#[test]
fn idle_threads_leave() {
    let runtime = pool_of("idlers", 4);
    runtime.block_on(async {
        let naps = (0..4).map(|_| spawn_blocking(|| std::thread::sleep(Duration::from_millis(5))));
        join_all(naps.collect::<Vec<_>>()).await;
        until("the threads have left", || threads_of("idlers") == 0).await;
        // And come again.
        assert_eq!(spawn_blocking(|| 1).await.expect("a thread"), 1);
    });
}

#[test]
fn aborted_before_it_starts() {
    pool_of("aborts", 1).block_on(async {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let busy = spawn_blocking(move || wait.recv());
        let queued = spawn_blocking(|| unreachable!("never started"));
        queued.abort();
        let error = queued.await.expect_err("aborted");
        assert!(error.is_cancelled(), "{error}");
        drop(release);
        assert!(busy.await.expect("a thread").is_err());
    });
}

#[test]
fn detached_it_runs_on() {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    pool_of("detached", 1).block_on(async {
        drop(spawn_blocking(move || counted.fetch_add(1, Ordering::SeqCst)));
        until("it has run", || done.load(Ordering::SeqCst) == 1).await;
    });
}

#[test]
fn shutdown_waits_for_what_runs_and_cancels_what_waits() {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    let runtime = pool_of("ending", 1);
    let (running, queued) = runtime.block_on(async {
        let (sender, started) = futures::channel::oneshot::channel();
        let running = spawn_blocking(move || {
            sender.send(()).expect("main waits");
            std::thread::sleep(Duration::from_millis(20));
            counted.fetch_add(1, Ordering::SeqCst)
        });
        let queued = spawn_blocking(|| unreachable!("never started"));
        started.await.expect("it starts");
        (running, queued)
    });
    drop(runtime);
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(futures::executor::block_on(running).expect("it ran"), 0);
    let error = futures::executor::block_on(queued).expect_err("too late");
    assert!(error.is_cancelled());
}

#[test]
fn what_runs_too_long_is_left_behind() {
    let runtime = builder().shutdown_timeout(Duration::from_millis(10)).build().expect("a ring");
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let handle = runtime.block_on(async {
        let handle = spawn_blocking(move || wait.recv().is_err());
        turn().await;
        handle
    });
    let started = Instant::now();
    drop(runtime);
    assert!(started.elapsed() < PATIENCE, "the drop waited for ever");
    drop(release);
    // It started before the end, or was still queued then.
    if let Ok(answer) = futures::executor::block_on(handle) {
        assert!(answer);
    }
}

#[test]
fn from_within_a_blocking_closure() {
    pool_of("nested", 2).block_on(async {
        let outer = spawn_blocking(|| spawn_blocking(|| 6));
        assert_eq!(outer.await.expect("a thread").await.expect("a thread"), 6);
    });
}

#[test]
fn beside_io() {
    pool_of("beside", 1).block_on(async {
        let pipe = Pipe::new();
        let mut writer = pipe.writer;
        let blocking = spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(5));
            std::io::Write::write_all(&mut writer, b"from a thread")
        });
        let read = ringspun::op::Read::new(&pipe.reader, Vec::with_capacity(32), u64::MAX);
        let (result, buf) = ringspun::op::submit(read).await;
        assert_eq!(result.expect("bytes"), 13);
        assert_eq!(buf, b"from a thread");
        blocking.await.expect("a thread").expect("the reader was there");
    });
}
