//! `IORING_OP_ASYNC_CANCEL`: ask for the end of an op by its name.
//!
//! ```text
//!  first poll:  not in the kernel yet --> ended here                       Ok
//!               in the kernel ----------> one cancel, whose answer we see  Ok, AlreadyInProgress
//!               none of this name ------> nothing is sent                  NotFound
//! ```
//!
//! There is one cancel, not two that race: the ring marks the op as asked and leaves the sending to
//! this entry. If the entry finds nothing although the op is there (a chain member that has not
//! started), is dropped in the backlog, or is ended itself, the ring takes over (`cancel_missed`).

#![allow(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use super::{Completion, Op, OpId, Submission};
use crate::ring::kernel::{OP_ASYNC_CANCEL, Sqe};
use crate::ring::{CancelBegun, Ring, user_data_of};

/// Asks for the end of an op by its name ([`Submission::id`]); the outcome comes with the op
/// itself, which is still to be awaited (or was dropped).
///
/// `Ok`: it ends, or has been asked to and will be asked again when its turn in a chain comes. What
/// it had done before still wins: its own outcome says so.
///
/// # Errors
///
/// [`CancelError`]. A name is never used twice, so a late cancel never hits a stranger.
///
/// # Cancellation
///
/// Dropped before its first poll it does nothing; after that the op is cancelled all the same, and
/// only the answer is not heard.
///
/// # Panics
///
/// Polling panics outside a runtime and after it was ready.
#[must_use = "a cancel does nothing until it is awaited"]
pub struct Cancel {
    id: OpId,
    ring: Option<Rc<Ring>>,
    stage: Stage,
}

/// Why a [`Cancel`] did not simply end its op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelError {
    /// There is no such op (any more): it has ended, or is of another runtime.
    NotFound,
    /// It is running where it cannot be stopped at once, in a kernel worker. It has been asked to
    /// stop; the outcome comes with the op.
    AlreadyInProgress,
}

enum Stage {
    New,
    Sent(Submission<Entry>),
    Done,
}

impl Cancel {
    /// Describes the cancel of the op with this name, on the runtime that it is polled in.
    pub fn new(id: OpId) -> Cancel {
        Cancel { id, ring: None, stage: Stage::New }
    }

    pub(crate) fn on(id: OpId, ring: Rc<Ring>) -> Cancel {
        Cancel { id, ring: Some(ring), stage: Stage::New }
    }

    fn start(&mut self) -> Result<Submission<Entry>, Result<(), CancelError>> {
        let ring = Rc::clone(self.ring.get_or_insert_with(super::current_ring));
        super::check_current(&ring);
        let sole = match ring.begin_cancel(self.id) {
            CancelBegun::Send => true,
            CancelBegun::Already => false,
            CancelBegun::Ended => return Err(Ok(())),
            CancelBegun::NotFound => return Err(Err(CancelError::NotFound)),
        };
        let entry = Entry { target: self.id, ring: Rc::downgrade(&ring), sole };
        Ok(Submission::new(entry, Some(ring)))
    }
}

impl Future for Cancel {
    type Output = Result<(), CancelError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::New => match this.start() {
                    Ok(submission) => this.stage = Stage::Sent(submission),
                    Err(answer) => {
                        this.stage = Stage::Done;
                        return Poll::Ready(answer);
                    }
                },
                Stage::Sent(submission) => {
                    let answer = std::task::ready!(Pin::new(submission).poll(cx));
                    this.stage = Stage::Done;
                    return Poll::Ready(answer);
                }
                Stage::Done => panic!("a cancel was polled after it was ready"),
            }
        }
    }
}

/// The cancel itself.
struct Entry {
    target: OpId,
    ring: Weak<Ring>,
    /// The ring counts on this entry: it has sent no cancel of its own.
    sole: bool,
}

impl Entry {
    /// True if the op is still there, to be ended by the ring.
    fn hand_over(&mut self) -> bool {
        let Some(ring) = self.ring.upgrade() else { return false };
        if std::mem::take(&mut self.sole) {
            ring.cancel_missed(self.target.key);
        }
        ring.is_in_flight(self.target.key)
    }
}

// SAFETY: O1: the entry has no pointer and no descriptor; it ends an op of this ring, which then
// answers.
unsafe impl Op for Entry {
    type Output = Result<(), CancelError>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(OP_ASYNC_CANCEL);
        sqe.addr = user_data_of(self.target.key);
        sqe
    }

    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        match completion.raw_result() {
            0.. => {
                self.sole = false;
                Ok(())
            }
            answer if answer == -libc::EALREADY => {
                self.sole = false;
                Err(CancelError::AlreadyInProgress)
            }
            _ if self.hand_over() => Ok(()),
            _ => Err(CancelError::NotFound),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.sole {
            self.hand_over();
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for CancelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CancelError::NotFound => "there is no such op: it has ended, or is of another runtime",
            CancelError::AlreadyInProgress => {
                "the op is running and has been asked to stop: its outcome comes with the op"
            }
        })
    }
}

impl std::error::Error for CancelError {}

impl From<CancelError> for io::Error {
    fn from(error: CancelError) -> io::Error {
        match error {
            CancelError::NotFound => io::Error::new(io::ErrorKind::NotFound, error),
            CancelError::AlreadyInProgress => io::Error::from_raw_os_error(libc::EALREADY),
        }
    }
}
