//! Directories: make and remove. Listing is in `read_dir.rs`.

use std::io;
use std::path::Path;

use super::{metadata, pool};
use crate::op::{CWD, MkdirAt, UnlinkAt, submit_file};

/// Makes a directory. `IORING_OP_MKDIRAT`, before Linux 5.15 on the blocking pool.
///
/// # Errors
///
/// Those of `mkdir(2)`: [`AlreadyExists`](io::ErrorKind::AlreadyExists) among them.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().create(path).await
}

/// Makes a directory and those on the way to it that are missing. One that is there already is
/// fine.
///
/// # Errors
///
/// Those of `mkdir(2)`. What was made by then stays.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("one/two/three");
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// ringspun::fs::create_dir_all(&path).await?;
/// ringspun::fs::create_dir_all(&path).await?;
/// assert!(ringspun::fs::metadata(&path).await?.is_dir());
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path).await
}

/// Removes an empty directory. `IORING_OP_UNLINKAT`.
///
/// # Errors
///
/// Those of `rmdir(2)`: [`DirectoryNotEmpty`](io::ErrorKind::DirectoryNotEmpty) among them.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    submit_file(UnlinkAt::new(CWD, path.as_ref(), libc::AT_REMOVEDIR)).await
}

/// Removes a directory with all that is in it; links in it are removed, not followed. On the
/// blocking pool, as one job.
///
/// # Errors
///
/// Those of the calls that it is made of; what was removed by then is gone.
///
/// # Cancellation
///
/// Dropping the future does not end it.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    pool::run(move || std::fs::remove_dir_all(path)).await
}

/// How a directory is made: by the names of [`std::fs::DirBuilder`].
///
/// # Examples
///
/// ```
/// use ringspun::fs::DirBuilder;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("mine");
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// DirBuilder::new().mode(0o700).create(&path).await?;
/// assert_eq!(ringspun::fs::metadata(&path).await?.mode() & 0o777, 0o700);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DirBuilder {
    recursive: bool,
    mode: u32,
}

impl Default for DirBuilder {
    fn default() -> DirBuilder {
        DirBuilder::new()
    }
}

impl DirBuilder {
    /// One directory, for all, less the umask.
    #[must_use]
    pub fn new() -> DirBuilder {
        DirBuilder { recursive: false, mode: 0o777 }
    }

    /// Also those on the way that are missing; one that is there is no error then.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.recursive = recursive;
        self
    }

    /// The permissions of what is made, less the umask; 0o777 if nothing is said.
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = mode;
        self
    }

    /// Makes the directory. See [`create_dir`] and [`create_dir_all`].
    ///
    /// # Errors
    ///
    /// Those of `mkdir(2)`.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        if !self.recursive {
            return self.make(path).await;
        }
        let missing = self.make_first(path).await?;
        for below in missing.into_iter().rev() {
            self.make_or_find(below).await?;
        }
        Ok(())
    }

    /// Goes up until one can be made or is there; gives those that are below it.
    async fn make_first<'a>(&self, path: &'a Path) -> io::Result<Vec<&'a Path>> {
        let mut missing = Vec::new();
        // The last of the ancestors of a relative path is empty: the current directory.
        for ancestor in path.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            match self.make_or_find(ancestor).await {
                Ok(()) => return Ok(missing),
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(ancestor),
                Err(error) => return Err(error),
            }
        }
        // Nothing on the way was there, the current directory neither: what is asked for last
        // tells why.
        Ok(missing)
    }

    async fn make_or_find(&self, path: &Path) -> io::Result<()> {
        match self.make(path).await {
            Ok(()) => Ok(()),
            // Whatever the error is: a file system that is read-only says so first.
            Err(error) => match metadata(path).await {
                Ok(found) if found.is_dir() => Ok(()),
                _ => Err(error),
            },
        }
    }

    async fn make(&self, path: &Path) -> io::Result<()> {
        let answer = submit_file(MkdirAt::new(CWD, path, self.mode)).await;
        if !pool::lacks_opcode(&answer) {
            return answer;
        }
        let (path, mode) = (path.to_owned(), self.mode);
        pool::run(move || {
            let mut builder = std::fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
            builder.create(path)
        })
        .await
    }
}
