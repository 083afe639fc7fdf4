//! `IORING_OP_UNLINKAT`: remove a name.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Removes a name relative to a directory ([`CWD`](super::CWD) for the current one). See
/// `unlinkat(2)`. Linux 5.11.
///
/// `flags` is 0 for a file, `AT_REMOVEDIR` of libc for an empty directory.
///
/// # Errors
///
/// Those of the system call; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path with a NUL
/// byte inside.
///
/// # Cancellation
///
/// Runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct UnlinkAt {
    dir: OpFd,
    path: OpPath,
    flags: i32,
}

impl UnlinkAt {
    /// Describes the removal.
    pub fn new(dir: impl IntoOpFd, path: impl IntoPath, flags: i32) -> UnlinkAt {
        UnlinkAt { dir: dir.into_op_fd(), path: OpPath::new(path), flags }
    }
}

// SAFETY: O1: the entry points to `path`'s bytes only, which are on the heap, and the kernel only
// reads them; O4: `dir` is owned.
unsafe impl Op for UnlinkAt {
    type Output = io::Result<()>;

    /// It may have been done: a second try would get `ENOENT`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let Some(path) = self.path.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::UnlinkAt::CODE);
        self.dir.set(&mut sqe);
        sqe.addr = path;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        self.path.check()?;
        completion.into_result().map(drop)
    }
}
