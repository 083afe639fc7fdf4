//! `FSETXATTR`.

use ringspun::buf::BufResult;
use ringspun::op::{FSetXattr, SharedFd, Submission, submit};

use super::files::{self, FileCase, assert_errno};
use super::suite::{self, Case};
use super::xattr::{NAME, WithAttributes, assert_nul_in_name};
use crate::support::{Buffers, CountedBuf, block_on};

/// A file that gets an attribute.
struct Set {
    on: WithAttributes,
    buffers: Buffers,
}

impl Case for Set {
    type Op = FSetXattr<CountedBuf>;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENODATA;

    fn new(buffers: &Buffers) -> Set {
        Set { on: WithAttributes::new(), buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<FSetXattr<CountedBuf>> {
        submit(self.plain())
    }

    fn check(&mut self, (result, value): BufResult<(), CountedBuf>) {
        result.expect("the file system has attributes");
        assert_eq!(value.bytes, b"green");
        assert_eq!(self.on.value(NAME).as_deref(), Some(&b"green"[..]));
    }

    /// There is none to replace.
    fn bad_op(&mut self) -> Submission<FSetXattr<CountedBuf>> {
        submit(FSetXattr::new(&self.on.file, NAME, self.buffers.of("green"), libc::XATTR_REPLACE))
    }
}

impl FileCase for Set {
    fn plain(&mut self) -> FSetXattr<CountedBuf> {
        FSetXattr::new(&self.on.file, NAME, self.buffers.of("green"), 0)
    }

    fn check_undone(&mut self) {
        assert_eq!(self.on.value(NAME), None);
    }
}

#[test]
fn ok() {
    suite::ok::<Set>();
}

#[test]
fn error() {
    suite::error::<Set>();
}

#[test]
fn timeout() {
    files::timeout::<Set>();
}

#[test]
fn cancelled() {
    files::cancelled::<Set>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Set>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Set>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Set>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Set>();
}

#[test]
fn created_and_replaced_on_demand() {
    block_on(async {
        let on = WithAttributes::new();
        let set = async |value: &'static str, flags| {
            submit(FSetXattr::new(&on.file, NAME, value, flags)).await.0
        };
        set("one", libc::XATTR_CREATE).await.expect("it is new");
        assert_errno(set("two", libc::XATTR_CREATE).await, libc::EEXIST);
        assert_eq!(on.value(NAME).as_deref(), Some(&b"one"[..]));
        set("three", libc::XATTR_REPLACE).await.expect("it is there");
        set("", 0).await.expect("an empty value is a value");
        assert_eq!(on.value(NAME).as_deref(), Some(&b""[..]));
        assert_errno(set("x", 1 << 9).await, libc::EINVAL);
    });
}

#[test]
fn a_part_of_a_buffer() {
    block_on(async {
        use ringspun::buf::IoBuf;
        let on = WithAttributes::new();
        let part = Vec::from(*b"abcdef").slice(2..4);
        let (result, part) = submit(FSetXattr::new(&on.file, NAME, part, 0)).await;
        result.expect("the file system has attributes");
        assert_eq!(part.into_inner(), b"abcdef");
        assert_eq!(on.value(NAME).as_deref(), Some(&b"cd"[..]));
    });
}

#[test]
fn impossible_names_and_values() {
    block_on(async {
        let on = WithAttributes::new();
        let set = async |name: &str, len: usize| {
            submit(FSetXattr::new(&on.file, name, vec![7; len], 0)).await.0
        };
        assert_errno(set("no_namespace", 1).await, libc::EOPNOTSUPP);
        assert_errno(set("", 1).await, libc::ERANGE);
        assert_errno(set(&format!("user.{}", "x".repeat(300)), 1).await, libc::ERANGE);
        assert_errno(set(NAME, 65_537).await, libc::E2BIG);
        assert_nul_in_name(set("user.\0", 1).await);
    });
}

#[test]
fn a_registered_file_and_a_mere_path() {
    use std::os::fd::AsFd;
    block_on(async {
        let on = WithAttributes::new();
        let ring = ringspun::uring::AsyncIoUring::current();
        let duplicate = on.file.as_fd().try_clone_to_owned().expect("a duplicate");
        let fixed = ring.register_files(vec![duplicate]).expect("room")[0];
        ring.fsetxattr(fixed, NAME, "green", 0).await.0.expect("the file system has attributes");
        assert_eq!(on.value(NAME).as_deref(), Some(&b"green"[..]));
        let mere = SharedFd::new(on.opened_as(libc::O_PATH));
        assert_errno(ring.fsetxattr(mere, NAME, "green", 0).await.0, libc::EBADF);
    });
}
