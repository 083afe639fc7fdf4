//! `IORING_OP_BIND`: give a socket its address.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;
use socket2::SockAddr;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Gives a socket its address. See `bind(2)`. Linux 6.11.
///
/// `address` is anything that makes a [`SockAddr`], such as [`std::net::SocketAddr`].
///
/// # Errors
///
/// `EADDRINUSE`; `EADDRNOTAVAIL` for an address that this machine does not have; `EACCES` without
/// the privilege; `EINVAL` for a socket that has an address.
///
/// # Cancellation
///
/// It does not wait.
#[derive(Debug)]
pub struct Bind {
    fd: OpFd,
    address: Box<SockAddr>,
}

impl Bind {
    /// Describes the bind.
    pub fn new(fd: impl IntoOpFd, address: impl Into<SockAddr>) -> Bind {
        Bind { fd: fd.into_op_fd(), address: Box::new(address.into()) }
    }
}

// SAFETY: O1: the entry points to `address` only, in its box, and the kernel only reads it; O4:
// `fd` is owned.
unsafe impl Op for Bind {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Bind::CODE);
        self.fd.set(&mut sqe);
        sqe.addr = self.address.as_ptr() as u64;
        sqe.off = u64::from(self.address.len());
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
