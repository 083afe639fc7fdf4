//! `IORING_OP_CONNECT`: connect a socket.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;
use socket2::SockAddr;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Connects a socket to an address. See `connect(2)`. Linux 5.5.
///
/// `address` is anything that makes a [`SockAddr`], such as [`std::net::SocketAddr`]. Whether the
/// socket is blocking makes no difference: the op ends when the connection stands, or cannot be
/// made.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`. A connection that was being made may go on in the background;
/// close the socket, do not use it again.
#[derive(Debug)]
pub struct Connect {
    fd: OpFd,
    address: Box<SockAddr>,
}

impl Connect {
    /// Describes the connect.
    pub fn new(fd: impl IntoOpFd, address: impl Into<SockAddr>) -> Connect {
        Connect { fd: fd.into_op_fd(), address: Box::new(address.into()) }
    }
}

// SAFETY: O1: the entry points to `address` only, in its box, and the kernel only reads it; O4:
// `fd` is owned.
unsafe impl Op for Connect {
    type Output = io::Result<()>;

    /// After a signal the connection goes on being made: a second try would get `EALREADY`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Connect::CODE);
        self.fd.set(&mut sqe);
        sqe.addr = self.address.as_ptr() as u64;
        sqe.off = u64::from(self.address.len());
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
