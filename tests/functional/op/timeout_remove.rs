//! `TIMEOUT_REMOVE`, which also updates.

use std::io;
use std::time::{Duration, Instant};

use ringspun::op::{Nop, OpId, Submission, Timeout, TimeoutEnd, TimeoutRemove, submit};
use ringspun::uring::AsyncIoUring;

use super::held::{self, Bare, assert_cancelled};
use super::sockets::poll_now;
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, runtime, submit_only};

const HOUR: Duration = Duration::from_secs(3600);

/// The removal of a long timeout. Each has its own.
struct Remove {
    timeouts: Vec<Submission<Timeout>>,
}

impl Case for Remove {
    type Op = TimeoutRemove;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Remove {
        Remove { timeouts: Vec::new() }
    }

    fn op(&mut self) -> Submission<TimeoutRemove> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is there");
    }

    fn bad_op(&mut self) -> Submission<TimeoutRemove> {
        submit(TimeoutRemove::new(gone()))
    }
}

impl Bare for Remove {
    fn bare(&mut self) -> TimeoutRemove {
        let mut timeout = submit(Timeout::new(HOUR, 0, 0));
        let id = timeout.id();
        assert!(poll_now(&mut timeout).is_pending());
        self.timeouts.push(timeout);
        TimeoutRemove::new(id)
    }
}

/// The name of an op that is gone.
fn gone() -> OpId {
    submit(Nop::new()).id()
}

#[test]
fn ok() {
    suite::ok::<Remove>();
    held::ok::<Remove>();
}

#[test]
fn error() {
    suite::error::<Remove>();
}

#[test]
fn timeout() {
    suite::timeout::<Remove>();
    held::timeout::<Remove>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Remove>();
    held::cancelled::<Remove>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Remove>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Remove>();
    held::dropped_in_flight::<Remove>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Remove>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Remove>();
    held::runtime_shut_down::<Remove>();
}

#[test]
fn of_a_pending_one() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut timeout = ring.timeout(HOUR, 0, 0);
        let id = timeout.id();
        assert!(submit_only(&mut timeout).await.is_pending());
        ring.timeout_remove(id).await.expect("it is there");
        assert_cancelled(&timeout.await);
    });
}

#[test]
fn of_an_expired_one() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut timeout = ring.timeout(Duration::from_millis(1), 0, 0);
        let id = timeout.id();
        assert_eq!(timeout.await.expect("a time"), TimeoutEnd::Elapsed);
        for answer in [ring.timeout_remove(id).await, ring.timeout_update(id, HOUR, 0).await] {
            assert_eq!(answer.expect_err("gone").kind(), io::ErrorKind::NotFound);
        }
    });
}

#[test]
fn update_to_sooner_and_later() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut timeout = ring.timeout(HOUR, 0, 0);
        let id = timeout.id();
        assert!(submit_only(&mut timeout).await.is_pending());
        let start = Instant::now();
        ring.timeout_update(id, HOUR * 2, 0).await.expect("it is there");
        let sooner = Duration::from_millis(5);
        ring.timeout_update(id, sooner, 0).await.expect("it keeps its name");
        assert_eq!(timeout.await.expect("a time"), TimeoutEnd::Elapsed);
        assert!(start.elapsed() >= sooner && start.elapsed() < HOUR);
    });
}

#[test]
fn not_found() {
    let other = runtime();
    let (foreign, _timeout) = other.block_on(async {
        let mut timeout = submit(Timeout::new(HOUR, 0, 0));
        let id = timeout.id();
        assert!(submit_only(&mut timeout).await.is_pending());
        (id, timeout)
    });
    block_on(async {
        let ring = AsyncIoUring::current();
        let pipe = Pipe::new();
        let mut poll = ring.poll_add(&pipe.reader, libc::POLLIN as u32);
        let not_a_timeout = poll.id();
        assert!(submit_only(&mut poll).await.is_pending());
        let mut reserved = ring.timeout(HOUR, 0, 0);
        for id in [gone(), foreign, not_a_timeout, reserved.id()] {
            let error = ring.timeout_remove(id).await.expect_err("no such timeout");
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{id:?}");
        }
        assert!(poll_now(&mut poll).is_pending(), "it goes on");
    });
}
