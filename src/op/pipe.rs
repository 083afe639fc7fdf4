//! `IORING_OP_PIPE`: make a pipe.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::opcode;

use super::{Completion, Op};
use crate::ring::kernel::Sqe;

/// Makes a pipe: the end to read from and the end to write to. See `pipe2(2)`. Linux 6.16.
///
/// `flags` are `O_NONBLOCK` and `O_DIRECT` of libc, 0 for none; `O_CLOEXEC` is always added.
///
/// # Errors
///
/// `EMFILE`, `ENFILE` when there are no descriptors left; `EINVAL` for other flags;
/// [`Unsupported`](io::ErrorKind::Unsupported) before Linux 6.16.
///
/// # Cancellation
///
/// It does not wait. If the future is dropped and the pipe was made already, both ends are closed.
///
/// # Examples
///
/// ```
/// use ringspun::op::{Pipe, submit};
///
/// # fn main() -> std::io::Result<()> {
/// match ringspun::runtime::Runtime::new()?.block_on(submit(Pipe::new(0))) {
///     Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {} // an older kernel
///     ends => {
///         let (reader, writer) = ends?;
///         # drop((reader, writer));
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pipe {
    flags: i32,
    /// The kernel writes the two numbers to it.
    ends: Box<[RawFd; 2]>,
}

/// What stands in the place of a number until the kernel has written it.
const NONE: RawFd = -1;

impl Pipe {
    /// Describes the pipe.
    #[must_use]
    pub fn new(flags: i32) -> Pipe {
        Pipe { flags: flags | libc::O_CLOEXEC, ends: Box::new([NONE; 2]) }
    }
}

// SAFETY: O1: the entry points to `ends` only, in a box that is not looked at before the last
// completion (O6). It names no descriptor: the 0 is what the kernel wants to see there.
unsafe impl Op for Pipe {
    type Output = io::Result<(OwnedFd, OwnedFd)>;

    fn prepare(&mut self) -> Sqe {
        *self.ends = [NONE; 2];
        let mut sqe = Sqe::new(opcode::Pipe::CODE);
        sqe.fd = 0;
        sqe.addr = &raw mut *self.ends as u64;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        completion.into_result()?;
        let [reader, writer] = *self.ends;
        if reader < 0 || writer < 0 {
            return Err(io::Error::other("the kernel made a pipe and did not say which"));
        }
        // SAFETY: O3: the kernel made this descriptor for this entry and gives it once.
        let reader = unsafe { OwnedFd::from_raw_fd(reader) };
        // SAFETY: as above.
        let writer = unsafe { OwnedFd::from_raw_fd(writer) };
        Ok((reader, writer))
    }
}
