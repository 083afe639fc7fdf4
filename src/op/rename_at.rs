//! `IORING_OP_RENAMEAT`: give a file another name.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Gives a file another name; paths are relative to their directories ([`CWD`](super::CWD) for the
/// current one). See `renameat2(2)`. Linux 5.11.
///
/// `flags` are `RENAME_*` of libc (`RENAME_NOREPLACE`, `RENAME_EXCHANGE`), 0 for none.
///
/// # Errors
///
/// Those of the system call; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path with a NUL
/// byte inside, and if `new_dir` is a registered file.
///
/// # Cancellation
///
/// Runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct RenameAt {
    old_dir: OpFd,
    old_path: OpPath,
    new_dir: OpFd,
    new_path: OpPath,
    flags: u32,
}

impl RenameAt {
    /// Describes the rename.
    pub fn new(
        old_dir: impl IntoOpFd,
        old_path: impl IntoPath,
        new_dir: impl IntoOpFd,
        new_path: impl IntoPath,
        flags: u32,
    ) -> RenameAt {
        RenameAt {
            old_dir: old_dir.into_op_fd(),
            old_path: OpPath::new(old_path),
            new_dir: new_dir.into_op_fd(),
            new_path: OpPath::new(new_path),
            flags,
        }
    }
}

// SAFETY: O1: the entry points to the bytes of the two paths only, which are on the heap, and the
// kernel only reads them; O4: both directories are owned.
unsafe impl Op for RenameAt {
    type Output = io::Result<()>;

    /// It may have been done: a second try would get `ENOENT`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let (Some(old_path), Some(new_path), Some(new_dir)) =
            (self.old_path.address(), self.new_path.address(), self.new_dir.plain())
        else {
            return super::refused();
        };
        let mut sqe = Sqe::new(opcode::RenameAt::CODE);
        self.old_dir.set(&mut sqe);
        sqe.addr = old_path;
        sqe.len = new_dir as u32;
        sqe.off = new_path;
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        self.old_path.check()?;
        self.new_path.check()?;
        self.new_dir.check_plain()?;
        completion.into_result().map(drop)
    }
}
