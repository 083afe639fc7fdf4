//! `IORING_OP_READ`: read from a descriptor, at an offset or at its cursor.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoBufMut};
use crate::ring::kernel::Sqe;

/// Reads into `buf` from its first byte, up to its capacity. See `read(2)`, `pread(2)`. Linux 5.6.
///
/// `offset` is the place in the file; [`Read::CURSOR`] means the file's own cursor, and is the only
/// sensible one for pipes and terminals, which ignore the offset. Gives the number of bytes, 0 at
/// the end of the file, and the buffer, also on error.
#[derive(Debug)]
pub struct Read<B> {
    fd: OpFd,
    buf: B,
    offset: u64,
    asked: usize,
    flags: i32,
}

impl Read<()> {
    /// The offset that stands for the file's own cursor.
    pub const CURSOR: u64 = u64::MAX;
}

impl<B: IoBufMut> Read<B> {
    /// Describes the read.
    #[inline]
    pub fn new(fd: impl IntoOpFd, buf: B, offset: u64) -> Read<B> {
        Read { fd: fd.into_op_fd(), buf, offset, asked: 0, flags: 0 }
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

// SAFETY: O1: the entry points to `buf`'s memory only, which B1 keeps in place; O4: `fd` is owned.
unsafe impl<B: IoBufMut> Op for Read<B> {
    type Output = BufResult<usize, B>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Read::CODE);
        self.fd.set(&mut sqe);
        let (pointer, len) = super::writable(&mut self.buf);
        sqe.addr = pointer;
        sqe.len = len;
        sqe.off = self.offset;
        sqe.op_flags = self.flags as u32;
        self.asked = len as usize;
        sqe
    }

    #[inline]
    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        let result = completion.into_result().map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: B2: the kernel wrote the first `count` bytes, and not more than it was asked.
            unsafe { self.buf.set_init(count.min(self.asked)) };
        }
        (result, self.buf)
    }
}
