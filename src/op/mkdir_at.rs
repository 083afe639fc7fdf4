//! `IORING_OP_MKDIRAT`: make a directory.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Makes a directory relative to another ([`CWD`](super::CWD) for the current one). See
/// `mkdirat(2)`. Linux 5.15.
///
/// `mode` is that of the new directory, less the umask.
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
pub struct MkdirAt {
    dir: OpFd,
    path: OpPath,
    mode: u32,
}

impl MkdirAt {
    /// Describes the directory.
    pub fn new(dir: impl IntoOpFd, path: impl IntoPath, mode: u32) -> MkdirAt {
        MkdirAt { dir: dir.into_op_fd(), path: OpPath::new(path), mode }
    }
}

// SAFETY: O1: the entry points to `path`'s bytes only, which are on the heap, and the kernel only
// reads them; O4: `dir` is owned.
unsafe impl Op for MkdirAt {
    type Output = io::Result<()>;

    /// It may have been done: a second try would get `EEXIST`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let Some(path) = self.path.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::MkDirAt::CODE);
        self.dir.set(&mut sqe);
        sqe.addr = path;
        sqe.len = self.mode;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        self.path.check()?;
        completion.into_result().map(drop)
    }
}
