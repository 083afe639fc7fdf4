//! `IORING_OP_POLL_REMOVE`: change what a poll waits for.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, Op, OpId};
use crate::ring::kernel::{Sqe, poll_mask};
use crate::ring::{self, user_data_of};

/// `IORING_POLL_UPDATE_EVENTS`.
const UPDATE_EVENTS: u32 = 1 << 1;

/// Changes what a [`PollAdd`](super::PollAdd) or [`PollAddMulti`](super::PollAddMulti) waits for,
/// in place: it goes on under its name. Linux 5.13.
///
/// # Errors
///
/// `ENOENT` ([`NotFound`](io::ErrorKind::NotFound)) if there is no such poll: it has ended, or is
/// of another runtime, or is something else. `EALREADY` if it is ending just now.
///
/// # Cancellation
///
/// It does not wait.
#[derive(Debug)]
pub struct PollUpdate {
    id: OpId,
    mask: u32,
    found: bool,
}

impl PollUpdate {
    /// Describes the change of the poll with this name.
    pub fn new(id: OpId, mask: u32) -> PollUpdate {
        PollUpdate { id, mask, found: false }
    }
}

// SAFETY: O1: the entry has no pointer and no descriptor; the poll that it changes keeps its name.
unsafe impl Op for PollUpdate {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        self.found = ring::current().is_some_and(|ring| ring.is_submitted(self.id));
        if !self.found {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::PollRemove::CODE);
        sqe.addr = user_data_of(self.id.key);
        sqe.len = UPDATE_EVENTS;
        sqe.op_flags = poll_mask(self.mask);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        if !self.found {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        completion.into_result().map(drop)
    }
}
