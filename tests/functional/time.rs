//! Sleeping, deadlines, ticks. Lower bounds are exact; upper bounds only tell hours from moments.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use ringspun::op::{Nop, Read, submit};
use ringspun::time::{
    MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout, timeout_at,
};

use crate::support::{PATIENCE, Pipe, block_on, poll_once};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn never_early() {
    block_on(async {
        for micros in [0, 1, 50, 500, 1500, 10_000] {
            let duration = Duration::from_micros(micros);
            let started = Instant::now();
            sleep(duration).await;
            assert!(started.elapsed() >= duration);
        }
        // A thousand at once share wakes, and are not early either.
        let sleeps = (0..1000_u64).map(|n| async move {
            let duration = Duration::from_micros(n * 17);
            let started = Instant::now();
            sleep(duration).await;
            started.elapsed() >= duration
        });
        assert!(join_all(sleeps).await.into_iter().all(|late_enough| late_enough));
    });
}

#[test]
fn in_the_order_of_their_deadlines() {
    block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let base = Instant::now();
        let tasks = [7_u32, 3, 9, 1, 5].map(|n| {
            let order = Rc::clone(&order);
            ringspun::spawn(async move {
                sleep_until(base + n * Duration::from_millis(2)).await;
                order.borrow_mut().push(n);
            })
        });
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(*order.borrow(), [1, 3, 5, 7, 9]);
    });
}

#[test]
fn zero_and_past() {
    block_on(async {
        sleep(Duration::ZERO).await;
        sleep_until(Instant::now() - Duration::from_secs(1)).await;
        assert!(timeout(Duration::ZERO, sleep(HOUR)).await.is_err());
        assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
    });
}

#[test]
fn a_century_and_more() {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    block_on(async {
        for duration in [CENTURY, Duration::from_secs(u64::MAX), Duration::MAX] {
            let mut long = sleep(duration);
            assert!(poll_once(&mut long).await.is_pending());
            assert!(!long.is_elapsed());
            assert_eq!(timeout(duration, async { 1 }).await, Ok(1));
            assert!(timeout(Duration::from_millis(1), &mut long).await.is_err());
            submit(Nop::new()).timeout(duration).await.expect("a nop");
            // In flight with a deadline that is never due.
            let mut pipe = Pipe::new();
            let read = submit(Read::new(&pipe.reader, vec![0; 4], Read::CURSOR)).timeout(duration);
            let read = ringspun::spawn(read);
            sleep(Duration::from_millis(1)).await;
            pipe.write(b"x");
            assert_eq!(read.await.expect("no panic").0.expect("a byte"), 1);
        }
    });
}

#[test]
fn dropped_sleeps_keep_nobody() {
    block_on(async {
        for _ in 0..1000 {
            let mut long = sleep(HOUR);
            assert!(poll_once(&mut long).await.is_pending());
        }
    });
    // Nor does a runtime that ends wait for them.
    let started = Instant::now();
    block_on(async {
        ringspun::spawn(sleep(HOUR)).detach();
        ringspun::task::yield_now().await;
    });
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn reset_to_another_time() {
    block_on(async {
        let mut pause = sleep(HOUR);
        assert!(poll_once(&mut pause).await.is_pending());
        let near = Instant::now() + Duration::from_millis(2);
        pause.reset(near);
        (&mut pause).await;
        assert!(Instant::now() >= near);
        pause.reset(Instant::now() + HOUR);
        assert!(poll_once(&mut pause).await.is_pending());
    });
}

#[test]
fn the_future_before_the_deadline() {
    block_on(async {
        let quick = async {
            sleep(Duration::from_millis(1)).await;
            "quick"
        };
        assert_eq!(timeout(HOUR, quick).await, Ok("quick"));
        // Both due when it is polled at last: the future wins.
        let both = timeout(Duration::from_millis(1), sleep(Duration::from_millis(1)));
        let mut both = std::pin::pin!(both);
        assert!(futures::poll!(&mut both).is_pending());
        std::thread::sleep(Duration::from_millis(3));
        assert_eq!(both.await, Ok(()));
    });
}

#[test]
fn the_deadline_before_the_future() {
    block_on(async {
        let started = Instant::now();
        let limit = Duration::from_millis(3);
        let error = timeout(limit, sleep(HOUR)).await.expect_err("too late");
        assert!(started.elapsed() >= limit);
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the deadline has elapsed");
        assert!(timeout_at(Instant::now(), sleep(HOUR)).await.is_err());
    });
}

#[test]
fn timeouts_within_timeouts() {
    block_on(async {
        let inner = timeout(HOUR, timeout(Duration::from_millis(1), sleep(HOUR)));
        assert!(matches!(inner.await, Ok(Err(_))));
        let outer = timeout(Duration::from_millis(1), timeout(HOUR, sleep(HOUR)));
        assert!(outer.await.is_err());
    });
}

#[test]
fn a_timeout_that_is_dropped_drops_its_future() {
    block_on(async {
        let token = Rc::new(());
        let kept = Rc::clone(&token);
        let held = async move {
            sleep(HOUR).await;
            drop(kept);
        };
        assert!(timeout(Duration::from_millis(1), held).await.is_err());
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

#[test]
fn ticks() {
    block_on(async {
        let period = Duration::from_millis(2);
        let started = Instant::now();
        let mut ticks = interval(period);
        for n in 0..5 {
            ticks.tick().await;
            assert!(started.elapsed() >= period * n);
        }
        let start = Instant::now() + Duration::from_millis(3);
        assert_eq!(interval_at(start, period).tick().await, start);
        assert!(Instant::now() >= start);
    });
}

/// When ticks are due after a pause of three and a half periods behind the first.
async fn due_after_a_pause(behavior: MissedTickBehavior) -> Vec<u128> {
    let period = Duration::from_millis(40);
    let start = Instant::now();
    let mut ticks = interval_at(start, period);
    ticks.set_missed_tick_behavior(behavior);
    ticks.tick().await;
    sleep_until(start + period * 7 / 2).await;
    let mut due = Vec::new();
    for _ in 0..3 {
        due.push((ticks.tick().await - start).as_millis());
    }
    due
}

#[test]
fn missed_ticks() {
    block_on(async {
        let burst = due_after_a_pause(MissedTickBehavior::Burst).await;
        assert_eq!(burst, [40, 80, 120]);
        let delay = due_after_a_pause(MissedTickBehavior::Delay).await;
        // The late one is due at its old time; the next ones a period after it was taken.
        assert_eq!(delay[0], 40);
        assert!(delay[1] >= 140 + 40 && delay[2] >= delay[1] + 40, "{delay:?}");
        let skip = due_after_a_pause(MissedTickBehavior::Skip).await;
        assert_eq!(skip[0], 40);
        assert!(skip[1] >= 160 && skip[1] % 40 == 0 && skip[2] % 40 == 0, "{skip:?}");
    });
}

#[test]
#[should_panic(expected = "the period of an interval must not be zero")]
fn interval_of_zero() {
    let _never = interval(Duration::ZERO);
}

#[test]
fn a_sleep_carried_to_another_runtime_goes_on_there() {
    let mut pause = block_on(async {
        let mut pause = sleep(Duration::from_millis(2));
        assert!(poll_once(&mut pause).await.is_pending());
        pause
    });
    block_on(&mut pause);
    assert!(pause.is_elapsed());
}

#[test]
fn a_timer_does_not_end_a_wait_for_io() {
    block_on(async {
        let mut pipe = Pipe::new();
        let read = ringspun::spawn(submit(Read::new(&pipe.reader, vec![0; 4], Read::CURSOR)));
        let mut ticks = interval(Duration::from_millis(1));
        for _ in 0..5 {
            ticks.tick().await;
            assert!(!read.is_finished());
        }
        pipe.write(b"y");
        assert_eq!(read.await.expect("no panic").0.expect("a byte"), 1);
    });
}
