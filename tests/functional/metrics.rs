//! What is counted, and how it is read from outside.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt;
use prometheus_parse::{Scrape, Value};
use ringspun::op::{
    AcceptMulti, BufClass, Multishot, Nop, Read, RecvSelect, SharedFd, Timeout, buf_group, link,
    submit,
};
use ringspun::runtime::{BufferPool, CoreMetrics, Handle, Metrics};
use ringspun::task;
use ringspun::time::sleep;

use crate::support::{
    PATIENCE, Pipe, builder, poll_once, runtime, socket_pair, submit_only, turn, until,
};

/// How many ops of this name are in flight, and how many were begun.
fn op(metrics: &CoreMetrics, name: &str) -> (u64, u64) {
    let op = metrics.ops.iter().find(|op| op.name == name);
    op.map_or((0, 0), |op| (op.in_flight, op.started))
}

/// Looks until `done` says yes, on a thread that no loop needs.
fn watch(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "this never came to be: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_chaos() -> bool {
    std::env::var_os("RINGSPUN_CHAOS_SEED").is_some()
}

#[test]
fn a_fresh_runtime() {
    let runtime = runtime();
    let metrics = runtime.metrics();
    assert_eq!((metrics.index, metrics.cpu, metrics.alive), (0, None, true));
    assert_eq!((metrics.turns, metrics.polls, metrics.tasks), (0, 0, 0));
    assert_eq!((metrics.ops.len(), metrics.buffers, metrics.entries_per_enter()), (0, 0, 0.0));
    assert_eq!(metrics.longest_poll, Duration::ZERO);
}

/// The ways for an op to end: answered, dropped in flight, dropped in the backlog, cancelled by
/// name, with its chain, with its stream, with nobody left.
#[test]
fn nothing_in_flight_after_quiesce() {
    let runtime = builder().entries(4).build().expect("a ring");
    let metrics = || runtime.metrics();
    runtime.block_on(async {
        let pipes: Vec<Pipe> = (0..20).map(|_| Pipe::new()).collect();
        let read = |pipe: &Pipe| submit(Read::new(&pipe.reader, Vec::with_capacity(8), 0));
        let mut reads: Vec<_> = pipes.iter().map(read).collect();
        for read in &mut reads {
            assert!(poll_once(read).await.is_pending());
        }
        assert_eq!(op(&metrics(), "READ"), (20, 20));
        assert!(metrics().backlog >= 16, "the queue has four places");
        assert!(metrics().backlog_max >= metrics().backlog as u64);
        // From the backlog, and from the kernel.
        drop(reads.pop());
        assert_eq!(op(&metrics(), "READ"), (19, 20));
        until("the backlog moves", || metrics().backlog == 0).await;
        // Whom a signal interrupts waits for a poll, and is not in flight.
        let (in_flight, started) = op(&metrics(), "READ");
        assert!((in_flight == 19 || is_chaos()) && started == 20);
        reads.truncate(10);
        assert!(metrics().ops_orphaned >= 9 || is_chaos());
        until("the orphans end", || metrics().ops_orphaned == 0).await;
        let in_flight = op(&metrics(), "READ").0;
        assert!((in_flight, metrics().orphaned) == (10, 9) || is_chaos() && in_flight <= 10);

        let chain = link((Nop::new(), Timeout::new(Duration::from_secs(3600), 0, 0), Nop::new()));
        let mut chain = Box::pin(async move { chain.await.map(drop) });
        assert!(submit_only(&mut chain).await.is_pending());
        assert_eq!(op(&metrics(), "TIMEOUT"), (1, 1));
        drop(chain);

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut connections = Multishot::new(AcceptMulti::new(OwnedFd::from(listener), 0));
        let client = std::net::TcpStream::connect(address).expect("it listens");
        let _ours = connections.next().await.expect("one comes");
        assert!(op(&metrics(), "ACCEPT").0 == 1 || is_chaos(), "it goes on after the first");
        drop((connections, client));

        let id = reads[0].id();
        Handle::current().cancel(id);
        let (outcome, _) = reads.swap_remove(0).await;
        assert_eq!(outcome.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
    });
    runtime.run_until_idle().expect("the ring works");
    runtime.block_on(until("all have ended", || metrics().ops_orphaned == 0));
    let metrics = metrics();
    assert_eq!(metrics.ops_in_flight().collect::<Vec<_>>(), []);
    assert_eq!(metrics.ops_awaited, 0);
    assert_eq!(metrics.stale, 0);
    assert!(op(&metrics, "READ").1 >= 20 && op(&metrics, "NOP").1 == 2);
    assert!(metrics.submitted > metrics.enters || metrics.entries_per_enter() > 0.0);
}

/// Also what goes with the runtime.
#[test]
fn nothing_in_flight_after_the_end() {
    let runtime = runtime();
    let handle = runtime.handle();
    let pipe = Pipe::new();
    runtime.block_on(async {
        let fd = pipe.reader.clone();
        task::spawn(async move { submit(Read::new(&fd, Vec::with_capacity(8), 0)).await.0 })
            .detach();
        turn().await;
    });
    let before = handle.metrics().total();
    assert_eq!((op(&before, "READ"), before.tasks, before.alive), ((1, 1), 1, true));
    drop(runtime);
    let after = handle.metrics().total();
    assert_eq!((op(&after, "READ").0, after.tasks, after.alive), (0, 0, false));
    assert_eq!((after.tasks_ready, after.tasks_running, after.timers), (0, 0, 0));
}

/// Its counters stand still, and it is not asleep.
#[test]
fn a_blocked_core_is_seen() {
    let runtime = builder().cores(2).build().expect("two rings");
    let handle = runtime.handle();
    let (release, released) = mpsc::channel::<()>();
    let core = handle.core(1).expect("two cores").clone();
    watch("the core is up", || core.metrics().asleep);
    core.run(move || {
        task::spawn(async move {
            let _ = released.recv();
        })
        .detach();
        task::spawn(async {}).detach();
    });
    watch("the task runs", || core.metrics().calls == 1 && core.metrics().tasks_running == 1);
    let (before, began) = (core.metrics(), Instant::now());
    thread::sleep(Duration::from_millis(60));
    let after = core.metrics();
    assert!(!before.asleep && !after.asleep);
    assert_eq!(
        (before.turns, before.enters, before.polls),
        (after.turns, after.enters, after.polls)
    );
    assert_eq!((after.tasks, after.tasks_ready, after.tasks_spawned), (2, 1, 2));
    let blocked = began.elapsed();
    release.send(()).expect("the core listens");
    watch("the core goes on", || core.metrics().enters > after.enters);
    watch("the core sleeps", || core.metrics().asleep);
    // At least so long, less a tick of the coarse clock at either end.
    let longest = core.metrics().longest_poll;
    assert!(longest + Duration::from_millis(21) >= blocked, "{longest:?} of {blocked:?}");
    assert_eq!((core.metrics().tasks_finished, core.metrics().tasks_ready), (2, 0));
}

#[test]
fn a_long_poll_among_short_ones() {
    const LONG: Duration = Duration::from_millis(100);
    let runtime = runtime();
    runtime.block_on(async {
        // Waiting is no poll.
        sleep(LONG).await;
        let waited = runtime.metrics().longest_poll;
        let short = (0..40).map(|_| task::spawn(task::yield_now())).collect::<Vec<_>>();
        task::spawn(async { thread::sleep(LONG) }).await.expect("no panic");
        for task in short {
            task.await.expect("no panic");
        }
        sleep(Duration::from_millis(1)).await;
        let longest = runtime.metrics().longest_poll;
        assert!(longest + Duration::from_millis(21) >= LONG, "{longest:?}");
        assert!(waited < longest || waited > LONG, "the wait was counted: {waited:?}");
    });
}

#[test]
fn wakes_from_home_and_from_afar() {
    const WAKES: u64 = 5;
    let runtime = builder().cores(2).build().expect("two rings");
    let core = runtime.handle().core(1).expect("two cores").clone();
    let (wakers, woken) = mpsc::channel();
    let done = Arc::new(AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    let task = core.spawn(move || {
        std::future::poll_fn(move |cx| {
            if is_done.load(Ordering::Acquire) {
                return std::task::Poll::Ready(());
            }
            wakers.send(cx.waker().clone()).expect("the test listens");
            std::task::Poll::Pending
        })
    });
    for round in 1..=WAKES {
        let waker = woken.recv().expect("the task runs");
        watch("the core sleeps", || core.metrics().asleep);
        let before = core.metrics();
        done.store(round == WAKES, Ordering::Release);
        waker.wake();
        watch("the wake comes", || core.metrics().wakes_remote > before.wakes_remote);
        let after = core.metrics();
        assert_eq!(after.wakes_remote, before.wakes_remote + 1);
        assert_eq!(after.notifies, before.notifies + 1, "it slept");
    }
    runtime.block_on(task).expect("no panic");

    let before = runtime.metrics();
    runtime.block_on(async {
        for _ in 0..10 {
            task::yield_now().await;
        }
    });
    let after = runtime.metrics();
    // Ten, and the one that `block_on` begins with.
    assert_eq!((after.wakes_local - before.wakes_local, after.polls - before.polls), (11, 11));
    assert_eq!((after.wakes_remote, after.notifies), (before.wakes_remote, before.notifies));
}

/// A wake of a core that is awake rings no bell.
#[test]
fn no_notify_while_the_core_is_awake() {
    let runtime = runtime();
    let handle = runtime.handle();
    runtime.block_on(async {
        let waker = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
        let before = runtime.metrics();
        thread::spawn(move || {
            waker.wake();
            handle.run(|| {});
        })
        .join()
        .expect("no panic");
        task::yield_now().await;
        turn().await;
        let after = runtime.metrics();
        assert_eq!(after.notifies, before.notifies);
        assert_eq!(after.calls, before.calls + 1);
    });
}

#[test]
fn tasks_by_state() {
    let runtime = runtime();
    let states = |metrics: CoreMetrics| {
        (metrics.tasks, metrics.tasks_ready, metrics.tasks_running, metrics.tasks_waiting)
    };
    assert_eq!(states(runtime.metrics()), (0, 0, 0, 1), "the main future waits");
    runtime.block_on(async {
        assert_eq!(states(runtime.metrics()), (0, 0, 1, 0));
        let waits = task::spawn(std::future::pending::<()>());
        let ready = task::spawn(async {});
        assert_eq!(states(runtime.metrics()), (2, 2, 1, 0));
        ready.await.expect("no panic");
        assert_eq!(states(runtime.metrics()), (1, 0, 1, 1));
        waits.abort();
        assert!(waits.await.is_err());
        let metrics = runtime.metrics();
        assert_eq!((metrics.tasks_spawned, metrics.tasks_finished), (2, 2));
    });
    assert_eq!(states(runtime.metrics()), (0, 0, 0, 1));
}

/// The closures that were sent, and what those that run in a future hold, end with the runtime.
#[test]
fn tasks_that_end_with_the_runtime() {
    let runtime = runtime();
    let handle = runtime.handle();
    let cycle = Rc::new(RefCell::new(None));
    let inner = Rc::clone(&cycle);
    let task = runtime.block_on(async {
        let task = task::spawn(async move {
            let _held = inner;
            std::future::pending::<()>().await;
        });
        task::yield_now().await;
        task::spawn(async {}).detach();
        task
    });
    cycle.replace(Some(task));
    drop(runtime);
    let metrics = handle.metrics().total();
    assert_eq!((metrics.tasks, metrics.tasks_ready, metrics.tasks_finished), (0, 0, 2));
    assert_eq!(metrics.tasks_waiting, 1, "the main future, which there is not any more");
}

#[test]
fn overflows() {
    let runtime = builder().entries(1).cq_entries(2).build().expect("a ring");
    runtime.block_on(async {
        let pipes: Vec<Pipe> = (0..32).map(|_| Pipe::new()).collect();
        let read = |pipe: &Pipe| submit(Read::new(&pipe.reader, Vec::with_capacity(1), 0));
        let mut reads: Vec<_> = pipes.iter().map(read).collect();
        for read in &mut reads {
            assert!(poll_once(read).await.is_pending());
        }
        until("the kernel has them", || runtime.metrics().backlog == 0).await;
        for mut pipe in pipes {
            pipe.write(b"x");
        }
        for read in reads {
            assert_eq!(read.await.0.expect("a byte"), 1);
        }
    });
    assert!(runtime.metrics().overflows > 0, "two places for 32 answers");
}

#[test]
fn the_blocking_pool() {
    let runtime = builder().blocking_threads(1).build().expect("a ring");
    let handle = runtime.handle();
    runtime.block_on(async {
        let (release, released) = mpsc::channel::<()>();
        let first = ringspun::spawn_blocking(move || released.recv());
        let second = ringspun::spawn_blocking(|| {});
        watch("a thread takes the first", || handle.metrics().total().blocking_queued == 1);
        let metrics = runtime.metrics();
        assert_eq!((metrics.blocking_threads, metrics.blocking_idle), (1, 0));
        release.send(()).expect("it listens");
        first.await.expect("no panic").expect("sent");
        second.await.expect("no panic");
        assert_eq!(runtime.metrics().blocking_threads_max, 1);
    });
}

#[test]
fn buffers_in_use_and_none_left() {
    let runtime =
        builder().buffer_pool(BufferPool::new().small(64, 2).held_max(2)).build().expect("a ring");
    let handle = runtime.handle();
    let held = runtime.block_on(async {
        let group = buf_group(BufClass::Small)?;
        let (ours, mut peer) = socket_pair();
        let mut held = Vec::new();
        while held.len() < 2 {
            io::Write::write_all(&mut peer, b"x").expect("connected");
            if let Ok(buf) = submit(RecvSelect::new(&ours, group.clone(), 0)).await {
                held.push(buf);
            }
        }
        let metrics = runtime.metrics();
        assert_eq!((metrics.buffers, metrics.buffers_out), (2, 2));
        let none = submit(RecvSelect::new(&ours, group.clone(), 0)).await;
        assert!(none.is_err());
        assert!(runtime.metrics().buffers_empty > metrics.buffers_empty);
        drop(held.pop());
        assert_eq!(runtime.metrics().buffers_out, 1);
        Some(held)
    });
    drop(runtime);
    // A buffer may outlive its ring.
    if held.is_some() {
        assert_eq!(handle.metrics().total().buffers_out, 1);
    }
    drop(held);
    let metrics = handle.metrics().total();
    assert_eq!((metrics.buffers, metrics.buffers_out), (0, 0));
}

#[test]
fn timers_set_and_fired() {
    let runtime = runtime();
    runtime.block_on(async {
        let mut long = Box::pin(sleep(Duration::from_secs(3600)));
        assert!(poll_once(&mut long).await.is_pending());
        let before = runtime.metrics();
        assert_eq!(before.timers, 1);
        sleep(Duration::from_millis(1)).await;
        let after = runtime.metrics();
        assert_eq!((after.timers, after.timers_fired - before.timers_fired), (1, 1));
        drop(long);
        assert_eq!(runtime.metrics().timers, 0);
    });
}

#[test]
fn workers_of_the_kernel() {
    let runtime = runtime();
    runtime.block_on(async {
        let file = tempfile::tempfile().expect("a file");
        let file = SharedFd::new(file);
        let sync = || submit(ringspun::op::Fsync::new(&file, 0));
        sync().await.expect("it is a file");
        let metrics = Handle::current().metrics();
        assert!(metrics.io_workers > 0, "an fsync is always a worker's");
        let own = metrics.cores[0].io_workers;
        // In a container with a PID namespace it cannot be told whose they are.
        assert!(own > 0 || !is_first_namespace(), "none of {} is ours", metrics.io_workers);
    });
}

/// The number of a process is the same inside and outside.
fn is_first_namespace() -> bool {
    let init = std::fs::read_link("/proc/self/ns/pid").expect("procfs");
    // PROC_PID_INIT_INO of the kernel.
    init.as_os_str() == "pid:[4026531836]"
}

#[test]
fn the_table() {
    let runtime = builder().cores(2).build().expect("two rings");
    let text = runtime.handle().metrics().to_string();
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["core", "0", "1", "all"]);
    let widths: Vec<usize> = text.lines().map(str::len).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    assert!(lines.iter().any(|line| line[0] == "turns" && line.len() == 4), "{text}");
}

/// The value of the sample with these labels.
fn sample(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    let found = scrape.samples.iter().find(|sample| {
        sample.metric == name
            && labels.iter().all(|(label, value)| sample.labels.get(label) == Some(value))
    });
    match found.unwrap_or_else(|| panic!("no {name} of {labels:?}")).value {
        Value::Counter(value) | Value::Gauge(value) => value,
        ref other => panic!("{name} is {other:?}"),
    }
}

fn scrape(metrics: &Metrics) -> Scrape {
    let text = metrics.prometheus();
    for line in text.lines() {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        assert!(name.starts_with("ringspun_"), "{line}");
    }
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("it can be parsed")
}

#[test]
fn the_text_for_prometheus() {
    let runtime = builder().cores(2).build().expect("two rings");
    let metrics = runtime.block_on(async {
        let pipe = Pipe::new();
        let mut read = submit(Read::new(&pipe.reader, Vec::with_capacity(8), 0));
        assert!(submit_only(&mut read).await.is_pending());
        let waits = task::spawn(std::future::pending::<()>());
        turn().await;
        let metrics = Handle::current().metrics();
        drop(waits);
        metrics
    });
    let scrape = scrape(&metrics);
    for core in &metrics.cores {
        let index = core.index.to_string();
        let value = |name: &str| sample(&scrape, name, &[("core", &index)]);
        let of =
            |name: &str, label, text| sample(&scrape, name, &[("core", &index), (label, text)]);
        assert_eq!(value("ringspun_core_up"), 1.0);
        assert_eq!(value("ringspun_turns_total"), core.turns as f64);
        assert_eq!(value("ringspun_enters_total"), core.enters as f64);
        assert_eq!(value("ringspun_entries_submitted_total"), core.submitted as f64);
        assert_eq!(value("ringspun_completions_total"), core.completed as f64);
        assert_eq!(value("ringspun_polls_total"), core.polls as f64);
        assert_eq!(value("ringspun_uptime_seconds"), core.uptime.as_secs_f64());
        assert_eq!(value("ringspun_longest_poll_seconds"), core.longest_poll.as_secs_f64());
        assert_eq!(value("ringspun_connections"), 0.0);
        assert_eq!(of("ringspun_tasks", "state", "ready"), core.tasks_ready as f64);
        assert_eq!(of("ringspun_tasks", "state", "running"), core.tasks_running as f64);
        assert_eq!(of("ringspun_tasks", "state", "waiting"), core.tasks_waiting as f64);
        assert_eq!(of("ringspun_wakes_total", "from", "local"), core.wakes_local as f64);
        assert_eq!(of("ringspun_wakes_total", "from", "remote"), core.wakes_remote as f64);
        for op in &core.ops {
            let in_flight = of("ringspun_ops_in_flight", "opcode", op.name);
            assert_eq!(in_flight, op.in_flight as f64, "{}", op.name);
        }
    }
    assert_eq!(
        sample(&scrape, "ringspun_ops_in_flight", &[("core", "0"), ("opcode", "READ")]),
        1.0
    );
    let workers = sample(&scrape, "ringspun_process_io_workers", &[]);
    assert_eq!(workers, metrics.io_workers as f64);
    // Each name once with a help and a type; counters, and only they, end in `_total`.
    let text = metrics.prometheus();
    let mut types: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(types.iter().all(|(name, kind)| name.ends_with("_total") == (*kind == "counter")));
    let count = types.len();
    types.sort_unstable();
    types.dedup_by_key(|(name, _)| *name);
    assert_eq!(types.len(), count, "a name comes twice");
    assert_eq!(text.lines().filter(|line| line.starts_with("# HELP ")).count(), count);
}

#[test]
fn the_total_is_the_sum() {
    let runtime = builder().cores(2).build().expect("two rings");
    let handle = runtime.handle();
    let nops = handle.spawn_all(|index| async move {
        for _ in 0..=index {
            submit(Nop::new()).await.expect("a no-op");
        }
    });
    runtime.block_on(async {
        for nop in nops {
            nop.await.expect("no panic");
        }
    });
    let metrics = handle.metrics();
    let total = metrics.total();
    assert_eq!(op(&total, "NOP"), (0, 3));
    assert_eq!(total.turns, metrics.cores.iter().map(|core| core.turns).sum::<u64>());
    assert_eq!(total.backlog_max, metrics.cores.iter().map(|core| core.backlog_max).max().unwrap());
}

/// The metrics may go anywhere, and the handle that makes them.
#[test]
fn metrics_are_for_all_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Handle>();
    check::<Metrics>();
}
