//! What is in a directory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{FileType, Metadata, pool, symlink_metadata};

/// So many entries are looked up by one job of the pool. Few enough for others to have their turn
/// on the pool and on the core, many enough to be worth the way.
const BATCH: usize = 256;

/// Lists a directory, in no particular order and without `.` and `..`. `getdents(2)` has no opcode:
/// on the blocking pool, 256 entries at a time.
///
/// # Errors
///
/// Those of `opendir(3)`: [`NotFound`](io::ErrorKind::NotFound),
/// [`NotADirectory`](io::ErrorKind::NotADirectory), ...
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let mut entries = ringspun::fs::read_dir("/proc/self").await?;
/// let mut names = Vec::new();
/// while let Some(entry) = entries.next_entry().await? {
///     names.push(entry.file_name());
/// }
/// assert!(names.iter().any(|name| name == "comm"));
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let batch = pool::run(move || Ok(next_batch(std::fs::read_dir(path)?))).await?;
    let mut listing = ReadDir { entries: VecDeque::new(), state: State::Ended };
    listing.take(batch);
    Ok(listing)
}

/// A listing of a directory. See [`read_dir`].
#[must_use = "a listing does nothing until its entries are asked for"]
pub struct ReadDir {
    entries: VecDeque<io::Result<DirEntry>>,
    state: State,
}

enum State {
    /// There may be more.
    Idle(std::fs::ReadDir),
    Busy(Pin<Box<dyn Future<Output = io::Result<Batch>>>>),
    Ended,
}

struct Batch {
    entries: VecDeque<io::Result<DirEntry>>,
    rest: Option<std::fs::ReadDir>,
}

/// The next entries; runs on the pool.
fn next_batch(mut listing: std::fs::ReadDir) -> Batch {
    let mut entries = VecDeque::with_capacity(BATCH);
    while entries.len() < BATCH {
        let Some(entry) = listing.next() else { return Batch { entries, rest: None } };
        let failed = entry.is_err();
        entries.push_back(entry.map(|entry| {
            // The directory tells the kind on most file systems. Where it does not, this thread
            // may ask.
            let file_type = entry.file_type().ok().map(FileType::of_std);
            DirEntry { entry, file_type }
        }));
        if failed {
            return Batch { entries, rest: None };
        }
    }
    Batch { entries, rest: Some(listing) }
}

impl ReadDir {
    /// The next entry; none at the end. After an error the listing has ended.
    ///
    /// # Errors
    ///
    /// Those of `readdir(3)`.
    ///
    /// # Cancellation
    ///
    /// Loses nothing.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// As [`next_entry`](ReadDir::next_entry), for implementations of traits.
    ///
    /// # Errors
    ///
    /// As `next_entry`.
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Poll::Ready(entry.map(Some));
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(Ok(None)),
                State::Idle(listing) => {
                    State::Busy(Box::pin(pool::run(move || Ok(next_batch(listing)))))
                }
                State::Busy(mut job) => match job.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.state = State::Busy(job);
                        return Poll::Pending;
                    }
                    Poll::Ready(batch) => {
                        self.take(batch?);
                        continue;
                    }
                },
            };
        }
    }

    fn take(&mut self, batch: Batch) {
        self.entries = batch.entries;
        self.state = batch.rest.map_or(State::Ended, State::Idle);
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").field("at_hand", &self.entries.len()).finish_non_exhaustive()
    }
}

/// What a directory has of a name. See [`read_dir`].
pub struct DirEntry {
    entry: std::fs::DirEntry,
    file_type: Option<FileType>,
}

impl DirEntry {
    /// The path: that of the directory, as it was given, and the name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// The name alone.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// The number of the inode.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.entry.ino()
    }

    /// What is known of it; a link is not followed. `IORING_OP_STATX` of the path.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if it has gone meanwhile; otherwise those of
    /// `statx(2)`.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        symlink_metadata(self.path()).await
    }

    /// Its kind; a link is not followed. Known from the listing, mostly.
    ///
    /// # Errors
    ///
    /// If it was not: those of [`metadata`](DirEntry::metadata).
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => Ok(self.metadata().await?.file_type()),
        }
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirEntry").field(&self.path()).finish()
    }
}
