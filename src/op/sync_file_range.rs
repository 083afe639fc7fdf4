//! `IORING_OP_SYNC_FILE_RANGE`: start or await the write-back of a part of a file.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Brings `len` bytes of a file from `offset` on to the disk, as far as they are in the page cache.
/// See `sync_file_range(2)`. Linux 5.2.
///
/// `len` 0 means to the end of the file. `flags` are `SYNC_FILE_RANGE_*` of libc: `WAIT_BEFORE`,
/// `WRITE`, `WAIT_AFTER`, all three to write and await. It brings no metadata to the disk and
/// flushes no cache of the disk, so it is for steady write-back and not for durability: that is
/// [`Fsync`](super::Fsync).
///
/// # Errors
///
/// Those of the system call: `ESPIPE` for what is no file, `EINVAL` for unknown flags, `EIO`,
/// `ENOSPC`.
///
/// # Cancellation
///
/// Always runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct SyncFileRange {
    fd: OpFd,
    offset: u64,
    len: u32,
    flags: u32,
}

impl SyncFileRange {
    /// Describes the part.
    pub fn new(fd: impl IntoOpFd, offset: u64, len: u32, flags: u32) -> SyncFileRange {
        SyncFileRange { fd: fd.into_op_fd(), offset, len, flags }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for SyncFileRange {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::SyncFileRange::CODE);
        self.fd.set(&mut sqe);
        sqe.off = self.offset;
        sqe.len = self.len;
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
