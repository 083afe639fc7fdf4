//! The public futures, on simulated time, each polled by hand.

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::io;
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Duration, Elapsed, Instant, NextWait, Sleep, Timers};
use super::{interval, interval_at, sleep, sleep_until, timeout, timeout_at};

const MS: Duration = Duration::from_millis(1);

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn clock() -> Instant {
    let now = NOW.get().unwrap_or_else(Instant::now);
    NOW.set(Some(now));
    now
}

/// Time goes on and the loop turns.
fn pass(timers: &Timers, by: Duration) {
    NOW.set(Some(clock() + by));
    timers.fire(clock());
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn sleep_counts_from_its_call() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut pause = sleep(MS * 10);
    assert_eq!(pause.deadline(), clock() + MS * 10);
    pass(&timers, MS * 4);
    assert_eq!(poll(&mut pause), Poll::Pending);
    pass(&timers, MS * 6 - Duration::from_nanos(1));
    assert!(!pause.is_elapsed());
    assert_eq!(poll(&mut pause), Poll::Pending);
    pass(&timers, Duration::from_nanos(1));
    assert!(pause.is_elapsed());
    assert_eq!(poll(&mut pause), Poll::Ready(()));
    assert_eq!(poll(&mut pause), Poll::Ready(()));
    assert!(!timers.any());
}

#[test]
fn sleep_until_the_past() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    assert_eq!(poll(&mut sleep_until(clock())), Poll::Ready(()));
    assert_eq!(poll(&mut sleep_until(clock() - MS)), Poll::Ready(()));
    assert_eq!(poll(&mut sleep(Duration::ZERO)), Poll::Ready(()));
    assert!(!timers.any());
}

#[test]
fn sleep_dropped() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut pause = sleep(MS);
    assert_eq!(poll(&mut pause), Poll::Pending);
    assert!(timers.any());
    drop(pause);
    assert!(!timers.any());
    assert_eq!(timers.next_wait(clock()), NextWait::Forever);
}

#[test]
fn sleep_reset() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut pause = pin!(sleep(MS));
    assert!(poll(&mut pause).is_pending());
    pause.as_mut().reset(clock() + MS * 3);
    assert!(!timers.any(), "set again by the next poll only");
    assert!(poll(&mut pause).is_pending());
    pass(&timers, MS);
    assert!(poll(&mut pause).is_pending());
    pass(&timers, MS * 2);
    assert!(poll(&mut pause).is_ready());
    pause.reset(clock() + MS);
    assert!(poll(&mut pause).is_pending());
    pass(&timers, MS);
    assert!(poll(&mut pause).is_ready());
}

#[test]
fn made_outside_of_a_runtime() {
    let mut pause = sleep(Duration::from_secs(3600));
    let mut gone = sleep(Duration::ZERO);
    let timers = Timers::new(Instant::now);
    let _entered = timers.enter();
    assert!(poll(&mut pause).is_pending());
    assert!(poll(&mut gone).is_ready());
    assert_eq!(timers.len(), 1);
}

#[test]
fn polled_outside_of_a_runtime() {
    for result in [
        catch_unwind(|| _ = poll(&mut sleep(Duration::ZERO))),
        catch_unwind(|| _ = poll(&mut timeout(MS, pending::<()>()))),
        catch_unwind(|| _ = poll(&mut pin!(interval(MS).tick()))),
    ] {
        let payload = result.expect_err("there is no runtime");
        let text = payload.downcast_ref::<&str>().expect("a literal");
        assert!(text.contains("block_on"), "{text}");
    }
    // One that is ready at once needs no timer.
    assert!(poll(&mut timeout(MS, ready(1))).is_ready());
}

#[test]
fn kept_beyond_its_runtime() {
    let first = Timers::new(clock);
    let entered = first.enter();
    let mut pause = sleep(MS * 5);
    assert!(poll(&mut pause).is_pending());
    drop(entered);
    let weak = Rc::downgrade(&first);
    drop(first);

    let second = Timers::new(clock);
    let _entered = second.enter();
    assert!(poll(&mut pause).is_pending());
    assert!(weak.upgrade().is_none(), "it let go of the first");
    assert_eq!(second.len(), 1);
    pass(&second, MS * 5);
    assert!(poll(&mut pause).is_ready());
}

#[test]
fn carried_between_two_runtimes() {
    let (one, two) = (Timers::new(clock), Timers::new(clock));
    let mut pause = sleep(MS);
    for (here, other) in [(&one, &two), (&two, &one), (&one, &two)] {
        let _entered = here.enter();
        assert!(poll(&mut pause).is_pending());
        assert_eq!((here.len(), other.len()), (1, 0));
    }
    drop(pause);
    assert_eq!((one.len(), two.len()), (0, 0));
}

#[test]
fn guards_nest() {
    let (outer, inner) = (Timers::new(clock), Timers::new(clock));
    let outer_guard = outer.enter();
    {
        let _inner_guard = inner.enter();
        assert!(super::current::is(&inner));
    }
    assert!(super::current::is(&outer));
    drop(outer_guard);
    assert!(super::current::timers().is_none());
}

#[test]
fn timeout_counts_from_the_first_poll() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut limited = timeout(MS * 10, pending::<()>());
    pass(&timers, MS * 8);
    assert!(poll(&mut limited).is_pending());
    pass(&timers, MS * 9);
    assert!(poll(&mut limited).is_pending());
    pass(&timers, MS);
    assert!(matches!(poll(&mut limited), Poll::Ready(Err(Elapsed { .. }))));
}

#[test]
fn timeout_of_a_future_that_is_ready_too() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let (mut sender, receiver) = (Some(()), Rc::new(Cell::new(false)));
    let flag = Rc::clone(&receiver);
    let work = std::future::poll_fn(move |_| match flag.get() {
        true => Poll::Ready(7),
        false => Poll::Pending,
    });
    let mut limited = timeout(MS, work);
    assert!(poll(&mut limited).is_pending());
    sender.take();
    receiver.set(true);
    pass(&timers, MS * 5);
    assert_eq!(poll(&mut limited), Poll::Ready(Ok(7)), "the outcome decides, not the deadline");
}

#[test]
fn timeout_done_takes_its_timer_away() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut limited = timeout(MS * 9, sleep(MS));
    assert!(poll(&mut limited).is_pending());
    assert_eq!(timers.len(), 2);
    pass(&timers, MS);
    assert_eq!(poll(&mut limited), Poll::Ready(Ok(())));
    assert!(!timers.any());
}

#[test]
fn timeout_at_the_past_and_without_end() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut past = timeout_at(clock() - MS, pending::<()>());
    assert!(matches!(poll(&mut past), Poll::Ready(Err(_))));
    assert_eq!(poll(&mut timeout_at(clock() - MS, ready(1))), Poll::Ready(Ok(1)));
    let mut endless = timeout(Duration::MAX, pending::<()>());
    assert!(poll(&mut endless).is_pending());
    pass(&timers, Duration::from_secs(1 << 32));
    assert!(poll(&mut endless).is_pending());
    let mut inner = timeout(MS, sleep(MS)).into_inner();
    assert!(poll(&mut inner).is_pending());
}

#[test]
fn elapsed_as_an_io_error() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let Poll::Ready(Err(elapsed)) = poll(&mut timeout_at(clock(), pending::<()>())) else {
        panic!("the deadline is now");
    };
    let error = io::Error::from(elapsed);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the deadline has elapsed");
}

#[test]
fn interval_ticks() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let start = clock();
    let mut ticks = interval(MS * 10);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(ticks.poll_tick(&mut context), Poll::Ready(start));
    assert!(ticks.poll_tick(&mut context).is_pending());
    pass(&timers, MS * 35);
    for due in [10, 20, 30] {
        assert_eq!(ticks.poll_tick(&mut context), Poll::Ready(start + MS * due));
    }
    assert!(ticks.poll_tick(&mut context).is_pending());
    ticks.reset();
    assert!(ticks.poll_tick(&mut context).is_pending());
    pass(&timers, MS * 10);
    assert_eq!(ticks.poll_tick(&mut context), Poll::Ready(start + MS * 45));
    ticks.reset_immediately();
    assert_eq!(poll(&mut pin!(ticks.tick())), Poll::Ready(start + MS * 45));
}

#[test]
fn interval_tick_dropped() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut ticks = interval_at(clock() + MS, MS);
    assert!(poll(&mut pin!(ticks.tick())).is_pending());
    pass(&timers, MS);
    assert!(poll(&mut pin!(ticks.tick())).is_ready());
}

#[test]
#[should_panic(expected = "must not be zero")]
fn interval_without_period() {
    let _never = interval(Duration::ZERO);
}

#[test]
fn sizes() {
    assert!(size_of::<Sleep>() <= 48, "{}", size_of::<Sleep>());
    fn unpin<T: Unpin>() {}
    unpin::<Sleep>();
}
