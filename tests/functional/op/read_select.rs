//! `READ` into a buffer that the kernel chooses.

use std::io;

use ringspun::op::{BufGroup, PooledBuf, ReadSelect, SharedFd, Submission, submit};

use super::pooled::{group, pool_of, received, until_alone};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on, runtime, submit_only, turn};

/// A read of an empty pipe.
struct ReadPipe {
    pipe: Pipe,
    group: BufGroup,
}

impl Case for ReadPipe {
    type Op = ReadSelect;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(_: &Buffers) -> ReadPipe {
        ReadPipe { pipe: Pipe::new(), group: group() }
    }

    fn op(&mut self) -> Submission<ReadSelect> {
        submit(ReadSelect::new(&self.pipe.reader, self.group.clone()))
    }

    fn release(&mut self) {
        self.pipe.write(b"hello");
    }

    fn check(&mut self, result: io::Result<PooledBuf>) {
        let buf = result.expect("bytes are there");
        assert_eq!(&buf[..], b"hello");
        assert!(buf.is_pooled());
    }

    fn bad_op(&mut self) -> Submission<ReadSelect> {
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        submit(ReadSelect::new(SharedFd::new(writer), self.group.clone()))
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

/// Bytes, the end, an error, a drop: a pool of one is not lost by any.
#[test]
fn the_only_buffer_comes_back() {
    pool_of(1, 64).block_on(async {
        let group = group();
        for round in 0..30 {
            let mut pipe = Pipe::new();
            let read = || submit(ReadSelect::new(&pipe.reader, group.clone()));
            let mut dropped = read();
            let polled = submit_only(&mut dropped).await;
            if round % 2 == 0 {
                pipe.writer
                    .try_clone()
                    .map(|mut writer| io::Write::write_all(&mut writer, b"x"))
                    .expect("a number")
                    .expect("room");
                turn().await;
            }
            drop((dropped, polled));
            until_alone(&pipe.reader).await;
            assert_eq!(group.available(), 1);
            let (_reader, writer) = std::io::pipe().expect("a pipe");
            let bad = ReadSelect::new(SharedFd::new(writer), group.clone());
            assert!(submit(bad).await.is_err());
            assert_eq!(group.available(), 1);
            pipe.write(b"bytes");
            let read = || submit(ReadSelect::new(&pipe.reader, group.clone()));
            assert!(received(read).await.ends_with(b"bytes"));
            drop(pipe.writer);
            let read = || submit(ReadSelect::new(&pipe.reader, group.clone()));
            for _ in 0..3 {
                assert!(received(read).await.is_empty());
                assert_eq!(group.available(), 1);
            }
        }
    });
}

/// A file is read at its cursor.
#[test]
fn a_file() {
    block_on(async {
        let group = group();
        let file = SharedFd::new(std::fs::File::open("/proc/self/comm").expect("procfs"));
        let text = received(|| submit(ReadSelect::new(&file, group.clone()))).await;
        assert!(text.ends_with(b"\n"));
        assert!(received(|| submit(ReadSelect::new(&file, group.clone()))).await.is_empty());
        drop(text);
        assert_eq!(group.available(), 256);
    });
}

#[test]
fn the_group_of_another_runtime_is_refused() {
    let other = runtime();
    let foreign = {
        let _entered = other.enter();
        group()
    };
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"x");
        let error = submit(ReadSelect::new(&pipe.reader, foreign)).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert_eq!(&received(|| submit(ReadSelect::new(&pipe.reader, group()))).await[..], b"x");
    });
}
