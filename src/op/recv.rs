//! `IORING_OP_RECV`: receive from a connected socket.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::message::recv_flags;
use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoBufMut};
use crate::ring::kernel::Sqe;

/// Receives into `buf` from its first byte, up to its capacity. See `recv(2)`. Linux 5.6.
///
/// `flags` are `MSG_*` of libc, 0 for none. Gives the number of bytes and the buffer, also on
/// error. For a stream 0 bytes are its end; for datagrams they are an empty one. With `MSG_TRUNC`
/// the count is the length of the datagram, which may be more than the buffer holds; the buffer is
/// zeroed first, for a stream then throws its bytes away and only counts them.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`; bytes that had arrived before win.
#[derive(Debug)]
pub struct Recv<B> {
    fd: OpFd,
    buf: B,
    flags: u32,
    asked: usize,
}

impl<B: IoBufMut> Recv<B> {
    /// Describes the receive.
    #[inline]
    pub fn new(fd: impl IntoOpFd, buf: B, flags: u32) -> Recv<B> {
        Recv { fd: fd.into_op_fd(), buf, flags: recv_flags(flags), asked: 0 }
    }
}

// SAFETY: O1: the entry points to `buf`'s memory only, which B1 keeps in place; O4: `fd` is owned.
unsafe impl<B: IoBufMut> Op for Recv<B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Recv::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::writable(&mut self.buf);
        sqe.op_flags = self.flags;
        self.asked = sqe.len as usize;
        if self.flags & libc::MSG_TRUNC as u32 != 0 {
            // SAFETY: B1, B2: so many bytes may be written there, and nobody else uses them.
            unsafe { self.buf.stable_mut_ptr().write_bytes(0, self.asked) };
        }
        sqe
    }

    #[inline]
    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        let result = completion.into_result().map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: B2: the kernel wrote the first `count` bytes, and not more than it was asked;
            // or, with MSG_TRUNC, they are zero.
            unsafe { self.buf.set_init(count.min(self.asked)) };
        }
        (result, self.buf)
    }
}
