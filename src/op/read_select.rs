//! `IORING_OP_READ` into a buffer that the kernel chooses.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{BufGroup, Completion, IntoOpFd, Op, OpFd, Read, buf_group};
use crate::ring::PooledBuf;
use crate::ring::kernel::Sqe;

/// Reads from a pipe, a terminal or another character device into a pooled buffer, which is chosen
/// when data is there. At the cursor, if there is one. See `read(2)`. Linux 5.19.
///
/// Gives the bytes, at most [`buf_len`](BufGroup::buf_len) of them; none at the end.
///
/// # Errors
///
/// `ENOBUFS` if there is no buffer; [`InvalidInput`](io::ErrorKind::InvalidInput) for the group of
/// another runtime; those of `read(2)`.
///
/// # Cancellation
///
/// As for [`Read`]. If the future is dropped, bytes that had arrived are dropped and the buffer
/// goes back.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// use ringspun::op::{self, BufClass, ReadSelect, SharedFd};
///
/// # fn main() -> std::io::Result<()> {
/// let (reader, mut writer) = std::io::pipe()?;
/// writer.write_all(b"hello")?;
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let Some(group) = op::buf_group(BufClass::Small) else {
///         return Ok(()); // Linux before 5.19
///     };
///     let buf = op::submit(ReadSelect::new(SharedFd::new(reader), group)).await?;
///     assert_eq!(&buf[..], b"hello");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct ReadSelect {
    fd: OpFd,
    group: BufGroup,
    foreign: bool,
}

impl ReadSelect {
    /// Describes the read.
    #[inline]
    pub fn new(fd: impl IntoOpFd, group: BufGroup) -> ReadSelect {
        ReadSelect { fd: fd.into_op_fd(), group, foreign: false }
    }
}

// SAFETY: O1: the entry has no pointer; the kernel writes to a buffer of the group only, which the
// op keeps, and never to one of another ring's, for then it is not asked; O4: `fd` is owned.
unsafe impl Op for ReadSelect {
    type Output = io::Result<PooledBuf>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        self.foreign = !self.group.is_here();
        if self.foreign {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::Read::CODE);
        self.fd.set(&mut sqe);
        self.group.select(&mut sqe);
        sqe.len = self.group.buf_len() as u32;
        sqe.off = Read::CURSOR;
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
