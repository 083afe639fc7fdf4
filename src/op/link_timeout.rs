//! `IORING_OP_LINK_TIMEOUT`: a deadline for the op before it in a chain.

#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

use io_uring::opcode;

use super::{Completion, Op, Timeout, TimeoutEnd};
use crate::ring::Ask;
use crate::ring::kernel::{Sqe, Timespec};

/// Cancels the op before it in a [chain](super::link()) if that is not done after `duration`. See
/// `io_uring_enter(2)`. Linux 5.5.
///
/// `flags` as for [`Timeout`]. Gives [`Elapsed`](TimeoutEnd::Elapsed) if it fired, and
/// [`Completed`](TimeoutEnd::Completed) if the op was faster (or never started). What became of the
/// op says the op: cancelled in time it ends with `ECANCELED`.
///
/// It depends on the kernel: it does not end ops that run in a kernel worker (files, opening).
/// [`Submission::timeout`](super::Submission::timeout) works for all of them.
///
/// # Errors
///
/// `EINVAL` where there is no op before it.
#[derive(Debug)]
pub struct LinkTimeout {
    time: Box<Timespec>,
    flags: u32,
}

impl LinkTimeout {
    /// Describes the deadline.
    pub fn new(duration: Duration, flags: u32) -> LinkTimeout {
        let known = Timeout::ABS | Timeout::BOOTTIME | Timeout::REALTIME | Timeout::ETIME_SUCCESS;
        LinkTimeout { time: Box::new(Timespec::saturating(duration)), flags: flags & known }
    }
}

// SAFETY: O1: the entry points to `time` only, in its box, and the kernel only reads it.
unsafe impl Op for LinkTimeout {
    type Output = io::Result<TimeoutEnd>;

    /// Alone it would have nothing to watch.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::LinkTimeout::CODE);
        sqe.addr = &raw const *self.time as u64;
        sqe.len = 1;
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<TimeoutEnd> {
        match -completion.raw_result() {
            // EALREADY: it fired, and the op was running too far to be stopped.
            libc::ETIME | libc::EALREADY => Ok(TimeoutEnd::Elapsed),
            libc::ECANCELED if completion.ask == Ask::Nobody => Ok(TimeoutEnd::Completed),
            _ => completion.into_result().map(|_| TimeoutEnd::Completed),
        }
    }
}
