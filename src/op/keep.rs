//! Keeping something until a descriptor is ready, when nobody is there to await that.
//!
//! # Safety
//!
//! One op, which is a `PollAdd` with a passenger; O1 and O3 are that one's.

#![allow(unsafe_code)]

use std::io;

use super::submission::Then;
use super::{Completion, IntoOpFd, Op, PollAdd, Sqe, Submission};
use crate::ring;

/// Drops `kept` on this core when `fd` can be read, or when the runtime ends; at once without one.
pub(crate) fn keep_until_readable<T: 'static>(fd: impl IntoOpFd, kept: T) {
    let Some(ring) = ring::current().filter(|ring| !ring.is_closed()) else { return };
    let keep = Keep { poll: PollAdd::new(fd, libc::POLLIN as u32), _kept: kept };
    let mut submission = Submission::new(keep, Some(ring));
    submission.launch();
    submission.leave(None, Then::default());
}

struct Keep<T> {
    poll: PollAdd,
    _kept: T,
}

// SAFETY: O1: as for `PollAdd`, whose entry it is.
unsafe impl<T: 'static> Op for Keep<T> {
    type Output = io::Result<u32>;

    fn prepare(&mut self) -> Sqe {
        self.poll.prepare()
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<u32> {
        // SAFETY: the caller's promise, handed on.
        unsafe { self.poll.complete(completion) }
    }
}
