//! `IORING_OP_GETXATTR`: read an extended attribute of a file, by its path.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoPath, Op};
use crate::buf::{BufResult, IoBufMut};
use crate::ring::kernel::Sqe;

/// Reads an extended attribute of the file that `path` leads to, links followed. See `getxattr(2)`.
/// Linux 5.19.
///
/// The path is relative to the current directory. `name` has its namespace in front
/// (`user.comment`). Gives the length of the value, and the buffer, also on error. Into a buffer of
/// capacity 0 nothing is written, and the length is what a buffer would need.
///
/// # Errors
///
/// Those of the system call: `ENODATA` if the file has no such attribute, `ERANGE` if the value
/// does not fit, `EOPNOTSUPP` where the file system or the namespace has none;
/// [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a path or name with a NUL byte inside.
///
/// # Cancellation
///
/// Always runs in a kernel worker and cannot be stopped there.
#[derive(Debug)]
pub struct GetXattr<B> {
    path: OpPath,
    name: OpPath,
    value: Value<B>,
}

/// Where a value goes, and how much of it was asked for.
#[derive(Debug)]
pub(super) struct Value<B> {
    buf: B,
    asked: usize,
}

impl<B: IoBufMut> Value<B> {
    pub(super) fn new(buf: B) -> Value<B> {
        Value { buf, asked: 0 }
    }

    /// The fields that an attribute has in common for paths and descriptors.
    pub(super) fn set(&mut self, sqe: &mut Sqe, name: u64) {
        (sqe.off, sqe.len) = super::writable(&mut self.buf);
        sqe.addr = name;
        self.asked = sqe.len as usize;
    }

    /// The answer of an entry that `set` has described, or why there was none.
    ///
    /// # Safety
    ///
    /// O3, as for `complete`; `checked` is an error if the entry was another one.
    pub(super) unsafe fn finish(
        mut self,
        checked: std::io::Result<()>,
        completion: Completion,
    ) -> BufResult<usize, B> {
        let result = checked.and_then(|()| completion.into_result()).map(|count| count as usize);
        if let Ok(count) = result {
            // SAFETY: B2: the kernel wrote the first `count` bytes, and not more than it was asked:
            // asked for none it says how many there are.
            unsafe { self.buf.set_init(count.min(self.asked)) };
        }
        (result, self.buf)
    }
}

impl<B: IoBufMut> GetXattr<B> {
    /// Describes the question.
    pub fn new(path: impl IntoPath, name: impl IntoPath, buf: B) -> GetXattr<B> {
        GetXattr { path: OpPath::new(path), name: OpPath::name(name), value: Value::new(buf) }
    }
}

// SAFETY: O1: the entry points to the bytes of `path` and `name`, which are on the heap and which
// the kernel only reads, and to the memory of the buffer, which B1 keeps in place.
unsafe impl<B: IoBufMut> Op for GetXattr<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> Sqe {
        let (Some(path), Some(name)) = (self.path.address(), self.name.address()) else {
            return super::refused();
        };
        let mut sqe = Sqe::new(opcode::GetXattr::CODE);
        self.value.set(&mut sqe, name);
        sqe.addr3 = path;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        let checked = self.path.check().and_then(|()| self.name.check());
        // SAFETY: the caller's promise, handed on; refused, one of the two checks has failed.
        unsafe { self.value.finish(checked, completion) }
    }
}
