//! `IORING_OP_SPLICE`: move bytes between a pipe and anything else inside the kernel.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// `SPLICE_F_FD_IN_FIXED`: the source is an index. Set by the ops, never by their users: with a
/// plain number it would name a stranger.
const FD_IN_FIXED: u32 = 1 << 31;

/// Moves up to `len` bytes from one descriptor to another without bringing them here. One of the
/// two is a pipe. See `splice(2)`. Linux 5.7.
///
/// An offset is the place in a file; `None` means the file's own cursor, and is the only one for
/// pipes and sockets. `flags` are `SPLICE_F_*` of libc: `SPLICE_F_MOVE`, `SPLICE_F_MORE`, and
/// `SPLICE_F_NONBLOCK` not to wait for the pipe. Gives how many bytes were moved, which may be less
/// than `len`; 0 at the end of the source.
///
/// # Errors
///
/// Those of the system call: `EINVAL` if none of the two is a pipe or one cannot be spliced,
/// `ESPIPE` for an offset in a pipe, `EPIPE` if nobody reads the pipe, `EAGAIN` with
/// `SPLICE_F_NONBLOCK`.
///
/// # Cancellation
///
/// Always runs in a kernel worker, and holds it while it waits for the pipe: wait with
/// [`PollAdd`](super::PollAdd) first where that may be long. A splice that waits is interrupted:
/// `ECANCELED`, and nothing was moved. What was moved before is its result instead.
///
/// # Examples
///
/// ```
/// use ringspun::op::{SharedFd, Splice, submit};
///
/// # fn main() -> std::io::Result<()> {
/// let mut file = tempfile::tempfile()?;
/// std::io::Write::write_all(&mut file, b"text")?;
/// let (reader, pipe) = std::io::pipe()?;
/// let op = Splice::new(SharedFd::new(file), Some(0), SharedFd::new(pipe), None, 4096, 0);
/// let count = ringspun::runtime::Runtime::new()?.block_on(submit(op))?;
/// let moved = std::io::read_to_string(reader)?;
/// assert_eq!(moved, "text"[..count]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Splice {
    fd_in: OpFd,
    offset_in: u64,
    fd_out: OpFd,
    offset_out: u64,
    len: u32,
    flags: u32,
}

impl Splice {
    /// Describes the transfer.
    pub fn new(
        fd_in: impl IntoOpFd,
        offset_in: Option<u64>,
        fd_out: impl IntoOpFd,
        offset_out: Option<u64>,
        len: usize,
        flags: u32,
    ) -> Splice {
        Splice {
            fd_in: fd_in.into_op_fd(),
            offset_in: offset(offset_in),
            fd_out: fd_out.into_op_fd(),
            offset_out: offset(offset_out),
            len: super::transfer_len(len),
            flags,
        }
    }
}

/// The kernel's "none" is the largest number; who asks for that very place gets `EINVAL`, as for
/// any other beyond all files.
fn offset(offset: Option<u64>) -> u64 {
    offset.map_or(u64::MAX, |offset| offset.min(u64::MAX - 1))
}

/// Names the source in an entry. The kernel takes it apart from the destination, and sees by a flag
/// whether it is an index.
pub(super) fn set_source(sqe: &mut Sqe, fd_in: &OpFd, flags: u32) {
    sqe.file_index = fd_in.raw() as u32;
    sqe.op_flags = flags & !FD_IN_FIXED;
    if fd_in.is_fixed() {
        sqe.op_flags |= FD_IN_FIXED;
    }
}

// SAFETY: O1: the entry has no pointer, the offsets are numbers; O4: both descriptors are owned.
// It goes again after a signal, for the kernel reports what it had moved before one as a count: an
// interrupted splice has moved nothing.
unsafe impl Op for Splice {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Splice::CODE);
        self.fd_out.set(&mut sqe);
        set_source(&mut sqe, &self.fd_in, self.flags);
        sqe.addr = self.offset_in;
        sqe.off = self.offset_out;
        sqe.len = self.len;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<usize> {
        completion.into_result().map(|count| count as usize)
    }
}
