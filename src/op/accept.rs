//! `IORING_OP_ACCEPT`: wait for a connection and take it.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::opcode;
use socket2::{SockAddr, SockAddrStorage};

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Takes the next connection of a listening socket. See `accept4(2)`. Linux 5.5.
///
/// `flags` are `SOCK_*` of libc (`SOCK_NONBLOCK`), 0 for none; `SOCK_CLOEXEC` is always added.
/// [`with_address`](Accept::with_address) has the peer's address too.
///
/// # Errors
///
/// `EINVAL` for a socket that does not listen; `EMFILE`, `ENFILE` when there are no descriptors
/// left; `ECONNABORTED` for a connection that went before it was taken.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`, and takes no connection then. If the future is dropped and a
/// connection was taken already, it is closed.
#[derive(Debug)]
pub struct Accept {
    fd: OpFd,
    flags: u32,
}

/// [`Accept`] that has the peer's address too. Made by [`Accept::with_address`].
pub struct AcceptWithAddress {
    accept: Accept,
    /// The kernel writes to it when the connection is there.
    address: Box<Address>,
}

struct Address {
    storage: SockAddrStorage,
    len: libc::socklen_t,
}

impl Accept {
    /// Describes the accept.
    #[inline]
    pub fn new(fd: impl IntoOpFd, flags: u32) -> Accept {
        Accept { fd: fd.into_op_fd(), flags: flags | libc::SOCK_CLOEXEC as u32 }
    }

    /// Asks for the peer's address.
    #[must_use]
    pub fn with_address(self) -> AcceptWithAddress {
        let storage = SockAddrStorage::zeroed();
        let len = storage.size_of();
        AcceptWithAddress { accept: self, address: Box::new(Address { storage, len }) }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for Accept {
    type Output = io::Result<OwnedFd>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Accept::CODE);
        self.fd.set(&mut sqe);
        sqe.op_flags = self.flags;
        sqe
    }

    #[inline]
    unsafe fn complete(self, completion: Completion) -> io::Result<OwnedFd> {
        let fd = completion.into_result()?;
        // SAFETY: O3: the kernel made this descriptor for this entry and gives it once.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}

// SAFETY: O1: the entry points to `address` only, in a box that is neither moved out of nor looked
// at before the last completion (O6); O4: `fd` is owned.
unsafe impl Op for AcceptWithAddress {
    type Output = io::Result<(OwnedFd, SockAddr)>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = self.accept.prepare();
        self.address.len = self.address.storage.size_of();
        // One pointer for the whole box, and the fields' out of it: so none ends another.
        let address = &raw mut *self.address;
        // SAFETY: `address` is valid; only the place of the field is taken.
        sqe.addr = unsafe { &raw mut (*address).storage } as u64;
        // SAFETY: as above.
        sqe.off = unsafe { &raw mut (*address).len } as u64;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: the caller's promise, handed on.
        let fd = unsafe { self.accept.complete(completion) }?;
        let Address { storage, len } = *self.address;
        // An address that did not fit is cut; its length is told in full.
        let len = len.min(storage.size_of());
        // SAFETY: the kernel wrote a socket address of `len` bytes, and the rest is zero.
        Ok((fd, unsafe { SockAddr::new(storage, len) }))
    }
}

impl fmt::Debug for AcceptWithAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptWithAddress").field("accept", &self.accept).finish_non_exhaustive()
    }
}
