//! `IORING_OP_TIMEOUT`: wait for a time, or for a number of completions.

#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

use io_uring::opcode;

use super::{Completion, Op};
use crate::ring::kernel::{Sqe, Timespec};

/// How a [`Timeout`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeoutEnd {
    /// The time was up (`ETIME`).
    Elapsed,
    /// What was waited for came before.
    Completed,
}

/// Waits until `duration` is over or, if `count` is not 0, until that many ops of this ring have
/// completed, whatever comes first. See `io_uring_enter(2)`. Linux 5.4.
///
/// `flags` is 0 or a sum of [`ABS`](Timeout::ABS), [`BOOTTIME`](Timeout::BOOTTIME),
/// [`REALTIME`](Timeout::REALTIME), [`ETIME_SUCCESS`](Timeout::ETIME_SUCCESS); other bits are
/// ignored. Durations beyond 292 years are taken as 292 years. The ring's own entries count as
/// completions too, so `count` is for chains and for rings that are watched closely.
///
/// To sleep, [`time::sleep`](crate::time::sleep) is cheaper: it needs no entry.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`; so it does when [`TimeoutRemove`](super::TimeoutRemove) takes it
/// away.
#[derive(Debug)]
pub struct Timeout {
    time: Box<Timespec>,
    count: u32,
    flags: u32,
}

impl Timeout {
    /// `duration` is a time of the clock: since boot, or with [`REALTIME`](Timeout::REALTIME) since
    /// 1970.
    pub const ABS: u32 = 1 << 0;
    /// By the clock that goes on while the machine is suspended. Linux 5.15.
    pub const BOOTTIME: u32 = 1 << 2;
    /// By the wall clock. Linux 5.15.
    pub const REALTIME: u32 = 1 << 3;
    /// That the time is up is no failure to a chain: what is behind it runs. Linux 5.16.
    pub const ETIME_SUCCESS: u32 = 1 << 5;

    /// Describes the wait.
    pub fn new(duration: Duration, count: u32, flags: u32) -> Timeout {
        let known = Timeout::ABS | Timeout::BOOTTIME | Timeout::REALTIME | Timeout::ETIME_SUCCESS;
        Timeout { time: Box::new(Timespec::saturating(duration)), count, flags: flags & known }
    }
}

// SAFETY: O1: the entry points to `time` only, in its box, and the kernel only reads it.
unsafe impl Op for Timeout {
    type Output = io::Result<TimeoutEnd>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Timeout::CODE);
        sqe.addr = &raw const *self.time as u64;
        sqe.len = 1;
        sqe.off = u64::from(self.count);
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<TimeoutEnd> {
        if completion.raw_result() == -libc::ETIME {
            return Ok(TimeoutEnd::Elapsed);
        }
        completion.into_result().map(|_| TimeoutEnd::Completed)
    }
}
