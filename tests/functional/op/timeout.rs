//! `TIMEOUT`.

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringspun::op::{Nop, OpId, Submission, Timeout, TimeoutEnd, TimeoutRemove, link, submit};
use ringspun::uring::AsyncIoUring;

use super::suite::{self, Case};
use crate::support::{Buffers, block_on, poll_once, submit_only};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// An hour, until it is released.
struct Long {
    released: bool,
    ids: Vec<OpId>,
}

impl Case for Long {
    type Op = Timeout;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Long {
        Long { released: false, ids: Vec::new() }
    }

    fn op(&mut self) -> Submission<Timeout> {
        let duration = if self.released { Duration::from_millis(1) } else { HOUR };
        let mut op = submit(Timeout::new(duration, 0, 0));
        self.ids.push(op.id());
        op
    }

    fn release(&mut self) {
        self.released = true;
        for id in self.ids.drain(..) {
            let update = submit(TimeoutRemove::update(id, Duration::ZERO, 0));
            ringspun::spawn(async move { update.await.expect("it is there") }).detach();
        }
    }

    fn check(&mut self, output: io::Result<TimeoutEnd>) {
        assert_eq!(output.expect("the time is up"), TimeoutEnd::Elapsed);
    }

    /// Two clocks.
    fn bad_op(&mut self) -> Submission<Timeout> {
        submit(Timeout::new(HOUR, 0, Timeout::BOOTTIME | Timeout::REALTIME))
    }
}

#[test]
fn ok() {
    suite::ok::<Long>();
}

#[test]
fn error() {
    suite::error::<Long>();
}

#[test]
fn timeout() {
    suite::timeout::<Long>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Long>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Long>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Long>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Long>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Long>();
}

#[test]
fn never_early() {
    block_on(async {
        for flags in [0, Timeout::BOOTTIME, Timeout::REALTIME] {
            let start = Instant::now();
            let end = submit(Timeout::new(SHORT, 0, flags)).await.expect("a time");
            assert_eq!(end, TimeoutEnd::Elapsed);
            assert!(start.elapsed() >= SHORT);
        }
    });
}

#[test]
fn at_a_time_of_the_clock() {
    block_on(async {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let flags = Timeout::ABS | Timeout::REALTIME;
        let start = Instant::now();
        let end = submit(Timeout::new(now + SHORT, 0, flags)).await.expect("a time");
        assert_eq!(end, TimeoutEnd::Elapsed);
        assert!(start.elapsed() + Duration::from_millis(1) >= SHORT);
        // Long ago.
        let end = submit(Timeout::new(Duration::from_secs(1), 0, flags)).await.expect("a time");
        assert_eq!(end, TimeoutEnd::Elapsed);
    });
}

#[test]
fn nothing_and_a_century() {
    block_on(async {
        let end = submit(Timeout::new(Duration::ZERO, 0, 0)).await.expect("a time");
        assert_eq!(end, TimeoutEnd::Elapsed);
        let mut for_ever = submit(Timeout::new(Duration::MAX, 0, 0));
        assert!(submit_only(&mut for_ever).await.is_pending());
        let error = for_ever.cancel().await.expect_err("cancelled");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    });
}

/// As many completions as were asked for end it before its time.
#[test]
fn a_number_of_completions() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut counting = ring.timeout(HOUR, 3, 0);
        assert!(submit_only(&mut counting).await.is_pending());
        // Under chaos some may be done before the kernel has the timeout.
        let mut end = poll_once(&mut counting).await;
        let mut done = 0;
        while end.is_pending() {
            ring.nop().await.expect("nothing can fail");
            done += 1;
            end = poll_once(&mut counting).await;
        }
        assert!(done >= 3, "{done} completions");
        assert!(matches!(end, Poll::Ready(Ok(TimeoutEnd::Completed))), "{end:?}");
        // The time is up before.
        let counting = ring.timeout(SHORT, u32::MAX, 0);
        assert_eq!(counting.await.expect("a time"), TimeoutEnd::Elapsed);
    });
}

/// In a chain: what is behind it dies, unless `ETIME` is no failure.
#[test]
fn in_a_chain() {
    block_on(async {
        let chain = link((Timeout::new(SHORT, 0, 0), Nop::new()));
        let (end, nop) = chain.await.expect("it fits");
        assert_eq!(end.expect("a time"), TimeoutEnd::Elapsed);
        assert_eq!(nop.expect_err("behind a failure").raw_os_error(), Some(libc::ECANCELED));
        let start = Instant::now();
        let chain = link((Timeout::new(SHORT, 0, Timeout::ETIME_SUCCESS), Nop::new()));
        let (end, nop) = chain.await.expect("it fits");
        assert_eq!(end.expect("a time"), TimeoutEnd::Elapsed);
        nop.expect("it is no failure");
        assert!(start.elapsed() >= SHORT);
    });
}
