//! `WRITE_FIXED`.

use std::io::{self, PipeReader, Read, Seek, SeekFrom};

use ringspun::buf::BufResult;
use ringspun::op::{ReadFixed, SharedFd, Submission, Write, WriteFixed, submit};
use ringspun::uring::{AsyncIoUring, FixedBuf};

use super::files::assert_errno;
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, full_pipe, runtime};

/// A write of a registered buffer to a full pipe.
struct WritePipe {
    reader: PipeReader,
    writer: SharedFd,
    bufs: Vec<FixedBuf>,
}

impl Case for WritePipe {
    type Op = WriteFixed;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(_: &Buffers) -> WritePipe {
        let (reader, writer) = full_pipe();
        WritePipe { reader, writer, bufs: registered(&["hello", "hello"]) }
    }

    fn op(&mut self) -> Submission<WriteFixed> {
        let buf = self.bufs.pop().expect("one is left");
        submit(WriteFixed::new(&self.writer, buf, Write::CURSOR))
    }

    fn release(&mut self) {
        self.reader.read_exact(&mut [0; 4096]).expect("it was full");
    }

    fn check(&mut self, (result, buf): BufResult<usize, FixedBuf>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!(*buf, *b"hello");
    }

    /// The read end is not for writing.
    fn bad_op(&mut self) -> Submission<WriteFixed> {
        let buf = self.bufs.pop().expect("one is left");
        submit(WriteFixed::new(Pipe::new().reader, buf, Write::CURSOR))
    }
}

#[test]
fn ok() {
    suite::ok::<WritePipe>();
}

#[test]
fn error() {
    suite::error::<WritePipe>();
}

#[test]
fn timeout() {
    suite::timeout::<WritePipe>();
}

#[test]
fn cancelled() {
    suite::cancelled::<WritePipe>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<WritePipe>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<WritePipe>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<WritePipe>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<WritePipe>();
}

#[test]
fn at_an_offset_and_at_the_cursor() {
    let mut file = tempfile::tempfile().expect("a file");
    file.seek(SeekFrom::Start(2)).expect("a place");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let mut bufs = registered(&["xyz", "ab", "cd"]).into_iter();
        for offset in [7, Write::CURSOR, Write::CURSOR] {
            let buf = bufs.next().expect("three");
            let len = buf.len();
            let (result, buf) = submit(WriteFixed::new(&fd, buf, offset)).await;
            assert_eq!((result.expect("room"), buf.len()), (len, len));
        }
    });
    assert_eq!(content(&mut file), b"\0\0abcd\0xyz");
}

#[test]
fn only_what_is_in_it() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let buffers = vec![Vec::with_capacity(4096)];
        let bufs = AsyncIoUring::current().register_buffers(buffers).expect("memory");
        let buf = bufs.into_iter().next().expect("one");
        let (result, mut buf) = submit(WriteFixed::new(&fd, buf, Write::CURSOR)).await;
        assert_eq!(result.expect("nothing"), 0);
        assert_eq!(buf.fill_from(b"text"), 4);
        let (result, _) = submit(WriteFixed::new(&fd, buf, Write::CURSOR)).await;
        assert_eq!(result.expect("room"), 4);
    });
    assert_eq!(content(&mut file), b"text");
}

#[test]
fn what_was_read_into_it() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"through the same pages");
        let buf = registered(&["an empty buffer of sixty-four bytes, more or less, to read into"]);
        let mut buf = buf.into_iter().next().expect("one");
        buf.clear();
        let (result, buf) = submit(ReadFixed::new(&pipe.reader, buf, Write::CURSOR)).await;
        let count = result.expect("bytes");
        let (result, buf) = submit(WriteFixed::new(&fd, buf, 0)).await;
        assert_eq!(result.expect("room"), count);
        assert_eq!(*buf, *b"through the same pages");
    });
    assert_eq!(content(&mut file), b"through the same pages");
}

#[test]
fn errors_give_the_buffer_back() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let buf = registered(&["kept"]).remove(0);
        let (result, buf) = submit(WriteFixed::new(&file, buf, i64::MAX as u64 - 100)).await;
        assert_errno(result, libc::EFBIG);
        let (result, buf) = submit(WriteFixed::new(&file, buf, u64::MAX - 1)).await;
        assert_errno(result, libc::EINVAL);
        let Pipe { reader, writer } = Pipe::new();
        drop(reader);
        let op = WriteFixed::new(SharedFd::new(writer), buf, Write::CURSOR);
        let (result, buf) = submit(op).await;
        assert_eq!(result.expect_err("nobody").kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(*buf, *b"kept");
    });
}

#[test]
fn the_buffer_of_another_ring() {
    let (one_runtime, other) = (runtime(), runtime());
    let buf = one_runtime.block_on(async { registered(&["secret"]).remove(0) });
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    other.block_on(async {
        let _same_index = registered(&["other"]);
        let (result, buf) = submit(WriteFixed::new(&fd, buf, 0)).await;
        let error = result.expect_err("it is registered elsewhere");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "this buffer is registered with the ring of another runtime");
        assert_eq!(*buf, *b"secret");
    });
    assert_eq!(content(&mut file), b"");
}

#[test]
fn a_buffer_that_is_not_registered_any_more() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let buf = registered(&["kept"]).remove(0);
        AsyncIoUring::current().unregister_buffers().expect("there are some");
        let (result, buf) = submit(WriteFixed::new(&fd, buf, 0)).await;
        assert_errno(result, libc::EFAULT);
        // Its index is somebody else's now, whose memory is not written.
        let stranger = registered(&["stranger"]);
        let (result, buf) = submit(WriteFixed::new(&fd, buf, 0)).await;
        assert_errno(result, libc::EFAULT);
        assert_eq!((&*buf, &*stranger[0]), (b"kept".as_slice(), b"stranger".as_slice()));
    });
    assert_eq!(content(&mut file), b"");
}

fn registered(texts: &[&str]) -> Vec<FixedBuf> {
    let buffers = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    AsyncIoUring::current().register_buffers(buffers).expect("memory")
}

fn content(file: &mut std::fs::File) -> Vec<u8> {
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a place");
    file.read_to_end(&mut content).expect("a file");
    content
}
