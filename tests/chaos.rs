//! Random programs over fault injection: whatever Linux may do, bytes arrive in order, everything
//! ends, and nothing is leaked. Feature `chaos`; nothing without.

#![cfg(feature = "chaos")]

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ringspun::op::{Nop, Read, SharedFd, link, submit};
use ringspun::runtime::{Builder, Runtime};

const SEEDS: u64 = 30;
const PROGRAM_TIME_MAX: Duration = Duration::from_secs(10);

/// The tests count descriptors of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// A program that never ends says so, with its seed, instead of hanging.
fn watched(name: &str, seed: u64, program: impl FnOnce()) {
    let (done, watch) = mpsc::channel::<()>();
    let text = format!("chaos: {name} with seed {seed} did not end");
    let watchdog = thread::spawn(move || {
        if watch.recv_timeout(PROGRAM_TIME_MAX) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{text}");
            std::process::abort();
        }
    });
    program();
    drop(done);
    watchdog.join().unwrap();
}

/// Runs `program` under each seed; no descriptor may be left.
fn under_all_seeds(name: &str, entries: Option<u32>, program: impl Fn(&Runtime, Random)) {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for seed in 0..SEEDS {
        watched(name, seed, || {
            let before = descriptors();
            let mut builder = Builder::new().chaos(seed);
            if let Some(entries) = entries {
                builder = builder.entries(entries);
            }
            let runtime = builder.build().unwrap();
            program(&runtime, Random(seed + 0x9e37_79b9));
            let started = Instant::now();
            drop(runtime);
            assert!(started.elapsed() < Duration::from_secs(4), "{name} {seed}: lost ops");
            assert_eq!(descriptors(), before, "{name} with seed {seed} leaked descriptors");
        });
    }
}

fn is_no_memory(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOMEM)
}

fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}

/// Reads once more when the kernel had no memory: nothing was transferred then.
async fn read_some(fd: &SharedFd, room: usize, offset: u64) -> Vec<u8> {
    for _ in 0..100 {
        let (result, buf) = submit(Read::new(fd, Vec::with_capacity(room), offset)).await;
        match result {
            Ok(count) => {
                assert_eq!(count, buf.len());
                assert!(count <= room);
                return buf;
            }
            Err(error) => assert!(is_no_memory(&error), "{error}"),
        }
    }
    panic!("ENOMEM for ever");
}

async fn reads_pipe(mut random: Random) {
    let (reader, mut writer) = io::pipe().unwrap();
    let sent = pattern(1 + random.below(20_000));
    let (first, second) = sent.split_at(random.below(sent.len()));
    writer.write_all(first).unwrap();
    let fd = SharedFd::new(OwnedFd::from(reader));
    let mut second = Some((writer, second));
    let mut received = Vec::new();
    loop {
        let room = 1 + random.below(3000);
        let got = read_some(&fd, room, Read::CURSOR).await;
        received.extend_from_slice(&got);
        if received.len() >= first.len()
            && let Some((mut writer, rest)) = second.take()
        {
            writer.write_all(rest).unwrap();
        }
        if got.is_empty() {
            break;
        }
    }
    assert!(received == sent, "bytes are missing or out of order");
}

async fn reads_file(mut random: Random) {
    let content = pattern(10_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    let fd = SharedFd::new(OwnedFd::from(file));
    for _ in 0..20 {
        let offset = random.below(content.len() + 1);
        let got = read_some(&fd, 1 + random.below(4000), offset as u64).await;
        assert!(content[offset..].starts_with(&got), "other bytes");
        assert_eq!(got.is_empty(), offset == content.len(), "an end that is none");
    }
}

async fn expires(mut random: Random) {
    let (reader, writer) = io::pipe().unwrap();
    let fd = SharedFd::new(OwnedFd::from(reader));
    let duration = Duration::from_micros(random.below(2000) as u64);
    let started = Instant::now();
    let read = submit(Read::new(&fd, Vec::with_capacity(10), Read::CURSOR));
    let (result, _) = read.timeout(duration).await;
    let error = result.unwrap_err();
    assert!(error.kind() == io::ErrorKind::TimedOut || is_no_memory(&error), "{error}");
    if error.kind() == io::ErrorKind::TimedOut {
        assert!(started.elapsed() >= duration, "too early");
    }
    drop(writer);
}

async fn is_cancelled_in_flight(mut random: Random) {
    let (reader, mut writer) = io::pipe().unwrap();
    let fd = SharedFd::new(OwnedFd::from(reader));
    let mut read = submit(Read::new(&fd, Vec::with_capacity(10), Read::CURSOR));
    let early = poll_once(&mut read).await;
    for _ in 0..random.below(3) {
        submit(Nop::new()).await.unwrap();
    }
    let writes = random.below(2) == 0;
    if writes {
        writer.write_all(b"x").unwrap();
    }
    let (result, buf) = match early {
        Some(output) => output,
        None => read.cancel().await,
    };
    match result {
        // Bytes that were taken are not lost; those that were not are still there.
        Ok(count) => assert!(writes && count == 1 && buf == b"x"),
        Err(error) => {
            assert!(is_cancelled(&error) || is_no_memory(&error), "{error}");
            if writes {
                assert_eq!(read_some(&fd, 10, Read::CURSOR).await, b"x");
            }
        }
    }
}

async fn is_dropped_in_flight(mut random: Random) {
    let (reader, _writer) = io::pipe().unwrap();
    let mut read = submit(Read::new(OwnedFd::from(reader), Vec::with_capacity(10), Read::CURSOR));
    let _ = poll_once(&mut read).await;
    for _ in 0..random.below(3) {
        ringspun::task::yield_now().await;
    }
    drop(read);
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn does_nothing_often(mut random: Random) {
    for _ in 0..random.below(100) {
        submit(Nop::new()).await.unwrap();
    }
}

async fn sleeps(mut random: Random) {
    let duration = Duration::from_micros(random.below(3000) as u64);
    let started = Instant::now();
    ringspun::time::sleep(duration).await;
    assert!(started.elapsed() >= duration);
}

fn spawn_one(random: &mut Random) -> ringspun::task::JoinHandle<()> {
    let own = Random(random.next() | 1);
    match random.below(7) {
        0 => ringspun::spawn(reads_pipe(own)),
        1 => ringspun::spawn(reads_file(own)),
        2 => ringspun::spawn(expires(own)),
        3 => ringspun::spawn(is_cancelled_in_flight(own)),
        4 => ringspun::spawn(is_dropped_in_flight(own)),
        5 => ringspun::spawn(sleeps(own)),
        _ => ringspun::spawn(does_nothing_often(own)),
    }
}

#[test]
fn random_programs_on_tiny_rings() {
    under_all_seeds("random programs", None, |runtime, mut random| {
        for _ in 0..3 {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..20).map(|_| spawn_one(&mut random)).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
    });
}

#[test]
fn chains_run_in_order_or_not_at_all() {
    under_all_seeds("chains", Some(4), |runtime, mut random| {
        let content = pattern(4000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let fd = SharedFd::new(OwnedFd::from(file));
        runtime.block_on(async {
            for _ in 0..50 {
                let reads: Vec<_> = (0..1 + random.below(4))
                    .map(|at| Read::new(&fd, Vec::with_capacity(100), at as u64 * 100))
                    .collect();
                let mut failed = false;
                for (at, (result, buf)) in link(reads).await.unwrap().into_iter().enumerate() {
                    match result {
                        Ok(count) => {
                            assert!(!failed, "a member ran behind one that failed");
                            assert_eq!(buf, content[at * 100..at * 100 + count]);
                        }
                        Err(error) => {
                            let ends = is_cancelled(&error) || is_no_memory(&error);
                            assert!(ends, "{error}");
                            failed = true;
                        }
                    }
                }
            }
        });
    });
}

#[test]
fn dropped_chains_end() {
    under_all_seeds("dropped chains", Some(4), |runtime, mut random| {
        runtime.block_on(async {
            for _ in 0..20 {
                let (reader, _writer) = io::pipe().unwrap();
                let fd = SharedFd::new(OwnedFd::from(reader));
                let reads = (0..3).map(|_| Read::new(&fd, Vec::with_capacity(9), Read::CURSOR));
                let chain = link(reads.collect::<Vec<_>>());
                let mut chain = if random.below(2) == 0 { chain } else { chain.hard() };
                let _ = poll_once(&mut chain).await;
                for _ in 0..random.below(3) {
                    submit(Nop::new()).await.unwrap();
                }
                drop(chain);
            }
        });
    });
}

#[test]
fn timed_chains_end() {
    under_all_seeds("timed chains", Some(4), |runtime, mut random| {
        runtime.block_on(async {
            for _ in 0..5 {
                let (reader, _writer) = io::pipe().unwrap();
                let fd = SharedFd::new(OwnedFd::from(reader));
                let reads = (0..3).map(|_| Read::new(&fd, Vec::with_capacity(9), Read::CURSOR));
                let chain = link(reads.collect::<Vec<_>>());
                let chain = if random.below(2) == 0 { chain } else { chain.hard() };
                for (result, _) in chain.timeout(Duration::from_millis(1)).await.unwrap() {
                    assert!(result.is_err(), "an empty pipe");
                }
            }
        });
    });
}

#[test]
fn woken_from_another_thread() {
    under_all_seeds("remote wakes", None, |runtime, _| {
        let handle = runtime.handle();
        let answers = Rc::new(Cell::new(0));
        let thread = thread::spawn(move || {
            let joins = (0..10).map(|at| {
                thread::sleep(Duration::from_micros(200));
                handle.spawn(move || async move { at })
            });
            joins.collect::<Vec<_>>()
        });
        runtime.block_on(ringspun::time::sleep(Duration::from_millis(1)));
        for (at, join) in thread.join().unwrap().into_iter().enumerate() {
            assert_eq!(runtime.block_on(join).unwrap(), at);
            answers.set(answers.get() + 1);
        }
        assert_eq!(answers.get(), 10);
    });
}

#[test]
fn a_cancel_is_not_starved() {
    under_all_seeds("starved cancels", Some(1), |runtime, _| starves(runtime));
}

#[test]
fn a_cancel_is_not_starved_without_faults() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    watched("starved cancels without faults", 0, || {
        starves(&Builder::new().entries(1).build().unwrap());
    });
}

/// A task that fills the queue in each turn must not keep a cancel out of it.
fn starves(runtime: &Runtime) {
    runtime.block_on(async {
        let done = Rc::new(Cell::new(false));
        let busy = Rc::clone(&done);
        let busy = ringspun::spawn(async move {
            while !busy.get() {
                submit(Nop::new()).await.unwrap();
            }
        });
        for _ in 0..5 {
            let (reader, _writer) = io::pipe().unwrap();
            let fd = SharedFd::new(OwnedFd::from(reader));
            let read = submit(Read::new(&fd, Vec::with_capacity(9), Read::CURSOR));
            let (result, _) = read.timeout(Duration::from_millis(1)).await;
            assert!(result.is_err());
        }
        done.set(true);
        busy.await.unwrap();
    });
}
