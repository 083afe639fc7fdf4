//! A runtime over several cores.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures::executor::block_on as foreign_block_on;
use ringspun::net::{TcpListener, TcpStream};
use ringspun::runtime::{self, Builder, CoreState, Handle, Runtime, Sharded};
use ringspun::time::{sleep, timeout};

use crate::support::{PATIENCE, builder, until};

/// Two cores, also where there is one CPU only.
fn two() -> Runtime {
    builder().cores(2).build().expect("two rings")
}

#[test]
fn each_core_is_a_thread_of_its_own() {
    let runtime = builder().cores(3).name("weave").build().expect("three rings");
    let handle = runtime.handle();
    let ids = handle.broadcast(|index| {
        let name = thread::current().name().map(str::to_owned);
        (index, runtime::core_index(), thread::current().id(), name)
    });
    let (mut threads, here) = (HashSet::new(), thread::current().id());
    runtime.block_on(async {
        for (place, answer) in ids.into_iter().enumerate() {
            let (index, of_current, id, name) = answer.await.expect("the core runs");
            assert_eq!((index, of_current), (place, Some(place)));
            assert_eq!(id == here, index == 0);
            if index > 0 {
                assert_eq!(name.as_deref(), Some(format!("weave-{index}").as_str()));
            }
            assert!(threads.insert(id));
        }
    });
    assert_eq!(runtime::core_index(), None);
    assert!(handle.cores().iter().all(|core| core.state() == CoreState::Running));
    drop(runtime);
    assert!(handle.cores().iter().all(|core| core.state() == CoreState::Ended));
}

#[test]
fn futures_on_other_cores_need_not_be_send() {
    let runtime = two();
    let handle = runtime.handle();
    let sum = runtime.block_on(async move {
        let mut sum = 0;
        for n in 0..100 {
            let there = handle.spawn_on(n % 2, move || {
                let local = Rc::new(Cell::new(n));
                async move {
                    sleep(Duration::from_micros(10)).await;
                    local.get()
                }
            });
            sum += there.await.expect("no panic");
        }
        sum
    });
    assert_eq!(sum, (0..100).sum());
}

#[test]
fn a_core_spawns_on_another_and_back() {
    let runtime = two();
    let path = runtime.block_on(async {
        let handle = Handle::current();
        let there = handle.spawn_on(1, || async {
            let back = Handle::current().spawn_on(0, || async { runtime::core_index() });
            (runtime::core_index(), back.await.expect("core 0 runs"))
        });
        there.await.expect("core 1 runs")
    });
    assert_eq!(path, (Some(1), Some(0)));
}

#[test]
fn a_panic_on_another_core_comes_back() {
    let runtime = two();
    let handle = runtime.handle();
    runtime.block_on(async {
        let task = handle.spawn_on(1, || async { panic!("in the future") });
        let error: ringspun::task::JoinError = task.await.map(|(): ()| ()).unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("in the future"), "{error}");
        fn no_future() -> std::future::Ready<()> {
            panic!("in the making")
        }
        let error = handle.spawn_on(1, no_future).await.unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("in the making"), "{error}");
        let core = handle.core(1).expect("there are two");
        let error = core.call(|| -> u8 { panic!("in a call") }).await.unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("in a call"), "{error}");
        assert_eq!(core.state(), CoreState::Running);
        assert_eq!(core.call(|| 5).await.expect("it goes on"), 5);
    });
}

#[test]
fn without_such_a_core() {
    let runtime = two();
    assert!(runtime.handle().core(2).is_none());
    let handle = runtime.handle();
    let panicked = thread::spawn(move || drop(handle.spawn_on(2, || async {}))).join();
    let text = *panicked.unwrap_err().downcast::<String>().expect("a text");
    assert!(text.contains("no core 2") && text.contains("has 2"), "{text}");
}

#[test]
fn pinned_threads_hand_nothing_down() {
    let runtime = builder().cores(2).build().expect("two rings");
    let allowed = allowed_of(&["/proc/self/status"]);
    // This thread is core 0: what it was allowed is what init's other threads may.
    let handle = runtime.handle();
    runtime.block_on(async {
        for core in handle.cores() {
            let cpu = core.cpu().expect("it is pinned");
            let of_core = allowed_of(&[&format!("/proc/self/task/{}/status", core.thread_id())]);
            assert_eq!(of_core, cpu.to_string());
            let inherited = core.spawn(|| async {
                let of_pool =
                    ringspun::spawn_blocking(|| allowed_of(&["/proc/thread-self/status"]));
                let of_child = ringspun::process::Command::new("grep")
                    .args(["Cpus_allowed_list", "/proc/self/status"])
                    .output();
                let of_child = String::from_utf8(of_child.await?.stdout).expect("text");
                Ok::<_, io::Error>((of_pool.await.expect("it ran"), value_of(&of_child)))
            });
            let (of_pool, of_child) = inherited.await.expect("no panic").expect("grep runs");
            assert_eq!(of_pool, of_child);
            if thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
                assert_ne!(of_pool, cpu.to_string());
            }
        }
    });
    drop(runtime);
    // The thread of core 0 is as it was.
    let after = allowed_of(&["/proc/thread-self/status"]);
    assert_ne!((after.as_str(), allowed.len()), ("", 0));
    let unpinned = builder().cores(2).pinned(false).build().expect("two rings");
    assert!(unpinned.handle().cores().iter().all(|core| core.cpu().is_none()));
    assert_eq!(allowed_of(&["/proc/thread-self/status"]), after);
}

fn allowed_of(path: &[&str]) -> String {
    let text = std::fs::read_to_string(path[0]).expect("the thread lives");
    value_of(text.lines().find(|line| line.starts_with("Cpus_allowed_list")).expect("a line"))
}

fn value_of(line: &str) -> String {
    line.split_once(':').expect("name: value").1.trim().to_owned()
}

#[test]
fn cpus_that_are_not_there() {
    let error = Builder::new().cores("4000-4001").build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("CPU 4000"), "{error}");
    let error = Builder::new().cores("many").build().unwrap_err();
    assert!(error.to_string().contains("\"many\" names no cores"), "{error}");
    let error = Builder::new().cores(0).build().unwrap_err();
    assert!(error.to_string().contains("at least one"), "{error}");
}

#[test]
fn one_core_cannot_be_built() {
    use ringspun::runtime::Pretend;
    let pretend = Pretend { setup_errno: Some(libc::EPERM), ..Pretend::default() };
    let error = builder().cores(2).pretend(pretend).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

/// A listener on core 1, and a task there that never ends.
async fn occupy(handle: &Handle, dropped: Arc<AtomicBool>) -> std::net::SocketAddr {
    let listening = handle.spawn_on(1, move || async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let guard = SetOnDrop(dropped);
        ringspun::spawn(async move {
            let _guard = guard;
            let mut streams = Vec::new();
            loop {
                streams.push(listener.accept().await);
            }
        })
        .detach();
        Ok::<_, io::Error>(address)
    });
    listening.await.expect("core 1 runs").expect("a port")
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_core_that_panics_is_reported_and_the_rest_goes_on() {
    let runtime = builder().cores(3).build().expect("three rings");
    let handle = runtime.handle();
    runtime.block_on(async {
        let dropped = Arc::new(AtomicBool::new(false));
        let address = occupy(&handle, Arc::clone(&dropped)).await;
        let mut client = TcpStream::connect(address).await.expect("core 1 listens");
        let waiting = handle.spawn_on(1, pending::<()>);

        handle.core(1).expect("it exists").break_loop("this is a test");

        assert!(waiting.await.unwrap_err().is_cancelled());
        // Its listener and its connections are closed, not left as a hole.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
        until("its tasks are dropped", || dropped.load(Ordering::Acquire)).await;
        // The listener is closed when the kernel has given its accept back.
        timeout(PATIENCE, async { while TcpStream::connect(address).await.is_ok() {} })
            .await
            .expect("nobody listens any more");
        let core = handle.core(1).expect("it stays in the list");
        assert_eq!(core.state(), CoreState::Failed("this is a test".to_owned()));
        assert!(core.spawn(|| async {}).await.unwrap_err().is_cancelled());
        assert!(core.call(|| ()).await.unwrap_err().is_cancelled());
        assert_eq!(handle.spawn_on(2, || async { 2 }).await.expect("core 2 runs"), 2);
    });
    let report = runtime.shutdown();
    assert_eq!(report.cores_failed, [1]);
    assert!(report.cores_left_behind.is_empty());
}

#[test]
fn shut_down_at_once() {
    let runtime = two();
    let handle = runtime.handle();
    let dropped = Arc::new(AtomicBool::new(false));
    let waiting = handle.spawn_on(1, pending::<()>);
    runtime.block_on(occupy(&handle, Arc::clone(&dropped)));
    let report = runtime.shutdown();
    assert!(report.tasks_dropped >= 2, "{report:?}");
    assert!(report.cores_left_behind.is_empty());
    assert!(dropped.load(Ordering::Acquire));
    assert!(foreign_block_on(waiting).unwrap_err().is_cancelled());
    assert!(foreign_block_on(handle.spawn_on(1, || async {})).unwrap_err().is_cancelled());
}

#[test]
fn shut_down_within_a_grace_waits_for_tasks_of_all_cores() {
    let runtime = two();
    let done = Arc::new(AtomicUsize::new(0));
    for index in 0..2 {
        let done = Arc::clone(&done);
        let spawned = runtime.handle().spawn_on(index, move || async move {
            sleep(Duration::from_millis(30)).await;
            // A task may hand on to a core that had nothing left to do.
            let later = Arc::clone(&done);
            let next = Handle::current().spawn_on(1 - index, move || async move {
                sleep(Duration::from_millis(30)).await;
                later.fetch_add(1, Ordering::Relaxed);
            });
            drop(next);
            done.fetch_add(1, Ordering::Relaxed);
        });
        drop(spawned);
    }
    let report = runtime.shutdown_within(PATIENCE).expect("the ring is whole");
    assert_eq!(done.load(Ordering::Relaxed), 4);
    assert_eq!(report.tasks_dropped, 0);
}

#[test]
fn shut_down_after_the_grace_drops_what_is_left() {
    let runtime = two();
    drop(runtime.handle().spawn_on(1, pending::<()>));
    let report = runtime.shutdown_within(Duration::from_millis(20)).expect("the ring is whole");
    assert!(report.tasks_dropped >= 1, "{report:?}");
}

#[test]
fn one_core_is_shut_down_alone() {
    let runtime = builder().cores(3).build().expect("three rings");
    let handle = runtime.handle();
    runtime.block_on(async {
        let short = handle.spawn_on(1, || async {
            sleep(Duration::from_millis(20)).await;
            7
        });
        let core = handle.core(1).expect("it exists");
        // Sure to have been taken before the end is asked for.
        core.call(|| ()).await.expect("it runs");
        core.shutdown(PATIENCE);
        assert_eq!(short.await.expect("it had the time"), 7);
        until("core 1 has ended", || !core.is_alive()).await;
        assert_eq!(core.state(), CoreState::Ended);
        assert_eq!(handle.spawn_on(2, || async { 2 }).await.expect("core 2 runs"), 2);
    });
}

#[test]
fn asked_to_end_from_within() {
    let runtime = two();
    let handle = runtime.handle();
    let answer = runtime.block_on(async {
        drop(handle.spawn_on(1, || async {
            sleep(Duration::from_millis(5)).await;
            Handle::current().shutdown(Duration::ZERO);
        }));
        runtime::shutdown_requested().await;
        "asked"
    });
    assert_eq!(answer, "asked");
}

#[test]
fn a_blocked_core_does_not_hold_up_the_end_for_ever() {
    let runtime =
        builder().cores(2).shutdown_timeout(Duration::from_millis(50)).build().expect("two rings");
    let go_on = Arc::new(AtomicBool::new(false));
    let blocked = Arc::clone(&go_on);
    let (said, entered) = std::sync::mpsc::channel();
    runtime.handle().cores()[1].run(move || {
        said.send(()).expect("it is awaited");
        while !blocked.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
    });
    entered.recv().expect("the closure runs");
    let report = runtime.shutdown();
    assert_eq!(report.cores_left_behind, [1]);
    go_on.store(true, Ordering::Release);
}

#[test]
fn in_the_environment_of_the_cores_a_runtime_of_its_own() {
    // A core's thread is a runtime's: a second block_on on it says what to do.
    let runtime = two();
    let handle = runtime.handle();
    runtime.block_on(async {
        let nested = handle.spawn_on(1, || async {
            let inner = Builder::new().build().expect("a ring");
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inner.block_on(async {})))
                .is_err()
        });
        assert!(nested.await.expect("caught"));
    });
}

#[test]
fn sharded_values_stay_at_home() {
    thread_local! {
        static DROPPED: Cell<usize> = const { Cell::new(0) };
    }
    struct Here {
        made: thread::ThreadId,
        seen: RefCell<Vec<usize>>,
    }
    impl Drop for Here {
        fn drop(&mut self) {
            assert_eq!(self.made, thread::current().id());
            DROPPED.with(|dropped| dropped.set(dropped.get() + 1));
        }
    }
    let runtime = two();
    runtime.block_on(async {
        let handle = Handle::current();
        let make = |_| Here { made: thread::current().id(), seen: RefCell::default() };
        let sharded = Sharded::new(&handle, make).await.expect("no panic");
        for n in 0..10 {
            let seen = sharded.on(n % 2, move |here| {
                assert_eq!(here.made, thread::current().id());
                here.seen.borrow_mut().push(n);
                here.seen.borrow().len()
            });
            assert_eq!(seen.await.expect("no panic"), n / 2 + 1);
        }
        sharded.with(|here| assert_eq!(*here.seen.borrow(), [0, 2, 4, 6, 8]));
        let there = sharded.clone();
        let on_core_1 = handle
            .spawn_on(1, move || async move { there.with(|here| here.seen.borrow().clone()) });
        assert_eq!(on_core_1.await.expect("no panic"), [1, 3, 5, 7, 9]);
        let elsewhere = sharded.clone();
        assert!(thread::spawn(move || elsewhere.try_with(|_| ()).is_none()).join().unwrap());
        let held = sharded.spawn_on(1, |here| async move {
            sleep(Duration::from_millis(1)).await;
            here.seen.borrow().len()
        });
        drop(sharded);
        assert_eq!(held.await.expect("no panic"), 5);
        for index in 0..2 {
            let handle = handle.clone();
            until("it is dropped at home", || true).await;
            let mut dropped = 0;
            for _ in 0..1000 {
                dropped = handle.cores()[index]
                    .call(|| DROPPED.with(Cell::get))
                    .await
                    .expect("the core runs");
                if dropped == 1 {
                    break;
                }
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(dropped, 1, "core {index}");
        }
    });
}

#[test]
fn sharded_when_one_core_panics() {
    let runtime = two();
    let error = runtime.block_on(async {
        let make = |index: usize| assert_eq!(index, 0, "not here");
        Sharded::new(&Handle::current(), make).await.map(|_| ()).unwrap_err()
    });
    assert!(error.is_panic(), "{error}");
}

/// N16 and L11: a task never leaves its core's thread, whatever it awaits.
#[test]
fn a_task_stays_on_its_core() {
    let runtime = two();
    runtime.block_on(async {
        let home = Handle::current().spawn_all(|_| async {
            let before = (thread::current().id(), runtime::core_index());
            for _ in 0..200 {
                ringspun::task::yield_now().await;
                sleep(Duration::from_micros(50)).await;
                assert_eq!((thread::current().id(), runtime::core_index()), before);
            }
        });
        for task in home {
            task.await.expect("it never moved");
        }
    });
}

#[test]
fn wakes_between_cores_are_not_lost() {
    let runtime = two();
    runtime.block_on(async {
        const ROUNDS: usize = 2_000;
        let (to_there, mut there) = futures::channel::mpsc::channel::<usize>(1);
        let (to_here, mut here) = futures::channel::mpsc::channel::<usize>(1);
        use futures::{SinkExt, StreamExt};
        let echo = Handle::current().spawn_on(1, move || async move {
            let mut to_here = to_here;
            while let Some(n) = there.next().await {
                to_here.send(n).await.expect("it is read");
            }
        });
        let mut to_there = to_there;
        let all = async {
            for n in 0..ROUNDS {
                to_there.send(n).await.expect("it is read");
                assert_eq!(here.next().await, Some(n));
            }
        };
        timeout(PATIENCE, all).await.expect("no wake is lost");
        drop(to_there);
        echo.await.expect("no panic");
    });
}
