//! `IORING_OP_FGETXATTR`: read an extended attribute of a file, by its descriptor.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::get_xattr::Value;
use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::buf::{BufResult, IoBufMut};
use crate::ring::kernel::Sqe;

/// Reads an extended attribute of an open file. See `fgetxattr(2)`. Linux 5.19.
///
/// Otherwise as [`GetXattr`](super::GetXattr).
///
/// # Errors
///
/// As there; `EBADF` for a descriptor that was opened with `O_PATH`.
///
/// # Cancellation
///
/// Always runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct FGetXattr<B> {
    fd: OpFd,
    name: OpPath,
    value: Value<B>,
}

impl<B: IoBufMut> FGetXattr<B> {
    /// Describes the question.
    pub fn new(fd: impl IntoOpFd, name: impl IntoPath, buf: B) -> FGetXattr<B> {
        FGetXattr { fd: fd.into_op_fd(), name: OpPath::name(name), value: Value::new(buf) }
    }
}

// SAFETY: O1: the entry points to the bytes of `name`, which are on the heap and which the kernel
// only reads, and to the memory of the buffer, which B1 keeps in place; O4: `fd` is owned.
unsafe impl<B: IoBufMut> Op for FGetXattr<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> Sqe {
        let Some(name) = self.name.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::FGetXattr::CODE);
        self.fd.set(&mut sqe);
        self.value.set(&mut sqe, name);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        let checked = self.name.check();
        // SAFETY: the caller's promise, handed on; refused, the check has failed.
        unsafe { self.value.finish(checked, completion) }
    }
}
