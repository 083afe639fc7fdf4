//! `IORING_OP_READV`: read into several buffers.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoVec, IoVectoredBufMut};
use crate::ring::kernel::Sqe;

/// Reads into several buffers, each filled to its capacity before the next is begun. See
/// `readv(2)`, `preadv(2)`. Linux 5.1; at the cursor 5.6.
///
/// `offset` is as in [`Read`](super::Read), [`Read::CURSOR`](super::Read::CURSOR) included. At most
/// 1024 buffers, else `EINVAL`. Gives the number of bytes in all, 0 at the end of the file, and the
/// buffers, also on error.
///
/// # Cancellation
///
/// As for [`Read`](super::Read).
#[derive(Debug)]
pub struct ReadV<V> {
    fd: OpFd,
    bufs: V,
    offset: u64,
    iovecs: Vec<IoVec>,
    flags: i32,
}

impl<V: IoVectoredBufMut> ReadV<V> {
    /// Describes the read.
    pub fn new(fd: impl IntoOpFd, bufs: V, offset: u64) -> ReadV<V> {
        ReadV { fd: fd.into_op_fd(), bufs, offset, iovecs: Vec::new(), flags: 0 }
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
// completion, and that points to the buffers' memory only, which B1 keeps in place; O4: `fd` is
// owned.
unsafe impl<V: IoVectoredBufMut> Op for ReadV<V> {
    type Output = BufResult<usize, V>;

    fn prepare(&mut self) -> Sqe {
        self.iovecs.clear();
        self.bufs.iovecs_mut(&mut self.iovecs);
        let mut sqe = Sqe::new(opcode::Readv::CODE);
        self.fd.set(&mut sqe);
        sqe.addr = self.iovecs.as_ptr() as u64;
        sqe.len = u32::try_from(self.iovecs.len()).unwrap_or(u32::MAX);
        sqe.off = self.offset;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        let result = completion.into_result().map(|count| count as usize);
        if let Ok(count) = result {
            let asked = self.iovecs.iter().fold(0_usize, |sum, vec| sum.saturating_add(vec.len()));
            // SAFETY: B2: the kernel wrote the first `count` bytes through the list, in order, and
            // not more than it names.
            unsafe { self.bufs.set_init_total(count.min(asked)) };
        }
        (result, self.bufs)
    }
}
