//! `READV`.

use std::io::{Seek, SeekFrom, Write};

use ringspun::buf::{BufResult, IoBufMut};
use ringspun::op::{Read, ReadV, SharedFd, Submission, submit};

use super::files::assert_errno;
use super::suite::{self, Case};
use crate::support::{Buffers, CountedBuf, Pipe, block_on, submit_only};

/// A read of an empty pipe into three buffers.
struct ReadPipe {
    pipe: Pipe,
    buffers: Buffers,
}

impl ReadPipe {
    fn parts(&self) -> [CountedBuf; 3] {
        [3, 0, 16].map(|capacity| self.buffers.empty(capacity))
    }
}

impl Case for ReadPipe {
    type Op = ReadV<[CountedBuf; 3]>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EBADF;

    fn new(buffers: &Buffers) -> ReadPipe {
        ReadPipe { pipe: Pipe::new(), buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<Self::Op> {
        submit(ReadV::new(&self.pipe.reader, self.parts(), Read::CURSOR))
    }

    fn release(&mut self) {
        self.pipe.write(b"hello");
    }

    fn check(&mut self, (result, bufs): BufResult<usize, [CountedBuf; 3]>) {
        assert_eq!(result.expect("bytes are there"), 5);
        assert_eq!(bufs.map(|buf| buf.bytes.clone()), [b"hel".as_slice(), b"", b"lo"]);
    }

    /// The write end is not for reading.
    fn bad_op(&mut self) -> Submission<Self::Op> {
        let writer = self.pipe.writer.try_clone().expect("a duplicate");
        submit(ReadV::new(SharedFd::new(writer), self.parts(), Read::CURSOR))
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
        let bufs = vec![Vec::with_capacity(1), Vec::with_capacity(16)];
        let mut op = submit(ReadV::new(&pipe.reader, bufs, Read::CURSOR));
        assert!(submit_only(&mut op).await.is_pending());
        pipe.write(b"late");
        let (result, bufs) = op.cancel().await;
        // Under chaos the kernel may not have seen the read yet.
        match result {
            Ok(count) => assert_eq!((count, bufs.concat()), (4, b"late".to_vec())),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
        }
    });
}

#[test]
fn at_an_offset_and_at_the_cursor() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"0123456789").expect("room");
    file.seek(SeekFrom::Start(2)).expect("a place");
    block_on(async {
        let file = SharedFd::new(file);
        let read =
            |offset| submit(ReadV::new(&file, [Box::new([0_u8; 1]), Box::new([0; 1])], offset));
        assert_eq!(read(7).await.1, [Box::new(*b"7"), Box::new(*b"8")]);
        assert_eq!(read(Read::CURSOR).await.1, [Box::new(*b"2"), Box::new(*b"3")]);
        assert_eq!(read(Read::CURSOR).await.1, [Box::new(*b"4"), Box::new(*b"5")]);
        // What there is; then nothing.
        let (result, bufs) = read(9).await;
        assert_eq!((result.expect("one byte"), bufs), (1, [Box::new(*b"9"), Box::new([0])]));
        assert_eq!(read(10).await.0.expect("the end is no error"), 0);
    });
}

#[test]
fn buffers_of_different_kinds() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"abcdef");
        let bufs = (Box::new([0; 2]), Vec::with_capacity(2), b"......".to_vec().slice_mut(2..4));
        let (result, bufs) = submit(ReadV::new(&pipe.reader, bufs, Read::CURSOR)).await;
        assert_eq!(result.expect("bytes"), 6);
        assert_eq!((&*bufs.0, &*bufs.1), (b"ab", b"cd".as_slice()));
        assert_eq!(bufs.2.into_inner(), b"..ef..");
    });
}

#[test]
fn bytes_behind_a_short_read_stay() {
    block_on(async {
        let mut pipe = Pipe::new();
        pipe.write(b"ab");
        let bufs = [b"1".to_vec(), b"2345".to_vec(), b"6".to_vec()];
        let bufs = bufs.map(Vec::into_boxed_slice);
        let (result, bufs) = submit(ReadV::new(&pipe.reader, bufs, Read::CURSOR)).await;
        assert_eq!(result.expect("bytes"), 2);
        assert_eq!(bufs.map(|buf| buf.to_vec()).concat(), b"ab3456");
    });
}

#[test]
fn no_buffers_and_empty_buffers() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"text").expect("room");
    block_on(async {
        let file = SharedFd::new(file);
        for offset in [0, Read::CURSOR] {
            let none = ReadV::new(&file, Vec::<Vec<u8>>::new(), offset);
            assert_eq!(submit(none).await.0.expect("nothing"), 0);
            let empty = ReadV::new(&file, vec![Vec::<u8>::new(), Vec::new()], offset);
            let (result, bufs) = submit(empty).await;
            assert_eq!((result.expect("nothing"), bufs.len()), (0, 2));
        }
    });
}

#[test]
fn more_buffers_than_the_kernel_takes() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[b'x'; 1024]).expect("room");
    block_on(async {
        let file = SharedFd::new(file);
        let read = |count| submit(ReadV::new(&file, vec![Box::new([0_u8; 1]); count], 0));
        let (result, bufs) = read(1025).await;
        assert_errno(result, libc::EINVAL);
        assert_eq!(bufs.len(), 1025);
        let (result, bufs) = read(1024).await;
        assert_eq!(result.expect("bytes"), 1024);
        assert!(bufs.iter().all(|buf| **buf == *b"x"));
    });
}

#[test]
fn errors_give_the_buffers_back() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let bufs = (b"one".to_vec(), Box::new(*b"two"));
        let (result, bufs) = submit(ReadV::new(file, bufs, u64::MAX - 1)).await;
        assert_errno(result, libc::EINVAL);
        assert_eq!(bufs, (b"one".to_vec(), Box::new(*b"two")));
        let folder = SharedFd::new(std::fs::File::open("/").expect("a folder"));
        let (result, bufs) = submit(ReadV::new(folder, bufs, 0)).await;
        assert_errno(result, libc::EISDIR);
        assert_eq!(bufs, (b"one".to_vec(), Box::new(*b"two")));
    });
}
