//! `IORING_OP_WRITE`: write to a descriptor, at an offset or at its cursor.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoBuf};
use crate::ring::kernel::Sqe;

/// Writes the initialised bytes of `buf`. See `write(2)`, `pwrite(2)`. Linux 5.6.
///
/// `offset` is the place in the file; [`Write::CURSOR`] means the file's own cursor, and is the
/// only sensible one for pipes and terminals. Gives the number of bytes written, which may be less
/// than there were, and the buffer, also on error.
///
/// # Cancellation
///
/// A write that waits (a full pipe) ends at once with `ECANCELED` and has written nothing. One that
/// runs in a kernel worker, as buffered writes to files do, cannot be stopped: its outcome is real.
#[derive(Debug)]
pub struct Write<B> {
    fd: OpFd,
    buf: B,
    offset: u64,
    flags: i32,
}

impl Write<()> {
    /// The offset that stands for the file's own cursor.
    pub const CURSOR: u64 = u64::MAX;
}

impl<B: IoBuf> Write<B> {
    /// Describes the write.
    #[inline]
    pub fn new(fd: impl IntoOpFd, buf: B, offset: u64) -> Write<B> {
        Write { fd: fd.into_op_fd(), buf, offset, flags: 0 }
    }

    /// How the kernel shall go about it: `RWF_*` of libc. With `RWF_NOWAIT` what would wait, or
    /// would need a kernel worker, is [`WouldBlock`](std::io::ErrorKind::WouldBlock).
    #[must_use]
    #[inline]
    pub fn flags(mut self, flags: i32) -> Self {
        self.flags = flags;
        self
    }
}

// SAFETY: O1: the entry points to `buf`'s initialised bytes only, which B1 keeps in place; O4: `fd`
// is owned.
unsafe impl<B: IoBuf> Op for Write<B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Write::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::readable(&self.buf);
        sqe.off = self.offset;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    #[inline]
    unsafe fn complete(self, completion: Completion) -> Self::Output {
        (completion.into_result().map(|count| count as usize), self.buf)
    }
}
