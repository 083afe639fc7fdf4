//! `IORING_OP_TEE`: copy the bytes of one pipe into another and leave them where they are.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::splice::set_source;
use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Duplicates up to `len` bytes of one pipe into another; they stay in the first, to be read there.
/// See `tee(2)`. Linux 5.8.
///
/// `flags` are `SPLICE_F_*` of libc, of which `SPLICE_F_NONBLOCK` says not to wait. Gives how many
/// bytes were duplicated, which may be less than `len`; 0 when the source has ended.
///
/// # Errors
///
/// Those of the system call: `EINVAL` if one is no pipe or both are the same, `EPIPE` if nobody
/// reads the second, `EAGAIN` with `SPLICE_F_NONBLOCK`.
///
/// # Cancellation
///
/// Always runs in a kernel worker, and holds it while it waits. One that waits is interrupted:
/// `ECANCELED`, and nothing was duplicated.
#[derive(Debug)]
pub struct Tee {
    fd_in: OpFd,
    fd_out: OpFd,
    len: u32,
    flags: u32,
}

impl Tee {
    /// Describes the transfer.
    pub fn new(fd_in: impl IntoOpFd, fd_out: impl IntoOpFd, len: usize, flags: u32) -> Tee {
        Tee {
            fd_in: fd_in.into_op_fd(),
            fd_out: fd_out.into_op_fd(),
            len: super::transfer_len(len),
            flags,
        }
    }
}

// SAFETY: O1: the entry has no pointer; O4: both descriptors are owned. After a signal it goes
// again, as `Splice` does and for the same reason.
unsafe impl Op for Tee {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Tee::CODE);
        self.fd_out.set(&mut sqe);
        set_source(&mut sqe, &self.fd_in, self.flags);
        sqe.len = self.len;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<usize> {
        completion.into_result().map(|count| count as usize)
    }
}
