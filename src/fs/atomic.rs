//! A file that is the old one or the new one, whatever happens.
//!
//! ```text
//!  temporary file in the same directory -> content -> fsync -> rename -> fsync of the directory
//! ```
//!
//! One job on the blocking pool: no drop can come between two of its steps, and what it has begun
//! it takes away itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use super::pool;

/// So much is written between two looks whether anybody still waits.
const PART: usize = 1024 * 1024;

/// Replaces a file with `bytes`, or makes it, so that whoever reads it, also after a crash, finds
/// the old content or the new, whole.
///
/// The content goes to a temporary file in the same directory, to the disk, and then takes the name
/// of the old one, whose permissions it has; the directory goes to the disk last. A symbolic link
/// is followed, and stays. Other hard links of the old file keep the old content. As one job on the
/// blocking pool, for which the bytes are copied.
///
/// # Errors
///
/// Those of the calls it is made of. The old file is as it was then, and the temporary one gone;
/// but if bringing the directory to the disk failed, the new one is there already.
///
/// # Cancellation
///
/// Dropping the future leaves the old file or the new one. The temporary file is removed, a moment
/// later. Only the end of the process can leave it behind: its name begins with `.ringspun-`.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("settings");
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// ringspun::fs::write_atomic(&path, "colour = red\n").await?;
/// ringspun::fs::write_atomic(&path, "colour = blue\n").await?;
/// assert_eq!(ringspun::fs::read_to_string(&path).await?, "colour = blue\n");
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn write_atomic(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, bytes) = (path.as_ref().to_owned(), bytes.as_ref().to_vec());
    let wanted = Wanted(Arc::new(AtomicBool::new(true)));
    let still = Arc::clone(&wanted.0);
    pool::run(move || replace(&path, &bytes, &still)).await
}

/// Whether somebody waits; not any more when it is dropped.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn replace(path: &Path, bytes: &[u8], wanted: &AtomicBool) -> io::Result<()> {
    // What a link leads to has to be replaced, beside itself. A new file has no links.
    let path = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::IsADirectory.into()),
    };
    let (mut file, temporary) = Temporary::create(directory)?;
    if let Ok(old) = fs::metadata(&path) {
        file.set_permissions(old.permissions())?;
    }
    for part in bytes.chunks(PART) {
        check(wanted)?;
        file.write_all(part)?;
    }
    file.sync_all()?;
    check(wanted)?;
    temporary.rename(&path)?;
    fs::File::open(directory)?.sync_all()
}

fn check(wanted: &AtomicBool) -> io::Result<()> {
    if wanted.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(io::Error::other("nobody waits for this write any more"))
}

/// A file that is removed unless it gets another name.
struct Temporary(Option<PathBuf>);

impl Temporary {
    fn create(directory: &Path) -> io::Result<(fs::File, Temporary)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let name = format!(".ringspun-{}-{number}-{:x}", process::id(), now.as_nanos());
            let path = directory.join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, Temporary(Some(path)))),
                // Left behind by a process that had the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        if let Some(path) = &self.0 {
            fs::rename(path, to)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // There is nobody to tell.
            let _gone = fs::remove_file(path);
        }
    }
}
