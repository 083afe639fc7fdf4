//! Pipes, anonymous and named, as [`tokio::net::unix::pipe`] has them.
//!
//! A [`Sender`] is a [`WriteEnd`], a [`Receiver`] a [`ReadEnd`]: what these promise holds here. Our
//! end is non-blocking; what is at the other end does not matter and is not touched.
//!
//! # Examples
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # ringspun::runtime::Runtime::new()?.block_on(async {
//! let (mut sender, mut receiver) = ringspun::pipe::pipe()?;
//! sender.write_all(b"through the pipe").await?;
//! drop(sender);
//!
//! let mut text = String::new();
//! receiver.read_to_string(&mut text).await?;
//! assert_eq!(text, "through the pipe");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! [`tokio::net::unix::pipe`]: https://docs.rs/tokio/latest/tokio/net/unix/pipe/index.html

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;

use crate::io::{Pipe, ReadEnd, WriteEnd};
use crate::op::{SharedFd, now};

/// The writing end of a pipe. Dropping it is what the reader sees as the end.
pub type Sender = WriteEnd<Pipe>;

/// The reading end of a pipe.
///
/// The end of a named pipe is not for ever: when a reader has seen it (0 bytes), another writer may
/// come, and there is more to read.
pub type Receiver = ReadEnd<Pipe>;

/// Makes an anonymous pipe. See `pipe(2)`. Both ends are closed at exec.
///
/// To give one end to a child process, see [`Sender::into_blocking_fd`].
///
/// # Errors
///
/// Those of `pipe(2)`: too many descriptors (`EMFILE`, `ENFILE`).
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = now::pipe(libc::O_NONBLOCK)?;
    Ok((WriteEnd::new(SharedFd::new(writer)), ReadEnd::new(SharedFd::new(reader))))
}

/// How a named pipe (FIFO, `mkfifo(3)`) is opened. Opening never waits.
///
/// # Examples
///
/// ```
/// use ringspun::pipe::OpenOptions;
///
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("fifo");
/// # std::process::Command::new("mkfifo").arg(&path).status()?;
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let mut receiver = OpenOptions::new().open_receiver(&path)?;
/// let mut sender = OpenOptions::new().open_sender(&path)?;
/// sender.write_all(b"hi").await?;
/// let mut word = [0; 2];
/// receiver.read_exact(&mut word).await?;
/// assert_eq!(&word, b"hi");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Opens one end only, and only what is a FIFO.
    #[must_use]
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens for both directions: a sender then needs no receiver to be there, and a receiver never
    /// sees the end, for it is a writer itself. Linux only.
    pub fn read_write(&mut self, value: bool) -> &mut OpenOptions {
        self.read_write = value;
        self
    }

    /// Does not look whether it is a FIFO. If it is none, reads and writes may wait on the core.
    pub fn unchecked(&mut self, value: bool) -> &mut OpenOptions {
        self.unchecked = value;
        self
    }

    /// Opens the reading end. If there is no writer yet, the first read waits for one.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`; [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no FIFO.
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> io::Result<Receiver> {
        let file = self.open(path.as_ref(), true, self.read_write)?;
        let receiver = Receiver::new(SharedFd::new(file));
        receiver.wait_first();
        Ok(receiver)
    }

    /// Opens the writing end.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`: `ENXIO` if nobody has it open for reading (try again later, or use
    /// [`read_write`](OpenOptions::read_write)); [`InvalidInput`](io::ErrorKind::InvalidInput) if
    /// it is no FIFO.
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let file = self.open(path.as_ref(), self.read_write, true)?;
        Ok(Sender::new(SharedFd::new(file)))
    }

    fn open(&self, path: &Path, read: bool, write: bool) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(read).write(write).custom_flags(libc::O_NONBLOCK).open(path)?;
        if !self.unchecked {
            check_is_pipe(&file)?;
        }
        Ok(file)
    }
}

impl WriteEnd<Pipe> {
    /// Takes over the writing end of a pipe, and makes it non-blocking: for all who share it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no pipe, or not open for writing.
    pub fn from_file(file: File) -> io::Result<Sender> {
        Ok(Sender::new(take_over(file, libc::O_WRONLY)?))
    }

    /// As [`from_file`](WriteEnd::from_file).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Sender> {
        Sender::from_file(File::from(fd))
    }

    /// Takes over what is known to be the non-blocking writing end of a pipe.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_file_unchecked(file: File) -> io::Result<Sender> {
        Ok(Sender::new(SharedFd::new(file)))
    }

    /// As [`from_file_unchecked`](WriteEnd::from_file_unchecked).
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Sender> {
        Ok(Sender::new(SharedFd::new(fd)))
    }

    /// Takes over the standard input of a child of std's.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn from_std(stdin: std::process::ChildStdin) -> io::Result<Sender> {
        Ok(Sender::new(nonblocking(stdin)?))
    }

    /// Gives the descriptor, blocking: as a child process expects it.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`; `EMFILE` if an owned send is under way: it needs a duplicate then.
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        blocking(self.into_owned_fd()?)
    }

    /// Gives the descriptor, non-blocking as it is.
    ///
    /// # Errors
    ///
    /// As [`into_blocking_fd`](WriteEnd::into_blocking_fd).
    pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
        self.into_owned_fd()
    }
}

impl ReadEnd<Pipe> {
    /// Takes over the reading end of a pipe, and makes it non-blocking: for all who share it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no pipe, or not open for reading.
    pub fn from_file(file: File) -> io::Result<Receiver> {
        Ok(Receiver::new(take_over(file, libc::O_RDONLY)?))
    }

    /// As [`from_file`](ReadEnd::from_file).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Receiver> {
        Receiver::from_file(File::from(fd))
    }

    /// Takes over what is known to be the non-blocking reading end of a pipe.
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_file_unchecked(file: File) -> io::Result<Receiver> {
        Ok(Receiver::new(SharedFd::new(file)))
    }

    /// As [`from_file_unchecked`](ReadEnd::from_file_unchecked).
    ///
    /// # Errors
    ///
    /// None now.
    pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<Receiver> {
        Ok(Receiver::new(SharedFd::new(fd)))
    }

    /// Takes over the standard output or standard error of a child of std's.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn from_std(output: impl Into<OwnedFd>) -> io::Result<Receiver> {
        Ok(Receiver::new(nonblocking(output)?))
    }

    /// Gives the descriptor, blocking: as a child process expects it. A read that is armed ends
    /// here and now.
    ///
    /// # Errors
    ///
    /// [`IntoFdError`], with the receiver in it, if bytes are held that were taken from the pipe
    /// and not read: they would be lost. [`into_parts`](ReadEnd::into_parts) gives them.
    pub fn into_blocking_fd(self) -> Result<OwnedFd, IntoFdError> {
        blocking(self.into_nonblocking_fd()?).map_err(|error| IntoFdError { error, receiver: None })
    }

    /// As [`into_blocking_fd`](ReadEnd::into_blocking_fd), and non-blocking as it is.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn into_nonblocking_fd(self) -> Result<OwnedFd, IntoFdError> {
        if self.holds_bytes() {
            let what = "bytes that were taken from the pipe and not read would be lost: see \
                        into_parts";
            return Err(IntoFdError {
                error: io::Error::other(what),
                receiver: Some(Box::new(self)),
            });
        }
        let given = self.into_owned_parts().map(|(fd, _)| fd);
        given.map_err(|error| IntoFdError { error, receiver: None })
    }

    /// Gives the descriptor, non-blocking, and the bytes that were taken from the pipe and not
    /// read.
    ///
    /// # Errors
    ///
    /// Only if an op in flight has the descriptor too, and there is none left for a duplicate.
    pub fn into_parts(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        self.into_owned_parts()
    }
}

fn take_over(file: File, access: i32) -> io::Result<SharedFd> {
    check_is_pipe(&file)?;
    let mode = now::status_flags(file.as_fd())? & libc::O_ACCMODE;
    if mode != access && mode != libc::O_RDWR {
        let wanted = if access == libc::O_RDONLY { "reading" } else { "writing" };
        let what = format!("this end of the pipe is not open for {wanted}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    nonblocking(file)
}

fn check_is_pipe(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a pipe"))
}

fn nonblocking(fd: impl Into<OwnedFd>) -> io::Result<SharedFd> {
    let fd = fd.into();
    set(fd.as_fd(), true)?;
    Ok(SharedFd::new(fd))
}

fn blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    set(fd.as_fd(), false)?;
    Ok(fd)
}

fn set(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    now::set_nonblocking(fd, nonblocking)
}

impl TryFrom<WriteEnd<Pipe>> for Stdio {
    type Error = io::Error;

    /// For another child: the output of which is to go into this pipe.
    fn try_from(sender: Sender) -> io::Result<Stdio> {
        sender.into_blocking_fd().map(Stdio::from)
    }
}

impl TryFrom<ReadEnd<Pipe>> for Stdio {
    type Error = io::Error;

    /// For another child: which is to read from this pipe.
    fn try_from(receiver: Receiver) -> io::Result<Stdio> {
        Ok(Stdio::from(receiver.into_blocking_fd()?))
    }
}

/// Why a receiver did not become a descriptor. Becomes an [`io::Error`] by `?`; then the receiver,
/// if it is in here, is closed.
pub struct IntoFdError {
    error: io::Error,
    receiver: Option<Box<Receiver>>,
}

impl IntoFdError {
    /// The receiver, if it is still whole: bytes were held.
    #[must_use]
    pub fn into_receiver(self) -> Option<Receiver> {
        self.receiver.map(|receiver| *receiver)
    }
}

impl fmt::Debug for IntoFdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoFdError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl fmt::Display for IntoFdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for IntoFdError {}

impl From<IntoFdError> for io::Error {
    fn from(error: IntoFdError) -> io::Error {
        error.error
    }
}
