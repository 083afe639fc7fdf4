//! `IORING_OP_FSETXATTR`: give a file an extended attribute, by its descriptor.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::path::OpPath;
use super::set_xattr::set_attribute;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::buf::{BufResult, IoBuf};
use crate::ring::kernel::Sqe;

/// Sets an extended attribute of an open file. See `fsetxattr(2)`. Linux 5.19.
///
/// Otherwise as [`SetXattr`](super::SetXattr).
///
/// # Errors
///
/// As there; `EBADF` for a descriptor that was opened with `O_PATH`.
///
/// # Cancellation
///
/// Always runs in a kernel worker and cannot be stopped there.
///
/// # Examples
///
/// ```
/// use ringspun::op::{FGetXattr, FSetXattr, SharedFd, submit};
///
/// # fn main() -> std::io::Result<()> {
/// # let file = tempfile::tempfile()?;
/// let file = SharedFd::new(file);
/// ringspun::runtime::Runtime::new()?.block_on(async {
///     let (set, _) = submit(FSetXattr::new(&file, "user.colour", "green", 0)).await;
///     if set.is_err() {
///         return; // this file system has no attributes, or the kernel not these opcodes
///     }
///     let room = Vec::with_capacity(64);
///     let (count, value) = submit(FGetXattr::new(&file, "user.colour", room)).await;
///     assert_eq!((count.unwrap(), value), (5, b"green".to_vec()));
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FSetXattr<B> {
    fd: OpFd,
    name: OpPath,
    value: B,
    flags: i32,
}

impl<B: IoBuf> FSetXattr<B> {
    /// Describes the attribute.
    pub fn new(fd: impl IntoOpFd, name: impl IntoPath, value: B, flags: i32) -> FSetXattr<B> {
        FSetXattr { fd: fd.into_op_fd(), name: OpPath::name(name), value, flags }
    }
}

// SAFETY: O1: the entry points to the bytes of `name`, which are on the heap, and to the memory of
// `value`, which B1 keeps in place; the kernel only reads them; O4: `fd` is owned.
unsafe impl<B: IoBuf> Op for FSetXattr<B> {
    type Output = BufResult<(), B>;

    /// It may have been done: with `XATTR_CREATE` a second try would get `EEXIST`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let Some(name) = self.name.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::FSetXattr::CODE);
        self.fd.set(&mut sqe);
        set_attribute(&mut sqe, name, &self.value, self.flags);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        let checked = self.name.check();
        (checked.and_then(|()| completion.into_result()).map(drop), self.value)
    }
}
