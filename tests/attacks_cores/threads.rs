//! The thread that a runtime is built on.

use std::cell::RefCell;
use std::future::pending;
use std::mem::ManuallyDrop;
use std::process::Command;
use std::thread;
use std::time::Duration;

use futures::executor::block_on as foreign_block_on;
use ringspun::runtime::{self, Handle, Runtime};
use ringspun::time::sleep;

use crate::support::{allowed_here, builder, child, cores, ends, in_a_process, several_cpus};

#[test]
fn pinned_runtimes_of_one_thread_dropped_in_either_order() {
    if !several_cpus() {
        return;
    }
    ends(|| {
        let before = allowed_here();
        for first_goes_first in [true, false] {
            let first = cores(1);
            let one = allowed_here();
            assert_ne!(one, before);
            let second = cores(1);
            assert_eq!(allowed_here(), one);
            let (goes, stays) = if first_goes_first { (first, second) } else { (second, first) };
            drop(goes);
            assert_eq!(allowed_here(), one, "the other is pinned");
            drop(stays);
            assert_eq!(allowed_here(), before);
        }
    });
}

/// A second runtime on a pinned thread has all CPUs to choose from, and hands all of them down.
#[test]
fn a_pinned_thread_builds_another_runtime() {
    if !several_cpus() {
        return;
    }
    ends(|| {
        let before = allowed_here();
        let _first = cores(1);
        let second = cores(2);
        let cpus: Vec<_> = second.handle().cores().iter().map(|core| core.cpu()).collect();
        assert_ne!(cpus[0], cpus[1]);
        let all = builder().cores("all").build().expect("rings");
        assert!(all.handle().cores().len() > 1);
        for core in 0..2 {
            let inherited = second.handle().spawn_on(core, || async {
                ringspun::spawn_blocking(allowed_here).await.expect("no panic")
            });
            assert_eq!(second.block_on(inherited).expect("no panic"), before, "core {core}");
        }
        // So does a core's own thread.
        let there = second.handle().cores()[1].call(|| {
            let third = cores(2);
            let cpus: Vec<_> = third.handle().cores().iter().map(|core| core.cpu()).collect();
            cpus[0] != cpus[1]
        });
        assert!(second.block_on(there).expect("no panic"));
    });
}

#[test]
fn a_runtime_that_cannot_be_built_leaves_the_thread_and_no_threads() {
    const NAME: &str = "threads::a_runtime_that_cannot_be_built_leaves_the_thread_and_no_threads";
    if !child() {
        // Descriptors for some cores and not for the last; no other test suffers.
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n 24; exec \"$0\" \"$@\""]);
        limited.arg(std::env::current_exe().expect("a path"));
        limited.args(["--exact", NAME, "--nocapture", "--test-threads=1"]);
        assert!(limited.env("ATTACKS_CHILD", "1").status().expect("sh").success());
        return;
    }
    let count = |of: &str| std::fs::read_dir(of).expect("procfs").count();
    let before = allowed_here();
    let (threads, open) = (count("/proc/self/task"), count("/proc/self/fd"));
    for _ in 0..5 {
        let error = builder().cores(12).build().unwrap_err();
        println!("{error}");
        assert!(error.to_string().contains("core "), "{error}");
        assert_eq!(allowed_here(), before);
        assert_eq!(count("/proc/self/task"), threads);
        assert_eq!(count("/proc/self/fd"), open);
    }
    // There is room for two.
    drop(cores(2));
}

#[test]
fn a_pinned_runtime_in_a_thread_local_dropped_at_the_end_of_its_thread() {
    const NAME: &str =
        "threads::a_pinned_runtime_in_a_thread_local_dropped_at_the_end_of_its_thread";
    if !child() {
        // A panic of such a destructor ends the process.
        assert!(in_a_process(NAME).status().expect("it runs").success());
        return;
    }
    thread_local! {
        static EARLY: RefCell<Option<Runtime>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    for _ in 0..3 {
        let ended = thread::spawn(|| {
            // One that is registered before what the runtime has of its own, and one after.
            EARLY.with_borrow_mut(|place| *place = Some(cores(2)));
            let late = cores(2);
            drop(late.handle().spawn_on(1, pending::<()>));
            LATE.set(Some(late));
            EARLY.with_borrow(|runtime| {
                let runtime = runtime.as_ref().expect("it was set");
                runtime.block_on(async { sleep(Duration::from_micros(10)).await });
                drop(runtime.handle().spawn(|| async {
                    let _handle = Handle::current();
                    pending::<()>().await;
                }));
            });
        });
        ended.join().expect("no panic");
    }
}

#[test]
fn guards_dropped_in_odd_order() {
    ends(|| {
        let (first, second) = (cores(2), cores(3));
        let seen = || Handle::try_current().map(|handle| handle.cores().len());
        let outer = first.enter();
        let inner = second.enter();
        assert_eq!((seen(), runtime::core_index()), (Some(3), Some(0)));
        drop(outer);
        assert_eq!(seen(), None);
        drop(inner);
        // What the inner had found is put back: the first, which nobody left properly.
        assert_eq!(seen(), Some(2));
        drop(ringspun::spawn(async {}));
        assert_eq!(second.block_on(async { Handle::current().cores().len() }), 3);
        drop(first);
        drop(second);
        // It is over, but does not break.
        assert!(foreign_block_on(ringspun::spawn(async {})).unwrap_err().is_cancelled());
        let stale = Handle::current();
        assert!(foreign_block_on(stale.spawn_on(1, || async {})).unwrap_err().is_cancelled());
    });
}

#[test]
fn forgotten_runtimes_and_guards() {
    ends(|| {
        let runtime = ManuallyDrop::new(cores(2));
        let there = runtime.handle().spawn_on(1, || async { 1 });
        assert_eq!(foreign_block_on(there).expect("core 1 turns on"), 1);
        let _guard = ManuallyDrop::new(runtime.enter());
        let other = cores(2);
        assert_eq!(other.block_on(other.handle().spawn(|| async { 2 })).expect("it runs"), 2);
        drop(other);
        assert_eq!(Handle::current().cores().len(), 2);
    });
}
