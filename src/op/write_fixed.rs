//! `IORING_OP_WRITE_FIXED`: write with a registered buffer.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::BufResult;
use crate::ring::kernel::Sqe;
use crate::ring::{self, FixedBuf};

/// Writes the initialised bytes of a registered buffer. Linux 5.1.
///
/// As [`Write`](super::Write), without the work of pinning and mapping the buffer's pages each
/// time: worth it for direct I/O and large buffers. See `io_uring_register(2)`.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for the buffer of another runtime, `EFAULT` for
/// one that was unregistered meanwhile. The buffer comes back with each.
///
/// # Cancellation
///
/// As for [`Write`](super::Write).
#[derive(Debug)]
pub struct WriteFixed {
    fd: OpFd,
    buf: FixedBuf,
    offset: u64,
    foreign: bool,
}

impl WriteFixed {
    /// Describes the write.
    pub fn new(fd: impl IntoOpFd, buf: FixedBuf, offset: u64) -> WriteFixed {
        WriteFixed { fd: fd.into_op_fd(), buf, offset, foreign: false }
    }
}

// SAFETY: O1: the entry points to the initialised bytes of `buf` only, which are on the heap and
// stay there (the kernel refuses a range that is not registered under this index); O4: `fd` is
// owned.
unsafe impl Op for WriteFixed {
    type Output = BufResult<usize, FixedBuf>;

    fn prepare(&mut self) -> Sqe {
        self.foreign = ring::current().is_none_or(|ring| ring.id() != self.buf.ring_id());
        if self.foreign {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::WriteFixed::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::readable(self.buf.memory());
        sqe.buf_index = self.buf.index();
        sqe.off = self.offset;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        if self.foreign {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "this buffer is registered with the ring of another runtime",
            );
            return (Err(error), self.buf);
        }
        (completion.into_result().map(|count| count as usize), self.buf)
    }
}
