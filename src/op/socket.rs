//! `IORING_OP_SOCKET`: make a socket.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::opcode;

use super::{Completion, Op};
use crate::ring::kernel::Sqe;

/// Makes a socket. See `socket(2)`. Linux 5.19.
///
/// `domain` is `AF_*`, `kind` is `SOCK_*` (with `SOCK_NONBLOCK`, if it must be), `protocol` is
/// `IPPROTO_*` of libc or 0. `SOCK_CLOEXEC` is always added. The kernel does it at once, so the
/// gain over `socket(2)` is that it can stand in a batch.
///
/// # Errors
///
/// `EAFNOSUPPORT`, `EPROTONOSUPPORT` for what the kernel does not have; `EMFILE`, `ENFILE` when
/// there are no descriptors left; `EACCES` without the privilege.
///
/// # Cancellation
///
/// It does not wait. If the future is dropped the socket is closed.
#[derive(Debug)]
pub struct Socket {
    domain: i32,
    kind: i32,
    protocol: i32,
}

impl Socket {
    /// Describes the socket.
    #[must_use]
    pub fn new(domain: i32, kind: i32, protocol: i32) -> Socket {
        Socket { domain, kind: kind | libc::SOCK_CLOEXEC, protocol }
    }
}

// SAFETY: O1: the entry has no pointer and no descriptor.
unsafe impl Op for Socket {
    type Output = io::Result<OwnedFd>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Socket::CODE);
        sqe.fd = self.domain;
        sqe.off = u64::from(self.kind as u32);
        sqe.len = self.protocol as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<OwnedFd> {
        let fd = completion.into_result()?;
        // SAFETY: O3: the kernel made this descriptor for this entry and gives it once.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}
