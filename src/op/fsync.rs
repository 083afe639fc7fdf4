//! `IORING_OP_FSYNC`: bring a file to the disk.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Brings what was written to a file to its disk. See `fsync(2)`. Linux 5.1.
///
/// `flags` is 0, or [`Fsync::DATASYNC`] to leave out what is not needed to read the data back, as
/// `fdatasync(2)` does. Writes in flight are not waited for: await them first, or make a chain.
///
/// # Cancellation
///
/// Runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct Fsync {
    fd: OpFd,
    flags: u32,
}

impl Fsync {
    /// `IORING_FSYNC_DATASYNC`.
    pub const DATASYNC: u32 = 1 << 0;

    /// Describes the sync.
    pub fn new(fd: impl IntoOpFd, flags: u32) -> Fsync {
        Fsync { fd: fd.into_op_fd(), flags }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for Fsync {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Fsync::CODE);
        self.fd.set(&mut sqe);
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
