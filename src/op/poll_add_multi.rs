//! `IORING_OP_POLL_ADD` again and again: each time a descriptor becomes ready.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, MultiOp, OpFd};
use crate::ring::kernel::{POLL_ADD_MULTI, Sqe, poll_mask};

/// Tells each time a descriptor becomes ready for one of `mask`, as [`PollAdd`](super::PollAdd)
/// does once. Edges are told: who does not take all that is there hears nothing until more comes.
/// Linux 5.13.
///
/// The stream ends when it is cancelled or [`PollRemove`](super::PollRemove) takes the poll away.
#[derive(Debug)]
pub struct PollAddMulti {
    fd: OpFd,
    mask: u32,
}

impl PollAddMulti {
    /// Describes the wait.
    pub fn new(fd: impl IntoOpFd, mask: u32) -> PollAddMulti {
        PollAddMulti { fd: fd.into_op_fd(), mask }
    }
}

// SAFETY: O1, O7: the entry has no pointer; O4: `fd` is owned.
unsafe impl MultiOp for PollAddMulti {
    type Item = io::Result<u32>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::PollAdd::CODE);
        self.fd.set(&mut sqe);
        sqe.len = POLL_ADD_MULTI;
        sqe.op_flags = poll_mask(self.mask);
        sqe
    }

    unsafe fn item(&mut self, completion: Completion) -> Option<io::Result<u32>> {
        if completion.raw_result() == -libc::ECANCELED {
            return None;
        }
        Some(completion.into_result())
    }
}
