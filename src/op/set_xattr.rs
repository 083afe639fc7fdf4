//! `IORING_OP_SETXATTR`: give a file an extended attribute, by its path.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoPath, Op};
use crate::buf::{BufResult, IoBuf};
use crate::ring::kernel::Sqe;

/// Sets an extended attribute of the file that `path` leads to, links followed. See `setxattr(2)`.
/// Linux 5.19.
///
/// The path is relative to the current directory. `name` has its namespace in front
/// (`user.comment`). `flags` are 0, or `XATTR_CREATE` or `XATTR_REPLACE` of libc. Gives the value
/// back, also on error.
///
/// # Errors
///
/// Those of the system call: `EOPNOTSUPP` where the file system or the namespace has none,
/// `EEXIST`, `ENODATA`, `E2BIG`, `ENOSPC`, `EPERM`, ...;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a path or name with a NUL byte inside.
///
/// # Cancellation
///
/// Always runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct SetXattr<B> {
    path: OpPath,
    name: OpPath,
    value: B,
    flags: i32,
}

impl<B: IoBuf> SetXattr<B> {
    /// Describes the attribute.
    pub fn new(path: impl IntoPath, name: impl IntoPath, value: B, flags: i32) -> SetXattr<B> {
        SetXattr { path: OpPath::new(path), name: OpPath::name(name), value, flags }
    }
}

/// The fields that an attribute has in common for paths and descriptors.
pub(super) fn set_attribute<B: IoBuf>(sqe: &mut Sqe, name: u64, value: &B, flags: i32) {
    (sqe.off, sqe.len) = super::readable(value);
    sqe.addr = name;
    sqe.op_flags = flags as u32;
}

// SAFETY: O1: the entry points to the bytes of `path` and `name`, which are on the heap, and to the
// memory of `value`, which B1 keeps in place; the kernel only reads them.
unsafe impl<B: IoBuf> Op for SetXattr<B> {
    type Output = BufResult<(), B>;

    /// It may have been done: with `XATTR_CREATE` a second try would get `EEXIST`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let (Some(path), Some(name)) = (self.path.address(), self.name.address()) else {
            return super::refused();
        };
        let mut sqe = Sqe::new(opcode::SetXattr::CODE);
        set_attribute(&mut sqe, name, &self.value, self.flags);
        sqe.addr3 = path;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        let checked: io::Result<()> = self.path.check().and_then(|()| self.name.check());
        (checked.and_then(|()| completion.into_result()).map(drop), self.value)
    }
}
