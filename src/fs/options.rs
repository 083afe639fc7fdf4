//! How a file is opened.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use super::File;
use crate::op::{CWD, OpenAt, PollAdd, SharedFd, submit, submit_file};

/// How a file is opened: by the names of [`std::fs::OpenOptions`], with what `OpenOptionsExt` has
/// as inherent methods, and what io_uring adds.
///
/// # Examples
///
/// ```
/// use ringspun::fs::OpenOptions;
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("log");
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let mut log = OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all(b"started\n").await?;
/// assert_eq!(ringspun::fs::read_to_string(&path).await?, "started\n");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    direct: bool,
    nowait: bool,
    inline_writes: bool,
    custom_flags: i32,
    mode: u32,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptions {
    /// Nothing is asked for yet.
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            direct: false,
            nowait: false,
            inline_writes: false,
            custom_flags: 0,
            mode: 0o666,
        }
    }

    /// For reading.
    pub fn read(&mut self, read: bool) -> &mut OpenOptions {
        self.read = read;
        self
    }

    /// For writing, over what is there.
    pub fn write(&mut self, write: bool) -> &mut OpenOptions {
        self.write = write;
        self
    }

    /// For writing at the end: each write goes to where the end is then, whatever the offset.
    pub fn append(&mut self, append: bool) -> &mut OpenOptions {
        self.append = append;
        self
    }

    /// Empties the file. Needs [`write`](OpenOptions::write).
    pub fn truncate(&mut self, truncate: bool) -> &mut OpenOptions {
        self.truncate = truncate;
        self
    }

    /// Makes the file if there is none. Needs `write` or `append`.
    pub fn create(&mut self, create: bool) -> &mut OpenOptions {
        self.create = create;
        self
    }

    /// Makes the file, and fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is
    /// one, a symbolic link too. `create` and `truncate` do not matter then.
    pub fn create_new(&mut self, create_new: bool) -> &mut OpenOptions {
        self.create_new = create_new;
        self
    }

    /// The permissions of a file that is made, less the umask; 0o666 if nothing is said.
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.mode = mode;
        self
    }

    /// More flags (`O_*` of libc). The access mode in them does not count.
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.custom_flags = flags;
        self
    }

    /// Past the page cache (`O_DIRECT`). Such a file is used by [`read_at`](File::read_at) and
    /// [`write_at`](File::write_at) with [`AlignedBuf`](crate::buf::AlignedBuf): address, length
    /// and offset have to be multiples of the block size, 4096 being safe.
    pub fn direct(&mut self, direct: bool) -> &mut OpenOptions {
        self.direct = direct;
        self
    }

    /// See [`File::set_nowait`].
    pub fn nowait(&mut self, nowait: bool) -> &mut OpenOptions {
        self.nowait = nowait;
        self
    }

    /// See [`File::set_inline_writes`].
    pub fn inline_writes(&mut self, inline: bool) -> &mut OpenOptions {
        self.inline_writes = inline;
        self
    }

    /// Opens the file. `IORING_OP_OPENAT`, always with `O_CLOEXEC`.
    ///
    /// A FIFO is open when the other side is open too, unless `O_NONBLOCK` is among the
    /// [`custom_flags`](OpenOptions::custom_flags); meanwhile it holds one of the kernel's workers.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for options that contradict each other (no
    /// access asked for; `truncate` or `create` without `write` or `append`; `truncate` with
    /// `append`) and for a path with a NUL byte; otherwise those of `open(2)`. A file system
    /// without direct I/O answers `EINVAL` to [`direct`](OpenOptions::direct).
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave a file that was made or emptied.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let flags = self.flags()?;
        let mut file = self.open_with(path.as_ref(), flags).await?;
        file.set_nowait(self.nowait);
        file.set_inline_writes(self.inline_writes);
        Ok(file)
    }

    /// The kernel tries to open without waiting first, and that succeeds for the reader of a FIFO
    /// without a writer, and fails for the writer without a reader. Both shall wait.
    async fn open_with(&self, path: &Path, flags: i32) -> io::Result<File> {
        let waits = flags & (libc::O_NONBLOCK | libc::O_PATH) == 0;
        match open_through_signals(path, flags, self.mode).await {
            Ok(fd) => {
                let mut file = File::from_fd(fd.into(), 0);
                if waits && flags & libc::O_ACCMODE == libc::O_RDONLY && file.is_fifo() {
                    file.fd = meet_writer(file.fd, flags).await;
                }
                Ok(file)
            }
            Err(error) if waits && error.raw_os_error() == Some(libc::ENXIO) => {
                let named = submit_file(OpenAt::new(CWD, path, libc::O_PATH, 0)).await?;
                let named = File::from_fd(named.into(), 0);
                if !named.is_fifo() {
                    return Err(error);
                }
                let met = open_again(&named.fd, flags).await.map_err(|_| error)?;
                Ok(File::from_fd(met, 0))
            }
            Err(error) => Err(error),
        }
    }

    fn flags(&self) -> io::Result<i32> {
        let access = match (self.read, self.write, self.append) {
            (true, false, false) => libc::O_RDONLY,
            (false, true, false) => libc::O_WRONLY,
            (true, true, false) => libc::O_RDWR,
            (false, _, true) => libc::O_WRONLY | libc::O_APPEND,
            (true, _, true) => libc::O_RDWR | libc::O_APPEND,
            (false, false, false) => {
                return Err(refused("no access: ask for `read`, `write` or `append`"));
            }
        };
        let makes = self.create || self.create_new;
        if !self.write && !self.append && (self.truncate || makes) {
            return Err(refused("`truncate`, `create` and `create_new` need `write` or `append`"));
        }
        if self.append && self.truncate && !self.create_new {
            return Err(refused("`truncate` contradicts `append`"));
        }
        let creation = match (self.create, self.truncate, self.create_new) {
            (_, _, true) => libc::O_CREAT | libc::O_EXCL,
            (true, true, _) => libc::O_CREAT | libc::O_TRUNC,
            (true, false, _) => libc::O_CREAT,
            (false, true, _) => libc::O_TRUNC,
            (false, false, _) => 0,
        };
        let direct = if self.direct { libc::O_DIRECT } else { 0 };
        Ok(access | creation | direct | (self.custom_flags & !libc::O_ACCMODE))
    }
}

/// An op with `O_EXCL` does not go again after a signal, for it may have made the file. std does go
/// again, and so does this: a signal comes before anything is made, on local file systems at least.
async fn open_through_signals(path: &Path, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    loop {
        match submit_file(OpenAt::new(CWD, path, flags, mode)).await {
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            result => return result,
        }
    }
}

/// The reading end of a FIFO once a writer has come.
///
/// What is open already lets a writer in, who may write and be gone before the second open begins
/// to wait: so it is watched, and if bytes or an end come there, it is the one that was met.
/// Without procfs it has to do.
async fn meet_writer(fd: SharedFd, flags: i32) -> SharedFd {
    let mut again = pin!(open_again(&fd, flags));
    let mut came = pin!(submit(PollAdd::new(&fd, libc::POLLIN as u32)));
    let met = poll_fn(|cx| {
        if let Poll::Ready(met) = again.as_mut().poll(cx) {
            return Poll::Ready(met.ok());
        }
        came.as_mut().poll(cx).map(|_| None)
    });
    met.await.unwrap_or_else(|| fd.clone())
}

/// Opens what is open once more, and waits for it if it is a FIFO: with `O_CREAT` the kernel does
/// not try without waiting, and by its number the file cannot be gone. Counts for no limit: whom it
/// waits for might be behind it.
async fn open_again(fd: &SharedFd, flags: i32) -> io::Result<SharedFd> {
    let path = format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
    let flags = (flags & !(libc::O_EXCL | libc::O_TRUNC)) | libc::O_CREAT;
    // The path is absolute: the descriptor is handed over only to stay open while the op lives.
    Ok(submit(OpenAt::new(fd, path, flags, 0)).await?.into())
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("these options cannot open a file: {why}"))
}
