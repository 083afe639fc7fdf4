//! Attacks on a runtime over several cores: what a review tried in order to hang it, to lose what
//! was sent to it, or to leave a thread other than it was.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on as foreign_block_on;
use ringspun::runtime::{
    self, Builder, CoreState, Handle, RemoteJoinHandle, Runtime, Sharded, shutdown_requested,
};
use ringspun::task::CoreBound;
use ringspun::time::sleep;

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `attack` on a thread of its own, so that one that hangs fails.
#[track_caller]
fn ends<R: Send + 'static>(attack: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let answer = attack();
        let _ = done.send(());
        answer
    });
    if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("this hangs");
    }
    thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

fn builder() -> Builder {
    Builder::new().entries(8)
}

fn cores(count: usize) -> Runtime {
    builder().cores(count).build().expect("rings")
}

fn poll_once<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Runs the test of this name in a process of its own, where it finds `child()` true.
fn in_a_process(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env("ATTACKS_CHILD", "1");
    command
}

fn child() -> bool {
    std::env::var_os("ATTACKS_CHILD").is_some()
}

fn allowed_here() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:"));
    line.expect("a line").trim_start_matches("Cpus_allowed_list:").trim().to_owned()
}

fn several_cpus() -> bool {
    thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1)
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A payload, a value: whatever panics when it goes.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("in a destructor");
        }
    }
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

// --- the life of runtimes ---

#[test]
fn built_and_dropped_a_thousand_times() {
    if !child() {
        // Alone in its process: the descriptors and threads of others would be counted.
        let status = in_a_process("built_and_dropped_a_thousand_times").status().expect("runs");
        assert!(status.success());
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").expect("procfs").count();
    let threads = || std::fs::read_dir("/proc/self/task").expect("procfs").count();
    let mut before = None;
    for round in 0..1000 {
        let runtime = cores(2);
        let there = runtime.handle().spawn_on(1, move || async move { round });
        if round % 2 == 0 {
            assert_eq!(runtime.block_on(there).expect("it runs"), round);
        }
        drop(runtime);
        if round == 10 {
            before = Some((open(), threads()));
        }
    }
    assert_eq!(before, Some((open(), threads())), "descriptors and threads, then and now");
}

#[test]
fn more_cores_than_a_word_has_bits() {
    ends(|| {
        let runtime = builder().entries(2).cores(70).build().expect("70 rings");
        let sum = runtime.block_on(async {
            let mut sum = 0;
            for core in Handle::current().spawn_all(|core| async move { core }) {
                sum += core.await.expect("it runs");
            }
            sum
        });
        assert_eq!(sum, 69 * 70 / 2);
        assert!(runtime.shutdown().cores_left_behind.is_empty());
    });
}

#[test]
fn more_cores_than_can_be() {
    let error = Builder::new().cores(usize::MAX).build().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
}

#[test]
fn dropped_inside_a_panic_with_destructors_that_panic() {
    ends(|| {
        let runtime = cores(2);
        for core in 0..2 {
            runtime.handle().cores()[core].run(|| drop(PanicsInDrop));
            drop(runtime.handle().spawn_on(core, || async {
                let _panics = PanicsInDrop;
                pending::<()>().await;
            }));
        }
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            runtime.block_on(async { sleep(Duration::from_millis(2)).await });
            let _held = runtime;
            panic!("with a runtime in hand");
        }));
        assert!(panicked.is_err());
    });
}

#[test]
fn a_runtime_that_never_turned() {
    ends(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let runtime = cores(2);
        let polled = Arc::new(AtomicBool::new(false));
        let (guard, seen) = (CountDrop(Arc::clone(&dropped)), Arc::clone(&polled));
        let never = runtime.handle().spawn(move || async move {
            let _guard = guard;
            seen.store(true, Ordering::SeqCst);
        });
        drop(runtime);
        assert!(foreign_block_on(never).unwrap_err().is_cancelled());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(!polled.load(Ordering::SeqCst));
    });
}

#[test]
fn shut_down_inside_another_runtime() {
    ends(|| {
        let outer = cores(1);
        outer.block_on(async {
            let inner = cores(2);
            drop(inner.handle().spawn_on(1, pending::<()>));
            let report = inner.shutdown();
            assert!(report.cores_left_behind.is_empty());
            assert!(report.cores_failed.is_empty());
            // And dropped.
            drop(cores(2));
            assert_eq!(runtime::core_index(), Some(0));
        });
    });
}

#[test]
fn shut_down_at_once_polls_nothing_more() {
    ends(|| {
        let runtime = cores(1);
        let polled = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&polled);
        drop(runtime.handle().spawn(move || {
            poll_fn(move |_| -> Poll<()> {
                seen.fetch_add(1, Ordering::SeqCst);
                Poll::Pending
            })
        }));
        let _ = runtime.shutdown();
        assert_eq!(polled.load(Ordering::SeqCst), 0);
    });
}

/// Tasks that hop are on no core for a moment: on the way.
#[test]
fn shut_down_within_a_grace_while_a_task_hops_from_core_to_core() {
    const HOPS: usize = 3000;
    fn hop(left: usize, done: Arc<AtomicUsize>) {
        let handle = Handle::current();
        let to = left % handle.cores().len();
        drop(handle.clone().spawn_on(to, move || async move {
            done.fetch_add(1, Ordering::SeqCst);
            if left > 1 {
                hop(left - 1, done);
            }
        }));
    }
    for count in [2, 3] {
        let hops = ends(move || {
            let runtime = cores(count);
            let done = Arc::new(AtomicUsize::new(0));
            let hops = Arc::clone(&done);
            runtime.handle().cores()[1].run(move || hop(HOPS, hops));
            let _ = runtime.shutdown_within(PATIENCE).expect("the ring is whole");
            done.load(Ordering::SeqCst)
        });
        assert_eq!(hops, HOPS);
    }
}

#[test]
fn shut_down_within_a_grace_while_tasks_hop_for_ever() {
    fn hop() {
        let handle = Handle::current();
        let to = (runtime::core_index().expect("a core") + 1) % handle.cores().len();
        drop(handle.clone().spawn_on(to, || async { hop() }));
    }
    ends(|| {
        let runtime = cores(3);
        runtime.handle().cores()[1].run(hop);
        let report = runtime.shutdown_within(Duration::from_millis(50)).expect("a whole ring");
        assert!(report.cores_left_behind.is_empty());
    });
}

#[test]
fn a_spawn_before_the_shutdown_of_its_core_is_run() {
    ends(|| {
        for _ in 0..300 {
            let runtime = cores(2);
            let core = runtime.handle().cores()[1].clone();
            let sent = core.spawn(|| async { 7 });
            core.shutdown(PATIENCE);
            assert_eq!(foreign_block_on(sent).expect("it was sent before the end was asked"), 7);
        }
    });
}

#[test]
fn spawns_that_race_with_the_shutdown_all_answer() {
    ends(|| {
        for _ in 0..50 {
            let runtime = cores(2);
            let handle = runtime.handle();
            let (ran, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (handle, ran, gone) = (handle.clone(), ran.clone(), gone.clone());
                    thread::spawn(move || {
                        for n in 0..200 {
                            let guard = CountDrop(Arc::clone(&gone));
                            let sent = handle.spawn_on(1, move || async move {
                                let _guard = guard;
                                n
                            });
                            match foreign_block_on(sent) {
                                Ok(answer) => {
                                    assert_eq!(answer, n);
                                    ran.fetch_add(1, Ordering::SeqCst);
                                }
                                Err(error) => assert!(error.is_cancelled()),
                            }
                        }
                    })
                })
                .collect();
            let enders: Vec<_> = (0..3)
                .map(|grace| {
                    let core = handle.cores()[1].clone();
                    thread::spawn(move || core.shutdown(Duration::from_millis(grace)))
                })
                .collect();
            enders.into_iter().for_each(|ender| ender.join().expect("no panic"));
            senders.into_iter().for_each(|sender| sender.join().expect("all answer"));
            drop(runtime);
            assert_eq!(gone.load(Ordering::SeqCst), 600, "every future was dropped");
        }
    });
}

// --- cores that fail or block ---

#[test]
fn a_core_that_is_left_behind_refuses_what_is_sent() {
    ends(|| {
        let runtime =
            builder().cores(2).shutdown_timeout(Duration::from_millis(10)).build().expect("rings");
        let handle = runtime.handle();
        let (said, entered) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        handle.cores()[1].run(move || {
            said.send(()).expect("it is awaited");
            let _ = wait.recv();
        });
        entered.recv().expect("it runs");
        let before = handle.spawn_on(1, || async {});
        let report = runtime.shutdown();
        assert_eq!(report.cores_left_behind, [1]);
        assert!(report.cores_failed.is_empty());
        assert!(!handle.cores()[1].is_alive());
        let after = handle.spawn_on(1, || async {});
        assert!(foreign_block_on(after).unwrap_err().is_cancelled());
        assert!(foreign_block_on(before).unwrap_err().is_cancelled());
        drop(go_on);
    });
}

#[test]
fn a_thread_local_of_a_core_whose_destructor_waits_for_ever() {
    struct Waits(mpsc::Receiver<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }
    thread_local! {
        static WAITS: RefCell<Option<Waits>> = const { RefCell::new(None) };
    }
    ends(|| {
        let (go_on, wait) = mpsc::channel();
        let runtime =
            builder().cores(2).shutdown_timeout(Duration::from_millis(10)).build().expect("rings");
        let set = runtime.handle().cores()[1].call(move || WAITS.set(Some(Waits(wait))));
        runtime.block_on(set).expect("it runs");
        drop(runtime);
        drop(go_on);
    });
}

#[test]
fn a_core_fails_while_standard_error_is_a_pipe_that_nobody_reads() {
    const NAME: &str = "a_core_fails_while_standard_error_is_a_pipe_that_nobody_reads";
    if child() {
        let runtime = cores(2);
        let handle = runtime.handle();
        let waits = handle.spawn_on(1, pending::<()>);
        handle.cores()[1].break_loop("a test");
        assert!(foreign_block_on(waits).unwrap_err().is_cancelled());
        drop(runtime);
        let state = handle.cores()[1].state();
        println!("state: {state:?}");
        return;
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let output = in_a_process(NAME).stderr(writer).stdout(Stdio::piped()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("Failed(\"a test\")"), "{text}");
}

#[test]
fn cores_break_at_any_moment() {
    ends(|| {
        for round in 0..60 {
            let runtime = cores(4);
            let handle = runtime.handle();
            let breaker = handle.clone();
            let breaks = thread::spawn(move || {
                for core in &breaker.cores()[1..] {
                    core.break_loop(format!("round {round}"));
                }
            });
            let mut sent = Vec::new();
            for n in 0..60 {
                sent.push(handle.spawn_on(1 + n % 3, move || async move {
                    let next = 1 + (n + 1) % 3;
                    Handle::current().spawn_on(next, move || async move { n }).await
                }));
            }
            for answer in sent {
                let _ = foreign_block_on(answer);
            }
            breaks.join().expect("no panic");
            drop(runtime);
            let ended = |core: &ringspun::runtime::CoreHandle| core.state() != CoreState::Running;
            assert!(handle.cores().iter().all(ended));
        }
    });
}

// --- wakers and destructors of the user ---

#[test]
fn a_waker_that_panics_does_not_keep_the_cores_from_being_asked() {
    ends(|| {
        let runtime = cores(3);
        let handle = runtime.handle();
        for core in 0..2 {
            let asks = move || {
                let waker = Waker::from(Arc::new(PanickingWaker));
                let mut asked = Box::pin(shutdown_requested());
                assert!(poll_once(asked.as_mut(), &waker).is_pending());
                // Never dropped, so that it is never struck off.
                let _ = ManuallyDrop::new(asked);
            };
            runtime.block_on(handle.cores()[core].call(asks)).expect("no panic");
        }
        let asked = handle.clone();
        assert!(catch_unwind(AssertUnwindSafe(|| asked.shutdown(Duration::ZERO))).is_ok());
        while handle.cores()[1].is_alive() || handle.cores()[2].is_alive() {
            thread::yield_now();
        }
        assert!(runtime.shutdown().cores_left_behind.is_empty());
    });
}

/// A task per connection waits for its work or for the end: what has ended leaves nothing behind.
#[test]
fn who_waited_for_the_end_and_left_is_forgotten() {
    struct Counted(#[allow(dead_code)] CountDrop);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    ends(|| {
        let runtime = cores(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            for _ in 0..1000 {
                let waker = Waker::from(Arc::new(Counted(CountDrop(Arc::clone(&dropped)))));
                let mut asked = pin!(shutdown_requested());
                assert!(poll_once(asked.as_mut(), &waker).is_pending());
            }
        });
        assert_eq!(dropped.load(Ordering::SeqCst), 1000);
    });
}

#[test]
fn awaited_elsewhere_the_end_comes_with_the_end_of_the_core() {
    ends(|| {
        let runtime = cores(2);
        let mut waiting = Vec::new();
        for core in 0..2 {
            let make = || {
                let mut asked = Box::pin(shutdown_requested());
                assert!(poll_once(asked.as_mut(), Waker::noop()).is_pending());
                asked as Pin<Box<dyn Future<Output = ()> + Send>>
            };
            let asked = runtime.handle().cores()[core].call(make);
            waiting.push(runtime.block_on(asked).expect("no panic"));
        }
        let waiting: Vec<_> =
            waiting.into_iter().map(|asked| thread::spawn(|| foreign_block_on(asked))).collect();
        drop(runtime);
        waiting.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

#[test]
fn answers_wakers_and_payloads_that_panic_when_they_go() {
    ends(|| {
        let runtime = cores(2);
        let handle = runtime.handle();
        let core = &handle.cores()[1];
        for _ in 0..20 {
            // Nobody takes the answer.
            drop(core.call(|| PanicsInDrop));
            drop(core.call(|| panic_any(PanicsInDrop)));
            drop(core.spawn(|| async { PanicsInDrop }));
            drop(core.spawn(|| async { panic_any(PanicsInDrop) }));
            // Who waits cannot be woken, and has left its answer behind.
            let mut asked = Box::pin(core.spawn(|| async {
                sleep(Duration::from_micros(200)).await;
                PanicsInDrop
            }));
            let waker = Waker::from(Arc::new(PanickingWaker));
            assert!(poll_once(asked.as_mut(), &waker).is_pending());
            drop(asked);
        }
        assert_eq!(foreign_block_on(core.spawn(|| async { 4 })).expect("it goes on"), 4);
        assert_eq!(core.state(), CoreState::Running);
        assert!(runtime.shutdown().cores_failed.is_empty());
    });
}

#[test]
fn a_handle_dropped_by_the_waker_in_the_middle_of_the_answer() {
    struct DropsHandle(Mutex<Option<RemoteJoinHandle<CountDrop>>>);
    impl Wake for DropsHandle {
        fn wake(self: Arc<Self>) {
            let handle = self.0.lock().expect("no panic").take();
            drop(handle);
        }
    }
    ends(|| {
        let runtime = cores(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..200 {
            let answer = CountDrop(Arc::clone(&dropped));
            let (go, gone) = futures::channel::oneshot::channel::<()>();
            let mut sent = runtime.handle().spawn_on(1, || async move {
                let _ = gone.await;
                answer
            });
            let holder = Arc::new(DropsHandle(Mutex::new(None)));
            let waker = Waker::from(Arc::clone(&holder));
            assert!(poll_once(Pin::new(&mut sent), &waker).is_pending());
            *holder.0.lock().expect("no panic") = Some(sent);
            go.send(()).expect("it waits");
        }
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 200);
    });
}

#[test]
fn what_is_dropped_in_the_shutdown_spawns_on_every_core() {
    struct Spawns(Handle, Arc<AtomicUsize>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            for core in self.0.cores() {
                let guard = CountDrop(Arc::clone(&self.1));
                drop(core.spawn(move || async move {
                    let _guard = guard;
                    pending::<()>().await;
                }));
            }
        }
    }
    ends(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let runtime = cores(3);
        for core in 0..3 {
            let spawns = Spawns(runtime.handle(), Arc::clone(&dropped));
            drop(runtime.handle().spawn_on(core, move || async move {
                let _spawns = spawns;
                pending::<()>().await;
            }));
        }
        runtime.block_on(async { sleep(Duration::from_millis(5)).await });
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 9);
    });
}

#[test]
fn a_message_that_sends_itself_again_when_it_is_dropped() {
    struct Again(Option<Handle>);
    impl Drop for Again {
        fn drop(&mut self) {
            if let Some(handle) = self.0.take() {
                let again = Again(Some(handle.clone()));
                handle.cores()[1].run(move || drop(again));
            }
        }
    }
    const NAME: &str = "a_message_that_sends_itself_again_when_it_is_dropped";
    if !child() {
        // The end of the stack is the end of the process.
        assert!(in_a_process(NAME).status().expect("it runs").success());
        return;
    }
    ends(|| {
        let runtime = cores(2);
        let handle = runtime.handle();
        drop(runtime);
        drop(Again(Some(handle)));
    });
}

#[test]
fn a_destructor_in_the_shutdown_waits_for_another_core() {
    struct Asks(Handle, usize);
    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = foreign_block_on(self.0.spawn_on(self.1, || async {}));
            let _ = foreign_block_on(self.0.cores()[self.1].call(|| ()));
        }
    }
    ends(|| {
        let runtime = cores(3);
        for core in 0..3 {
            let asks = Asks(runtime.handle(), (core + 1) % 3);
            drop(runtime.handle().spawn_on(core, move || async move {
                let _asks = asks;
                pending::<()>().await;
            }));
        }
        runtime.block_on(async { sleep(Duration::from_millis(5)).await });
        assert!(runtime.shutdown().cores_left_behind.is_empty());
    });
}

#[test]
fn bound_values_in_closures_that_a_closed_core_drops() {
    struct Local {
        home: thread::ThreadId,
        gone: Arc<AtomicUsize>,
        _not_send: Rc<()>,
    }
    impl Drop for Local {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.home);
            self.gone.fetch_add(1, Ordering::SeqCst);
        }
    }
    ends(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let runtime = cores(2);
        let handle = runtime.handle();
        runtime.block_on(async {
            handle.cores()[1].shutdown(Duration::ZERO);
            while handle.cores()[1].is_alive() {
                sleep(Duration::from_millis(1)).await;
            }
            for round in 0..100 {
                let home = thread::current().id();
                let gone = Arc::clone(&gone);
                let local = CoreBound::new(Local { home, gone, _not_send: Rc::new(()) });
                let handle = handle.clone();
                if round % 2 == 0 {
                    handle.cores()[1].run(move || drop(local));
                } else {
                    // From a thread that is no core: it comes home.
                    thread::spawn(move || handle.cores()[1].run(move || drop(local)));
                }
            }
            while gone.load(Ordering::SeqCst) < 100 {
                sleep(Duration::from_millis(1)).await;
            }
        });
    });
}

#[test]
fn sharded_values_dropped_anywhere() {
    struct Local(thread::ThreadId, Arc<AtomicUsize>);
    impl Drop for Local {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.0);
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    ends(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let runtime = cores(3);
        let make = || {
            let gone = Arc::clone(&gone);
            let make = move |_| Local(thread::current().id(), gone);
            runtime.block_on(Sharded::new(&runtime.handle(), make)).expect("no panic")
        };
        // On a thread that is no core; values on core 0 come home in a turn.
        let (first, second, third) = (make(), make(), make());
        thread::spawn(move || drop(first)).join().expect("no panic");
        let on_core = runtime.handle().cores()[1].call(move || drop(second));
        runtime.block_on(on_core).expect("no panic");
        runtime.block_on(async {
            while gone.load(Ordering::SeqCst) < 6 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        drop(runtime);
        // After the runtime: core 0's is at home; the others have none, and are leaked.
        assert!(foreign_block_on(third.on(1, |_| ())).unwrap_err().is_cancelled());
        drop(third);
        assert_eq!(gone.load(Ordering::SeqCst), 7);
    });
}

// --- the thread ---

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
    const NAME: &str = "a_runtime_that_cannot_be_built_leaves_the_thread_and_no_threads";
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
    const NAME: &str = "a_pinned_runtime_in_a_thread_local_dropped_at_the_end_of_its_thread";
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

// --- handles on foreign executors ---

#[test]
fn polled_by_foreign_executors_while_the_core_ends() {
    ends(|| {
        for round in 0..100_u64 {
            let runtime = cores(2);
            let handles: Vec<_> = (0..40)
                .map(|n| {
                    runtime.handle().spawn_on(1, move || async move {
                        sleep(Duration::from_micros(n * 20)).await;
                        n
                    })
                })
                .collect();
            let threads: Vec<_> = handles
                .into_iter()
                .map(|handle| {
                    thread::spawn(move || match foreign_block_on(handle) {
                        Ok(_) => {}
                        Err(error) => assert!(error.is_cancelled()),
                    })
                })
                .collect();
            thread::sleep(Duration::from_micros(round * 8));
            drop(runtime);
            threads.into_iter().for_each(|thread| thread.join().expect("it answers"));
        }
    });
}

#[test]
fn aborted_from_everywhere() {
    ends(|| {
        let runtime = cores(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        for round in 0..300 {
            let guard = CountDrop(Arc::clone(&dropped));
            let sent =
                Arc::new(Mutex::new(Some(runtime.handle().spawn_on(1, move || async move {
                    let _guard = guard;
                    pending::<()>().await;
                }))));
            let aborts: Vec<_> = (0..3)
                .map(|_| {
                    let sent = Arc::clone(&sent);
                    thread::spawn(move || {
                        sent.lock().expect("no panic").as_ref().expect("there").abort();
                    })
                })
                .collect();
            if round % 2 == 0 {
                runtime.handle().cores()[1].run(thread::yield_now);
            }
            aborts.into_iter().for_each(|abort| abort.join().expect("no panic"));
            let sent = sent.lock().expect("no panic").take().expect("there");
            assert!(foreign_block_on(sent).unwrap_err().is_cancelled());
        }
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 300);
    });
}

#[test]
fn blocked_cores_are_asked_together() {
    ends(|| {
        let runtime =
            builder().cores(30).shutdown_timeout(Duration::from_millis(10)).build().expect("rings");
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for core in &runtime.handle().cores()[1..] {
            let (wait, (said, entered)) = (Arc::clone(&wait), mpsc::channel());
            core.run(move || {
                said.send(()).expect("it is awaited");
                let _ = wait.lock().map(|wait| wait.recv());
            });
            entered.recv().expect("it runs");
        }
        let start = Instant::now();
        let report = runtime.shutdown_within(Duration::ZERO).expect("a whole ring");
        println!("took {:?}", start.elapsed());
        assert_eq!(report.cores_left_behind.len(), 29);
        drop(go_on);
    });
}

#[test]
fn a_thousand_spawns_leave_no_task_behind() {
    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(0) };
    }
    ends(|| {
        let runtime = cores(2);
        let handle = runtime.handle();
        runtime.block_on(async {
            for _ in 0..1000 {
                let sent = handle.spawn_on(1, || async { LEFT.set(LEFT.get() + 1) });
                sent.await.expect("it runs");
            }
            let left = handle.cores()[1].call(|| (LEFT.get(), ringspun::task::list().len()));
            // Main, and at most the one whose answer we just had.
            let (ran, left) = left.await.expect("it runs");
            assert!(ran == 1000 && left <= 2, "{ran} {left}");
        });
    });
}
