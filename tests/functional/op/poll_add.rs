//! `POLL_ADD`, once.

use std::io;

use ringspun::op::{Fixed, PollAdd, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, full_pipe, submit_only};

const IN: u32 = libc::POLLIN as u32;
const OUT: u32 = libc::POLLOUT as u32;
const HANGUP: u32 = libc::POLLHUP as u32;
const ERROR: u32 = libc::POLLERR as u32;

/// A poll of an empty pipe.
struct PollPipe(Pipe);

impl Case for PollPipe {
    type Op = PollAdd;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(_: &Buffers) -> PollPipe {
        PollPipe(Pipe::new())
    }

    fn op(&mut self) -> Submission<PollAdd> {
        submit(PollAdd::new(&self.0.reader, IN))
    }

    fn release(&mut self) {
        self.0.write(b"x");
    }

    fn check(&mut self, output: io::Result<u32>) {
        assert_eq!(output.expect("it is ready"), IN);
    }

    /// No file is registered.
    fn bad_op(&mut self) -> Submission<PollAdd> {
        submit(PollAdd::new(Fixed(7), IN))
    }
}

#[test]
fn ok() {
    suite::ok::<PollPipe>();
}

#[test]
fn error() {
    suite::error::<PollPipe>();
}

#[test]
fn timeout() {
    suite::timeout::<PollPipe>();
}

#[test]
fn cancelled() {
    suite::cancelled::<PollPipe>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<PollPipe>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<PollPipe>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<PollPipe>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<PollPipe>();
}

#[test]
fn a_file_is_always_ready() {
    block_on(async {
        let file = SharedFd::new(tempfile::tempfile().expect("a file"));
        let ring = AsyncIoUring::current();
        assert_eq!(ring.poll_add(&file, IN | OUT).await.expect("ready"), IN | OUT);
        assert_eq!(ring.poll_add(&file, OUT).await.expect("ready"), OUT);
    });
}

#[test]
fn room_in_a_pipe() {
    block_on(async {
        let (mut reader, writer) = full_pipe();
        let mut poll = submit(PollAdd::new(&writer, OUT));
        assert!(submit_only(&mut poll).await.is_pending());
        std::io::Read::read_exact(&mut reader, &mut [0; 8192]).expect("it is full");
        assert_eq!(poll.await.expect("ready"), OUT);
    });
}

/// They count although nobody asked for them.
#[test]
fn hangup_and_error() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        let mut poll = submit(PollAdd::new(&reader, IN));
        assert!(submit_only(&mut poll).await.is_pending());
        drop(writer);
        assert_eq!(poll.await.expect("ready"), HANGUP);
        let Pipe { reader, writer } = Pipe::new();
        drop(reader);
        let writer = SharedFd::new(writer);
        assert_eq!(submit(PollAdd::new(&writer, OUT)).await.expect("ready"), OUT | ERROR);
    });
}

/// Two polls of one descriptor: both hear.
#[test]
fn two_of_one() {
    block_on(async {
        let mut pipe = Pipe::new();
        let mut polls = [(); 2].map(|()| submit(PollAdd::new(&pipe.reader, IN)));
        for poll in &mut polls {
            assert!(submit_only(poll).await.is_pending());
        }
        pipe.write(b"x");
        for poll in polls {
            assert_eq!(poll.await.expect("ready"), IN);
        }
    });
}
