//! `IORING_OP_READ_FIXED`: read with a registered buffer.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoBufMut};
use crate::ring::kernel::Sqe;
use crate::ring::{self, FixedBuf};

/// Reads into a registered buffer from its first byte, up to its capacity. Linux 5.1.
///
/// As [`Read`](super::Read), without the work of pinning and mapping the buffer's pages each time:
/// worth it for direct I/O and large buffers. See `io_uring_register(2)`.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for the buffer of another runtime, `EFAULT` for
/// one that was unregistered meanwhile. The buffer comes back with each.
///
/// # Cancellation
///
/// As for [`Read`](super::Read).
#[derive(Debug)]
pub struct ReadFixed {
    fd: OpFd,
    buf: FixedBuf,
    offset: u64,
    asked: usize,
    foreign: bool,
}

impl ReadFixed {
    /// Describes the read.
    pub fn new(fd: impl IntoOpFd, buf: FixedBuf, offset: u64) -> ReadFixed {
        ReadFixed { fd: fd.into_op_fd(), buf, offset, asked: 0, foreign: false }
    }
}

// SAFETY: O1: the entry points to the memory of `buf` only, which is on the heap and never grows
// (the kernel refuses a range that is not registered under this index); O4: `fd` is owned.
unsafe impl Op for ReadFixed {
    type Output = BufResult<usize, FixedBuf>;

    fn prepare(&mut self) -> Sqe {
        self.foreign = ring::current().is_none_or(|ring| ring.id() != self.buf.ring_id());
        if self.foreign {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::ReadFixed::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::writable(self.buf.memory_mut());
        sqe.buf_index = self.buf.index();
        sqe.off = self.offset;
        self.asked = sqe.len as usize;
        sqe
    }

    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        if self.foreign {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "this buffer is registered with the ring of another runtime",
            );
            return (Err(error), self.buf);
        }
        let result = completion.into_result().map(|count| count as usize);
        if let Ok(count) = result {
            let count = count.min(self.asked);
            // SAFETY: B2: the kernel wrote the first `count` bytes, and not more than it was asked.
            unsafe { IoBufMut::set_init(self.buf.memory_mut(), count) };
        }
        (result, self.buf)
    }
}
