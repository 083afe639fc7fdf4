//! Whole files: read, write, copy.

use std::fs::{File as StdFile, OpenOptions as StdOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::{File, pool};
use crate::buf::IoBufMut;

/// So much is read by one op: what is cached is copied on this thread, and others wait for it.
const PART_MAX: usize = 1024 * 1024;

/// So much is copied by one job of the pool.
const COPY_PART: u64 = 8 * 1024 * 1024;

/// Reads a whole file. `IORING_OP_OPENAT`, and `IORING_OP_READ` straight into the vector.
///
/// # Errors
///
/// Those of `open(2)` and `read(2)`; [`OutOfMemory`](io::ErrorKind::OutOfMemory) if it is too
/// large.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let name = ringspun::fs::read("/proc/self/comm").await?;
/// assert!(name.ends_with(b"\n"));
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    let mut content = Vec::new();
    // One byte more, for the read that finds the end.
    content.try_reserve_exact(file.rest().saturating_add(1))?;
    loop {
        if content.len() == content.capacity() {
            content.try_reserve(32)?;
        }
        let (begin, offset) = (content.len(), content.len() as u64);
        let end = content.capacity().min(begin + PART_MAX);
        let (result, part) = file.read_at(content.slice_mut(begin..end), offset).await;
        content = part.into_inner();
        if result? == 0 {
            return Ok(content);
        }
    }
}

/// Reads a whole file that is UTF-8. As [`read()`].
///
/// # Errors
///
/// [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8; otherwise as [`read()`].
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    utf8(read(path).await?)
}

pub(super) fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a whole file: makes it, or replaces what is in it. `IORING_OP_OPENAT`, and
/// `IORING_OP_WRITE` from a copy of the content, 2 MiB at a time.
///
/// If this does not come to its end, the file is left empty or in part; what must be the old or
/// the new content is for [`write_atomic`](super::write_atomic).
///
/// # Errors
///
/// Those of `open(2)` and `write(2)`.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("file");
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// ringspun::fs::write(&path, "content").await?;
/// assert_eq!(ringspun::fs::read_to_string(&path).await?, "content");
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path).await?.write_all(contents.as_ref()).await
}

/// Copies content and permissions of a file to another, which is made or replaced; gives how many
/// bytes that were.
///
/// By `copy_file_range(2)`, in parts of 8 MiB on the blocking pool: it has no opcode, but where the
/// file system can share blocks it copies nothing at all, and elsewhere it spares the way through
/// user space. `IORING_OP_SPLICE` can do neither, for it needs a pipe in the middle, and runs in
/// kernel workers just as well. Between two parts others have their turn on the pool.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if `from` is no regular file; otherwise those of
/// `open(2)` and `copy_file_range(2)`.
///
/// # Cancellation
///
/// Dropping the future ends it after the part that is being copied; `to` is left in part.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let (from, to) = (folder.path().join("from"), folder.path().join("to"));
/// # std::fs::write(&from, "content")?;
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// assert_eq!(ringspun::fs::copy(&from, &to).await?, 7);
/// assert_eq!(ringspun::fs::read_to_string(&to).await?, "content");
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    let mut files = pool::run(move || open_both(&from, &to)).await?;
    let mut total = 0;
    loop {
        let (count, both) = pool::run(move || copy_part(files)).await?;
        if count == 0 {
            return Ok(total);
        }
        total += count;
        files = both;
    }
}

fn open_both(from: &Path, to: &Path) -> io::Result<(StdFile, StdFile)> {
    let from = StdFile::open(from)?;
    let metadata = from.metadata()?;
    if !metadata.is_file() {
        let text = "what is copied must be a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let permissions = metadata.permissions();
    let mut options = StdOptions::new();
    // Nobody shall read from the copy who may not read the original, not even for a moment.
    options.write(true).create(true).truncate(true).mode(permissions.mode());
    let to = options.open(to)?;
    // The mode above is less the umask, and does nothing to a file that was there.
    if to.metadata()?.is_file() {
        to.set_permissions(permissions)?;
    }
    Ok((from, to))
}

fn copy_part((from, to): (StdFile, StdFile)) -> io::Result<(u64, (StdFile, StdFile))> {
    let count = io::copy(&mut (&from).take(COPY_PART), &mut &to)?;
    Ok((count, (from, to)))
}
