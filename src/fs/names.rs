//! Names of files: rename, link, remove, ask.

use std::fs::Permissions;
use std::io;
use std::path::{Path, PathBuf};

use super::{Metadata, pool};
use crate::op::{CWD, LinkAt, RenameAt, SymlinkAt, UnlinkAt, submit_file};

/// Gives a file another name, on the same file system; what had that name is replaced.
/// `IORING_OP_RENAMEAT`.
///
/// # Errors
///
/// Those of `rename(2)`: [`CrossesDevices`](io::ErrorKind::CrossesDevices) among them.
///
/// # Cancellation
///
/// It may have been done; it is never done by half.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    submit_file(RenameAt::new(CWD, from.as_ref(), CWD, to.as_ref(), 0)).await
}

/// Removes a file, or a symbolic link itself. `IORING_OP_UNLINKAT`.
///
/// # Errors
///
/// Those of `unlink(2)`: [`IsADirectory`](io::ErrorKind::IsADirectory) for a directory.
///
/// # Cancellation
///
/// It may have been done.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    submit_file(UnlinkAt::new(CWD, path.as_ref(), 0)).await
}

/// Gives a file one more name. `IORING_OP_LINKAT`, before Linux 5.15 on the blocking pool.
///
/// # Errors
///
/// Those of `link(2)`.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    let answer = submit_file(LinkAt::new(CWD, original, CWD, link, 0)).await;
    if pool::lacks_opcode(&answer) {
        let (original, link) = (original.to_owned(), link.to_owned());
        return pool::run(move || std::fs::hard_link(original, link)).await;
    }
    answer
}

/// Makes `link` a symbolic link to `original`. `IORING_OP_SYMLINKAT`, before Linux 5.15 on the
/// blocking pool.
///
/// # Errors
///
/// Those of `symlink(2)`.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    let answer = submit_file(SymlinkAt::new(original, CWD, link)).await;
    if pool::lacks_opcode(&answer) {
        let (original, link) = (original.to_owned(), link.to_owned());
        return pool::run(move || std::os::unix::fs::symlink(original, link)).await;
    }
    answer
}

/// What a symbolic link leads to, as it is written in the link. `readlink(2)` has no opcode: on the
/// blocking pool.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no link; otherwise those of
/// `readlink(2)`.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    pool::run(move || std::fs::read_link(path)).await
}

/// The path from the root, without links and dots. On the blocking pool.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) if something on the way is not there; otherwise those of
/// `realpath(3)`.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    pool::run(move || std::fs::canonicalize(path)).await
}

/// What is known of a file; links are followed. `IORING_OP_STATX`.
///
/// # Errors
///
/// Those of `statx(2)`.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    Metadata::of_path(path.as_ref(), 0).await
}

/// What is known of a file, or of a symbolic link itself. `IORING_OP_STATX`.
///
/// # Errors
///
/// Those of `statx(2)`.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    Metadata::of_path(path.as_ref(), libc::AT_SYMLINK_NOFOLLOW).await
}

/// Sets the permissions of a file; links are followed. `chmod(2)` has no opcode: on the blocking
/// pool.
///
/// # Errors
///
/// Those of `chmod(2)`.
pub async fn set_permissions(path: impl AsRef<Path>, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    pool::run(move || std::fs::set_permissions(path, perm)).await
}

/// Whether there is something of this name; links are followed, so a broken one is not there.
/// `IORING_OP_STATX`.
///
/// What it says may be over when it is heard: to make a file only if there is none, open it with
/// [`create_new`](super::OpenOptions::create_new).
///
/// # Errors
///
/// If it cannot be told, as when a directory on the way may not be searched.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// [`try_exists`] by the name that std has for it.
///
/// # Errors
///
/// As [`try_exists`].
pub async fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    try_exists(path).await
}
