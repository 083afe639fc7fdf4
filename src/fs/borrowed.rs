//! Borrowed reads and writes at the cursor, as tokio's `AsyncReadExt`, `AsyncWriteExt` and
//! `AsyncSeekExt` name them; inherent, so no trait has to be imported.

use std::future::poll_fn;
use std::io::{self, IoSlice, SeekFrom};

use super::File;

impl File {
    /// Reads what there is, at most `buf.len()` bytes. 0 is the end of the file (or an empty
    /// `buf`).
    ///
    /// Of a regular file: what the page cache has comes by a direct call (`preadv2(2)` with
    /// `RWF_NOWAIT`), the rest by `IORING_OP_READ`.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`; [`InvalidInput`](io::ErrorKind::InvalidInput) with direct I/O, which
    /// [`read_at`](File::read_at) is for; [`WouldBlock`](io::ErrorKind::WouldBlock) only with
    /// [`set_nowait`](File::set_nowait).
    ///
    /// # Cancellation
    ///
    /// Loses nothing: see [`File`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.cursor.forget_stale();
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Fills `buf`, and gives its length.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the file ends before; otherwise as
    /// [`read`](File::read). In either case `buf` may be filled in part, and the cursor is behind
    /// what was read.
    ///
    /// # Cancellation
    ///
    /// What was read already is in `buf`, and the cursor behind it; how much that is, is not told.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len();
        let mut done = 0;
        while done < len {
            match self.read(&mut buf[done..]).await? {
                0 => {
                    let text = format!("the file ended after {done} of {len} bytes");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                count => done += count,
            }
        }
        Ok(len)
    }

    /// Appends all that is left of the file to `buf`, and gives how much that was.
    ///
    /// # Errors
    ///
    /// As [`read`](File::read); [`OutOfMemory`](io::ErrorKind::OutOfMemory) if the file is too
    /// large. What was read before is in `buf`.
    ///
    /// # Cancellation
    ///
    /// What was read already is in `buf`, and the cursor behind it.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        // One byte more, for the read that finds the end.
        let hint = self.rest().saturating_add(1);
        buf.try_reserve(hint)?;
        let begin = buf.len();
        let mut filling = Filling { filled: begin, buf };
        loop {
            let room = filling.room(self.max_buf_size())?;
            match self.read(room).await? {
                0 => return Ok(filling.filled - begin),
                count => filling.filled += count,
            }
        }
    }

    /// Appends all that is left of the file to `text`, and gives how many bytes that was.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8: `text` is as it was then,
    /// and the cursor at the end. Otherwise as [`read_to_end`](File::read_to_end).
    pub async fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).await?;
        let read = super::whole::utf8(bytes)?;
        text.push_str(&read);
        Ok(read.len())
    }

    /// Writes as much of `buf` as is taken at once, and gives how much that was.
    ///
    /// By `IORING_OP_WRITE` from a copy; see [`set_inline_writes`](File::set_inline_writes) for the
    /// other way.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`; [`InvalidInput`](io::ErrorKind::InvalidInput) with direct I/O, which
    /// [`write_at`](File::write_at) is for; [`WouldBlock`](io::ErrorKind::WouldBlock) only with
    /// [`set_nowait`](File::set_nowait).
    ///
    /// # Cancellation
    ///
    /// The write may have been done: see [`File`].
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)]).await
    }

    /// As [`write`](File::write), for several slices, one after the other.
    ///
    /// # Errors
    ///
    /// As [`write`](File::write).
    pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let attempt = Attempt(self);
        poll_fn(|cx| attempt.0.poll_write_vectored(cx, bufs)).await
    }

    /// True: [`write_vectored`](File::write_vectored) does not write the first slice only.
    #[must_use]
    pub fn is_write_vectored(&self) -> bool {
        true
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    ///
    /// [`WriteZero`](io::ErrorKind::WriteZero) if nothing is taken any more; otherwise as
    /// [`write`](File::write). The cursor is behind what was written.
    ///
    /// # Cancellation
    ///
    /// The cursor is behind what was written and seen.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => buf = &buf[count..],
            }
        }
        Ok(())
    }

    /// Waits for a write that was dropped. Otherwise there is nothing to do: what
    /// [`write`](File::write) has said is written, is the kernel's. It is not on the disk: see
    /// [`sync_all`](File::sync_all).
    ///
    /// # Errors
    ///
    /// None.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// The same as [`flush`](File::flush): a file has nothing to shut down.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await
    }

    /// Moves the cursor, and gives its new place. From the end of the file on it is
    /// `IORING_OP_STATX` that tells where that is; otherwise no system call is made.
    ///
    /// # Errors
    ///
    /// `ESPIPE` for what has no cursor; [`InvalidInput`](io::ErrorKind::InvalidInput) for a place
    /// before the beginning. The cursor stays then.
    pub async fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.cursor.forget_stale();
        poll_fn(|cx| self.poll_seek(cx, to)).await
    }

    /// Moves the cursor to the beginning.
    ///
    /// # Errors
    ///
    /// As [`seek`](File::seek).
    pub async fn rewind(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).await.map(drop)
    }

    /// Where the cursor is. After an append it is at the end that the file has when this is asked.
    ///
    /// # Errors
    ///
    /// As [`seek`](File::seek).
    pub async fn stream_position(&mut self) -> io::Result<u64> {
        self.seek(SeekFrom::Current(0)).await
    }
}

/// A borrowed write; if it is dropped, the file knows.
struct Attempt<'a>(&'a mut File);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.cursor.abandon_write();
    }
}

/// A vector that is filled; what lies behind `filled` is room, and is cut off at the end.
struct Filling<'a> {
    buf: &'a mut Vec<u8>,
    filled: usize,
}

impl Filling<'_> {
    /// Room for the next read: all that the vector has, or some more if it has none.
    fn room(&mut self, most: usize) -> io::Result<&mut [u8]> {
        if self.filled == self.buf.len() {
            if self.buf.capacity() == self.filled {
                self.buf.try_reserve(self.filled.clamp(32, most.max(32)))?;
            }
            let len = self.buf.capacity().min(self.filled.saturating_add(most));
            self.buf.resize(len, 0);
        }
        Ok(&mut self.buf[self.filled..])
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.buf.truncate(self.filled);
    }
}
