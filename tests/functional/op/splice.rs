//! `SPLICE`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::task::Poll;
use std::time::Duration;

use ringspun::op::{CancelError, SharedFd, Splice, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::files::{self, FileCase, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, Pipe, block_on, runtime, submit_only};

/// A file that goes into a pipe, from its cursor on. One that waits, in a kernel worker, is
/// [`waiting`].
struct IntoPipe {
    file: File,
    shared: SharedFd,
    reader: SharedFd,
    writer: SharedFd,
}

impl Case for IntoPipe {
    type Op = Splice;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> IntoPipe {
        let file = text_file();
        let shared = SharedFd::new(file.try_clone().expect("a duplicate"));
        let Pipe { reader, writer } = Pipe::new();
        IntoPipe { file, shared, reader, writer: SharedFd::new(writer) }
    }

    fn op(&mut self) -> Submission<Splice> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<usize>) {
        let count = output.expect("room");
        assert_eq!(take(&self.reader, 16), &b"0123456789"[..count]);
        assert_eq!(self.file.stream_position().expect("a file"), count as u64);
    }

    /// None of the two is a pipe.
    fn bad_op(&mut self) -> Submission<Splice> {
        submit(Splice::new(&self.shared, Some(0), &self.shared, Some(5), 2, 0))
    }
}

impl FileCase for IntoPipe {
    fn plain(&mut self) -> Splice {
        Splice::new(&self.shared, None, &self.writer, None, 16, 0)
    }

    fn check_undone(&mut self) {
        assert_eq!(self.file.stream_position().expect("a file"), 0);
    }
}

#[test]
fn ok() {
    suite::ok::<IntoPipe>();
    waits_for_data(async |op, pipe| {
        pipe.write(b"data");
        let count = op.await.expect("it came");
        assert!((1..=4).contains(&count), "{count}");
    });
}

#[test]
fn error() {
    suite::error::<IntoPipe>();
}

#[test]
fn timeout() {
    files::timeout::<IntoPipe>();
    waits_for_data(async |op, pipe| {
        let error = op.timeout(Duration::from_millis(5)).await.expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        still_works(pipe);
    });
}

#[test]
fn cancelled() {
    files::cancelled::<IntoPipe>();
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
    suite::dropped_before_poll::<IntoPipe>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<IntoPipe>();
    waits_for_data(async |op, _| drop(op));
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<IntoPipe>();
    waits_for_data(async |mut op, pipe| {
        pipe.write(b"data");
        let polled = submit_only(&mut op).await;
        drop((op, polled));
    });
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<IntoPipe>();
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
fn what_was_moved_wins_over_the_cancel() {
    block_on(async {
        let mut pipe = Pipe::new();
        let (target, file) = empty_file();
        let mut op = submit(Splice::new(&pipe.reader, None, &target, None, 16, 0));
        assert!(submit_only(&mut op).await.is_pending());
        pipe.write(b"late");
        let moved = match op.cancel().await {
            Ok(count) => count,
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
                0
            }
        };
        // What is not in the file is in the pipe still.
        let mut bytes = content(&file);
        assert_eq!(bytes.len(), moved);
        while bytes.len() < 4 {
            bytes.extend(take(&pipe.reader, 16));
        }
        assert_eq!(bytes, b"late");
    });
}

#[test]
fn at_offsets_and_at_cursors() {
    block_on(async {
        let mut source = text_file();
        let Pipe { reader, writer } = Pipe::new();
        let (writer, (target, file)) = (SharedFd::new(writer), empty_file());
        let shared = SharedFd::new(source.try_clone().expect("a duplicate"));
        let out = submit(Splice::new(&shared, Some(7), &writer, None, 1, 0)).await;
        assert_eq!(out.expect("room"), 1);
        assert_eq!(source.stream_position().expect("a file"), 0, "the cursor stays");
        let back = submit(Splice::new(&reader, None, &target, Some(3), 1, 0)).await;
        assert_eq!(back.expect("room"), 1);
        assert_eq!(content(&file), b"\0\0\x007");
        source.seek(SeekFrom::Start(4)).expect("a file");
        for expected in [b"4", b"5"] {
            let out = submit(Splice::new(&shared, None, &writer, None, 1, 0)).await;
            assert_eq!(out.expect("room"), 1);
            assert_eq!(take(&reader, 16), expected);
        }
        let end = submit(Splice::new(&shared, Some(10), &writer, None, 16, 0)).await;
        assert_eq!(end.expect("the end is no error"), 0);
    });
}

#[test]
fn a_whole_file_by_many_short_transfers() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let mut source = tempfile::tempfile().expect("a file");
    source.write_all(&bytes).expect("room");
    block_on(async {
        let source = SharedFd::new(source);
        let Pipe { reader, writer } = Pipe::new();
        let (writer, (target, file)) = (SharedFd::new(writer), empty_file());
        let mut at = 0;
        loop {
            let out = Splice::new(&source, Some(at), &writer, None, usize::MAX, 0);
            let mut left = submit(out).await.expect("room");
            if left == 0 {
                break;
            }
            while left > 0 {
                let back = Splice::new(&reader, None, &target, Some(at), left, 0);
                let moved = submit(back).await.expect("room");
                (left, at) = (left - moved, at + moved as u64);
            }
        }
        assert!(content(&file) == bytes);
    });
}

#[test]
fn the_end_of_the_pipe_and_nobody_at_it() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        drop(writer);
        let (target, _file) = empty_file();
        let end = submit(Splice::new(reader, None, &target, None, 16, 0)).await;
        assert_eq!(end.expect("the end is no error"), 0);
        let Pipe { reader, writer } = Pipe::new();
        drop(reader);
        let source = SharedFd::new(text_file());
        let op = Splice::new(&source, None, SharedFd::new(writer), None, 16, 0);
        assert_errno(submit(op).await, libc::EPIPE);
    });
}

#[test]
fn an_empty_pipe_that_is_not_waited_for() {
    block_on(async {
        let pipe = Pipe::new();
        let (target, _file) = empty_file();
        let op = Splice::new(&pipe.reader, None, &target, None, 16, libc::SPLICE_F_NONBLOCK);
        assert_errno(submit(op).await, libc::EAGAIN);
    });
}

#[test]
fn impossible_offsets() {
    block_on(async {
        let case = IntoPipe::new(&Buffers::default());
        let op = Splice::new(&case.shared, None, &case.writer, Some(0), 1, 0);
        assert_errno(submit(op).await, libc::ESPIPE);
        for beyond in [1 << 63, u64::MAX - 1, u64::MAX] {
            let op = Splice::new(&case.shared, Some(beyond), &case.writer, None, 1, 0);
            assert_errno(submit(op).await, libc::EINVAL);
        }
    });
}

#[test]
fn registered_files() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let Pipe { reader, writer } = Pipe::new();
        let files = ring.register_files(vec![text_file().into(), writer.into()]).expect("room");
        let (source, target) = (files[0], files[1]);
        let count = ring.splice(source, Some(2), target, None, 3, 0).await.expect("room");
        assert_eq!(take(&reader, 16), &b"234"[..count]);
        // The flag that tells numbers from indices is ours, whatever the user says.
        let fd_in_fixed = 1 << 31;
        let case = IntoPipe::new(&Buffers::default());
        let op = Splice::new(&case.shared, Some(2), target, None, 3, fd_in_fixed);
        let count = submit(op).await.expect("room");
        assert_eq!(take(&reader, 16), &b"234"[..count]);
    });
}

/// A splice out of an empty pipe.
fn waiting(pipe: &Pipe) -> Submission<Splice> {
    submit(Splice::new(&pipe.reader, None, empty_file().0, None, 16, 0))
}

fn text_file() -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"0123456789").expect("room");
    file.rewind().expect("a file");
    file
}

fn empty_file() -> (SharedFd, File) {
    let file = tempfile::tempfile().expect("a file");
    (SharedFd::new(file.try_clone().expect("a duplicate")), file)
}

fn content(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().expect("a file");
    file.read_to_end(&mut bytes).expect("a file");
    bytes
}

/// Runs `test` with a transfer out of an empty pipe that waits in a kernel worker, and counts.
fn waits_for_data(test: impl AsyncFnOnce(Submission<Splice>, &mut Pipe)) {
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
