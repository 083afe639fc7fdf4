//! `IORING_OP_FTRUNCATE`: give a file another length.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Cuts a file at `len`, or lengthens it to `len` with zeroes. See `ftruncate(2)`. Linux 6.9.
///
/// # Errors
///
/// Those of the system call: `EINVAL` if it is no regular file or not open for writing, `EFBIG`,
/// `EPERM` if it is sealed, ...; [`Unsupported`](io::ErrorKind::Unsupported) before Linux 6.9.
///
/// # Cancellation
///
/// Always runs in a kernel worker and cannot be stopped there.
///
/// # Examples
///
/// ```
/// use ringspun::op::{Ftruncate, SharedFd, submit};
///
/// # fn main() -> std::io::Result<()> {
/// # let file = tempfile::tempfile()?;
/// # let look = file.try_clone()?;
/// let file = SharedFd::new(file);
/// let result = ringspun::runtime::Runtime::new()?.block_on(submit(Ftruncate::new(&file, 4096)));
/// match result {
///     Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {} // an older kernel
///     result => {
///         result?;
/// #       assert_eq!(look.metadata()?.len(), 4096);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ftruncate {
    fd: OpFd,
    len: u64,
}

impl Ftruncate {
    /// Describes the change.
    pub fn new(fd: impl IntoOpFd, len: u64) -> Ftruncate {
        Ftruncate { fd: fd.into_op_fd(), len }
    }
}

// SAFETY: O1: the entry has no pointer; O4: `fd` is owned.
unsafe impl Op for Ftruncate {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Ftruncate::CODE);
        self.fd.set(&mut sqe);
        sqe.off = self.len;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
