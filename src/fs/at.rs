//! Reads and writes at offsets, with owned buffers.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use super::File;
use crate::buf::{BufResult, IoBuf, IoBufMut, IoVec, IoVectoredBuf, IoVectoredBufMut};
use crate::op::{Read, ReadV, Write, WriteV, now};

impl File {
    /// Reads at `offset` into `buf`, from its first byte, up to its capacity; gives how much that
    /// was, 0 at the end of the file, and the buffer. `IORING_OP_READ`, straight into the buffer.
    ///
    /// The cursor does not matter and does not move. Any number of these may run at a time. FIFOs,
    /// terminals and the like ignore the offset.
    ///
    /// # Errors
    ///
    /// Those of `pread(2)`. With direct I/O an [`InvalidInput`](io::ErrorKind::InvalidInput) that
    /// says what is not aligned. [`WouldBlock`](io::ErrorKind::WouldBlock) only with
    /// [`set_nowait`](File::set_nowait).
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives the buffer up: it is freed when the kernel is done with it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("file");
    /// # std::fs::write(&path, "0123456789")?;
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// let file = ringspun::fs::File::open(&path).await?;
    /// let (count, buf) = file.read_at(Vec::with_capacity(4), 3).await;
    /// assert_eq!(count?, 4);
    /// assert_eq!(buf, b"3456");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        if let Err(error) = check_offset(offset) {
            return (Err(error), buf);
        }
        let op = Read::new(&self.fd, buf, offset).flags(self.rw_flags());
        let (result, buf) = self.submit(op).await;
        (result.map_err(|error| self.explain(error, &buf, buf.capacity(), offset)), buf)
    }

    /// As [`read_at`](File::read_at), into several buffers, each filled before the next is begun.
    /// `IORING_OP_READV`.
    ///
    /// # Errors
    ///
    /// As `read_at`; `EINVAL` for more than 1024 buffers.
    pub async fn read_vectored_at<V: IoVectoredBufMut>(
        &self,
        bufs: V,
        offset: u64,
    ) -> BufResult<usize, V> {
        if let Err(error) = check_offset(offset) {
            return (Err(error), bufs);
        }
        self.submit(ReadV::new(&self.fd, bufs, offset).flags(self.rw_flags())).await
    }

    /// Reads at `offset` until `buf` is full to its capacity.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends before; otherwise as
    /// [`read_at`](File::read_at). If something had been read by then, the error holds a
    /// [`TransferError`] that says how much; it is at the front of the buffer.
    pub async fn read_exact_at<B: IoBufMut>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let len = buf.capacity();
        let mut done = 0;
        while done < len {
            let place = offset.saturating_add(done as u64);
            let (result, rest) = self.read_at(buf.slice_mut(done..), place).await;
            buf = rest.into_inner();
            let cause = match result {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(count) => {
                    done += count;
                    continue;
                }
                Err(error) => error,
            };
            return (Err(TransferError::wrap("read", done, len, cause)), buf);
        }
        (Ok(()), buf)
    }

    /// Writes the initialised bytes of `buf` at `offset`; gives how many were taken, and the
    /// buffer. `IORING_OP_WRITE`, straight from the buffer.
    ///
    /// The cursor does not matter and does not move. A file that is open for `append` writes at its
    /// end whatever the offset is.
    ///
    /// # Errors
    ///
    /// Those of `pwrite(2)`. With direct I/O an [`InvalidInput`](io::ErrorKind::InvalidInput) that
    /// says what is not aligned. [`WouldBlock`](io::ErrorKind::WouldBlock) only with
    /// [`set_nowait`](File::set_nowait).
    ///
    /// # Cancellation
    ///
    /// A write that was dropped may have been done, in part or wholly.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        if let Err(error) = check_offset(offset) {
            return (Err(error), buf);
        }
        let op = Write::new(&self.fd, buf, offset).flags(self.rw_flags());
        let (result, buf) = self.submit(op).await;
        (result.map_err(|error| self.explain(error, &buf, buf.bytes_init(), offset)), buf)
    }

    /// As [`write_at`](File::write_at), from several buffers. `IORING_OP_WRITEV`.
    ///
    /// # Errors
    ///
    /// As `write_at`; `EINVAL` for more than 1024 buffers.
    pub async fn write_vectored_at<V: IoVectoredBuf>(
        &self,
        bufs: V,
        offset: u64,
    ) -> BufResult<usize, V> {
        if let Err(error) = check_offset(offset) {
            return (Err(error), bufs);
        }
        self.submit(WriteV::new(&self.fd, bufs, offset).flags(self.rw_flags())).await
    }

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    ///
    /// [`WriteZero`](io::ErrorKind::WriteZero) if nothing is taken any more; otherwise as
    /// [`write_at`](File::write_at). If something had been written by then, the error holds a
    /// [`TransferError`] that says how much.
    pub async fn write_all_at<B: IoBuf>(&self, mut buf: B, offset: u64) -> BufResult<(), B> {
        let len = buf.bytes_init();
        let mut done = 0;
        while done < len {
            let place = offset.saturating_add(done as u64);
            let (result, rest) = self.write_at(buf.slice(done..), place).await;
            buf = rest.into_inner();
            match written(result, &mut done, len) {
                Ok(()) => {}
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }

    /// Writes all of several buffers at `offset`.
    ///
    /// # Errors
    ///
    /// As [`write_all_at`](File::write_all_at); `EINVAL` for more than 1024 buffers.
    pub async fn write_all_vectored_at<V: IoVectoredBuf>(
        &self,
        mut bufs: V,
        offset: u64,
    ) -> BufResult<(), V> {
        let mut parts = Vec::new();
        bufs.iovecs(&mut parts);
        let len = parts.iter().map(IoVec::len).sum();
        let mut done = 0;
        while done < len {
            let place = offset.saturating_add(done as u64);
            let (result, rest) = self.write_vectored_at(bufs.skip_bytes(done), place).await;
            bufs = rest.into_inner();
            match written(result, &mut done, len) {
                Ok(()) => {}
                Err(error) => return (Err(error), bufs),
            }
        }
        (Ok(()), bufs)
    }

    fn rw_flags(&self) -> i32 {
        if self.nowait { libc::RWF_NOWAIT } else { 0 }
    }

    /// `EINVAL` of direct I/O is mostly a matter of alignment, and says so.
    fn explain<B: IoBuf>(&self, error: io::Error, buf: &B, len: usize, offset: u64) -> io::Error {
        /// Of the usual block sizes the smallest: what is no multiple of it is surely wrong.
        const SMALLEST: usize = 512;

        if error.raw_os_error() != Some(libc::EINVAL) {
            return error;
        }
        let flags = now::status_flags(self.fd.as_fd()).unwrap_or(0);
        if flags & libc::O_DIRECT == 0 {
            return error;
        }
        let rest = buf.stable_ptr().addr() % SMALLEST;
        let text = format!(
            "direct I/O refused: address, length and offset must be multiples of the block size \
             (4096 is safe: use an AlignedBuf); the length is {len}, the offset {offset}, and the \
             address {rest} bytes beyond a multiple of {SMALLEST}"
        );
        io::Error::new(io::ErrorKind::InvalidInput, text)
    }
}

fn written(result: io::Result<usize>, done: &mut usize, len: usize) -> io::Result<()> {
    let cause = match result {
        Ok(0) => io::ErrorKind::WriteZero.into(),
        Ok(count) => {
            *done += count;
            return Ok(());
        }
        Err(error) => error,
    };
    Err(TransferError::wrap("written", *done, len, cause))
}

/// Beyond it the kernel would take the offset for a negative number, or for "at the cursor".
fn check_offset(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_ok() {
        return Ok(());
    }
    let text = format!("offset {offset} is beyond the largest file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Why [`read_exact_at`](File::read_exact_at) or [`write_all_at`](File::write_all_at) stopped half
/// way, and how far it had come: inside the [`io::Error`], whose kind is that of the cause.
///
/// If nothing had been moved the error is the cause itself.
///
/// # Examples
///
/// ```
/// use ringspun::fs::{File, TransferError};
///
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("file");
/// # std::fs::write(&path, "abc")?;
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let file = File::open(&path).await?;
/// let (result, buf) = file.read_exact_at(Vec::with_capacity(8), 0).await;
/// let error = result.expect_err("there are only three bytes");
/// let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TransferError>());
/// assert_eq!(inner.map(TransferError::done), Some(3));
/// assert_eq!(buf, b"abc");
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct TransferError {
    what: &'static str,
    done: usize,
    total: usize,
    cause: io::Error,
}

impl TransferError {
    fn wrap(what: &'static str, done: usize, total: usize, cause: io::Error) -> io::Error {
        if done == 0 && cause.raw_os_error().is_some() {
            return cause;
        }
        io::Error::new(cause.kind(), TransferError { what, done, total, cause })
    }

    /// How many bytes were moved.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// How many were to be moved.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {} bytes: {}", self.what, self.done, self.total, self.cause)
    }
}

impl std::error::Error for TransferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
