//! `IORING_OP_SHUTDOWN`: end a connection in one direction or both.

#![allow(unsafe_code)]

use std::io;
use std::net;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Ends a connection in one direction or both. See `shutdown(2)`. Linux 5.11.
///
/// It acts on the socket, so also on duplicates of the descriptor in other processes.
///
/// # Errors
///
/// `ENOTCONN` for a socket that is not connected (any more).
///
/// # Cancellation
///
/// Runs in a kernel worker and does not wait there.
#[derive(Debug)]
pub struct Shutdown {
    fd: OpFd,
    how: net::Shutdown,
}

impl Shutdown {
    /// Describes the shutdown.
    pub fn new(fd: impl IntoOpFd, how: net::Shutdown) -> Shutdown {
        Shutdown { fd: fd.into_op_fd(), how }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for Shutdown {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Shutdown::CODE);
        self.fd.set(&mut sqe);
        sqe.len = match self.how {
            net::Shutdown::Read => libc::SHUT_RD,
            net::Shutdown::Write => libc::SHUT_WR,
            net::Shutdown::Both => libc::SHUT_RDWR,
        } as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
