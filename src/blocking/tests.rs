//! The pool as a whole, by situation.

use std::io;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;

use super::{BlockingError, BlockingHandle, Config, Pool, Stats, spawn_blocking};

const LONG: Duration = Duration::from_secs(60);

fn pool(threads_max: usize) -> Arc<Pool> {
    Pool::new(Config { threads_max, ..Config::default() })
}

fn soon() -> Instant {
    Instant::now() + LONG
}

fn poll<T>(handle: &mut BlockingHandle<T>) -> Poll<Result<T, BlockingError>> {
    use std::future::Future;
    Pin::new(handle).poll(&mut Context::from_waker(Waker::noop()))
}

fn wait_for(pool: &Pool, is_so: impl Fn(Stats) -> bool) {
    let deadline = soon();
    while !is_so(pool.stats()) {
        assert!(Instant::now() < deadline, "{:?}", pool.stats());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Occupies a thread until the sender is dropped.
fn occupy(pool: &Arc<Pool>) -> (mpsc::Sender<()>, BlockingHandle<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let handle = pool.spawn(move || {
        started.send(()).expect("the test waits");
        let _gone = released.recv();
    });
    has_started.recv().expect("a thread takes it");
    (release, handle)
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn result_comes_back() {
    let pool = pool(2);
    let name = pool.spawn(|| thread::current().name().map(String::from));
    assert_eq!(block_on(name).expect("it ran").as_deref(), Some("ringspun-blk-1"));
    assert!(pool.shutdown(soon()));
}

#[test]
fn found_by_its_guard() {
    let pool = pool(2);
    let entered = pool.enter();
    // Also from inside of a closure.
    let inner = spawn_blocking(|| spawn_blocking(|| 5));
    let inner = block_on(inner).expect("it ran");
    assert_eq!(block_on(inner).expect("it ran"), 5);
    drop(entered);
    let panic = catch_unwind(|| spawn_blocking(|| ())).expect_err("outside of a runtime");
    assert!(panic.downcast_ref::<&str>().expect("a literal").contains("block_on"));
    assert!(pool.shutdown(soon()));
}

#[test]
fn closure_panicked() {
    let pool = pool(1);
    let error = block_on(pool.spawn(|| panic!("for the test"))).expect_err("it panics");
    assert!(error.is_panic() && !error.is_cancelled());
    assert_eq!(error.to_string(), "the blocking closure panicked: for the test");
    assert_eq!(error.into_panic().downcast_ref(), Some(&"for the test"));
    // The same thread goes on.
    assert_eq!(block_on(pool.spawn(|| 1)).expect("it ran"), 1);
    assert_eq!(pool.stats().threads_seen_max, 1);
    assert!(pool.shutdown(soon()));
}

#[test]
fn cap_reached() {
    let pool = pool(3);
    let running = Arc::new(AtomicUsize::new(0));
    let seen_max = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..30)
        .map(|nth| {
            let (running, seen_max) = (Arc::clone(&running), Arc::clone(&seen_max));
            pool.spawn(move || {
                seen_max.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                nth
            })
        })
        .collect();
    for (nth, handle) in handles.into_iter().enumerate() {
        assert_eq!(block_on(handle).expect("it ran"), nth);
    }
    assert!(seen_max.load(Ordering::SeqCst) <= 3);
    assert!(pool.stats().threads_seen_max <= 3);
    assert!(pool.shutdown(soon()));
}

#[test]
fn as_many_threads_as_blocked_closures() {
    let pool = pool(8);
    let barrier = Arc::new(Barrier::new(8));
    let handles: Vec<_> = (0..8)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            pool.spawn(move || _ = barrier.wait())
        })
        .collect();
    for handle in handles {
        block_on(handle).expect("all eight meet");
    }
    assert_eq!(pool.stats().threads_seen_max, 8);
    assert!(pool.shutdown(soon()));
}

#[test]
fn full_pool_queues() {
    let pool = pool(1);
    let (release, first) = occupy(&pool);
    let mut second = pool.spawn(|| 2);
    assert!(poll(&mut second).is_pending());
    assert!(!second.is_finished());
    assert_eq!((pool.stats().threads, pool.stats().queued), (1, 1));
    drop(release);
    assert_eq!(block_on(second).expect("its turn came"), 2);
    block_on(first).expect("it ran");
    assert!(pool.shutdown(soon()));
}

#[test]
fn idle_threads_leave() {
    let keep_alive = Duration::from_millis(5);
    let pool = Pool::new(Config { keep_alive, ..Config::default() });
    block_on(pool.spawn(|| ())).expect("it ran");
    wait_for(&pool, |stats| stats.threads == 0);
    block_on(pool.spawn(|| ())).expect("another one came");
    wait_for(&pool, |stats| stats == Stats { threads_seen_max: 1, ..Stats::default() });
    assert!(pool.shutdown(Instant::now()));
}

#[test]
fn idle_threads_are_used_again() {
    let pool = pool(8);
    for _ in 0..20 {
        block_on(pool.spawn(|| ())).expect("it ran");
        wait_for(&pool, |stats| stats.idle == 1);
    }
    assert_eq!(pool.stats().threads_seen_max, 1);
    assert!(pool.shutdown(soon()));
}

#[test]
fn closures_come_while_threads_leave() {
    let keep_alive = Duration::from_nanos(1);
    let pool = Pool::new(Config { keep_alive, threads_max: 2, ..Config::default() });
    let rounds = if cfg!(miri) { 10 } else { 1000 };
    let submit = |pool: &Arc<Pool>| {
        for nth in 0..rounds {
            assert_eq!(block_on(pool.spawn(move || nth)).expect("never stranded"), nth);
        }
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| submit(&pool));
        }
    });
    assert!(pool.stats().threads_seen_max <= 2);
    assert!(pool.shutdown(soon()));
}

#[test]
fn aborted_before_its_start() {
    let pool = pool(1);
    let (release, first) = occupy(&pool);
    let dropped = Arc::new(());
    let inside = Arc::clone(&dropped);
    let aborted = pool.spawn(move || drop(inside));
    aborted.abort();
    assert_eq!(Arc::strong_count(&dropped), 1, "the closure is dropped at once");
    assert!(aborted.is_finished());
    let error = block_on(aborted).expect_err("it never ran");
    assert!(error.is_cancelled() && !error.is_panic());
    assert!(error.try_into_panic().expect_err("no panic").is_cancelled());
    drop(release);
    block_on(first).expect("it ran");
    assert!(pool.shutdown(soon()));
}

#[test]
fn aborted_while_it_runs() {
    let pool = pool(1);
    let (release, running) = occupy(&pool);
    running.abort();
    assert!(!running.is_finished());
    drop(release);
    block_on(running).expect("too late to abort");
    assert!(pool.shutdown(soon()));
}

#[test]
fn handle_dropped() {
    let pool = pool(1);
    let (release, first) = occupy(&pool);
    let (done, is_done) = mpsc::channel();
    let mut detached = pool.spawn(move || OnDrop(move || done.send(()).expect("the test waits")));
    assert!(poll(&mut detached).is_pending());
    drop(detached);
    drop(first);
    drop(release);
    // It ran, and its result was dropped on the pool.
    is_done.recv_timeout(LONG).expect("it ran");
    assert!(pool.shutdown(soon()));
}

#[test]
fn detached_result_panics_in_drop() {
    let pool = pool(1);
    let (release, first) = occupy(&pool);
    drop(pool.spawn(|| OnDrop(|| panic!("a result that panics, for the test"))));
    drop(release);
    block_on(first).expect("it ran");
    assert_eq!(block_on(pool.spawn(|| 1)).expect("the thread lives"), 1);
    assert_eq!(pool.stats().threads_seen_max, 1);
    assert!(pool.shutdown(soon()));
}

#[test]
fn shut_down_with_closures_queued() {
    let pool = pool(1);
    let (release, running) = occupy(&pool);
    let queued: Vec<_> = (0..3).map(|_| pool.spawn(|| ())).collect();
    // Also one whose destructor panics.
    let guard = OnDrop(|| panic!("a closure that panics in its drop, for the test"));
    let panics = pool.spawn(move || drop(guard));
    assert!(!pool.shutdown(Instant::now()), "one still runs");
    for handle in queued.into_iter().chain([panics]) {
        assert!(block_on(handle).expect_err("it never ran").is_cancelled());
    }
    assert!(block_on(pool.spawn(|| ())).expect_err("closed").is_cancelled());
    drop(release);
    block_on(running).expect("what runs finishes");
    assert!(pool.shutdown(soon()));
    assert_eq!(pool.stats().threads, 0);
}

#[test]
fn shut_down_from_inside() {
    let pool = pool(1);
    let same = Arc::clone(&pool);
    let ended = pool.spawn(move || same.shutdown(Instant::now() + Duration::from_millis(1)));
    assert!(!block_on(ended).expect("it ran"), "it cannot wait for itself");
    assert!(pool.shutdown(soon()));
}

#[test]
fn no_thread_can_be_started() {
    let config = Config { threads_max: 0, ..Config::default() };
    let pool = Pool::with_start_thread(config, |_, _| Err(io::Error::from_raw_os_error(11)));
    let error = block_on(pool.spawn(|| ())).expect_err("there is no thread");
    assert!(!error.is_panic() && !error.is_cancelled());
    assert!(error.to_string().starts_with("no thread could be started"), "{error}");
    let error = io::Error::from(error);
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(pool.shutdown(Instant::now()));
}

#[test]
fn second_thread_cannot_be_started() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let pool = Pool::with_start_thread(Config::default(), |_, run| {
        match STARTED.fetch_add(1, Ordering::SeqCst) {
            0 => thread::Builder::new().spawn(run).map(drop),
            _ => Err(io::Error::from_raw_os_error(11)),
        }
    });
    let (release, first) = occupy(&pool);
    let mut second = pool.spawn(|| 2);
    assert!(poll(&mut second).is_pending(), "it waits for the one thread");
    assert_eq!(pool.stats().threads, 1);
    drop(release);
    assert_eq!(block_on(second).expect("its turn came"), 2);
    block_on(first).expect("it ran");
    assert!(pool.shutdown(soon()));
}

#[test]
fn thousand_closures_on_sixteen_threads() {
    let pool = pool(16);
    let count = if cfg!(miri) { 40 } else { 1000 };
    let handles: Vec<_> = (0..count)
        .map(|nth| {
            pool.spawn(move || {
                thread::sleep(Duration::from_millis(1));
                nth
            })
        })
        .collect();
    let sum: usize = handles.into_iter().map(|handle| block_on(handle).expect("it ran")).sum();
    assert_eq!(sum, count * (count - 1) / 2);
    assert!(pool.stats().threads_seen_max <= 16);
    assert!(pool.shutdown(soon()));
}

#[test]
fn polled_after_it_was_ready() {
    let pool = pool(1);
    let mut handle = pool.spawn(|| ());
    block_on(&mut handle).expect("it ran");
    assert!(handle.is_finished());
    let again = catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut handle)));
    assert!(again.is_err());
    drop(handle);
    assert!(pool.shutdown(soon()));
}

#[test]
fn send_and_sync() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<BlockingHandle<std::cell::Cell<u8>>>();
    shared::<BlockingError>();
    shared::<Pool>();
}
