//! `IORING_OP_RECV` into a buffer that the kernel chooses.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{BufGroup, Completion, IntoOpFd, Op, OpFd, buf_group, message};
use crate::ring::PooledBuf;
use crate::ring::kernel::Sqe;

/// Looks for data only when the socket says that there is some.
pub(super) const POLL_FIRST: u16 = 1 << 0;

/// Receives into a pooled buffer, which is chosen when data is there: while it waits it holds none.
/// See `recv(2)`. Linux 5.19.
///
/// `flags` are `MSG_*` of libc, 0 for none; `MSG_TRUNC` is left out, for the buffer could not tell
/// of bytes that it does not hold. Gives the bytes, at most
/// [`buf_len`](BufGroup::buf_len) of them. For a stream none are its end; for datagrams they are an
/// empty one.
///
/// # Errors
///
/// `ENOBUFS` if there is no buffer when data is there, or, without
/// [`poll_first`](RecvSelect::poll_first), when the kernel first looks;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for the group of another runtime; those of
/// `recv(2)`.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`; bytes that had arrived before win. If the future is dropped, they
/// are dropped and the buffer goes back.
///
/// # Examples
///
/// See [`PooledBuf`].
#[derive(Debug)]
pub struct RecvSelect {
    fd: OpFd,
    group: BufGroup,
    flags: u32,
    ioprio: u16,
    foreign: bool,
}

impl RecvSelect {
    /// Describes the receive.
    #[inline]
    pub fn new(fd: impl IntoOpFd, group: BufGroup, flags: u32) -> RecvSelect {
        RecvSelect { fd: fd.into_op_fd(), group, flags, ioprio: 0, foreign: false }
    }

    /// Whether the kernel shall wait for the socket to become ready before it looks for data
    /// (`IORING_RECVSEND_POLL_FIRST`): saves a vain attempt where none is expected, and with an
    /// empty pool the op waits instead of failing.
    #[must_use]
    pub fn poll_first(mut self, poll_first: bool) -> RecvSelect {
        self.ioprio = if poll_first { POLL_FIRST } else { 0 };
        self
    }
}

// SAFETY: O1: the entry has no pointer; the kernel writes to a buffer of the group only, which the
// op keeps, and never to one of another ring's, for then it is not asked; O4: `fd` is owned.
unsafe impl Op for RecvSelect {
    type Output = io::Result<PooledBuf>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        self.foreign = !self.group.is_here();
        if self.foreign {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::Recv::CODE);
        self.fd.set(&mut sqe);
        self.group.select(&mut sqe);
        sqe.len = self.group.buf_len() as u32;
        sqe.op_flags = message::recv_flags(self.flags) & !(libc::MSG_TRUNC as u32);
        sqe.ioprio = self.ioprio;
        sqe
    }

    #[inline]
    unsafe fn complete(self, completion: Completion) -> io::Result<PooledBuf> {
        if self.foreign {
            return Err(buf_group::foreign());
        }
        self.group.receive(completion)
    }
}
