//! `ASYNC_CANCEL` of all ops on a descriptor.

use std::io;
use std::time::Duration;

use futures::StreamExt;
use ringspun::op::{CancelFd, Fixed, PollAdd, Read, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::held::{self, Bare, assert_cancelled};
use super::sockets::poll_now;
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, Pipe, block_on, poll_once, runtime, submit_only, turn};

const IN: u32 = libc::POLLIN as u32;

/// A pipe with one poll on it for each cancel.
struct Polled {
    pipe: Pipe,
    polls: Vec<Submission<PollAdd>>,
}

impl Case for Polled {
    type Op = CancelFd;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EBADF;

    fn new(_: &Buffers) -> Polled {
        Polled { pipe: Pipe::new(), polls: Vec::new() }
    }

    fn op(&mut self) -> Submission<CancelFd> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<usize>) {
        assert_eq!(output.expect("it is open"), 1);
    }

    /// No files are registered.
    fn bad_op(&mut self) -> Submission<CancelFd> {
        submit(CancelFd::new(Fixed(7)))
    }
}

impl Bare for Polled {
    fn bare(&mut self) -> CancelFd {
        let mut poll = submit(PollAdd::new(&self.pipe.reader, IN));
        assert!(poll_now(&mut poll).is_pending());
        self.polls.push(poll);
        CancelFd::new(&self.pipe.reader)
    }
}

#[test]
fn ok() {
    suite::ok::<Polled>();
    held::ok::<Polled>();
}

#[test]
fn error() {
    suite::error::<Polled>();
}

#[test]
fn timeout() {
    suite::timeout::<Polled>();
    held::timeout::<Polled>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Polled>();
    held::cancelled::<Polled>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Polled>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Polled>();
    held::dropped_in_flight::<Polled>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Polled>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Polled>();
    held::runtime_shut_down::<Polled>();
}

/// Whether faults are injected.
fn is_chaos() -> bool {
    std::env::var_os("RINGSPUN_CHAOS_SEED").is_some()
}

#[test]
fn all_of_one_and_none_of_another() {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let ring = AsyncIoUring::current();
        let (pipe, mut other) = (Pipe::new(), Pipe::new());
        let read = Read::new(&pipe.reader, ledger.buffers.empty(4), Read::CURSOR);
        let mut read = submit(read);
        let mut poll = ring.poll_add(&pipe.reader, IN);
        let mut dropped = ring.poll_add(&pipe.reader, IN);
        let mut stranger = ring.poll_add(&other.reader, IN);
        assert!(poll_once(&mut read).await.is_pending());
        assert!(poll_once(&mut poll).await.is_pending());
        assert!(poll_once(&mut dropped).await.is_pending());
        assert!(submit_only(&mut stranger).await.is_pending());
        drop(dropped);
        let count = ring.cancel_fd(&pipe.reader).await.expect("it is open");
        // Under chaos a signal may have ended the read just now.
        assert!((2 - usize::from(is_chaos())..=3).contains(&count), "{count}");
        assert_cancelled(&read.await);
        assert_cancelled(&poll.await);
        assert!(poll_once(&mut stranger).await.is_pending());
        other.write(b"x");
        assert_ne!(stranger.await.expect("ready") & IN, 0);
        assert_eq!(ring.cancel_fd(&pipe.reader).await.expect("it is open"), 0);
    });
    drop(runtime);
    ledger.close();
}

/// What counts is the open file; and what had arrived wins.
#[test]
fn by_a_duplicate() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut pipe = Pipe::new();
        let duplicate = std::os::fd::AsFd::as_fd(&pipe.reader).try_clone_to_owned();
        let duplicate = SharedFd::new(duplicate.expect("a number"));
        let mut poll = ring.poll_add(&pipe.reader, IN);
        assert!(submit_only(&mut poll).await.is_pending());
        assert_eq!(ring.cancel_fd(&duplicate).await.expect("it is open"), 1);
        assert_cancelled(&poll.await);
        pipe.write(b"late");
        let mut read = ring.read(&pipe.reader, Vec::with_capacity(4), Read::CURSOR);
        let _polled = submit_only(&mut read).await;
        turn().await;
        ring.cancel_fd(&duplicate).await.expect("it is open");
        assert_eq!(read.await.1, b"late");
    });
}

#[test]
fn registered_file() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (reader, _writer) = io::pipe().expect("a pipe");
        let files = ring.register_files(vec![reader.into()]).expect("room");
        let mut poll = ring.poll_add(files[0], IN);
        assert!(submit_only(&mut poll).await.is_pending());
        assert_eq!(ring.cancel_fd(files[0]).await.expect("it is there"), 1);
        assert_cancelled(&poll.await);
        ring.unregister_files().expect("registered");
    });
}

/// A stream that nobody asked to pause ends; so does one that is paused.
#[test]
fn ends_streams() {
    for window in [1, 64] {
        block_on(async {
            let ring = AsyncIoUring::current();
            let mut pipe = Pipe::new();
            let mut stream = ring.poll_add_multi(&pipe.reader, IN).window(window);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            turn().await;
            pipe.write(b"x");
            ringspun::time::sleep(Duration::from_millis(2)).await;
            turn().await;
            ring.cancel_fd(&pipe.reader).await.expect("it is open");
            if is_chaos() {
                // It may have ended by itself; then it is armed again.
                return;
            }
            let mut items = 0;
            while let Some(item) = stream.next().await {
                item.expect("ready");
                items += 1;
                assert!(items < 10, "what has arrived still comes, then the end");
            }
        });
    }
}

/// Its own deadline is not mistaken for the cancel, nor the other way round.
#[test]
fn beside_a_deadline() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let pipe = Pipe::new();
        let mut poll = ring.poll_add(&pipe.reader, IN).timeout(Duration::from_secs(3600));
        assert!(submit_only(&mut poll).await.is_pending());
        assert_eq!(ring.cancel_fd(&pipe.reader).await.expect("it is open"), 1);
        assert_cancelled(&poll.await);
        let poll = ring.poll_add(&pipe.reader, IN).timeout(Duration::from_millis(2));
        let error = poll.await.expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}
