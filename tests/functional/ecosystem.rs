//! Futures of other crates run unchanged, woken from other threads.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::channel::{mpsc, oneshot};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use ringspun::op::{Nop, submit};

use crate::support::{block_on, runtime};

/// Does it on another thread, when the core sleeps.
fn later<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        f()
    })
}

#[test]
fn futures_join_all() {
    block_on(async {
        let (sender, receiver) = oneshot::channel();
        let thread = later(|| sender.send(1).expect("it is awaited"));
        let all = futures::future::join_all([
            receiver.map(|received| received.expect("sent")).boxed_local(),
            async { submit(Nop::new()).await.map(|()| 2).expect("a nop") }.boxed_local(),
            ringspun::spawn(async { 3 }).map(|result| result.expect("no panic")).boxed_local(),
        ]);
        assert_eq!(all.await, [1, 2, 3]);
        thread.join().expect("no panic");
    });
}

#[test]
fn futures_select() {
    block_on(async {
        let (sender, mut receiver) = oneshot::channel();
        let thread = later(|| sender.send("thread").expect("it is awaited"));
        let mut pause = ringspun::time::sleep(Duration::from_secs(3600)).fuse();
        let first = futures::select! {
            received = receiver => received.expect("sent"),
            () = pause => "clock",
        };
        assert_eq!(first, "thread");
        thread.join().expect("no panic");
    });
}

#[test]
fn futures_mpsc() {
    block_on(async {
        let (mut sender, receiver) = mpsc::channel(1);
        // Sends with back-pressure, on an executor of its own.
        let thread = later(move || {
            futures::executor::block_on(async {
                for n in 0..100 {
                    sender.send(n).await.expect("the core listens");
                }
            });
        });
        let received = receiver.collect::<Vec<_>>().await;
        assert_eq!(received, (0..100).collect::<Vec<_>>());
        thread.join().expect("no panic");
    });
}

#[test]
fn futures_unordered() {
    block_on(async {
        let mut set = FuturesUnordered::new();
        let mut threads = Vec::new();
        for n in 0..50_u64 {
            let (sender, receiver) = oneshot::channel();
            threads.push(later(move || sender.send(n).expect("it is awaited")));
            set.push(async move {
                submit(Nop::new()).await.expect("a nop");
                receiver.await.expect("sent")
            });
        }
        let mut sum = 0;
        while let Some(n) = set.next().await {
            sum += n;
        }
        assert_eq!(sum, (0..50).sum());
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}

#[test]
fn futures_block_on_holds_a_core_that_is_turned_by_hand() {
    // An op with a foreign waker: woken by `turn`.
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut pool = futures::executor::LocalPool::new();
    let mut op = pool.spawner().spawn_local_with(submit(Nop::new()));
    loop {
        pool.run_until_stalled();
        if let Some(result) = (&mut op).now_or_never() {
            break result.expect("a nop");
        }
        runtime.turn(None).expect("the ring works");
    }
}

trait SpawnLocalWith {
    fn spawn_local_with<F: Future<Output: 'static> + 'static>(
        &self,
        future: F,
    ) -> futures::future::RemoteHandle<F::Output>;
}

impl SpawnLocalWith for futures::executor::LocalSpawner {
    fn spawn_local_with<F: Future<Output: 'static> + 'static>(
        &self,
        future: F,
    ) -> futures::future::RemoteHandle<F::Output> {
        futures::task::LocalSpawnExt::spawn_local_with_handle(self, future).expect("it runs")
    }
}

#[test]
fn tokio_mpsc_and_oneshot() {
    block_on(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
        let (done, told) = tokio::sync::oneshot::channel();
        let thread = later(move || {
            (0..100).for_each(|n| sender.blocking_send(n).expect("the core listens"));
            done.send("all sent").expect("it is awaited");
        });
        for expected in 0..100 {
            assert_eq!(receiver.recv().await, Some(expected));
        }
        assert_eq!(receiver.recv().await, None);
        assert_eq!(told.await, Ok("all sent"));
        thread.join().expect("no panic");
    });
}

#[test]
fn tokio_notify() {
    block_on(async {
        let notify = Arc::new(tokio::sync::Notify::new());
        let remote = Arc::clone(&notify);
        let thread = later(move || remote.notify_one());
        notify.notified().await;
        thread.join().expect("no panic");
    });
}

#[test]
fn tokio_mutex_and_semaphore() {
    block_on(async {
        let mutex = Arc::new(tokio::sync::Mutex::new(0));
        let semaphore = Arc::new(tokio::sync::Semaphore::new(0));
        let held = Arc::clone(&mutex).lock_owned().await;
        let remote = Arc::clone(&semaphore);
        let thread = later(move || {
            drop(held);
            remote.add_permits(2);
        });
        let tasks = [1, 2].map(|n| {
            let (mutex, semaphore) = (Arc::clone(&mutex), Arc::clone(&semaphore));
            ringspun::spawn(async move {
                let _permit = semaphore.acquire().await.expect("open");
                *mutex.lock().await += n;
            })
        });
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(*mutex.lock().await, 3);
        thread.join().expect("no panic");
    });
}

#[test]
fn tokio_watch_and_broadcast() {
    block_on(async {
        let (watch, mut watched) = tokio::sync::watch::channel(0);
        let (broadcast, mut heard) = tokio::sync::broadcast::channel(8);
        let thread = later(move || {
            watch.send(1).expect("it is watched");
            broadcast.send("news").expect("it is heard");
        });
        watched.changed().await.expect("the sender lives until then");
        assert_eq!(*watched.borrow(), 1);
        assert_eq!(heard.recv().await, Ok("news"));
        thread.join().expect("no panic");
    });
}

#[test]
fn async_channel_both_ways() {
    block_on(async {
        let (to_thread, from_core) = async_channel::bounded::<u32>(1);
        let (to_core, from_thread) = async_channel::bounded::<u32>(1);
        let thread = later(move || {
            while let Ok(n) = from_core.recv_blocking() {
                to_core.send_blocking(n * 2).expect("the core listens");
            }
        });
        for n in 0..100 {
            to_thread.send(n).await.expect("the thread listens");
            assert_eq!(from_thread.recv().await, Ok(n * 2));
        }
        drop(to_thread);
        thread.join().expect("no panic");
    });
}

#[test]
fn futures_timer_delay() {
    block_on(async {
        // Its wakes come from a thread of its own.
        let started = Instant::now();
        futures_timer::Delay::new(Duration::from_millis(5)).await;
        assert!(started.elapsed() >= Duration::from_millis(5));
    });
}

#[test]
fn event_listener() {
    block_on(async {
        let event = Arc::new(event_listener::Event::new());
        let listeners = [event.listen(), event.listen()];
        let remote = Arc::clone(&event);
        let thread = later(move || remote.notify(2));
        for listener in listeners {
            listener.await;
        }
        assert_eq!(thread.join().expect("no panic"), 2);
    });
}

#[test]
fn futures_lite_race_and_zip() {
    use futures_lite::FutureExt as _;

    block_on(async {
        let (sender, receiver) = oneshot::channel();
        let thread = later(|| sender.send(1).expect("it is awaited"));
        let received = async { receiver.await.expect("sent") };
        let never = std::future::pending();
        assert_eq!(received.or(never).await, 1);
        let nop = async { submit(Nop::new()).await.is_ok() };
        assert_eq!(futures_lite::future::zip(nop, async { 2 }).await, (true, 2));
        thread.join().expect("no panic");
    });
}
