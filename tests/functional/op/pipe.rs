//! `PIPE`.
//!
//! # Safety
//!
//! libc calls that read the flags of a descriptor.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use ringspun::op::{Pipe, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::files::{self, FileCase, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, block_on, open_fds, poll_once, runtime, submit_only, until};

/// A pipe.
struct Make;

impl Case for Make {
    type Op = Pipe;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Make {
        Make
    }

    fn op(&mut self) -> Submission<Pipe> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<(OwnedFd, OwnedFd)>) {
        let (reader, writer) = output.expect("descriptors are left");
        File::from(writer).write_all(b"text").expect("room");
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).expect("its end");
        assert_eq!(text, "text");
    }

    /// A pipe is not created in a place.
    fn bad_op(&mut self) -> Submission<Pipe> {
        submit(Pipe::new(libc::O_CREAT))
    }
}

impl FileCase for Make {
    fn plain(&mut self) -> Pipe {
        Pipe::new(0)
    }
}

#[test]
fn ok() {
    suite::ok::<Make>();
}

#[test]
fn error() {
    suite::error::<Make>();
}

#[test]
fn timeout() {
    files::timeout::<Make>();
}

#[test]
fn cancelled() {
    files::cancelled::<Make>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Make>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Make>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Make>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Make>();
}

#[test]
fn closed_on_exec_and_not_waiting_on_demand() {
    block_on(async {
        for flags in [0, libc::O_NONBLOCK, libc::O_NONBLOCK | libc::O_DIRECT] {
            let ends = AsyncIoUring::current().pipe(flags).await.expect("descriptors are left");
            for fd in [ends.0, ends.1] {
                // SAFETY: reading flags touches no memory.
                let on_exec = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
                assert_eq!(on_exec & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
                // SAFETY: as above.
                let status = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
                assert_eq!(status & libc::O_NONBLOCK, flags & libc::O_NONBLOCK);
            }
        }
    });
}

#[test]
fn both_ends_are_closed_with_their_future() {
    suite::alone(|| {
        let ledger = Ledger::open();
        let runtime = runtime();
        runtime.block_on(async {
            let before = open_fds();
            // In the queue, and with the answer there.
            let mut queued = submit(Pipe::new(0));
            assert!(poll_once(&mut queued).await.is_pending());
            drop(queued);
            until("nothing is left", || open_fds() == before).await;
            let mut done = submit(Pipe::new(0));
            let polled = submit_only(&mut done).await;
            until("it is made", || open_fds() == before + 2).await;
            drop((done, polled));
            until("nothing is left", || open_fds() == before).await;
            // Asked to end and made all the same, or not made.
            for _ in 0..20 {
                drop(submit(Pipe::new(0)).cancel().await);
            }
            until("nothing is left", || open_fds() == before).await;
        });
        drop(runtime);
        ledger.close();
    });
}

#[test]
fn no_descriptors_left() {
    suite::alone(|| {
        let ledger = Ledger::open();
        let runtime = runtime();
        runtime.block_on(async {
            // The table of this thread is filled up to the limit of the process.
            let mut filler = Vec::new();
            loop {
                match File::open("/dev/null") {
                    Ok(file) => filler.push(file),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                        break;
                    }
                }
                if filler.len() > 100_000 {
                    return;
                }
            }
            assert_errno(submit(Pipe::new(0)).await, libc::EMFILE);
            filler.pop();
            assert_errno(submit(Pipe::new(0)).await, libc::EMFILE);
            filler.pop();
            Make.check(submit(Pipe::new(0)).await);
        });
        drop(runtime);
        ledger.close();
    });
}
