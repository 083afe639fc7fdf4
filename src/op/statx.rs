//! `IORING_OP_STATX`: ask for a file's size, times, kind and more.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use io_uring::opcode;

use super::path::OpPath;
use super::{Completion, IntoOpFd, IntoPath, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Asks for the attributes of a file, relative to a directory ([`CWD`](super::CWD) for the current
/// one). See `statx(2)`. Linux 5.6.
///
/// `flags` are `AT_*` of libc: `AT_SYMLINK_NOFOLLOW` for a link itself, `AT_EMPTY_PATH` with an
/// empty path for `dir` itself. `mask` are `STATX_*` of libc: what is wanted, `STATX_BASIC_STATS`
/// being what `stat(2)` gives.
///
/// # Errors
///
/// Those of the system call; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path with a NUL
/// byte inside.
///
/// # Cancellation
///
/// Runs in a kernel worker and cannot be stopped there.
pub struct Statx {
    dir: OpFd,
    path: OpPath,
    flags: i32,
    mask: u32,
    /// The kernel writes to it at the end.
    answer: Box<libc::statx>,
}

impl Statx {
    /// Describes the question.
    pub fn new(dir: impl IntoOpFd, path: impl IntoPath, flags: i32, mask: u32) -> Statx {
        // SAFETY: a `statx` is integers; zero is one of them.
        let answer = Box::new(unsafe { std::mem::zeroed::<libc::statx>() });
        Statx { dir: dir.into_op_fd(), path: OpPath::new(path), flags, mask, answer }
    }
}

// SAFETY: O1: the entry points to `path`'s bytes, which the kernel only reads, and to `answer`, in
// its box; neither is looked at before the last completion (O6); O4: `dir` is owned.
unsafe impl Op for Statx {
    type Output = io::Result<StatxResult>;

    fn prepare(&mut self) -> Sqe {
        let Some(path) = self.path.address() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::Statx::CODE);
        self.dir.set(&mut sqe);
        sqe.addr = path;
        sqe.len = self.mask;
        sqe.off = &raw mut *self.answer as u64;
        sqe.op_flags = self.flags as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        self.path.check()?;
        completion.into_result()?;
        Ok(StatxResult(self.answer))
    }
}

impl fmt::Debug for Statx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statx").field("dir", &self.dir).field("path", &self.path).finish()
    }
}

/// What [`Statx`] found. [`as_raw`](StatxResult::as_raw) has all of it.
#[derive(Clone)]
pub struct StatxResult(Box<libc::statx>);

impl StatxResult {
    /// The kernel's own structure.
    #[must_use]
    pub fn as_raw(&self) -> &libc::statx {
        &self.0
    }

    /// Which of the answers are there (`STATX_*` of libc); the others are 0.
    #[must_use]
    pub fn mask(&self) -> u32 {
        self.0.stx_mask
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.stx_size
    }

    /// Kind of file (`S_IFMT`) and permissions.
    #[must_use]
    pub fn mode(&self) -> u32 {
        u32::from(self.0.stx_mode)
    }

    /// Number of the inode.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.0.stx_ino
    }

    /// How many names it has.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.0.stx_nlink
    }

    /// When its content was changed last.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        time(self.0.stx_mtime)
    }

    /// When it was read last, as far as the file system keeps account.
    #[must_use]
    pub fn accessed(&self) -> Option<SystemTime> {
        time(self.0.stx_atime)
    }

    /// When it was made, where the file system knows.
    #[must_use]
    pub fn created(&self) -> Option<SystemTime> {
        if self.mask() & libc::STATX_BTIME == 0 { None } else { time(self.0.stx_btime) }
    }
}

fn time(stamp: libc::statx_timestamp) -> Option<SystemTime> {
    let seconds = Duration::from_secs(stamp.tv_sec.unsigned_abs());
    let whole = if stamp.tv_sec < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole?.checked_add(Duration::from_nanos(u64::from(stamp.tv_nsec)))
}

impl fmt::Debug for StatxResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatxResult")
            .field("mask", &self.mask())
            .field("mode", &self.mode())
            .field("size", &self.size())
            .field("inode", &self.inode())
            .finish_non_exhaustive()
    }
}
