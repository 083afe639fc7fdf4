//! What came of an op: the kernel's answer, and who had asked for its end.

/// What a completion queue entry says, without its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

impl Answer {
    /// The answer to an op that ended without the kernel.
    pub(crate) fn synthetic(errno: i32) -> Answer {
        Answer { result: -errno, flags: 0 }
    }
}

/// Who asked for the end of an op, first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Nobody: if it is interrupted, that was not meant.
    Nobody,
    /// The ring: so many answers wait to be taken that the kernel shall pause.
    Window,
    /// A cancel.
    Cancel,
    /// Its deadline.
    Deadline,
    /// The drop of its future.
    Drop,
}

impl Ask {
    /// True if no user wants the end.
    pub(crate) fn is_by_nobody(self) -> bool {
        matches!(self, Ask::Nobody | Ask::Window)
    }
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel, or a cancel that spared the kernel the op.
    Ring,
    /// Nobody was asked: this kernel lacks the opcode.
    Unsupported(u8),
}

/// The kernel's answer to one entry: its result and its flags.
///
/// Made by the ring only, and handed to [`Op::complete`](crate::op::Op::complete) once: whoever
/// holds one knows that the kernel is done with the entry.
#[derive(Debug)]
pub struct Completion {
    pub(crate) answer: Answer,
    pub(crate) ask: Ask,
    pub(crate) origin: Origin,
}

impl Completion {
    pub(crate) fn new(answer: Answer, ask: Ask) -> Completion {
        Completion { answer, ask, origin: Origin::Ring }
    }

    pub(crate) fn unsupported(opcode: u8) -> Completion {
        Completion {
            answer: Answer::synthetic(libc::EOPNOTSUPP),
            ask: Ask::Nobody,
            origin: Origin::Unsupported(opcode),
        }
    }

    /// The result as the kernel gave it: negative is an errno.
    #[must_use]
    pub fn raw_result(&self) -> i32 {
        self.answer.result
    }

    /// A signal came between, and nobody had asked for its end.
    pub(crate) fn is_to_go_again(&self) -> bool {
        self.ask == Ask::Nobody && is_restart(self.answer.result)
    }

    /// The flags of the completion queue entry (`IORING_CQE_F_*`).
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.answer.flags
    }

    /// True if the op was ended before it was done: cancelled, or interrupted by a signal.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        is_interrupted(self.answer.result)
    }
}

/// `ECANCELED`, `EINTR` and the kernel's restart codes, which reach user space from its workers.
pub(crate) fn is_interrupted(result: i32) -> bool {
    const RESTART_FIRST: i32 = 512;
    const RESTART_LAST: i32 = 516;
    let errno = result.saturating_neg();
    errno == libc::ECANCELED
        || is_restart(result)
        || (RESTART_FIRST..=RESTART_LAST).contains(&errno)
}

/// A signal came between: nothing was done, and if nobody asked for it the op may go again.
pub(crate) fn is_restart(result: i32) -> bool {
    matches!(result.saturating_neg(), libc::EINTR | 512..=516)
}
