//! `IORING_OP_FALLOCATE`: reserve, free or shift the space of a file.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Reserves `len` bytes of a file from `offset` on, or does to them what `mode` says
/// (`FALLOC_FL_*` of libc; 0 reserves and lengthens). See `fallocate(2)`. Linux 5.6.
///
/// # Errors
///
/// Those of the system call: `EOPNOTSUPP` where the file system lacks it, `ENOSPC`, `EFBIG`, ...
///
/// # Cancellation
///
/// Runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct Fallocate {
    fd: OpFd,
    mode: i32,
    offset: u64,
    len: u64,
    tries: u32,
}

impl Fallocate {
    /// Describes the change.
    pub fn new(fd: impl IntoOpFd, mode: i32, offset: u64, len: u64) -> Fallocate {
        Fallocate { fd: fd.into_op_fd(), mode, offset, len, tries: 0 }
    }

    /// A signal came between, and a range that is collapsed or inserted twice shifts the file
    /// twice.
    fn must_not_repeat(&self) -> bool {
        let shifts = libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;
        self.tries > 1 && self.mode & shifts != 0
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for Fallocate {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        self.tries = self.tries.saturating_add(1);
        if self.must_not_repeat() {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::Fallocate::CODE);
        self.fd.set(&mut sqe);
        sqe.off = self.offset;
        sqe.addr = self.len;
        sqe.len = self.mode as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        if self.must_not_repeat() {
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
        completion.into_result().map(drop)
    }
}
