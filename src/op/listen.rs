//! `IORING_OP_LISTEN`: have a socket take connections.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Has a socket take connections. See `listen(2)`. Linux 6.11.
///
/// `backlog` is how many of them may wait to be accepted; the kernel caps it
/// (`net.core.somaxconn`).
///
/// # Errors
///
/// `EADDRINUSE` if another socket listens there; `EOPNOTSUPP` for a socket of another kind.
///
/// # Cancellation
///
/// It does not wait.
#[derive(Debug)]
pub struct Listen {
    fd: OpFd,
    backlog: i32,
}

impl Listen {
    /// Describes the listen.
    pub fn new(fd: impl IntoOpFd, backlog: i32) -> Listen {
        Listen { fd: fd.into_op_fd(), backlog }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for Listen {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Listen::CODE);
        self.fd.set(&mut sqe);
        sqe.len = self.backlog as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
