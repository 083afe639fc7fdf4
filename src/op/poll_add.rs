//! `IORING_OP_POLL_ADD`: wait until a descriptor is ready, once.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::{Sqe, poll_mask};

/// Waits until a descriptor is ready for one of `mask` (`POLLIN`, `POLLOUT`, ... of libc; `POLLERR`
/// and `POLLHUP` always count). Gives what it is ready for. See `poll(2)`. Linux 5.1.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`; so it does when [`PollRemove`](super::PollRemove) takes it away.
#[derive(Debug)]
pub struct PollAdd {
    fd: OpFd,
    mask: u32,
}

impl PollAdd {
    /// Describes the wait.
    #[inline]
    pub fn new(fd: impl IntoOpFd, mask: u32) -> PollAdd {
        PollAdd { fd: fd.into_op_fd(), mask }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for PollAdd {
    type Output = io::Result<u32>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::PollAdd::CODE);
        self.fd.set(&mut sqe);
        sqe.op_flags = poll_mask(self.mask);
        sqe
    }

    #[inline]
    unsafe fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.into_result()
    }
}
