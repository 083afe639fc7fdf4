//! `IORING_OP_CLOSE`: close a descriptor and hear how it went.
//!
//! # Safety
//!
//! Linux gives the number back before it does what may fail. So the op parts from its descriptor
//! exactly when the kernel has looked at the entry, whatever the answer is; only an answer that
//! says that the entry was never carried out leaves the descriptor to be closed by its owner.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::thread;

use io_uring::opcode;

use super::submission::Then;
use super::{Completion, IntoOpFd, Op, OpFd, Submission};
use crate::ring::kernel::{IOSQE_ASYNC, Sqe};
use crate::ring::{self, Origin};

/// Closes a descriptor of which it is the only owner: an [`OwnedFd`], a
/// [`SharedFd`](super::SharedFd) without other owners, or a registered file
/// ([`Fixed`](super::Fixed)). See `close(2)`. Linux 5.6; registered files 5.15.
///
/// Where a file system writes back at close (NFS, FUSE) this does not block the core, and it tells
/// the error that a drop would swallow.
///
/// # Errors
///
/// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if the descriptor has other owners (ops in flight
/// among them) when the op is submitted: nothing is closed then, and the last owner closes it.
/// After any other error (`EIO`, `ENOSPC`, `EINTR`) the descriptor is closed all the same, as
/// `close(2)` has it. `EBADF` is also the answer to the descriptor of an io_uring, which is left
/// open: drop such a thing instead. For a registered file: `ENXIO`, `EINVAL`, `EBADF` if there is
/// none.
///
/// # Cancellation
///
/// If it is cancelled in time the outcome is `ECANCELED` and the descriptor is closed by an
/// ordinary drop. It is closed in every case, once.
#[derive(Debug)]
pub struct Close {
    target: Target,
    /// By a kernel worker: it may take long, and would hold up the core.
    aside: bool,
}

#[derive(Debug)]
enum Target {
    Asked(OpFd),
    Owned(OwnedFd),
    Fixed(u32),
    Busy,
}

impl Close {
    /// Describes the close.
    pub fn new(fd: impl IntoOpFd) -> Close {
        Close { target: Target::Asked(fd.into_op_fd()), aside: false }
    }
}

/// Closes a descriptor whose close may take long (`SO_LINGER`) in a kernel worker; without a ring
/// on a thread.
pub(super) fn close_aside(fd: OwnedFd) {
    let Some(ring) = ring::current().filter(|ring| !ring.is_closed()) else {
        return close_on_a_thread(fd);
    };
    let close = Close { target: Target::Asked(fd.into_op_fd()), aside: true };
    let mut submission = Submission::new(close, Some(ring));
    submission.launch();
    submission.leave(None, Then::default());
}

fn close_on_a_thread(fd: OwnedFd) {
    // Without a thread to be had the closure is dropped here, and with it the descriptor.
    let _ = thread::Builder::new().name("ringspun-close".into()).spawn(move || drop(fd));
}

// SAFETY: O1: the entry has no pointer; the descriptor that it closes is the op's own and nobody
// else's, and the op forgets it when the kernel has closed it (see the head of this file). A
// registered file is nobody's: the kernel keeps it for the ops that it has.
unsafe impl Op for Close {
    type Output = io::Result<()>;

    /// The number is gone after `EINTR`, and may be somebody else's already.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        if let Target::Asked(fd) = std::mem::replace(&mut self.target, Target::Busy) {
            self.aside |= fd.lingers();
            self.target = match (fd.is_fixed(), fd.raw()) {
                (true, index) => Target::Fixed(index as u32),
                (false, _) => fd.into_owned().map_or(Target::Busy, Target::Owned),
            };
        }
        let mut sqe = Sqe::new(opcode::Close::CODE);
        match &self.target {
            Target::Owned(fd) => sqe.fd = fd.as_raw_fd(),
            Target::Fixed(index) => {
                sqe.fd = 0;
                sqe.file_index = index.saturating_add(1);
            }
            Target::Asked(_) | Target::Busy => return super::refused(),
        }
        if self.aside {
            sqe.flags |= IOSQE_ASYNC;
        }
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        match self.target {
            Target::Asked(_) | Target::Fixed(_) => completion.into_result().map(drop),
            Target::Busy => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the descriptor has other owners (clones, or ops in flight): not closed",
            )),
            Target::Owned(fd) => {
                let carried_out = completion.origin == Origin::Ring
                    && completion.raw_result() != -libc::ECANCELED;
                if carried_out {
                    // The number is the kernel's again: it must not be closed by the drop.
                    let _closed = fd.into_raw_fd();
                } else if self.aside {
                    close_on_a_thread(fd);
                }
                completion.into_result().map(drop)
            }
        }
    }
}
