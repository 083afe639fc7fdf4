//! `WRITE`.

use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use ringspun::buf::{BufResult, IoBuf};
use ringspun::op::{SharedFd, Submission, Write, submit};

use super::files::assert_errno;
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on, full_pipe, submit_only};

/// A write to a full pipe.
struct WritePipe {
    reader: PipeReader,
    writer: SharedFd,
    buffers: Buffers,
}

impl Case for WritePipe {
    type Op = Write<CountedBuf>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(buffers: &Buffers) -> WritePipe {
        let (reader, writer) = full_pipe();
        WritePipe { reader, writer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<Write<CountedBuf>> {
        submit(Write::new(&self.writer, self.buffers.of("hello"), Write::CURSOR))
    }

    fn release(&mut self) {
        self.reader.read_exact(&mut [0; 4096]).expect("it was full");
    }

    fn check(&mut self, (result, buf): BufResult<usize, CountedBuf>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!(buf.bytes, b"hello");
    }

    /// The read end is not for writing.
    fn bad_op(&mut self) -> Submission<Write<CountedBuf>> {
        submit(Write::new(Pipe::new().reader, self.buffers.of("hello"), Write::CURSOR))
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
fn a_cancelled_write_wrote_nothing() {
    block_on(async {
        let (mut reader, writer) = full_pipe();
        let mut op = submit(Write::new(&writer, "never", Write::CURSOR));
        assert!(submit_only(&mut op).await.is_pending());
        let (result, text) = op.cancel().await;
        assert_errno(result, libc::ECANCELED);
        assert_eq!(text, "never");
        drop(writer);
        let mut found = Vec::new();
        reader.read_to_end(&mut found).expect("a pipe");
        assert!(found.iter().all(|byte| *byte == 0), "only what made it full");
    });
}

#[test]
fn a_short_write_says_how_much() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        let text: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let op = Write::new(SharedFd::new(writer), text, Write::CURSOR);
        let (result, text) = submit(op).await;
        let count = result.expect("some room");
        assert!(count > 0 && count < text.len(), "{count} of a pipe's room");
        // The op and its descriptor are gone: this ends.
        assert_eq!(drain(&reader), text[..count]);
    });
}

#[test]
fn to_nobody() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        drop(reader);
        let op = Write::new(SharedFd::new(writer), vec![1, 2, 3], Write::CURSOR);
        let (result, buf) = submit(op).await;
        // And no signal has ended this process.
        assert_eq!(result.expect_err("nobody").kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(buf, [1, 2, 3]);
    });
}

#[test]
fn at_an_offset_and_at_the_cursor() {
    let mut file = tempfile::tempfile().expect("a file");
    file.seek(SeekFrom::Start(2)).expect("a place");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        let write = |text, offset| submit(Write::new(&fd, text, offset));
        assert_eq!(write("xyz", 7).await.0.expect("room"), 3);
        assert_eq!(write("ab", Write::CURSOR).await.0.expect("room"), 2);
        assert_eq!(write("cd", Write::CURSOR).await.0.expect("room"), 2);
    });
    assert_eq!(content(&mut file), b"\0\0abcd\0xyz");
}

#[test]
fn an_appending_file_knows_no_offset() {
    let mut folder = super::files::Folder::new();
    let name = folder.file("text");
    let file = File::options().append(true).open(folder.path(&name)).expect("it is there");
    let file = SharedFd::new(file);
    block_on(async {
        for offset in [Write::CURSOR, 0] {
            assert_eq!(submit(Write::new(&file, "+", offset)).await.0.expect("room"), 1);
        }
    });
    assert_eq!(folder.text(&name), "text++");
}

#[test]
fn nothing() {
    let mut file = tempfile::tempfile().expect("a file");
    let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
    block_on(async {
        for offset in [Write::CURSOR, 0, 10] {
            assert_eq!(submit(Write::new(&fd, "", offset)).await.0.expect("nothing"), 0);
            assert_eq!(submit(Write::new(&fd, Vec::new(), offset)).await.0.expect("nothing"), 0);
        }
        // A full pipe has room for nothing.
        let (_reader, writer) = full_pipe();
        assert_eq!(submit(Write::new(&writer, "", Write::CURSOR)).await.0.expect("nothing"), 0);
    });
    assert_eq!(content(&mut file), b"");
}

#[test]
fn a_huge_offset_is_an_error() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let (result, buf) = submit(Write::new(&file, vec![7], i64::MAX as u64 - 100)).await;
        assert_errno(result, libc::EFBIG);
        assert_eq!(buf, [7]);
        let (result, buf) = submit(Write::new(&file, vec![7], u64::MAX - 1)).await;
        assert_errno(result, libc::EINVAL);
        assert_eq!(buf, [7]);
    });
}

#[test]
fn a_part_of_a_buffer() {
    block_on(async {
        let Pipe { reader, writer } = Pipe::new();
        let part = b"abcdef".to_vec().slice(2..4);
        let op = Write::new(SharedFd::new(writer), part, Write::CURSOR);
        let (result, part) = submit(op).await;
        assert_eq!(result.expect("room"), 2);
        assert_eq!(part.into_inner(), b"abcdef");
        assert_eq!(drain(&reader), b"cd");
    });
}

#[test]
fn no_room_on_the_disk() {
    let full = File::options().write(true).open("/dev/full").expect("it is there");
    block_on(async {
        let (result, buf) = submit(Write::new(SharedFd::new(full), vec![7; 9], 0)).await;
        assert_errno(result, libc::ENOSPC);
        assert_eq!(buf, [7; 9]);
    });
}

fn content(file: &mut File) -> Vec<u8> {
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a place");
    file.read_to_end(&mut content).expect("a file");
    content
}

/// All that is in the pipe, whose writer is gone.
fn drain(reader: &SharedFd) -> Vec<u8> {
    let mut content = Vec::new();
    let duplicate = reader.as_fd().try_clone_to_owned().expect("a duplicate");
    File::from(duplicate).read_to_end(&mut content).expect("a pipe");
    content
}
