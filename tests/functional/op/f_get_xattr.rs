//! `FGETXATTR`.

use ringspun::buf::BufResult;
use ringspun::op::{FGetXattr, SharedFd, Submission, submit};

use super::files::{self, FileCase, assert_errno};
use super::suite::{self, Case};
use super::xattr::{NAME, WithAttributes, assert_nul_in_name};
use crate::support::{Buffers, CountedBuf, block_on};

/// A file that has an attribute.
struct Get {
    on: WithAttributes,
    buffers: Buffers,
}

impl Case for Get {
    type Op = FGetXattr<CountedBuf>;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENODATA;

    fn new(buffers: &Buffers) -> Get {
        let on = WithAttributes::new();
        on.set(NAME, b"green");
        Get { on, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<FGetXattr<CountedBuf>> {
        submit(self.plain())
    }

    fn check(&mut self, (result, value): BufResult<usize, CountedBuf>) {
        assert_eq!(result.expect("it is there"), 5);
        assert_eq!(value.bytes, b"green");
    }

    fn bad_op(&mut self) -> Submission<FGetXattr<CountedBuf>> {
        submit(FGetXattr::new(&self.on.file, "user.nothing", self.buffers.empty(16)))
    }
}

impl FileCase for Get {
    fn plain(&mut self) -> FGetXattr<CountedBuf> {
        FGetXattr::new(&self.on.file, NAME, self.buffers.empty(16))
    }
}

#[test]
fn ok() {
    suite::ok::<Get>();
}

#[test]
fn error() {
    suite::error::<Get>();
}

#[test]
fn timeout() {
    files::timeout::<Get>();
}

#[test]
fn cancelled() {
    files::cancelled::<Get>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Get>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Get>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Get>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Get>();
}

#[test]
fn room_for_it_and_none() {
    block_on(async {
        let on = WithAttributes::new();
        on.set(NAME, b"green");
        let get = async |room| {
            let buf = Vec::with_capacity(room);
            submit(FGetXattr::new(&on.file, NAME, buf)).await
        };
        let (count, buf) = get(5).await;
        assert_eq!((count.expect("it fits"), buf), (5, b"green".to_vec()));
        assert_errno(get(4).await.0, libc::ERANGE);
        // Asked for nothing the kernel tells the length, and writes nothing.
        let (count, buf) = get(0).await;
        assert_eq!((count.expect("it is there"), buf), (5, Vec::new()));
        on.set(NAME, b"");
        let (count, buf) = get(5).await;
        assert_eq!((count.expect("it is there"), buf), (0, Vec::new()));
    });
}

#[test]
fn what_was_in_the_buffer_before() {
    block_on(async {
        let on = WithAttributes::new();
        on.set(NAME, b"new");
        let (count, buf) = submit(FGetXattr::new(&on.file, NAME, b"before".to_vec())).await;
        assert_eq!((count.expect("it fits"), buf), (3, b"newore".to_vec()));
    });
}

#[test]
fn impossible_names() {
    block_on(async {
        let on = WithAttributes::new();
        let get = async |name: &str| {
            submit(FGetXattr::new(&on.file, name, Vec::with_capacity(9))).await.0
        };
        assert_errno(get("no_namespace").await, libc::EOPNOTSUPP);
        assert_errno(get("").await, libc::ERANGE);
        assert_nul_in_name(get("user.\0").await);
    });
}

#[test]
fn a_registered_file_and_a_mere_path() {
    use std::os::fd::AsFd;
    block_on(async {
        let on = WithAttributes::new();
        on.set(NAME, b"green");
        let ring = ringspun::uring::AsyncIoUring::current();
        let duplicate = on.file.as_fd().try_clone_to_owned().expect("a duplicate");
        let fixed = ring.register_files(vec![duplicate]).expect("room")[0];
        let (count, value) = ring.fgetxattr(fixed, NAME, Vec::with_capacity(9)).await;
        assert_eq!((count.expect("it is there"), value), (5, b"green".to_vec()));
        let mere = SharedFd::new(on.opened_as(libc::O_PATH));
        let (result, _) = ring.fgetxattr(mere, NAME, Vec::with_capacity(9)).await;
        assert_errno(result, libc::EBADF);
    });
}
