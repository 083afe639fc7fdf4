//! `IORING_OP_FADVISE`: tell the kernel how a file will be read.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Says how `len` bytes of a file from `offset` on will be used; 0 means to its end. See
/// `posix_fadvise(2)`. Linux 5.6.
///
/// `advice` is `POSIX_FADV_*` of libc: `NORMAL`, `SEQUENTIAL`, `RANDOM`, `NOREUSE`; `WILLNEED`
/// begins to read ahead, `DONTNEED` frees the page cache. A `len` of 4 GiB and more, which is not
/// 0, is taken since Linux 6.11 and is `EINVAL` before.
///
/// # Errors
///
/// Those of the system call: `ESPIPE` for a pipe, `EINVAL` for an unknown advice.
///
/// # Cancellation
///
/// Does not wait, though `WILLNEED` and `DONTNEED` run in a kernel worker: a cancel that comes in
/// time gives `ECANCELED`.
#[derive(Debug)]
pub struct Fadvise {
    fd: OpFd,
    offset: u64,
    len: u64,
    advice: i32,
}

impl Fadvise {
    /// Describes the advice.
    pub fn new(fd: impl IntoOpFd, offset: u64, len: u64, advice: i32) -> Fadvise {
        Fadvise { fd: fd.into_op_fd(), offset, len, advice }
    }
}

// SAFETY: O1: the entry has no pointer (`addr` is a length); O4: `fd` is owned.
unsafe impl Op for Fadvise {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Fadvise::CODE);
        self.fd.set(&mut sqe);
        sqe.off = self.offset;
        // Every kernel knows the short field; those that know the long one look at it first.
        match u32::try_from(self.len) {
            Ok(len) => sqe.len = len,
            Err(_) => sqe.addr = self.len,
        }
        sqe.op_flags = self.advice as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
