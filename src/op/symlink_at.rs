//! `IORING_OP_SYMLINKAT`: make a symbolic link.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Makes `path`, relative to `dir` ([`CWD`](super::CWD) for the current one), a symbolic link to
/// `target`. See `symlinkat(2)`. Linux 5.15.
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
pub struct SymlinkAt {
    target: OpPath,
    dir: OpFd,
    path: OpPath,
}

impl SymlinkAt {
    /// Describes the link.
    pub fn new(target: impl IntoPath, dir: impl IntoOpFd, path: impl IntoPath) -> SymlinkAt {
        SymlinkAt { target: OpPath::new(target), dir: dir.into_op_fd(), path: OpPath::new(path) }
    }
}

// SAFETY: O1: the entry points to the bytes of the two paths only, which are on the heap, and the
// kernel only reads them; O4: `dir` is owned.
unsafe impl Op for SymlinkAt {
    type Output = io::Result<()>;

    /// It may have been done: a second try would get `EEXIST`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let (Some(target), Some(path)) = (self.target.address(), self.path.address()) else {
            return super::refused();
        };
        let mut sqe = Sqe::new(opcode::SymlinkAt::CODE);
        self.dir.set(&mut sqe);
        sqe.addr = target;
        sqe.off = path;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        self.target.check()?;
        self.path.check()?;
        completion.into_result().map(drop)
    }
}
