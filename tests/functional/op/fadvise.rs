//! `FADVISE`.

use std::io::{self, Write};

use ringspun::op::{Fadvise, SharedFd, Submission, submit};

use super::files::{self, FileCase, assert_errno};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

/// Advice that may take a kernel worker.
struct Forget {
    file: SharedFd,
}

impl Case for Forget {
    type Op = Fadvise;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ESPIPE;

    fn new(_: &Buffers) -> Forget {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[7; 10_000]).expect("room");
        Forget { file: SharedFd::new(file) }
    }

    fn op(&mut self) -> Submission<Fadvise> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("a file");
    }

    /// A pipe is read in one way only.
    fn bad_op(&mut self) -> Submission<Fadvise> {
        let writer = SharedFd::new(Pipe::new().writer);
        submit(Fadvise::new(writer, 0, 0, libc::POSIX_FADV_NORMAL))
    }
}

impl FileCase for Forget {
    fn plain(&mut self) -> Fadvise {
        Fadvise::new(&self.file, 0, 4096, libc::POSIX_FADV_DONTNEED)
    }
}

#[test]
fn ok() {
    suite::ok::<Forget>();
}

#[test]
fn error() {
    suite::error::<Forget>();
}

#[test]
fn timeout() {
    files::timeout::<Forget>();
}

#[test]
fn cancelled() {
    files::cancelled::<Forget>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Forget>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Forget>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Forget>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Forget>();
}

#[test]
fn each_advice() {
    let Forget { file } = Forget::new(&Buffers::default());
    block_on(async {
        for advice in [
            libc::POSIX_FADV_NORMAL,
            libc::POSIX_FADV_SEQUENTIAL,
            libc::POSIX_FADV_RANDOM,
            libc::POSIX_FADV_NOREUSE,
            libc::POSIX_FADV_WILLNEED,
            libc::POSIX_FADV_DONTNEED,
        ] {
            submit(Fadvise::new(&file, 0, 0, advice)).await.expect("a file");
        }
        assert_errno(submit(Fadvise::new(&file, 0, 0, 77)).await, libc::EINVAL);
    });
}

#[test]
fn longer_than_4_gib() {
    let Forget { file } = Forget::new(&Buffers::default());
    block_on(async {
        let advise = |len| submit(Fadvise::new(&file, 0, len, libc::POSIX_FADV_SEQUENTIAL));
        advise(u64::from(u32::MAX)).await.expect("each kernel takes it");
        match advise(1 << 40).await {
            Ok(()) => {}
            // Before Linux 6.11.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}"),
        }
        assert_errno(advise(u64::MAX).await, libc::EINVAL);
    });
}
