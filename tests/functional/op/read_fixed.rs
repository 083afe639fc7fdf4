//! `READ_FIXED`.

use std::io::{self, Seek, SeekFrom, Write};

use ringspun::buf::BufResult;
use ringspun::op::{Read, ReadFixed, SharedFd, Submission, submit};
use ringspun::uring::{AsyncIoUring, FixedBuf};

use super::files::assert_errno;
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, runtime};

/// A read of an empty pipe into a registered buffer.
struct ReadPipe {
    pipe: Pipe,
    bufs: Vec<FixedBuf>,
}

impl Case for ReadPipe {
    type Op = ReadFixed;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(_: &Buffers) -> ReadPipe {
        ReadPipe { pipe: Pipe::new(), bufs: registered(&[16, 16]) }
    }

    fn op(&mut self) -> Submission<ReadFixed> {
        let buf = self.bufs.pop().expect("one is left");
        submit(ReadFixed::new(&self.pipe.reader, buf, Read::CURSOR))
    }

    fn release(&mut self) {
        self.pipe.write(b"hello");
    }

    fn check(&mut self, (result, buf): BufResult<usize, FixedBuf>) {
        assert_eq!(result.expect("bytes are there"), 5);
        assert_eq!(*buf, *b"hello");
    }

    /// The write end is not for reading.
    fn bad_op(&mut self) -> Submission<ReadFixed> {
        let writer = self.pipe.writer.try_clone().expect("a duplicate");
        let buf = self.bufs.pop().expect("one is left");
        submit(ReadFixed::new(SharedFd::new(writer), buf, Read::CURSOR))
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
fn at_an_offset_and_at_the_cursor() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"0123456789").expect("room");
    file.seek(SeekFrom::Start(2)).expect("a place");
    block_on(async {
        let file = SharedFd::new(file);
        let mut buf = one(3);
        let places = [
            (7, b"789".as_slice()),
            (Read::CURSOR, b"234"),
            (Read::CURSOR, b"567"),
            (8, b"89"),
            (10, b""),
        ];
        for (offset, expected) in places {
            let (result, mut back) = submit(ReadFixed::new(&file, buf, offset)).await;
            assert_eq!(result.expect("no error"), expected.len());
            assert_eq!(back[..expected.len()], *expected);
            back.clear();
            buf = back;
        }
    });
}

#[test]
fn from_the_first_byte_whatever_is_in_it() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"ab");
        let mut buf = one(8);
        assert_eq!(buf.fill_from(b"12345"), 5);
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, buf, Read::CURSOR)).await;
        assert_eq!(result.expect("bytes"), 2);
        assert_eq!(*buf, *b"ab345");
    });
}

#[test]
fn not_more_than_its_capacity() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(&[b'x'; 100]);
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, one(64), Read::CURSOR)).await;
        let count = result.expect("bytes");
        assert_eq!(count, buf.capacity());
        assert_eq!(*buf, *vec![b'x'; count]);
    });
}

#[test]
fn end_of_the_pipe() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        drop(writer);
        let (result, buf) = submit(ReadFixed::new(reader, one(8), Read::CURSOR)).await;
        assert_eq!(result.expect("the end is no error"), 0);
        assert!(buf.is_empty());
    });
}

#[test]
fn a_huge_offset_is_an_error() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let mut buf = one(8);
        buf.fill_from(b"kept");
        let (result, buf) = submit(ReadFixed::new(file, buf, u64::MAX - 1)).await;
        assert_errno(result, libc::EINVAL);
        assert_eq!(*buf, *b"kept");
    });
}

#[test]
fn the_buffer_of_another_ring() {
    let (one_runtime, other) = (runtime(), runtime());
    let mut buf = one_runtime.block_on(async { one(8) });
    buf.fill_from(b"kept");
    let buf = other.block_on(async {
        let _same_index = one(8);
        let mut pipe = Pipe::new();
        pipe.write(b"bytes");
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, buf, Read::CURSOR)).await;
        let error = result.expect_err("it is registered elsewhere");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "this buffer is registered with the ring of another runtime");
        buf
    });
    assert_eq!(*buf, *b"kept");
    // At home it is of use.
    one_runtime.block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"bytes");
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, buf, Read::CURSOR)).await;
        assert_eq!(result.expect("bytes"), 5);
        assert_eq!(*buf, *b"bytes");
    });
}

#[test]
fn a_buffer_that_is_not_registered_any_more() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"bytes");
        let mut buf = one(8);
        buf.fill_from(b"kept");
        AsyncIoUring::current().unregister_buffers().expect("there are some");
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, buf, Read::CURSOR)).await;
        assert_errno(result, libc::EFAULT);
        assert_eq!(*buf, *b"kept");
        // Its index is somebody else's now, whose memory is not touched.
        let mut stranger = one(8);
        stranger.fill_from(b"stranger");
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, buf, Read::CURSOR)).await;
        assert_errno(result, libc::EFAULT);
        assert_eq!((&*buf, &*stranger), (b"kept".as_slice(), b"stranger".as_slice()));
    });
}

fn one(capacity: usize) -> FixedBuf {
    registered(&[capacity]).remove(0)
}

fn registered(capacities: &[usize]) -> Vec<FixedBuf> {
    let buffers = capacities.iter().map(|capacity| Vec::with_capacity(*capacity)).collect();
    AsyncIoUring::current().register_buffers(buffers).expect("memory")
}
