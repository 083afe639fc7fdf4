//! Leaving an op to itself: its future goes, the op stays and is not cancelled.
//!
//! For sends of a stream that is dropped: what was handed over is to arrive. But not for ever: a
//! peer that never reads would hold the descriptor. So a timeout goes with it, and its reaper asks
//! for the end of the op.
//!
//! # Safety
//!
//! One op, which is a `Timeout` with a word more at its end; O1 and O3 are that one's.

#![allow(unsafe_code)]

use std::rc::{Rc, Weak};
use std::time::Duration;

use super::submission::Then;
use super::{Completion, Op, Sqe, Submission, Timeout, TimeoutEnd};
use crate::ring::{Ask, Ring, SlotKey};

/// How long a send of a dropped stream may take.
const LINGER_PENDING: Duration = Duration::from_secs(5);

/// Ends another op when its time is up.
struct Patience {
    timeout: Timeout,
    target: SlotKey,
    ring: Weak<Ring>,
}

/// Starts the time of the op `target`; the answer is its name, to be ended with the op.
pub(super) fn start(ring: &Rc<Ring>, target: SlotKey) -> Option<SlotKey> {
    let timeout = Timeout::new(LINGER_PENDING, 0, 0);
    let patience = Patience { timeout, target, ring: Rc::downgrade(ring) };
    let mut submission = Submission::new(patience, Some(Rc::clone(ring)));
    submission.launch();
    submission.leave(None, Then::default())
}

// SAFETY: O1: as for `Timeout`, whose entry it is.
unsafe impl Op for Patience {
    type Output = ();

    fn prepare(&mut self) -> Sqe {
        self.timeout.prepare()
    }

    unsafe fn complete(self, completion: Completion) {
        // SAFETY: the caller's promise, handed on.
        let answer = unsafe { self.timeout.complete(completion) };
        if let (Ok(TimeoutEnd::Elapsed), Some(ring)) = (answer, self.ring.upgrade())
            && ring.ask(self.target, Ask::Drop)
        {
            ring.count_abandoned();
        }
    }
}
