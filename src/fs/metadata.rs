//! What is known of a file: kind, size, times, owner.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use crate::op::{CWD, IntoOpFd, Statx, StatxResult, submit_file};

/// What is known of a file, by the names of [`std::fs::Metadata`] and, as inherent methods, of
/// [`MetadataExt`](std::os::unix::fs::MetadataExt).
///
/// It is a type of its own, for std's cannot be made from what the ring gives (`statx(2)`).
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let metadata = ringspun::fs::metadata("/proc/self").await?;
/// assert!(metadata.is_dir());
/// assert_eq!(metadata.mode() & 0o444, 0o444);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone)]
pub struct Metadata {
    statx: StatxResult,
}

/// What `stat(2)` gives, and the time of birth.
const WANTED: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME;

impl Metadata {
    /// Asks by a path relative to the current directory; `flags` are `AT_*`.
    pub(super) async fn of_path(path: &Path, flags: i32) -> io::Result<Metadata> {
        let statx = submit_file(Statx::new(CWD, path, flags, WANTED)).await?;
        Ok(Metadata { statx })
    }

    /// Asks for an open file.
    pub(super) async fn of_open(fd: impl IntoOpFd) -> io::Result<Metadata> {
        let statx = submit_file(Statx::new(fd, c"", libc::AT_EMPTY_PATH, WANTED)).await?;
        Ok(Metadata { statx })
    }

    fn raw(&self) -> &libc::statx {
        self.statx.as_raw()
    }

    /// Its kind.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        FileType::of_mode(self.mode())
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.file_type().is_dir()
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    /// Whether it is a symbolic link; never for what [`metadata`](super::metadata) gives, which
    /// follows links.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.file_type().is_symlink()
    }

    /// Its length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "as in std")]
    pub fn len(&self) -> u64 {
        self.statx.size()
    }

    /// Who may do what with it.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode())
    }

    /// When its content was changed last.
    ///
    /// # Errors
    ///
    /// If the time cannot be told; never on Linux, but std's signature has it.
    pub fn modified(&self) -> io::Result<SystemTime> {
        self.statx.modified().ok_or_else(no_time)
    }

    /// When it was read last, as far as the file system keeps account (`relatime`).
    ///
    /// # Errors
    ///
    /// As [`modified`](Metadata::modified).
    pub fn accessed(&self) -> io::Result<SystemTime> {
        self.statx.accessed().ok_or_else(no_time)
    }

    /// When it was made.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) where the file system does not keep it.
    pub fn created(&self) -> io::Result<SystemTime> {
        self.statx.created().ok_or_else(no_time)
    }

    /// The number of the device that it is on.
    #[must_use]
    pub fn dev(&self) -> u64 {
        device(self.raw().stx_dev_major, self.raw().stx_dev_minor)
    }

    /// The number of its inode.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.statx.inode()
    }

    /// Kind and permissions, as `st_mode` has them.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.statx.mode()
    }

    /// How many names it has.
    #[must_use]
    pub fn nlink(&self) -> u64 {
        u64::from(self.statx.links())
    }

    /// Whose it is.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.raw().stx_uid
    }

    /// Which group it belongs to.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.raw().stx_gid
    }

    /// Which device it stands for, if it is one.
    #[must_use]
    pub fn rdev(&self) -> u64 {
        device(self.raw().stx_rdev_major, self.raw().stx_rdev_minor)
    }

    /// Its length in bytes: [`len`](Metadata::len) by the name of `MetadataExt`.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len()
    }

    /// The seconds of the last access since 1970.
    #[must_use]
    pub fn atime(&self) -> i64 {
        self.raw().stx_atime.tv_sec
    }

    /// The nanoseconds that belong to [`atime`](Metadata::atime).
    #[must_use]
    pub fn atime_nsec(&self) -> i64 {
        i64::from(self.raw().stx_atime.tv_nsec)
    }

    /// The seconds of the last change of content since 1970.
    #[must_use]
    pub fn mtime(&self) -> i64 {
        self.raw().stx_mtime.tv_sec
    }

    /// The nanoseconds that belong to [`mtime`](Metadata::mtime).
    #[must_use]
    pub fn mtime_nsec(&self) -> i64 {
        i64::from(self.raw().stx_mtime.tv_nsec)
    }

    /// The seconds of the last change of the inode since 1970.
    #[must_use]
    pub fn ctime(&self) -> i64 {
        self.raw().stx_ctime.tv_sec
    }

    /// The nanoseconds that belong to [`ctime`](Metadata::ctime).
    #[must_use]
    pub fn ctime_nsec(&self) -> i64 {
        i64::from(self.raw().stx_ctime.tv_nsec)
    }

    /// The block size that suits it.
    #[must_use]
    pub fn blksize(&self) -> u64 {
        u64::from(self.raw().stx_blksize)
    }

    /// How many units of 512 bytes it takes.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.raw().stx_blocks
    }

    /// All that the kernel told.
    #[must_use]
    pub fn as_statx(&self) -> &StatxResult {
        &self.statx
    }
}

fn no_time() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this file system does not keep this time")
}

/// A device number as libc's `dev_t` has it.
fn device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (major & 0xffff_f000) << 32
        | (major & 0xfff) << 8
        | (minor & 0xffff_ff00) << 12
        | (minor & 0xff)
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("file_type", &self.file_type())
            .field("permissions", &self.permissions())
            .field("len", &self.len())
            .field("modified", &self.statx.modified())
            .field("ino", &self.ino())
            .finish_non_exhaustive()
    }
}

/// The kind of a file, by the names of [`std::fs::FileType`] and its `FileTypeExt`.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let kind = ringspun::fs::metadata("/dev/null").await?.file_type();
/// assert!(kind.is_char_device() && !kind.is_file());
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileType {
    /// One of `S_IF*`.
    kind: u32,
}

impl FileType {
    pub(super) fn of_mode(mode: u32) -> FileType {
        FileType { kind: mode & libc::S_IFMT }
    }

    pub(super) fn of_std(kind: std::fs::FileType) -> FileType {
        use std::os::unix::fs::FileTypeExt;
        let kind = match () {
            () if kind.is_file() => libc::S_IFREG,
            () if kind.is_dir() => libc::S_IFDIR,
            () if kind.is_symlink() => libc::S_IFLNK,
            () if kind.is_fifo() => libc::S_IFIFO,
            () if kind.is_socket() => libc::S_IFSOCK,
            () if kind.is_char_device() => libc::S_IFCHR,
            () if kind.is_block_device() => libc::S_IFBLK,
            () => 0,
        };
        FileType { kind }
    }

    /// A directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == libc::S_IFDIR
    }

    /// A regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == libc::S_IFREG
    }

    /// A symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind == libc::S_IFLNK
    }

    /// A named pipe.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.kind == libc::S_IFIFO
    }

    /// A socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.kind == libc::S_IFSOCK
    }

    /// A character device: a terminal, `/dev/null`.
    #[must_use]
    pub fn is_char_device(&self) -> bool {
        self.kind == libc::S_IFCHR
    }

    /// A block device: a disk.
    #[must_use]
    pub fn is_block_device(&self) -> bool {
        self.kind == libc::S_IFBLK
    }
}

impl fmt::Debug for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            libc::S_IFDIR => "directory",
            libc::S_IFREG => "regular file",
            libc::S_IFLNK => "symbolic link",
            libc::S_IFIFO => "named pipe",
            libc::S_IFSOCK => "socket",
            libc::S_IFCHR => "character device",
            libc::S_IFBLK => "block device",
            _ => "unknown",
        };
        write!(f, "FileType({name})")
    }
}
