//! `IORING_OP_ACCEPT` again and again: each connection that comes.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::opcode;

use super::{Completion, IntoOpFd, MultiOp, OpFd};
use crate::ring;
use crate::ring::kernel::Sqe;

/// `IORING_ACCEPT_MULTISHOT`
const MULTISHOT: u16 = 1 << 0;

/// Takes each connection of a listening socket, as [`Accept`](super::Accept) does once. See
/// `accept4(2)`. Linux 5.19.
///
/// `flags` are `SOCK_*` of libc, 0 for none; `SOCK_CLOEXEC` is always added. The peer's address is
/// not told: ask the connection.
///
/// The kernel takes connections that nobody has asked for yet, up to about the
/// [window](super::Multishot::window); who wants the listener's own queue to hold back what is too
/// much awaits [`Accept`](super::Accept) instead.
///
/// # Errors
///
/// Those of [`Accept`](super::Accept), each an item; the poll after it tries again (with `EMFILE`,
/// give it time). [`Unsupported`](io::ErrorKind::Unsupported) before Linux 5.19.
///
/// # Cancellation
///
/// The stream ends when it is cancelled. Connections that were taken and that nobody gets are
/// closed.
#[derive(Debug)]
pub struct AcceptMulti {
    fd: OpFd,
    flags: u32,
    supported: bool,
}

impl AcceptMulti {
    /// Describes the accepts.
    pub fn new(fd: impl IntoOpFd, flags: u32) -> AcceptMulti {
        let flags = flags | libc::SOCK_CLOEXEC as u32;
        AcceptMulti { fd: fd.into_op_fd(), flags, supported: true }
    }
}

// SAFETY: O1, O7: the entry has no pointer; O4: `fd` is owned.
unsafe impl MultiOp for AcceptMulti {
    type Item = io::Result<OwnedFd>;

    fn prepare(&mut self) -> Sqe {
        // The flag is younger than the opcode; SOCKET came with it.
        self.supported = ring::current().is_none_or(|ring| ring.supports(opcode::Socket::CODE));
        let mut sqe = Sqe::new(opcode::Accept::CODE);
        self.fd.set(&mut sqe);
        sqe.op_flags = self.flags;
        sqe.ioprio = MULTISHOT;
        sqe
    }

    unsafe fn item(&mut self, completion: Completion) -> Option<io::Result<OwnedFd>> {
        let result = completion.raw_result();
        if result == -libc::ECANCELED {
            return None;
        }
        if result == -libc::EINVAL && !self.supported {
            return Some(Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a stream of accepted connections needs Linux 5.19 or newer: await single accepts",
            )));
        }
        let fd = completion.into_result();
        // SAFETY: O3: the kernel made this descriptor for this entry and gives it once.
        Some(fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }
}
