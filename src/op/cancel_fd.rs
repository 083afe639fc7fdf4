//! `IORING_OP_ASYNC_CANCEL`: ask for the end of all ops on a descriptor.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring;
use crate::ring::kernel::{OP_ASYNC_CANCEL, Sqe};

/// `IORING_ASYNC_CANCEL_ALL`
const ALL: u32 = 1 << 0;
/// `IORING_ASYNC_CANCEL_FD`
const BY_FD: u32 = 1 << 1;

/// Asks for the end of all ops that the kernel has on a descriptor, or on another one of the same
/// open file. Answers how many it found. Linux 5.19.
///
/// Each of them still ends by its own outcome, which is to be awaited as before: what it had done
/// wins, otherwise it is `ECANCELED`; streams end. None of those on this very descriptor is tried
/// again after a signal. Found are the ops of this runtime that were submitted before, those whose
/// futures were dropped among them; not found are members of chains whose turn has not come, and
/// zero-copy sends that only wait for their memory. What runs in a kernel worker goes on, and may
/// or may not be counted.
///
/// What the kernel does not have at that moment goes on: a stream between two armings, and an op
/// that a signal had just ended, if it names the file by another number. In a chain, that is so for
/// all that is submitted on the descriptor between the chain and its turn.
///
/// The kernel goes through all that it has for each op that it ends: to end a few among thousands,
/// [`cancel`](crate::uring::AsyncIoUring::cancel) each by its name.
///
/// # Errors
///
/// `EBADF` if the descriptor is not open; [`Unsupported`](io::ErrorKind::Unsupported) before Linux
/// 5.19. That there was nothing to end is no error: 0.
///
/// # Cancellation
///
/// It does not wait.
#[derive(Debug)]
pub struct CancelFd {
    fd: OpFd,
    supported: bool,
}

impl CancelFd {
    /// Describes the cancel.
    pub fn new(fd: impl IntoOpFd) -> CancelFd {
        CancelFd { fd: fd.into_op_fd(), supported: true }
    }
}

// SAFETY: O1: the entry has no pointer; it ends ops of this ring, each of which then answers; O4:
// `fd` is owned.
unsafe impl Op for CancelFd {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(OP_ASYNC_CANCEL);
        // With the flag for a registered file the kernel takes the number for an index.
        self.fd.set(&mut sqe);
        sqe.op_flags = ALL | BY_FD;
        if let Some(ring) = ring::current() {
            // The flags are younger than the opcode; SOCKET came with them.
            self.supported = ring.supports(opcode::Socket::CODE);
            ring.asked_by_fd(self.fd.raw(), self.fd.is_fixed());
        }
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<usize> {
        match completion.raw_result() {
            result if result == -libc::EINVAL && !self.supported => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a cancel by descriptor needs Linux 5.19 or newer: cancel each op by its name",
            )),
            result if result == -libc::ENOENT => Ok(0),
            _ => completion.into_result().map(|count| count as usize),
        }
    }
}
