//! `IORING_OP_TIMEOUT_REMOVE`: take a timeout away, or change it.

#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

use io_uring::opcode;

use super::{Completion, Op, OpId, Timeout};
use crate::ring::kernel::{Sqe, Timespec};
use crate::ring::{self, user_data_of};

/// `IORING_TIMEOUT_UPDATE`.
const UPDATE: u32 = 1 << 1;

/// Takes a [`Timeout`] away, which then ends with `ECANCELED`; or gives it a new time, by
/// [`update`](TimeoutRemove::update). Linux 5.5.
///
/// # Errors
///
/// `ENOENT` ([`NotFound`](io::ErrorKind::NotFound)) if there is no such timeout: it has ended, or
/// is of another runtime, or is something else. `EALREADY` or `EBUSY` if it is ending just now.
///
/// # Cancellation
///
/// It does not wait.
#[derive(Debug)]
pub struct TimeoutRemove {
    id: OpId,
    update: Option<(Box<Timespec>, u32)>,
    found: bool,
}

impl TimeoutRemove {
    /// Describes the removal of the timeout with this name.
    pub fn new(id: OpId) -> TimeoutRemove {
        TimeoutRemove { id, update: None, found: false }
    }

    /// Describes a new time for it: `duration` from now, or with [`Timeout::ABS`] that time of its
    /// clock. Linux 5.11.
    pub fn update(id: OpId, duration: Duration, flags: u32) -> TimeoutRemove {
        let update = (Box::new(Timespec::saturating(duration)), flags & Timeout::ABS);
        TimeoutRemove { id, update: Some(update), found: false }
    }
}

// SAFETY: O1: the entry points to `update`'s time only, in its box, and the kernel only reads it;
// it ends or changes an op of this ring.
unsafe impl Op for TimeoutRemove {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        self.found = ring::current().is_some_and(|ring| ring.is_submitted(self.id));
        if !self.found {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::TimeoutRemove::CODE);
        sqe.addr = user_data_of(self.id.key);
        if let Some((time, flags)) = &self.update {
            sqe.off = &raw const **time as u64;
            sqe.op_flags = flags | UPDATE;
        }
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        if !self.found {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        completion.into_result().map(drop)
    }
}
