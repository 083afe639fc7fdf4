//! `IORING_OP_WRITEV`: write several buffers.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoVec, IoVectoredBuf};
use crate::ring::kernel::Sqe;

/// Writes several buffers, one after the other. See `writev(2)`, `pwritev(2)`. Linux 5.1; at the
/// cursor 5.6.
///
/// `offset` is as in [`Write`](super::Write), [`Write::CURSOR`](super::Write::CURSOR) included. At
/// most 1024 buffers, else `EINVAL`. Gives the number of bytes in all, which may be less than there
/// were, and the buffers, also on error;
/// [`skip_bytes`](crate::buf::IoVectoredBuf::skip_bytes) makes the rest of them.
///
/// # Cancellation
///
/// As for [`Write`](super::Write).
#[derive(Debug)]
pub struct WriteV<V> {
    fd: OpFd,
    bufs: V,
    offset: u64,
    iovecs: Vec<IoVec>,
    flags: i32,
}

impl<V: IoVectoredBuf> WriteV<V> {
    /// Describes the write.
    pub fn new(fd: impl IntoOpFd, bufs: V, offset: u64) -> WriteV<V> {
        WriteV { fd: fd.into_op_fd(), bufs, offset, iovecs: Vec::new(), flags: 0 }
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

// SAFETY: O1: the entry points to the heap memory of `iovecs`, which is not changed before the last
// completion, and that points to the buffers' initialised bytes only, which B1 keeps in place; O4:
// `fd` is owned.
unsafe impl<V: IoVectoredBuf> Op for WriteV<V> {
    type Output = BufResult<usize, V>;

    fn prepare(&mut self) -> Sqe {
        self.iovecs.clear();
        self.bufs.iovecs(&mut self.iovecs);
        let mut sqe = Sqe::new(opcode::Writev::CODE);
        self.fd.set(&mut sqe);
        sqe.addr = self.iovecs.as_ptr() as u64;
        sqe.len = u32::try_from(self.iovecs.len()).unwrap_or(u32::MAX);
        sqe.off = self.offset;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        (completion.into_result().map(|count| count as usize), self.bufs)
    }
}
