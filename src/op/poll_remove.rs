//! `IORING_OP_POLL_REMOVE`: take a poll away.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, Op, OpId};
use crate::ring::kernel::Sqe;
use crate::ring::{self, user_data_of};

/// Takes a [`PollAdd`](super::PollAdd) or [`PollAddMulti`](super::PollAddMulti) away, which then
/// ends with `ECANCELED`. Linux 5.1.
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
pub struct PollRemove {
    id: OpId,
    found: bool,
}

impl PollRemove {
    /// Describes the removal of the poll with this name.
    pub fn new(id: OpId) -> PollRemove {
        PollRemove { id, found: false }
    }
}

// SAFETY: O1: the entry has no pointer and no descriptor; it ends an op of this ring, which then
// answers.
unsafe impl Op for PollRemove {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        self.found = ring::current().is_some_and(|ring| ring.is_submitted(self.id));
        if !self.found {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::PollRemove::CODE);
        sqe.addr = user_data_of(self.id.key);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        if !self.found {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        completion.into_result().map(drop)
    }
}
