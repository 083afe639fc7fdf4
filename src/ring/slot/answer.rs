//! What the slot table answers: the consequences of a transition, for the ring to act on when
//! nothing is borrowed any more (R3).

use super::SlotKey;
use crate::ring::completion::{Answer, Ask, Completion};
use crate::wake::LocalWaker;

/// What is left of an op whose future is gone: it takes the answers and drops what they carry.
pub(crate) enum Reaper {
    /// For an op with one answer.
    Single(Box<dyn FnMut(Completion)>),
    /// For an op with many: called for each, up to the last.
    Multi(Box<dyn FnMut(Completion)>),
}

/// What to do after a completion, with nothing borrowed.
pub(crate) enum Effect {
    None,
    Wake(LocalWaker),
    /// Call the reaper; if this was not the last answer, give it back by [`Slots::reaped`].
    Reap {
        reaper: Reaper,
        completion: Completion,
        key: SlotKey,
        last: bool,
    },
    /// The completion answers nothing that this table knows.
    Stale,
}

/// The answer to `complete`.
pub(crate) enum Filed {
    Done(Option<LocalWaker>),
    /// Nothing was done: `complete_any` has to do it.
    Rare,
}

/// The answer to `poll`.
pub(crate) enum Polled {
    /// Not yet. If `waker` is not yet the one that is kept, `set_waiter` has to follow: cloning
    /// it may be user code and must not happen in here.
    Pending { kept: bool },
    /// The slot is free again.
    Ready(Answer, Ask),
    /// A signal came between and nobody had asked for the end: the slot is reserved again, under
    /// the same key, for another try.
    Restart,
    /// The ring is gone and the kernel may still own the op's memory.
    Lost,
}

/// The answer to `ask`.
pub(crate) enum Asked {
    /// It had not reached the kernel and has ended now. `follower` is a member of its chain that
    /// must end with it.
    Ended { waiter: Option<LocalWaker>, follower: Option<SlotKey> },
    /// A cancel has to be sent.
    Send,
    /// A cancel was asked for before.
    Already,
    /// There is no such op any more.
    NotFound,
}

/// The answer to `abandon`.
pub(crate) enum Abandoned {
    /// It had ended: the slot is free; this was its outcome.
    Finished(Answer, Ask),
    /// It never reached the kernel; the slot is free.
    NeverSubmitted(#[allow(dead_code, reason = "carried out to be dropped")] Option<LocalWaker>),
    /// The kernel has it: call `orphan`.
    InKernel,
    /// The kernel may still own it and nobody will say when it is done.
    Lost,
}

/// The answer to `next_item`.
pub(crate) enum Item {
    Pending { kept: bool },
    Ready { answer: Answer, ask: Ask, last: bool },
    Lost,
}
