//! `WRITEV`.

use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, SeekFrom};

use ringspun::buf::{BufResult, IoVectoredBuf};
use ringspun::op::{SharedFd, Submission, Write, WriteV, submit};

use super::files::assert_errno;
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on, full_pipe};

/// A write of three buffers to a full pipe.
struct WritePipe {
    reader: PipeReader,
    writer: SharedFd,
    buffers: Buffers,
}

impl WritePipe {
    fn parts(&self) -> [CountedBuf; 3] {
        ["hel", "", "lo"].map(|text| self.buffers.of(text))
    }
}

impl Case for WritePipe {
    type Op = WriteV<[CountedBuf; 3]>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(buffers: &Buffers) -> WritePipe {
        let (reader, writer) = full_pipe();
        WritePipe { reader, writer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<Self::Op> {
        submit(WriteV::new(&self.writer, self.parts(), Write::CURSOR))
    }

    fn release(&mut self) {
        self.reader.read_exact(&mut [0; 4096]).expect("it was full");
    }

    fn check(&mut self, (result, bufs): BufResult<usize, [CountedBuf; 3]>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!(bufs.map(|buf| buf.bytes.clone()), [b"hel".as_slice(), b"", b"lo"]);
    }

    /// The read end is not for writing.
    fn bad_op(&mut self) -> Submission<Self::Op> {
        submit(WriteV::new(Pipe::new().reader, self.parts(), Write::CURSOR))
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
        let write = |parts: [&'static str; 2], offset| submit(WriteV::new(&fd, parts, offset));
        assert_eq!(write(["x", "yz"], 7).await.0.expect("room"), 3);
        assert_eq!(write(["a", "b"], Write::CURSOR).await.0.expect("room"), 2);
        assert_eq!(write(["", "cd"], Write::CURSOR).await.0.expect("room"), 2);
    });
    assert_eq!(content(&mut file), b"\0\0abcd\0xyz");
}

#[test]
fn buffers_of_different_kinds() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let parts = ("head ", String::from("body "), b"tail".to_vec());
        let (result, parts) = submit(WriteV::new(&fd, parts, 0)).await;
        assert_eq!(result.expect("room"), 14);
        assert_eq!(parts.2, b"tail");
    });
    assert_eq!(content(&mut file), b"head body tail");
}

#[test]
fn no_buffers_and_empty_buffers() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let none = WriteV::new(&fd, Vec::<Vec<u8>>::new(), Write::CURSOR);
        assert_eq!(submit(none).await.0.expect("nothing"), 0);
        let empty = WriteV::new(&fd, vec![Vec::<u8>::new(), Vec::new()], Write::CURSOR);
        let (result, bufs) = submit(empty).await;
        assert_eq!(result.expect("nothing"), 0);
        assert_eq!(bufs.len(), 2);
    });
    assert_eq!(content(&mut file), b"");
}

#[test]
fn more_buffers_than_the_kernel_takes() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let (result, bufs) = submit(WriteV::new(&fd, vec!["x"; 1025], 0)).await;
        assert_errno(result, libc::EINVAL);
        assert_eq!(bufs.len(), 1025);
        assert_eq!(submit(WriteV::new(&fd, vec!["x"; 1024], 0)).await.0.expect("room"), 1024);
    });
    assert_eq!(content(&mut file), [b'x'; 1024]);
}

#[test]
fn the_rest_after_a_short_write() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        let text: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let parts = vec![text[..1000].to_vec(), Vec::new(), text[1000..].to_vec()];
        let writer = SharedFd::new(writer);
        let (result, parts) = submit(WriteV::new(&writer, parts, Write::CURSOR)).await;
        let count = result.expect("some room");
        assert!(count > 1000 && count < text.len(), "{count} of a pipe's room");
        let mut found = vec![0; count];
        let reading = std::os::fd::AsFd::as_fd(&reader).try_clone_to_owned().expect("a duplicate");
        File::from(reading).read_exact(&mut found).expect("a pipe");
        let rest = parts.skip_bytes(count);
        let (result, rest) = submit(WriteV::new(&writer, rest, Write::CURSOR)).await;
        let more = result.expect("some room");
        assert!(more > 0);
        found.resize(count + more, 0);
        let reading = std::os::fd::AsFd::as_fd(&reader).try_clone_to_owned().expect("a duplicate");
        File::from(reading).read_exact(&mut found[count..]).expect("a pipe");
        assert!(found == text[..count + more]);
        assert_eq!(rest.into_inner().concat(), text);
    });
}

#[test]
fn errors_give_the_buffers_back() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        drop(reader);
        let parts = ("one", String::from("two"));
        let op = WriteV::new(SharedFd::new(writer), parts, Write::CURSOR);
        let (result, parts) = submit(op).await;
        assert_eq!(result.expect_err("nobody").kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(parts, ("one", String::from("two")));
        let file = SharedFd::new(tempfile::tempfile().expect("a file"));
        let (result, parts) = submit(WriteV::new(file, parts, u64::MAX - 1)).await;
        assert_errno(result, libc::EINVAL);
        assert_eq!(parts, ("one", String::from("two")));
    });
}

fn content(file: &mut File) -> Vec<u8> {
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a place");
    file.read_to_end(&mut content).expect("a file");
    content
}
