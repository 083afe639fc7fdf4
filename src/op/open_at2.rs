//! `IORING_OP_OPENAT2`: open a file, with limits to where its path may lead.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::{opcode, types};

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Opens a file relative to a directory ([`CWD`](super::CWD) for the current one), by a path that
/// may not lead everywhere. See `openat2(2)`. Linux 5.6.
///
/// `flags` are `O_*` of libc; `O_CLOEXEC` is always added. `mode` is that of a file which is
/// created, less the umask; it must be 0 where none can be. `resolve` are `RESOLVE_*` of libc:
/// `RESOLVE_BENEATH` and `RESOLVE_IN_ROOT` keep the path below the directory,
/// `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_MAGICLINKS` and `RESOLVE_NO_XDEV` refuse links and mount
/// points, `RESOLVE_CACHED` gives `EAGAIN` rather than look at the disk.
///
/// # Errors
///
/// Those of the system call: `EXDEV` or `ELOOP` if the path leads where it may not, `EAGAIN` if a
/// rename raced with a `..` of a path that must stay below (try again), `EINVAL` for flags that are
/// unknown or contradict each other. [`InvalidInput`](io::ErrorKind::InvalidInput) for a path with
/// a NUL byte inside.
///
/// # Cancellation
///
/// As that of [`OpenAt`](super::OpenAt).
///
/// # Examples
///
/// A path from outside, which shall not leave its folder:
///
/// ```
/// use ringspun::op::{CWD, OpenAt2, submit};
///
/// # fn main() -> std::io::Result<()> {
/// let below = libc::RESOLVE_BENEATH;
/// let op = OpenAt2::new(CWD, "../../etc/passwd", libc::O_RDONLY, 0, below);
/// let result = ringspun::runtime::Runtime::new()?.block_on(submit(op));
/// assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EXDEV));
/// # Ok(())
/// # }
/// ```
pub struct OpenAt2 {
    dir: OpFd,
    path: OpPath,
    flags: i32,
    how: Box<types::OpenHow>,
    /// Submitted once already: a signal came between.
    again: bool,
}

impl OpenAt2 {
    /// Describes the open.
    pub fn new(
        dir: impl IntoOpFd,
        path: impl IntoPath,
        flags: i32,
        mode: u32,
        resolve: u64,
    ) -> OpenAt2 {
        let flags = flags | libc::O_CLOEXEC;
        let how = types::OpenHow::new()
            .flags(u64::from(flags as u32))
            .mode(u64::from(mode))
            .resolve(resolve);
        OpenAt2 {
            dir: dir.into_op_fd(),
            path: OpPath::new(path),
            flags,
            how: Box::new(how),
            again: false,
        }
    }
}

// SAFETY: O1: the entry points to `path`'s bytes and to `how` in its box, and the kernel only reads
// both; O4: `dir` is owned.
unsafe impl Op for OpenAt2 {
    type Output = io::Result<OwnedFd>;

    fn prepare(&mut self) -> Sqe {
        // With O_EXCL the file may have been created: a second try would get EEXIST.
        if std::mem::replace(&mut self.again, true) && self.flags & libc::O_EXCL != 0 {
            self.path = OpPath::failed(libc::ECANCELED);
        }
        let Some(path) = self.path.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::OpenAt2::CODE);
        self.dir.set(&mut sqe);
        sqe.addr = path;
        sqe.len = size_of::<types::OpenHow>() as u32;
        sqe.off = &raw const *self.how as u64;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<OwnedFd> {
        self.path.check()?;
        let fd = completion.into_result()?;
        // SAFETY: O3: the kernel made this descriptor for this entry and gives it once.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
}

impl fmt::Debug for OpenAt2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAt2")
            .field("dir", &self.dir)
            .field("path", &self.path)
            .field("how", &self.how)
            .finish_non_exhaustive()
    }
}
