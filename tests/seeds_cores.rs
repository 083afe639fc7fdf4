//! The rows of the seeds about several cores: each test is named by its row.
//!
//! What counts threads or reads settings from the environment runs in a process of its own.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures::future::join_all;
use ringspun::runtime::{self, Builder, Handle, Runtime};
use ringspun::time::sleep;
use ringspun::uring::AsyncIoUring;

/// Set in the process that a test starts to run alone.
const MARK: &str = "RINGSPUN_SEED_CHILD";

/// Runs the test of this name alone, with these settings. False in that process.
fn runs_alone(test: &str, environment: &[(&str, &str)]) -> bool {
    if std::env::var_os(MARK).is_some() {
        return false;
    }
    let output = Command::new(std::env::current_exe().expect("the test knows itself"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the test runs itself");
    let (told, failed) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{failed}");
    true
}

/// All threads of this process, the kernel's workers too.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("procfs").count()
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<usize>().expect("a number") * 1024
}

fn two_cores() -> Runtime {
    Builder::new().cores(2).build().expect("two rings")
}

/// Few carriers, many virtual threads.
#[test]
fn b2_as_many_threads_as_cores_and_a_capped_pool() {
    if runs_alone("b2_as_many_threads_as_cores_and_a_capped_pool", &[]) {
        return;
    }
    let before = threads();
    let runtime = Builder::new().cores(3).blocking_threads(2).build().expect("three rings");
    assert_eq!(threads(), before + 2, "core 0 is the thread that builds");
    runtime.block_on(async {
        let busy = Handle::current().spawn_all(|_| async {
            let tasks = (0..5_000_u64)
                .map(|n| ringspun::spawn(async move { sleep(Duration::from_micros(n)).await }));
            let blocking = (0..20)
                .map(|_| ringspun::spawn_blocking(|| thread::sleep(Duration::from_millis(2))));
            let blocking = blocking.collect::<Vec<_>>();
            join_all(tasks.collect::<Vec<_>>()).await;
            join_all(blocking).await;
        });
        join_all(busy).await;
        assert!(threads() <= before + 2 + 3 * 2, "{} threads", threads());
    });
}

#[test]
fn b18_limits_are_settings_and_the_environment_has_them_too() {
    let environment = [
        ("RINGSPUN_CORES", "3"),
        ("RINGSPUN_BLOCKING_THREADS", "2"),
        ("RINGSPUN_BLOCKING_KEEP_ALIVE", "0.05"),
        ("RINGSPUN_IO_WORKERS", "3, 5"),
    ];
    if runs_alone("b18_limits_are_settings_and_the_environment_has_them_too", &environment) {
        return;
    }
    let workers = |runtime: &Runtime| {
        let asked = async { AsyncIoUring::current().register_io_workers((0, 0)) };
        runtime.block_on(asked).expect("Linux 5.15")
    };
    let runtime = Builder::new().cores("all").build().expect("three rings");
    assert_eq!(runtime.handle().cores().len(), 3);
    assert_eq!(workers(&runtime), (3, 5));
    let busy = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    runtime.block_on(async {
        let job = || {
            let busy = Arc::clone(&busy);
            ringspun::spawn_blocking(move || {
                let inside = busy.0.fetch_add(1, Ordering::SeqCst) + 1;
                busy.1.fetch_max(inside, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
                busy.0.fetch_sub(1, Ordering::SeqCst);
            })
        };
        join_all((0..20).map(|_| job()).collect::<Vec<_>>()).await;
        assert_eq!(busy.1.load(Ordering::SeqCst), 2);
        // They leave when they have been idle.
        while runtime.metrics().blocking_threads > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    });
    drop(runtime);
    // What the program says counts more.
    let runtime = Builder::new().cores(2).io_workers((1, 2)).build().expect("two rings");
    assert_eq!((runtime.handle().cores().len(), workers(&runtime)), (2, (1, 2)));
    assert_eq!(Runtime::new().expect("a ring").handle().cores().len(), 1);
}

#[test]
fn b18_a_setting_that_cannot_be_read_is_named() {
    let environment = [("RINGSPUN_IO_WORKERS", "many")];
    if runs_alone("b18_a_setting_that_cannot_be_read_is_named", &environment) {
        return;
    }
    let error = Runtime::new().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("RINGSPUN_IO_WORKERS=\"many\"") && text.contains("4,16"), "{text}");
}

/// The kernel's workers are the core's own: the caps are per core, less the more cores there are.
#[test]
fn b22_kernel_workers_are_capped_for_each_core() {
    for (cores, caps) in [(1, (4, 16)), (2, (2, 8)), (4, (1, 4)), (16, (1, 2))] {
        let runtime = Builder::new().cores(cores).build().expect("rings");
        runtime.block_on(async {
            let asked = Handle::current()
                .broadcast(|_| AsyncIoUring::current().register_io_workers((0, 0)).ok());
            for answer in asked {
                assert_eq!(answer.await.expect("the core runs"), Some(caps), "{cores} cores");
            }
        });
    }
}

/// A fiber's carrier is the core's thread, and it never leaves it; nor does a task.
#[test]
fn l11_a_task_never_leaves_its_core() {
    two_cores().block_on(async {
        let tasks = Handle::current().spawn_all(|_| async {
            let place = || (runtime::core_index(), thread::current().id());
            let before = place();
            for n in 0..10_000 {
                if n % 100 == 0 {
                    sleep(Duration::from_micros(1)).await;
                }
                ringspun::task::yield_now().await;
                assert_eq!(place(), before);
            }
            before.0
        });
        for (index, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("no panic"), Some(index));
        }
    });
}

/// Nothing is stolen: work goes where it is sent, and is spread by who sends it.
#[test]
fn n14_work_is_spread_by_who_spawns_it() {
    let runtime = two_cores();
    runtime.block_on(async {
        let handle = Handle::current();
        let spread = |n: usize| {
            handle.spawn_on(n % 2, move || async move {
                ringspun::task::yield_now().await;
                runtime::core_index()
            })
        };
        let ran_on = join_all((0..1_000).map(spread)).await;
        for (n, core) in ran_on.into_iter().enumerate() {
            assert_eq!(core.expect("no panic"), Some(n % 2));
        }
    });
}

/// Threads are scarce and big, tasks are neither: 100 000 of them on two threads.
#[test]
fn n16_tasks_are_small_and_need_no_thread() {
    const TASKS: usize = 50_000;
    if runs_alone("n16_tasks_are_small_and_need_no_thread", &[]) {
        return;
    }
    let runtime = two_cores();
    runtime.block_on(async {
        let handle = Handle::current();
        let (threads_before, memory_before) = (threads(), resident());
        let spawned = handle.broadcast(|_| {
            for _ in 0..TASKS {
                ringspun::spawn(std::future::pending::<()>()).detach();
            }
        });
        for answer in spawned {
            answer.await.expect("the core runs");
        }
        let each = (resident() - memory_before) / (2 * TASKS);
        println!("{each} bytes of resident memory for each parked task");
        assert_eq!(threads(), threads_before);
        assert!(each < 512, "{each} bytes each");
    });
}
