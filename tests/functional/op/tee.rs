//! `TEE`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::task::Poll;
use std::time::Duration;

use ringspun::op::{CancelError, SharedFd, Submission, Tee, submit};
use ringspun::uring::AsyncIoUring;

use super::files::{self, FileCase, assert_errno, dev_null};
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, Pipe, block_on, runtime, submit_only};

/// A pipe that holds something, and one that gets the same. One that waits, in a kernel worker, is
/// [`waiting`].
struct Double {
    source: Pipe,
    reader: SharedFd,
    writer: SharedFd,
}

impl Case for Double {
    type Op = Tee;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Double {
        let mut source = Pipe::new();
        source.write(b"hello");
        let Pipe { reader, writer } = Pipe::new();
        Double { source, reader, writer: SharedFd::new(writer) }
    }

    fn op(&mut self) -> Submission<Tee> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<usize>) {
        let count = output.expect("room");
        assert_eq!(take(&self.reader, 16), &b"hello"[..count]);
        assert_eq!(take(&self.source.reader, 16), b"hello", "it is there still");
    }

    /// Only pipes.
    fn bad_op(&mut self) -> Submission<Tee> {
        submit(Tee::new(&self.source.reader, dev_null(), 16, 0))
    }
}

impl FileCase for Double {
    fn plain(&mut self) -> Tee {
        Tee::new(&self.source.reader, &self.writer, 16, 0)
    }
}

#[test]
fn ok() {
    suite::ok::<Double>();
    waits_for_data(async |op, pipe| {
        pipe.write(b"data");
        let count = op.await.expect("it came");
        assert!((1..=4).contains(&count), "{count}");
    });
}

#[test]
fn error() {
    suite::error::<Double>();
}

#[test]
fn timeout() {
    files::timeout::<Double>();
    waits_for_data(async |op, pipe| {
        let error = op.timeout(Duration::from_millis(5)).await.expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        still_works(pipe);
    });
}

#[test]
fn cancelled() {
    files::cancelled::<Double>();
    waits_for_data(async |mut op, pipe| {
        let answer = AsyncIoUring::current().cancel(op.id()).await;
        // In a kernel worker it cannot be ended at once; under chaos a signal may be faster.
        let asked = matches!(answer, Ok(()) | Err(CancelError::AlreadyInProgress));
        assert!(asked || std::env::var_os("RINGSPUN_CHAOS_SEED").is_some(), "{answer:?}");
        assert_errno(op.await, libc::ECANCELED);
        still_works(pipe);
    });
    waits_for_data(async |op, _| assert_errno(op.cancel().await, libc::ECANCELED));
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Double>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Double>();
    waits_for_data(async |op, _| drop(op));
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Double>();
    waits_for_data(async |mut op, pipe| {
        pipe.write(b"data");
        let polled = submit_only(&mut op).await;
        drop((op, polled));
    });
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Double>();
    let ledger = Ledger::open();
    let runtime = runtime();
    let (pipe, mut op) = runtime.block_on(async {
        let pipe = Pipe::new();
        let mut op = waiting(&pipe);
        assert!(submit_only(&mut op).await.is_pending());
        (pipe, op)
    });
    drop(runtime);
    let Poll::Ready(result) = tokio_test::task::spawn(&mut op).poll() else {
        panic!("a drained op has its outcome")
    };
    assert_errno(result, libc::ECANCELED);
    drop((pipe, op));
    ledger.close();
}

#[test]
fn the_end_of_the_pipe_and_nobody_at_it() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        drop(writer);
        let target = Pipe::new();
        let writer = SharedFd::new(target.writer.try_clone().expect("a duplicate"));
        let end = submit(Tee::new(reader, &writer, 16, 0)).await;
        assert_eq!(end.expect("the end is no error"), 0);
        let Double { source, reader, writer } = Double::new(&Buffers::default());
        drop(reader);
        assert_errno(submit(Tee::new(&source.reader, writer, 16, 0)).await, libc::EPIPE);
    });
}

#[test]
fn an_empty_pipe_that_is_not_waited_for() {
    block_on(async {
        let (pipe, target) = (Pipe::new(), Pipe::new());
        let writer = SharedFd::new(target.writer);
        let op = Tee::new(&pipe.reader, writer, 16, libc::SPLICE_F_NONBLOCK);
        assert_errno(submit(op).await, libc::EAGAIN);
    });
}

#[test]
fn into_itself() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"hello");
        let writer = SharedFd::new(pipe.writer.try_clone().expect("a duplicate"));
        assert_errno(submit(Tee::new(&pipe.reader, writer, 16, 0)).await, libc::EINVAL);
    });
}

#[test]
fn registered_files() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let Double { source, reader, writer } = Double::new(&Buffers::default());
        let duplicate = |fd: &SharedFd| fd.as_fd().try_clone_to_owned().expect("a duplicate");
        let fds = vec![duplicate(&source.reader), duplicate(&writer)];
        let files = ring.register_files(fds).expect("room");
        let count = ring.tee(files[0], files[1], 16, 0).await.expect("room");
        assert_eq!(take(&reader, 16), &b"hello"[..count]);
    });
}

/// A tee out of an empty pipe.
fn waiting(pipe: &Pipe) -> Submission<Tee> {
    let target = Pipe::new();
    // One descriptor for both ends: somebody reads it as long as it is open.
    let path = format!("/proc/thread-self/fd/{}", target.reader.as_raw_fd());
    let both = File::options().read(true).write(true).open(path).expect("procfs");
    submit(Tee::new(&pipe.reader, SharedFd::new(both), 16, 0))
}

/// Runs `test` with a transfer out of an empty pipe that waits in a kernel worker, and counts.
fn waits_for_data(test: impl AsyncFnOnce(Submission<Tee>, &mut Pipe)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let mut pipe = Pipe::new();
        let mut op = waiting(&pipe);
        assert!(submit_only(&mut op).await.is_pending());
        test(op, &mut pipe).await;
    });
    drop(runtime);
    ledger.close();
}

/// An interrupted transfer took nothing.
fn still_works(pipe: &mut Pipe) {
    pipe.write(b"data");
    assert_eq!(take(&pipe.reader, 16), b"data");
}

/// What a pipe holds, which must not be nothing.
fn take(reader: &SharedFd, most: usize) -> Vec<u8> {
    let duplicate = reader.as_fd().try_clone_to_owned().expect("a duplicate");
    let mut bytes = vec![0; most];
    let count = File::from(duplicate).read(&mut bytes).expect("bytes are there");
    bytes.truncate(count);
    bytes
}
