//! `POLL_REMOVE` that changes: what Zig left out.

use std::io;

use futures::StreamExt;
use ringspun::op::{Nop, OpId, PollAdd, PollUpdate, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::held::{self, Bare};
use super::sockets::poll_now;
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, poll_once, socket_pair, submit_only, turn};

const IN: u32 = libc::POLLIN as u32;
const OUT: u32 = libc::POLLOUT as u32;

/// The change of a poll that goes on waiting. Each has its own.
struct Update {
    ours: SharedFd,
    _peer: std::os::unix::net::UnixStream,
    polls: Vec<Submission<PollAdd>>,
}

impl Case for Update {
    type Op = PollUpdate;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Update {
        let (ours, peer) = socket_pair();
        Update { ours, _peer: peer, polls: Vec::new() }
    }

    fn op(&mut self) -> Submission<PollUpdate> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is there");
        assert!(poll_now(self.polls.last_mut().expect("its poll")).is_pending(), "it goes on");
    }

    fn bad_op(&mut self) -> Submission<PollUpdate> {
        submit(PollUpdate::new(gone(), IN))
    }
}

impl Bare for Update {
    fn bare(&mut self) -> PollUpdate {
        let mut poll = submit(PollAdd::new(&self.ours, IN));
        let id = poll.id();
        assert!(poll_now(&mut poll).is_pending());
        self.polls.push(poll);
        PollUpdate::new(id, libc::POLLPRI as u32)
    }
}

/// The name of an op that is gone.
fn gone() -> OpId {
    submit(Nop::new()).id()
}

#[test]
fn ok() {
    suite::ok::<Update>();
    held::ok::<Update>();
}

#[test]
fn error() {
    suite::error::<Update>();
}

#[test]
fn timeout() {
    suite::timeout::<Update>();
    held::timeout::<Update>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Update>();
    held::cancelled::<Update>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Update>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Update>();
    held::dropped_in_flight::<Update>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Update>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Update>();
    held::runtime_shut_down::<Update>();
}

#[test]
fn to_what_is_ready() {
    block_on(async {
        let (ours, _peer) = socket_pair();
        let ring = AsyncIoUring::current();
        let mut poll = ring.poll_add(&ours, IN);
        let id = poll.id();
        assert!(submit_only(&mut poll).await.is_pending());
        ring.poll_update(id, OUT).await.expect("it is there");
        assert_eq!(poll.await.expect("there is room"), OUT);
        let error = ring.poll_update(id, IN).await.expect_err("it has ended");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

/// What was waited for before does not count any more.
#[test]
fn to_what_is_not_ready() {
    block_on(async {
        let mut pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut poll = ring.poll_add(&pipe.reader, IN);
        let id = poll.id();
        assert!(submit_only(&mut poll).await.is_pending());
        ring.poll_update(id, libc::POLLPRI as u32).await.expect("it is there");
        pipe.write(b"x");
        turn().await;
        assert!(poll_once(&mut poll).await.is_pending());
        ring.poll_update(id, IN).await.expect("its name is the same");
        assert_eq!(poll.await.expect("ready"), IN);
    });
}

#[test]
fn of_a_multishot() {
    block_on(async {
        let (ours, peer) = socket_pair();
        let ring = AsyncIoUring::current();
        let mut stream = ring.poll_add_multi(&ours, IN);
        assert!(poll_once(&mut stream.next()).await.is_pending());
        turn().await;
        let id = stream.id().expect("armed");
        ring.poll_update(id, OUT).await.expect("it is there");
        let mask = stream.next().await.expect("no end").expect("ready");
        assert_ne!(mask & OUT, 0, "{mask:x}");
        drop(peer);
    });
}
