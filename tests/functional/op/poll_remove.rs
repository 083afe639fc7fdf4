//! `POLL_REMOVE` that removes.

use std::io;

use ringspun::op::{Nop, OpId, PollAdd, PollRemove, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::held::{self, Bare, assert_cancelled};
use super::sockets::poll_now;
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, runtime, submit_only};

const IN: u32 = libc::POLLIN as u32;

/// The removal of a poll of an empty pipe. Each has its own.
struct Remove {
    pipe: Pipe,
    polls: Vec<Submission<PollAdd>>,
}

impl Case for Remove {
    type Op = PollRemove;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Remove {
        Remove { pipe: Pipe::new(), polls: Vec::new() }
    }

    fn op(&mut self) -> Submission<PollRemove> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is there");
    }

    fn bad_op(&mut self) -> Submission<PollRemove> {
        submit(PollRemove::new(never_submitted()))
    }
}

impl Bare for Remove {
    fn bare(&mut self) -> PollRemove {
        let mut poll = submit(PollAdd::new(&self.pipe.reader, IN));
        let id = poll.id();
        assert!(poll_now(&mut poll).is_pending());
        self.polls.push(poll);
        PollRemove::new(id)
    }
}

/// The name of an op that is gone.
fn never_submitted() -> OpId {
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
fn the_target_ends() {
    block_on(async {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut poll = ring.poll_add(&pipe.reader, IN);
        let id = poll.id();
        assert!(submit_only(&mut poll).await.is_pending());
        ring.poll_remove(id).await.expect("it is there");
        assert_cancelled(&poll.await);
        let error = ring.poll_remove(id).await.expect_err("it has ended");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

/// In one batch, first the poll: it is found.
#[test]
fn right_behind_its_target() {
    block_on(async {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut poll = ring.poll_add(&pipe.reader, IN);
        let id = poll.id();
        let task = ringspun::spawn(poll);
        ringspun::task::yield_now().await;
        ring.poll_remove(id).await.expect("it is there");
        assert_cancelled(&task.await.expect("no panic"));
    });
}

#[test]
fn not_found() {
    let other = runtime();
    let (foreign, pipe, _poll) = other.block_on(async {
        let pipe = Pipe::new();
        let mut poll = submit(PollAdd::new(&pipe.reader, IN));
        let id = poll.id();
        assert!(submit_only(&mut poll).await.is_pending());
        (id, pipe, poll)
    });
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut reserved = ring.poll_add(&pipe.reader, IN);
        let mut timeout = ring.timeout(std::time::Duration::from_secs(3600), 0, 0);
        let not_a_poll = timeout.id();
        assert!(submit_only(&mut timeout).await.is_pending());
        for id in [never_submitted(), foreign, reserved.id(), not_a_poll] {
            let error = ring.poll_remove(id).await.expect_err("no such poll");
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{id:?}");
        }
        assert!(super::sockets::poll_now(&mut timeout).is_pending(), "it goes on");
    });
}
