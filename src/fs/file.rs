//! `File`: an open file. Reading and writing are in `at.rs` (at offsets) and `cursor.rs`.

use std::fmt;
use std::fs::{File as StdFile, FileTimes, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::SystemTime;

use super::cursor::Cursor;
use super::{Metadata, OpenOptions, pool};
use crate::op::{
    Close, Fadvise, Fallocate, Fsync, Ftruncate, IntoOpFd, Nop, OpFd, SharedFd, SyncFileRange,
    submit, submit_file,
};

/// An open file: reads and writes at offsets with owned buffers, or at a cursor with borrowed
/// ones, as [`tokio::fs::File`] does.
///
/// ```text
///              owned, any number at a time          borrowed, one after the other (&mut self)
///  reading     read_at, read_exact_at, ...          read, read_exact, read_to_end, ...
///  writing     write_at, write_all_at, ...          write, write_all, flush
///  place       the offset that is given             the cursor: seek, rewind, stream_position
/// ```
///
/// The cursor is kept here, not in the kernel, and clones made by [`try_clone`](File::try_clone)
/// share it. A `File` belongs to its core: it is neither `Send` nor `Sync`.
///
/// # Two kinds of files
///
/// Regular files and block devices have a cursor; a read that is dropped loses nothing, for the
/// cursor has not moved. FIFOs, terminals and character devices have none: there a read that is
/// dropped goes on, and what it gets is kept for the next read. Which kind a file is, is asked at
/// its first use.
///
/// # Cancellation
///
/// A borrowed write that is dropped may have been done, in part or wholly; the cursor stays where
/// it was, so that writing the same again puts it in the same place (not so with `append`). The
/// next write waits until the dropped one has come to its end.
///
/// Dropping the file closes it when its last operation has ended; [`close`](File::close) tells the
/// error.
///
/// # Examples
///
/// ```
/// use ringspun::fs::File;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes");
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let mut file = File::create(&path).await?;
/// file.write_all(b"one two").await?;
/// file.close().await?;
///
/// let file = File::open(&path).await?;
/// let (count, buf) = file.read_at(Vec::with_capacity(16), 4).await;
/// assert_eq!((count?, &buf[..]), (3, &b"two"[..]));
/// # Ok(())
/// # })
/// # }
/// ```
///
/// [`tokio::fs::File`]: https://docs.rs/tokio/latest/tokio/fs/struct.File.html
pub struct File {
    pub(super) fd: SharedFd,
    pub(super) nowait: bool,
    pub(super) inline_writes: bool,
    pub(super) cursor: Cursor,
}

/// How a file will be used: advice for the page cache. See `posix_fadvise(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Nothing particular.
    Normal,
    /// Here and there: no reading ahead.
    Random,
    /// From front to back: read ahead more.
    Sequential,
    /// Soon: begin to read it now.
    WillNeed,
    /// Not any more: let go of what is cached and written back.
    DontNeed,
    /// Once.
    NoReuse,
}

impl Advice {
    fn number(self) -> i32 {
        match self {
            Advice::Normal => libc::POSIX_FADV_NORMAL,
            Advice::Random => libc::POSIX_FADV_RANDOM,
            Advice::Sequential => libc::POSIX_FADV_SEQUENTIAL,
            Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
            Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
            Advice::NoReuse => libc::POSIX_FADV_NOREUSE,
        }
    }
}

impl File {
    /// Opens a file for reading. See [`OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// Those of `open(2)`, [`NotFound`](io::ErrorKind::NotFound) first among them.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path).await
    }

    /// Opens a file for writing; makes it if there is none, empties it if there is one.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path).await
    }

    /// Makes a file and opens it for reading and writing.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is one; otherwise as `open(2)`.
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).await
    }

    /// [`OpenOptions::new`].
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes a file of std over, with its cursor. Changes no flag of it.
    #[must_use]
    pub fn from_std(file: StdFile) -> File {
        // A file without a cursor says so, and then 0 does no harm.
        let position = (&file).stream_position().unwrap_or(0);
        File::from_fd(SharedFd::new(file), position)
    }

    pub(super) fn from_fd(fd: SharedFd, position: u64) -> File {
        File { fd, nowait: false, inline_writes: false, cursor: Cursor::at(position) }
    }

    /// The file as std has it, its cursor where this one's is. Waits for a write that was dropped,
    /// and ends a read that was dropped; bytes that such a read has got from a FIFO or terminal
    /// are lost: [`into_parts`](File::into_parts) gives them too.
    pub async fn into_std(self) -> StdFile {
        self.into_parts().await.0
    }

    /// As [`into_std`](File::into_std), with the bytes of a dropped read that nobody has taken yet.
    pub async fn into_parts(mut self) -> (StdFile, Vec<u8>) {
        let held = self.end_transfers().await;
        let place = self.cursor.place();
        let file = StdFile::from(owned(self.fd).await);
        match place {
            // `SEEK_SET` changes a number; the end has to be looked up.
            Some(SeekFrom::Start(position)) => {
                let _no_cursor = (&file).seek(SeekFrom::Start(position));
                (file, held)
            }
            Some(place) => {
                let Ok(other) = file.try_clone() else { return (file, held) };
                let _no_cursor = pool::run(move || (&other).seek(place)).await;
                (file, held)
            }
            None => (file, held),
        }
    }

    /// The file as std has it, unless an operation is in flight or bytes are held.
    ///
    /// # Errors
    ///
    /// Gives itself back then; [`into_parts`](File::into_parts) waits.
    #[allow(clippy::result_large_err, reason = "tokio's signature")]
    pub fn try_into_std(self) -> Result<StdFile, File> {
        if self.fd.owners() > 1 || self.cursor.is_busy() {
            return Err(self);
        }
        let File { fd, nowait, inline_writes, cursor } = self;
        match fd.try_unwrap() {
            Ok(fd) => {
                let file = StdFile::from(fd);
                if let Some(place) = cursor.place() {
                    let _no_cursor = (&file).seek(place);
                }
                Ok(file)
            }
            Err(fd) => Err(File { fd, nowait, inline_writes, cursor }),
        }
    }

    /// A second handle on the same open file; the cursor is shared, as in std.
    ///
    /// # Errors
    ///
    /// `EMFILE`: too many descriptors are open.
    pub async fn try_clone(&self) -> io::Result<File> {
        let fd = self.fd.as_fd().try_clone_to_owned()?;
        let cursor = self.cursor.share();
        let File { nowait, inline_writes, .. } = *self;
        Ok(File { fd: SharedFd::new(fd), nowait, inline_writes, cursor })
    }

    /// Closes the file, and tells what a drop would swallow: a network file system writes back
    /// now. `IORING_OP_CLOSE`. A dropped write is waited for.
    ///
    /// # Errors
    ///
    /// Those of `close(2)`, after which the file is closed all the same.
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if an operation that was dropped still runs:
    /// then the last one closes it.
    pub async fn close(mut self) -> io::Result<()> {
        let _held = self.end_transfers().await;
        let File { fd, cursor, .. } = self;
        drop(cursor);
        submit_file(Close::new(fd)).await
    }

    /// Sets the length; what is new reads as zeros. The cursor stays. `IORING_OP_FTRUNCATE`, before
    /// Linux 6.9 on the blocking pool.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not open for writing, or if `size` is beyond what the file system takes;
    /// otherwise those of `ftruncate(2)`.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        let answer = submit_file(Ftruncate::new(&self.fd, size)).await;
        if pool::lacks_opcode(&answer) {
            return self.on_pool(move |file| file.set_len(size)).await;
        }
        answer
    }

    /// Brings content and metadata to the disk. `IORING_OP_FSYNC`.
    ///
    /// Writes that were not awaited are not waited for.
    ///
    /// # Errors
    ///
    /// Those of `fsync(2)`: what earlier writes could not tell is told here.
    pub async fn sync_all(&self) -> io::Result<()> {
        submit_file(Fsync::new(&self.fd, 0)).await
    }

    /// As [`sync_all`](File::sync_all), without metadata that is not needed to read the content.
    ///
    /// # Errors
    ///
    /// As `sync_all`.
    pub async fn sync_data(&self) -> io::Result<()> {
        submit_file(Fsync::new(&self.fd, Fsync::DATASYNC)).await
    }

    /// Starts to write `len` bytes from `offset` on to the disk, and waits for them. No metadata,
    /// no flush of the disk's own cache: no promise after a crash. `IORING_OP_SYNC_FILE_RANGE`.
    ///
    /// # Errors
    ///
    /// Those of `sync_file_range(2)`.
    pub async fn sync_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        let mut begin = offset;
        let end = offset.saturating_add(len);
        // The entry's length has 32 bits.
        while begin < end {
            let part = u32::try_from(end - begin).unwrap_or(1 << 30);
            submit_file(SyncFileRange::new(&self.fd, begin, part, flags)).await?;
            begin += u64::from(part);
        }
        Ok(())
    }

    /// Reserves room on the disk for `len` bytes from `offset` on, and lengthens the file to hold
    /// them. `IORING_OP_FALLOCATE`.
    ///
    /// # Errors
    ///
    /// `ENOSPC`, `EOPNOTSUPP` where the file system cannot, and the others of `fallocate(2)`.
    pub async fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        submit_file(Fallocate::new(&self.fd, 0, offset, len)).await
    }

    /// Tells how `len` bytes from `offset` on will be used; 0 means to the end.
    /// `IORING_OP_FADVISE`.
    ///
    /// # Errors
    ///
    /// `ESPIPE` for what has no cursor.
    pub async fn advise(&self, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
        submit_file(Fadvise::new(&self.fd, offset, len, advice.number())).await
    }

    /// What is known of the file. `IORING_OP_STATX`.
    ///
    /// # Errors
    ///
    /// Those of `statx(2)`.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        Metadata::of_open(&self.fd).await
    }

    /// Sets the permissions. `fchmod(2)` has no opcode: on the blocking pool.
    ///
    /// # Errors
    ///
    /// `EPERM` if the file is somebody else's.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.on_pool(move |file| file.set_permissions(permissions)).await
    }

    /// Sets times of the file. `futimens(2)` has no opcode: on the blocking pool.
    ///
    /// # Errors
    ///
    /// `EPERM` if the file is somebody else's.
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.on_pool(move |file| file.set_times(times)).await
    }

    /// Sets the time of the last change. On the blocking pool.
    ///
    /// # Errors
    ///
    /// As [`set_times`](File::set_times).
    pub async fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }

    /// With `true`, reads and writes that would have to wait for the disk, or need a kernel worker,
    /// are [`WouldBlock`](io::ErrorKind::WouldBlock) instead (`RWF_NOWAIT`). Others than those of
    /// content (`sync_all`, `set_len`, ...) do not change.
    ///
    /// A file system that cannot say answers `EOPNOTSUPP`.
    pub fn set_nowait(&mut self, nowait: bool) {
        self.nowait = nowait;
    }

    /// With `true`, borrowed writes to regular files are plain calls on this thread.
    ///
    /// A buffered write through the ring goes to a kernel worker, which costs far more than
    /// copying a few KiB into the page cache: measured, 4 KiB at a time run at a fifth of the
    /// speed, 64 KiB at two thirds. The plain call is faster as long as the page cache has room;
    /// when too much of it is dirty the kernel makes the writer wait for the disk, and with it the
    /// whole core. So it is off unless asked for.
    pub fn set_inline_writes(&mut self, inline: bool) {
        self.inline_writes = inline;
    }

    /// The most that one borrowed read or write moves. 2 MiB unless set.
    #[must_use]
    pub fn max_buf_size(&self) -> usize {
        self.cursor.most()
    }

    /// Sets the most that one borrowed read or write moves, and so how large the buffers become
    /// that the file keeps for them. At least 1.
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        self.cursor.set_most(max_buf_size.max(1));
    }

    /// Runs a call of std on the file, on the blocking pool.
    pub(super) async fn on_pool<T: Send + 'static>(
        &self,
        call: impl FnOnce(&StdFile) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = StdFile::from(self.fd.as_fd().try_clone_to_owned()?);
        pool::run(move || call(&file)).await
    }
}

/// The descriptor itself. Ops that were dropped may own it for a moment more; then a duplicate.
async fn owned(mut fd: SharedFd) -> OwnedFd {
    loop {
        fd = match fd.try_unwrap() {
            Ok(fd) => return fd,
            Err(fd) => fd,
        };
        if let Ok(duplicate) = fd.as_fd().try_clone_to_owned() {
            return duplicate;
        }
        // No descriptor is free: one turn of the loop, and maybe the other owner is gone.
        let _turned = submit(Nop::new()).await;
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// For ops of one's own on the file.
impl IntoOpFd for &File {
    fn into_op_fd(self) -> OpFd {
        (&self.fd).into_op_fd()
    }
}

impl From<StdFile> for File {
    fn from(file: StdFile) -> File {
        File::from_std(file)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File::from_std(fd.into())
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("fd", &self.fd.as_raw_fd())
            .field("cursor", &self.cursor)
            .field("nowait", &self.nowait)
            .field("inline_writes", &self.inline_writes)
            .finish()
    }
}
