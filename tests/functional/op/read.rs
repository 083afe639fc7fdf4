//! `READ`.

use std::io::{Seek, SeekFrom, Write};

use ringspun::buf::{BufResult, IoBufMut};
use ringspun::op::{Read, SharedFd, Submission, submit};

use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on, submit_only};

/// A read of an empty pipe.
struct ReadPipe {
    pipe: Pipe,
    buffers: Buffers,
}

impl Case for ReadPipe {
    type Op = Read<CountedBuf>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(buffers: &Buffers) -> ReadPipe {
        ReadPipe { pipe: Pipe::new(), buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<Read<CountedBuf>> {
        submit(Read::new(&self.pipe.reader, self.buffers.empty(16), Read::CURSOR))
    }

    fn release(&mut self) {
        self.pipe.write(b"hello");
    }

    fn check(&mut self, (result, buf): BufResult<usize, CountedBuf>) {
        assert_eq!(result.expect("bytes are there"), 5);
        assert_eq!(buf.bytes, b"hello");
    }

    /// The write end is not for reading.
    fn bad_op(&mut self) -> Submission<Read<CountedBuf>> {
        let writer = self.pipe.writer.try_clone().expect("a duplicate");
        submit(Read::new(SharedFd::new(writer), self.buffers.empty(16), Read::CURSOR))
    }
}

#[test]
fn ok() {
    suite::ok::<ReadPipe>();
}

#[test]
fn error() {
    suite::error::<ReadPipe>();
}

#[test]
fn timeout() {
    suite::timeout::<ReadPipe>();
}

#[test]
fn cancelled() {
    suite::cancelled::<ReadPipe>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<ReadPipe>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<ReadPipe>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<ReadPipe>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<ReadPipe>();
}

#[test]
fn bytes_that_arrived_win_over_the_cancel() {
    block_on(async {
        let mut pipe = Pipe::new();
        let mut op = submit(Read::new(&pipe.reader, Vec::with_capacity(16), Read::CURSOR));
        assert!(submit_only(&mut op).await.is_pending());
        pipe.write(b"late");
        let (result, buf) = op.cancel().await;
        // Either they are in the buffer, or the cancel was faster and they are in the pipe still.
        let buf = match result {
            Ok(_) => buf,
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
                submit(Read::new(&pipe.reader, Vec::with_capacity(16), Read::CURSOR)).await.1
            }
        };
        assert_eq!(buf, b"late");
    });
}

#[test]
fn end_of_the_pipe() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        drop(writer);
        let (result, buf) = submit(Read::new(reader, Vec::with_capacity(16), Read::CURSOR)).await;
        assert_eq!(result.expect("the end is no error"), 0);
        assert!(buf.is_empty());
    });
}

#[test]
fn at_an_offset_and_at_the_cursor() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"0123456789").expect("room");
    file.seek(SeekFrom::Start(2)).expect("a place");
    block_on(async {
        let file = SharedFd::new(file);
        let read = |offset| submit(Read::new(&file, Box::new([0_u8; 3]), offset));
        assert_eq!(read(7).await.1, Box::new(*b"789"));
        assert_eq!(read(Read::CURSOR).await.1, Box::new(*b"234"));
        assert_eq!(read(Read::CURSOR).await.1, Box::new(*b"567"));
        assert_eq!(read(10).await.0.expect("the end is no error"), 0);
    });
}

#[test]
fn into_a_part_of_a_buffer() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"abcdef");
        let part = b"......".to_vec().slice_mut(2..4);
        let (result, part) = submit(Read::new(&pipe.reader, part, Read::CURSOR)).await;
        assert_eq!(result.expect("bytes"), 2);
        assert_eq!(part.into_inner(), b"..ab..");
    });
}
