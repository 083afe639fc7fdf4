//! `IORING_OP_SEND`: send to a connected socket.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::message::send_flags;
use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoBuf};
use crate::ring::kernel::Sqe;

/// Sends the initialised bytes of `buf`. See `send(2)`. Linux 5.6.
///
/// `flags` are `MSG_*` of libc, 0 for none. `MSG_NOSIGNAL` is always added: a closed peer is the
/// error `EPIPE`, never the signal. `MSG_ZEROCOPY` is taken away: the kernel would go on reading
/// `buf` after the op has ended. Gives the number of bytes the kernel took, which may be less than
/// there were, and the buffer, also on error.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`; what the kernel had taken by then is reported as a short send.
#[derive(Debug)]
pub struct Send<B> {
    fd: OpFd,
    buf: B,
    flags: u32,
}

impl<B: IoBuf> Send<B> {
    /// Describes the send.
    #[inline]
    pub fn new(fd: impl IntoOpFd, buf: B, flags: u32) -> Send<B> {
        Send { fd: fd.into_op_fd(), buf, flags: send_flags(flags) }
    }
}

// SAFETY: O1: the entry points to `buf`'s initialised bytes only, which B1 keeps in place, and
// without MSG_ZEROCOPY the kernel has copied them when it answers; O4: `fd` is owned.
unsafe impl<B: IoBuf> Op for Send<B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Send::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::readable(&self.buf);
        sqe.op_flags = self.flags;
        sqe
    }

    #[inline]
    unsafe fn complete(self, completion: Completion) -> Self::Output {
        (completion.into_result().map(|count| count as usize), self.buf)
    }
}
