//! The methods for files, pipes and processes that `mod.rs` does not have.

use super::AsyncIoUring;
use crate::buf::{IoBuf, IoBufMut};
use crate::op::{
    FGetXattr, FSetXattr, Fadvise, Ftruncate, GetXattr, IntoOpFd, IntoPath, OpenAt2, Pipe,
    SetXattr, Splice, Submission, SyncFileRange, Tee, WaitId,
};

impl AsyncIoUring {
    /// Moves bytes between a pipe and something else; `flags` are `SPLICE_F_*`. See [`Splice`].
    #[track_caller]
    pub fn splice(
        &self,
        fd_in: impl IntoOpFd,
        offset_in: Option<u64>,
        fd_out: impl IntoOpFd,
        offset_out: Option<u64>,
        len: usize,
        flags: u32,
    ) -> Submission<Splice> {
        self.submit(Splice::new(fd_in, offset_in, fd_out, offset_out, len, flags))
    }

    /// Duplicates bytes of one pipe into another; `flags` are `SPLICE_F_*`. See [`Tee`].
    #[track_caller]
    pub fn tee(
        &self,
        fd_in: impl IntoOpFd,
        fd_out: impl IntoOpFd,
        len: usize,
        flags: u32,
    ) -> Submission<Tee> {
        self.submit(Tee::new(fd_in, fd_out, len, flags))
    }

    /// Cuts or lengthens a file. See [`Ftruncate`].
    #[track_caller]
    pub fn ftruncate(&self, fd: impl IntoOpFd, len: u64) -> Submission<Ftruncate> {
        self.submit(Ftruncate::new(fd, len))
    }

    /// Writes a part of a file back; `flags` are `SYNC_FILE_RANGE_*`. See [`SyncFileRange`].
    #[track_caller]
    pub fn sync_file_range(
        &self,
        fd: impl IntoOpFd,
        offset: u64,
        len: u32,
        flags: u32,
    ) -> Submission<SyncFileRange> {
        self.submit(SyncFileRange::new(fd, offset, len, flags))
    }

    /// Says how a part of a file will be used; `advice` is `POSIX_FADV_*`. See [`Fadvise`].
    #[track_caller]
    pub fn fadvise(
        &self,
        fd: impl IntoOpFd,
        offset: u64,
        len: u64,
        advice: i32,
    ) -> Submission<Fadvise> {
        self.submit(Fadvise::new(fd, offset, len, advice))
    }

    /// Sets an extended attribute by path; `flags` are `XATTR_*`. See [`SetXattr`].
    #[track_caller]
    pub fn setxattr<B: IoBuf>(
        &self,
        path: impl IntoPath,
        name: impl IntoPath,
        value: B,
        flags: i32,
    ) -> Submission<SetXattr<B>> {
        self.submit(SetXattr::new(path, name, value, flags))
    }

    /// Reads an extended attribute by path. See [`GetXattr`].
    #[track_caller]
    pub fn getxattr<B: IoBufMut>(
        &self,
        path: impl IntoPath,
        name: impl IntoPath,
        buf: B,
    ) -> Submission<GetXattr<B>> {
        self.submit(GetXattr::new(path, name, buf))
    }

    /// Sets an extended attribute of an open file; `flags` are `XATTR_*`. See [`FSetXattr`].
    #[track_caller]
    pub fn fsetxattr<B: IoBuf>(
        &self,
        fd: impl IntoOpFd,
        name: impl IntoPath,
        value: B,
        flags: i32,
    ) -> Submission<FSetXattr<B>> {
        self.submit(FSetXattr::new(fd, name, value, flags))
    }

    /// Reads an extended attribute of an open file. See [`FGetXattr`].
    #[track_caller]
    pub fn fgetxattr<B: IoBufMut>(
        &self,
        fd: impl IntoOpFd,
        name: impl IntoPath,
        buf: B,
    ) -> Submission<FGetXattr<B>> {
        self.submit(FGetXattr::new(fd, name, buf))
    }

    /// Opens a file by a path that may not lead everywhere; `flags` are `O_*`, `resolve` are
    /// `RESOLVE_*`. See [`OpenAt2`].
    #[track_caller]
    pub fn openat2(
        &self,
        dir: impl IntoOpFd,
        path: impl IntoPath,
        flags: i32,
        mode: u32,
        resolve: u64,
    ) -> Submission<OpenAt2> {
        self.submit(OpenAt2::new(dir, path, flags, mode, resolve))
    }

    /// Waits for a child process, named by one of [`WaitId`]'s constructors.
    #[track_caller]
    pub fn waitid(&self, wait: WaitId) -> Submission<WaitId> {
        self.submit(wait)
    }

    /// Makes a pipe; `flags` are `O_NONBLOCK` and `O_DIRECT`. See [`Pipe`].
    #[track_caller]
    pub fn pipe(&self, flags: i32) -> Submission<Pipe> {
        self.submit(Pipe::new(flags))
    }
}
