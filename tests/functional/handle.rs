//! The runtime as other threads see it.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::executor::block_on as foreign_block_on;
use futures::future::join_all;
use futures::task::AtomicWaker;
use ringspun::op::{Nop, Read, submit};
use ringspun::time::sleep;

use crate::support::{Pipe, block_on, runtime, text_of, turn, until};

#[test]
fn spawns_futures_that_are_not_send() {
    let runtime = runtime();
    let handle = runtime.handle();
    let thread = thread::spawn(move || {
        let remote = handle.spawn(|| {
            let local = Rc::new(20);
            async move {
                submit(Nop::new()).await.expect("a nop");
                sleep(Duration::from_millis(1)).await;
                *local + 1
            }
        });
        // A foreign executor, on a foreign thread.
        foreign_block_on(remote)
    });
    let answer = runtime.block_on(async {
        until("the thread is done", || thread.is_finished()).await;
        thread.join().expect("no panic")
    });
    assert_eq!(answer.expect("no panic"), 21);
}

#[test]
fn wakes_a_core_that_sleeps() {
    let runtime = runtime();
    let handle = runtime.handle();
    let thread = thread::spawn(move || {
        // The core sleeps without a timer: only the notifier can end it.
        thread::sleep(Duration::from_millis(10));
        for n in 0..100 {
            let remote = handle.spawn(move || async move { n });
            assert_eq!(foreign_block_on(remote).expect("no panic"), n);
        }
        let (sender, receiver) = futures::channel::oneshot::channel();
        handle.run(move || sender.send(thread::current().id()).expect("it is awaited"));
        foreign_block_on(receiver).expect("it ran")
    });
    let (sender, receiver) = futures::channel::oneshot::channel();
    let joiner = thread::spawn(move || sender.send(thread.join().expect("no panic")));
    let ran_on = runtime.block_on(receiver).expect("sent");
    assert_eq!(ran_on, thread::current().id());
    joiner.join().expect("no panic").expect("it was awaited");
}

#[test]
fn a_panic_comes_back() {
    let runtime = runtime();
    let remote = runtime.handle().spawn(|| async { panic!("far away") });
    let error = runtime.block_on(remote).expect_err("it panicked");
    assert_eq!(text_of(&*error.into_panic()), "far away");
    // The closure itself panics: the core lives, the handle is told.
    let making = || -> std::future::Ready<()> { panic!("while making it") };
    let remote = runtime.handle().spawn(making);
    assert!(runtime.block_on(remote).is_err());
    runtime.block_on(async { submit(Nop::new()).await }).expect("a nop");
}

#[test]
fn aborted_from_its_handle() {
    let runtime = runtime();
    let remote = runtime.handle().spawn(pending::<()>);
    let early = runtime.handle().spawn(pending::<()>);
    early.abort();
    runtime.block_on(async {
        turn().await;
        remote.abort();
        assert!(remote.await.expect_err("aborted").is_cancelled());
        assert!(early.await.expect_err("aborted").is_cancelled());
    });
}

#[test]
fn dropping_the_handle_detaches() {
    let runtime = runtime();
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    drop(runtime.handle().spawn(move || async move {
        sleep(Duration::from_millis(1)).await;
        seen.store(true, Ordering::SeqCst);
    }));
    runtime.block_on(until("it has run", || done.load(Ordering::SeqCst)));
}

#[test]
fn after_the_end_it_says_cancelled() {
    let runtime = runtime();
    let handle = runtime.handle();
    let before = handle.spawn(pending::<()>);
    runtime.block_on(turn());
    let queued = handle.spawn(pending::<()>);
    drop(runtime);
    let after = handle.spawn(pending::<()>);
    let (sender, receiver) = futures::channel::oneshot::channel::<()>();
    handle.run(move || drop(sender));
    for remote in [before, queued, after] {
        assert!(foreign_block_on(remote).expect_err("no runtime").is_cancelled());
    }
    assert!(foreign_block_on(receiver).is_err(), "the closure was dropped");
}

#[test]
fn cancels_an_op_from_another_thread() {
    let runtime = runtime();
    let handle = runtime.handle();
    let foreign = block_on(async { submit(Nop::new()).id() });
    runtime.block_on(async {
        let pipe = Pipe::new();
        let mut op = submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR));
        let id = op.id();
        let canceller = handle.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            canceller.cancel(id);
        });
        let (result, _) = op.await;
        assert_eq!(result.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
        thread.join().expect("no panic");
        // Late, and of another runtime: nobody is hit.
        handle.cancel(id);
        handle.cancel(foreign);
        turn().await;
        submit(Nop::new()).await.expect("a nop");
    });
    drop(runtime);
    handle.cancel(foreign);
}

/// Eight threads add and wake; the task has to see the last number, whatever wakes are merged.
#[test]
fn wake_storm_on_one_task() {
    const THREADS: u64 = 8;
    const WAKES: u64 = 5000;
    block_on(async {
        let shared = Arc::new((AtomicWaker::new(), AtomicU64::new(0)));
        let threads = (0..THREADS).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for n in 0..WAKES {
                    shared.1.fetch_add(1, Ordering::SeqCst);
                    shared.0.wake();
                    if n % 512 == 0 {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            })
        });
        let threads = threads.collect::<Vec<_>>();
        let seen = Arc::clone(&shared);
        let task = ringspun::spawn(poll_fn(move |cx| {
            seen.0.register(cx.waker());
            let done = seen.1.load(Ordering::SeqCst) == THREADS * WAKES;
            if done { Poll::Ready(()) } else { Poll::Pending }
        }));
        // No timer: a lost wake would hang here.
        task.await.expect("no panic");
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}

/// Each of many tasks is woken from each of many threads, exactly as often as it waits.
#[test]
fn wake_storm_on_many_tasks() {
    block_on(async {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..100).map(|_| async_channel::unbounded::<u32>()).unzip();
        let threads = (0..8).map(|n| {
            let senders = senders.clone();
            thread::spawn(move || {
                for round in 0..50 {
                    for sender in &senders {
                        sender.send_blocking(n * 50 + round).expect("the task listens");
                    }
                }
            })
        });
        let threads = threads.collect::<Vec<_>>();
        drop(senders);
        let tasks = receivers.into_iter().map(|receiver| {
            ringspun::spawn(async move {
                let mut sum = 0;
                while let Ok(n) = receiver.recv().await {
                    sum += n;
                }
                sum
            })
        });
        for sum in join_all(tasks.collect::<Vec<_>>()).await {
            assert_eq!(sum.expect("no panic"), (0..400).sum::<u32>());
        }
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}

#[test]
fn spawn_storm() {
    let runtime = runtime();
    let handle = runtime.handle();
    let threads = (0..8).map(|n| {
        let handle = handle.clone();
        thread::spawn(move || {
            let remotes = (0..200).map(|m| handle.spawn(move || async move { n * 200 + m }));
            let all = join_all(remotes.collect::<Vec<_>>());
            foreign_block_on(all).into_iter().map(|result| result.expect("no panic")).sum::<u32>()
        })
    });
    let threads = threads.collect::<Vec<_>>();
    let sum = runtime.block_on(async {
        until("all threads are done", || threads.iter().all(thread::JoinHandle::is_finished)).await;
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<u32>()
    });
    assert_eq!(sum, (0..1600).sum());
}
