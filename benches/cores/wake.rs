//! A wake from one core to another, by our waker and by what else Linux offers.
//!
//! Two threads on two CPUs. *One way*: the one waits until the other surely sleeps, wakes it and
//! watches for the time at which it runs; *the call* is what that costs the one who wakes.
//! *Ping-pong*: each wakes the other and goes to sleep; half of the round trip. The contestants
//! take turns in one run, and each round's median is compared with that of the first.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use hdrhistogram::Histogram;
use ringspun::runtime::{Builder, Park};

use crate::support::{median, percentile, rounds};
use crate::{pin_to, wake_raw};

/// Wakes of each kind in one round.
const WAKES: u64 = 500;
/// A thread that has nothing to do sleeps after so long.
const ASLEEP: Duration = Duration::from_micros(50);

/// What the two sides tell each other besides the wake itself.
pub(crate) struct Line {
    begun: Instant,
    /// Wakes of the other side so far.
    pub(crate) pings: AtomicU64,
    /// Its answers.
    pub(crate) pongs: AtomicU64,
    /// When it ran.
    stamp: AtomicU64,
    /// It is to wake the one who woke it.
    pub(crate) echo: AtomicBool,
    /// It is to end.
    stop: AtomicBool,
}

impl Line {
    pub(crate) fn new() -> Arc<Line> {
        Arc::new(Line {
            begun: Instant::now(),
            pings: AtomicU64::new(0),
            pongs: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            echo: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        })
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    /// The other side runs.
    pub(crate) fn stamp(&self) {
        self.stamp.store(self.now(), Ordering::Release);
    }
}

/// What was measured, in nanoseconds.
pub(crate) struct Times {
    pub(crate) one_way: Histogram<u64>,
    pub(crate) call: Histogram<u64>,
    pub(crate) half_round_trip: Histogram<u64>,
}

impl Times {
    fn new() -> Times {
        let new = || Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("bounds");
        Times { one_way: new(), call: new(), half_round_trip: new() }
    }

    fn add(&mut self, other: &Times) {
        for (all, new) in [
            (&mut self.one_way, &other.one_way),
            (&mut self.call, &other.call),
            (&mut self.half_round_trip, &other.half_round_trip),
        ] {
            all.add(new).expect("the same bounds");
        }
    }
}

/// Wakes the other side and watches for it: `wake` counts it in and does it.
fn one_way(line: &Line, times: &mut Times, mut wake: impl FnMut()) {
    line.echo.store(false, Ordering::SeqCst);
    for _ in 0..WAKES {
        let rest = Instant::now();
        while rest.elapsed() < ASLEEP {
            std::hint::spin_loop();
        }
        line.stamp.store(0, Ordering::Relaxed);
        let start = line.now();
        line.pings.fetch_add(1, Ordering::SeqCst);
        wake();
        let called = line.now();
        let stamp = loop {
            match line.stamp.load(Ordering::Acquire) {
                0 => std::hint::spin_loop(),
                stamp => break stamp,
            }
        };
        times.one_way.saturating_record(stamp.saturating_sub(start).max(1));
        times.call.saturating_record((called - start).max(1));
    }
    // It goes to sleep before it is asked for answers.
    thread::sleep(Duration::from_millis(1));
    line.echo.store(true, Ordering::SeqCst);
}

/// A contestant of two plain threads.
pub(crate) struct Threads {
    pub(crate) line: Arc<Line>,
    pub(crate) wake: Box<dyn Fn()>,
    /// Returns when there may be news.
    pub(crate) sleep: Box<dyn FnMut()>,
}

impl Threads {
    pub(crate) fn round(&mut self) -> Times {
        let mut times = Times::new();
        one_way(&self.line, &mut times, &self.wake);
        for _ in 0..WAKES {
            let before = self.line.pongs.load(Ordering::Acquire);
            let start = self.line.now();
            self.line.pings.fetch_add(1, Ordering::SeqCst);
            (self.wake)();
            while self.line.pongs.load(Ordering::Acquire) == before {
                (self.sleep)();
            }
            times.half_round_trip.saturating_record((self.line.now() - start) / 2);
        }
        times
    }
}

/// The other side: `sleep` returns when there may be news.
pub(crate) fn answer(line: &Line, mut sleep: impl FnMut(), wake: impl Fn()) {
    let mut seen = 0;
    loop {
        while line.pings.load(Ordering::Acquire) == seen {
            if line.stop.load(Ordering::Relaxed) {
                return;
            }
            sleep();
        }
        seen = line.pings.load(Ordering::Acquire);
        line.stamp();
        if line.echo.load(Ordering::Acquire) {
            line.pongs.fetch_add(1, Ordering::SeqCst);
            wake();
        }
    }
}

/// Two of our cores; the wakers of two tasks.
fn ours(park: Park) -> io::Result<impl FnMut() -> Times> {
    let line = Line::new();
    let wakers = Arc::new([const { AtomicWaker::new() }; 2]);
    let (other, other_wakers) = (Arc::clone(&line), Arc::clone(&wakers));
    thread::Builder::new().name("woken".into()).spawn(move || {
        pin_to(1);
        let runtime = Builder::new().park(park).build().expect("a ring");
        runtime.block_on(async {
            let task = ringspun::spawn(async move {
                let mut seen = 0;
                loop {
                    seen = news(&other_wakers[1], &other.pings, seen).await;
                    if other.stop.load(Ordering::Acquire) {
                        return;
                    }
                    other.stamp();
                    if other.echo.load(Ordering::Acquire) {
                        other.pongs.fetch_add(1, Ordering::SeqCst);
                        other_wakers[0].wake();
                    }
                }
            });
            task.await.expect("no panic")
        })
    })?;
    let runtime = Builder::new().park(park).build()?;
    let stop = StopAtDrop(Arc::clone(&line), Arc::clone(&wakers));
    Ok(move || {
        let _stops = &stop;
        let (line, wakers) = (Arc::clone(&line), Arc::clone(&wakers));
        runtime.block_on(async {
            let task = ringspun::spawn(async move {
                let mut times = Times::new();
                one_way(&line, &mut times, || wakers[1].wake());
                for _ in 0..WAKES {
                    let before = line.pongs.load(Ordering::Acquire);
                    let start = line.now();
                    line.pings.fetch_add(1, Ordering::SeqCst);
                    wakers[1].wake();
                    news(&wakers[0], &line.pongs, before).await;
                    times.half_round_trip.saturating_record((line.now() - start) / 2);
                }
                times
            });
            task.await.expect("no panic")
        })
    })
}

/// Ends the other side with the contestant: one that is never idle has a CPU for itself.
struct StopAtDrop(Arc<Line>, Arc<[AtomicWaker; 2]>);

impl Drop for StopAtDrop {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.pings.fetch_add(1, Ordering::SeqCst);
        self.1[1].wake();
    }
}

async fn news(waker: &AtomicWaker, count: &AtomicU64, seen: u64) -> u64 {
    poll_fn(|cx| {
        waker.register(cx.waker());
        match count.load(Ordering::SeqCst) {
            now if now != seen => Poll::Ready(now),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Runs a round.
type Round = Box<dyn FnMut() -> Times>;

struct Contestant {
    name: &'static str,
    round: Round,
    all: Times,
    one_way: Vec<f64>,
    half_round_trip: Vec<f64>,
}

pub(crate) fn compare() -> io::Result<()> {
    pin_to(0);
    let threads = |mut threads: Threads| -> Round { Box::new(move || threads.round()) };
    let mut kinds: Vec<(&'static str, Round)> = vec![
        ("raw: eventfd, polled by the ring", threads(wake_raw::eventfd_in_ring()?)),
        ("ringspun: waker, inbox, eventfd", Box::new(ours(Park::Sleep)?)),
    ];
    match wake_raw::message_to_ring() {
        Ok(message) => kinds.push(("raw: REGISTER_SEND_MSG_RING", threads(message))),
        Err(error) => println!("  no REGISTER_SEND_MSG_RING (Linux 6.13): {error}"),
    }
    kinds.push(("epoll and eventfd (as mio)", threads(wake_raw::eventfd_in_epoll()?)));
    kinds.push(("std::thread::unpark (futex)", threads(wake_raw::unpark()?)));
    let mut contestants: Vec<Contestant> = kinds.into_iter().map(Contestant::new).collect();
    run(&mut contestants);
    println!("a wake of a thread that sleeps on another CPU, which has nothing to do; ns");
    print(&contestants);
    verdict(&contestants);

    // A CPU that halts, under a hypervisor above all, takes most of the time to come back.
    let kept = keep_from_halting();
    contestants.iter_mut().for_each(Contestant::forget);
    run(&mut contestants);
    println!("the same, with a thread of idle priority on each CPU, so that none halts");
    print(&contestants);
    verdict(&contestants);
    kept.store(false, Ordering::Relaxed);
    drop(contestants);

    // One after the other: each of them has its CPU busy all the time.
    println!("a wake of a thread that is awake: no system call");
    let mut spin = wake_raw::spin()?;
    let line = Arc::clone(&spin.line);
    let mut contestants =
        vec![Contestant::new(("a thread that watches a number", Box::new(move || spin.round())))];
    run(&mut contestants);
    line.stop.store(true, Ordering::Relaxed);
    let mut busy = vec![Contestant::new(("ringspun, Park::Busy", Box::new(ours(Park::Busy)?)))];
    run(&mut busy);
    contestants.append(&mut busy);
    print(&contestants);
    println!();
    Ok(())
}

impl Contestant {
    fn new((name, round): (&'static str, Round)) -> Contestant {
        let (one_way, half_round_trip) = (Vec::new(), Vec::new());
        Contestant { name, round, all: Times::new(), one_way, half_round_trip }
    }

    fn forget(&mut self) {
        self.all = Times::new();
        self.one_way.clear();
        self.half_round_trip.clear();
    }
}

/// Threads that run only where nobody else wants to, while the answer says true.
fn keep_from_halting() -> Arc<AtomicBool> {
    let go_on = Arc::new(AtomicBool::new(true));
    for cpu in 0..2 {
        let go_on = Arc::clone(&go_on);
        thread::spawn(move || {
            pin_to(cpu);
            let none = libc::sched_param { sched_priority: 0 };
            // SAFETY: the pointer is valid during the call; 0 is the calling thread.
            let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) };
            while failed == 0 && go_on.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
    go_on
}

fn run(contestants: &mut [Contestant]) {
    for contestant in &mut *contestants {
        (contestant.round)();
    }
    for _ in 0..rounds() {
        for contestant in &mut *contestants {
            let times = (contestant.round)();
            contestant.one_way.push(times.one_way.value_at_quantile(0.5) as f64);
            contestant.half_round_trip.push(times.half_round_trip.value_at_quantile(0.5) as f64);
            contestant.all.add(&times);
        }
    }
}

fn print(contestants: &[Contestant]) {
    println!(
        "  {:<34} {:>8} {:>8}   {:>8} {:>8}   {:>8} {:>8}   ratio one way, ping-pong",
        "", "one way", "p99", "the call", "p99", "pingpong", "p99"
    );
    for contestant in contestants {
        let at = |times: &Histogram<u64>, part| times.value_at_quantile(part);
        let all = &contestant.all;
        println!(
            "  {:<34} {:>8} {:>8}   {:>8} {:>8}   {:>8} {:>8}   {:.2}, {:.2}",
            contestant.name,
            at(&all.one_way, 0.5),
            at(&all.one_way, 0.99),
            at(&all.call, 0.5),
            at(&all.call, 0.99),
            at(&all.half_round_trip, 0.5),
            at(&all.half_round_trip, 0.99),
            ratio(&contestant.one_way, &contestants[0].one_way)[1],
            ratio(&contestant.half_round_trip, &contestants[0].half_round_trip)[1],
        );
    }
}

/// First quartile, median and third quartile of the rounds' ratios.
fn ratio(own: &[f64], first: &[f64]) -> [f64; 3] {
    let mut ratios: Vec<f64> = own.iter().zip(first).map(|(own, first)| own / first).collect();
    [0.25, 0.5, 0.75].map(|part| percentile(&mut ratios, part))
}

/// What it says about the notifier.
fn verdict(contestants: &[Contestant]) {
    let named = |text| contestants.iter().find(|contestant| contestant.name.contains(text));
    let (Some(eventfd), Some(message)) = (named("raw: eventfd"), named("SEND_MSG_RING")) else {
        println!("  the default, eventfd, has no rival here\n");
        return;
    };
    let one_way = ratio(&message.one_way, &eventfd.one_way);
    let ping_pong = ratio(&message.half_round_trip, &eventfd.half_round_trip);
    println!(
        "  message / eventfd: one way {:.2} (quartiles {:.2} to {:.2}), ping-pong {:.2} ({:.2} to \
         {:.2}), medians {:.0} and {:.0} ns",
        one_way[1],
        one_way[0],
        one_way[2],
        ping_pong[1],
        ping_pong[0],
        ping_pong[2],
        median(message.one_way.clone()),
        median(eventfd.one_way.clone()),
    );
    // Clearly: in both ways, by a tenth, in three rounds of four.
    let says = if one_way[2] < 0.9 && ping_pong[2] < 0.9 {
        "the message is clearly faster: the notifier's default should change"
    } else {
        "the message is not clearly faster: the notifier stays an eventfd"
    };
    println!("  {says}\n");
}
