//! Other threads: wakes, aborts, closures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;
use crate::task::{CoreBound, spawn};

const ROUNDS: u32 = if cfg!(miri) { 20 } else { 2_000 };

/// Counts up to `end`, one step a wake at most, and lends its waker to `threads` threads.
fn count_to(end: u32, threads: u32) -> impl Future<Output = u32> {
    let count = Arc::new(AtomicU32::new(0));
    let mut started = false;
    poll_fn(move |cx| {
        if !std::mem::replace(&mut started, true) {
            for _ in 0..threads {
                let (count, waker) = (Arc::clone(&count), cx.waker().clone());
                thread::spawn(move || {
                    for _ in 0..end / threads {
                        count.fetch_add(1, Ordering::Relaxed);
                        waker.wake_by_ref();
                    }
                    waker.wake();
                });
            }
        }
        match count.load(Ordering::Relaxed) {
            seen if seen == end => Poll::Ready(seen),
            _ => Poll::Pending,
        }
    })
}

#[test]
fn woken_while_polled() {
    let tasks = core();
    let seen = block_on(&tasks, async {
        let other = spawn(count_to(2 * ROUNDS, 2));
        let seen = count_to(2 * ROUNDS, 2).await;
        seen + other.await.unwrap()
    });
    assert_eq!(seen, 4 * ROUNDS);
}

#[test]
fn woken_asleep() {
    let tasks = core();
    for _ in 0..ROUNDS / 10 {
        let mut waits = true;
        block_on(
            &tasks,
            poll_fn(move |cx| {
                if !std::mem::replace(&mut waits, false) {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                thread::spawn(move || waker.wake());
                Poll::Pending
            }),
        );
    }
}

#[test]
fn woken_while_the_runtime_shuts_down() {
    for _ in 0..ROUNDS / 10 {
        let tasks = core();
        let place = Rc::new(RefCell::new(None));
        block_on(&tasks, async { spawn(keep_waker(Rc::clone(&place))).detach() });
        turn(&tasks, 1);
        let waker: Waker = place.borrow_mut().take().unwrap();
        let other = waker.clone();
        let threads = [waker, other].map(|waker| {
            thread::spawn(move || {
                waker.wake_by_ref();
                waker.wake();
            })
        });
        turn(&tasks, 1);
        drop(tasks);
        place.borrow_mut().take();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn aborted_from_another_thread() {
    let tasks = core();
    let (held, dropped) = flag();
    let error = block_on(&tasks, async {
        let handle = spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        let abort = handle.abort_handle();
        thread::spawn(move || abort.abort());
        handle.await.unwrap_err()
    });
    assert!(error.is_cancelled());
    assert!(dropped.get());
}

#[test]
fn closures_run_on_the_core_in_order() {
    let tasks = core();
    let home = thread::current().id();
    let (sender, receiver) = std::sync::mpsc::channel();
    block_on(
        &tasks,
        poll_fn(|cx| {
            if let Ok(last) = receiver.try_recv() {
                assert_eq!(last, 2);
                return Poll::Ready(());
            }
            let (shared, waker) =
                (super::super::sync::Arc::clone(tasks.shared()), cx.waker().clone());
            let sender = sender.clone();
            thread::spawn(move || {
                let seen = Arc::new(AtomicU32::new(0));
                let first = Arc::clone(&seen);
                let store = move || {
                    first.store(1, Ordering::Relaxed);
                    panic!("caught");
                };
                shared.send(Box::new(store)).unwrap();
                let finish = move || {
                    assert_eq!(thread::current().id(), home);
                    sender.send(seen.load(Ordering::Relaxed) + 1).unwrap();
                    waker.wake();
                };
                shared.send(Box::new(finish)).unwrap();
            });
            Poll::Pending
        }),
    );
    assert_eq!(tasks.panics(), 1);
}

#[test]
fn value_bound_to_a_core_used_elsewhere() {
    let tasks = core();
    let _entered = tasks.enter();
    let bound = CoreBound::new(Rc::new(5));
    let text = thread::scope(|scope| {
        let used = scope.spawn(|| {
            assert!(format!("{bound:?}").contains("core"));
            bound.with(|value| **value)
        });
        *used.join().unwrap_err().downcast::<String>().unwrap()
    });
    let core = format!("of core {} ", tasks.core().as_u64());
    assert!(text.contains(&core) && text.contains("runs no core"), "{text}");
    let elsewhere = thread::spawn(move || {
        let other = super::core();
        let _entered = other.enter();
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bound.into_inner()));
        *panic.unwrap_err().downcast::<String>().unwrap()
    });
    assert!(elsewhere.join().unwrap().contains("used on core"));
}

#[test]
fn value_bound_to_a_core_goes_home() {
    let tasks = core();
    let (held, dropped) = flag();
    let seen = Rc::clone(&dropped);
    let bound = {
        let _entered = tasks.enter();
        CoreBound::new(held)
    };
    thread::spawn(move || drop(bound)).join().unwrap();
    assert!(!seen.get());
    turn(&tasks, 1);
    assert!(seen.get());
}

#[test]
#[cfg(not(miri))] // Leaks, which is the point.
fn value_bound_to_a_core_that_is_gone() {
    let tasks = core();
    let (held, dropped) = flag();
    let bound = {
        let _entered = tasks.enter();
        CoreBound::new((held, Rc::new(1)))
    };
    drop(tasks);
    assert_eq!(bound.with(|value| *value.1), 1, "the thread is still home");
    thread::spawn(move || drop(bound)).join().unwrap();
    assert!(!dropped.get());
}

/// Too many wakers end the process. The limit is low in tests: see `state::REFERENCE_LIMIT`.
#[test]
#[cfg(not(miri))] // Starts a process.
fn wakers_forgotten_without_end() {
    const CHILD: &str = "RINGSPUN_TEST_FORGETS";
    if std::env::var_os(CHILD).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "task::tests::threads::wakers_forgotten_without_end"])
            .env(CHILD, "1")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGABRT));
        return;
    }
    let tasks = core();
    block_on(
        &tasks,
        poll_fn(|cx| {
            for _ in 0..100_000 {
                let _forgotten = std::mem::ManuallyDrop::new(cx.waker().clone());
            }
            Poll::Ready(())
        }),
    );
}
