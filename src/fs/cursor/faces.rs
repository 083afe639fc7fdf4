//! The `poll_*` faces of borrowed reads and writes.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, SeekFrom};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{Asking, Kind, Nature, Place, Reading, Writing};
use crate::blocking::spawn_blocking;
use crate::fs::File;
use crate::op::{
    Op, PollAdd, Read, Statx, Submission, Write, has_file_limit, now, submit, submit_file,
};

impl File {
    /// Reads at the cursor. What [`read`](File::read) is made of, for implementations of traits.
    ///
    /// A read that is given up between two polls is taken up by the next poll if the cursor is
    /// where it was.
    ///
    /// # Errors
    ///
    /// As [`read`](File::read).
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let nature = self.nature()?;
        nature.refuse_direct("read_at")?;
        ready!(self.cursor.poll_settled(cx));
        if nature.kind == Kind::Stream {
            return self.poll_read_stream(cx, buf);
        }
        let position = ready!(self.poll_position(cx))?;
        let same =
            matches!(self.cursor.reading, Some(Reading::Op(_, offset)) if offset == position);
        if !same {
            self.cursor.reading = None;
            ready!(self.cursor.poll_turn(cx));
            match self.read_now(buf, position) {
                Ok(count) => {
                    self.cursor.place.set(Place::At(position + count as u64));
                    return Poll::Ready(Ok(count));
                }
                Err(error) if self.nowait || !may_wait(&error) => return Poll::Ready(Err(error)),
                Err(_) => self.cursor.start_read(&self.fd, buf.len(), position),
            }
        }
        let count = ready!(self.cursor.poll_reading(cx))?;
        let count = self.cursor.take(buf, 0..count);
        self.cursor.place.set(Place::At(position + count as u64));
        Poll::Ready(Ok(count))
    }

    /// What is in the page cache, straight into the slice.
    fn read_now(&mut self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if !self.cursor.knows_nowait && !self.nowait {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let len = buf.len().min(self.cursor.most);
        let answer = now::read(self.fd.as_fd(), &mut buf[..len], Some(position));
        match &answer {
            Ok(count) => self.cursor.streak += count,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.cursor.knows_nowait = false;
            }
            Err(_) => {}
        }
        answer
    }

    fn poll_read_stream(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.cursor.held.is_empty() {
                let held = self.cursor.held.clone();
                return Poll::Ready(Ok(self.cursor.take(buf, held)));
            }
            match &mut self.cursor.reading {
                None if self.nowait => {
                    return Poll::Ready(now::read(self.fd.as_fd(), buf, None));
                }
                None => self.cursor.start_read(&self.fd, buf.len(), Read::CURSOR),
                Some(Reading::Wait(poll)) => {
                    let answer = ready!(Pin::new(poll).poll(cx));
                    self.cursor.reading = None;
                    answer?;
                }
                Some(Reading::Op(..)) => match ready!(self.cursor.poll_reading(cx)) {
                    Ok(count) => return Poll::Ready(Ok(self.cursor.take(buf, 0..count))),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let poll = PollAdd::new(&self.fd, libc::POLLIN as u32);
                        self.cursor.reading = Some(Reading::Wait(submit(poll)));
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// Writes at the cursor. What [`write`](File::write) is made of, for implementations of traits.
    ///
    /// A write that is given up between two polls goes on. The next poll takes its outcome if it
    /// brings the same bytes, else it writes what it brings, in the same place.
    ///
    /// # Errors
    ///
    /// As [`write`](File::write).
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// As [`poll_write`](File::poll_write), for several slices.
    ///
    /// # Errors
    ///
    /// As [`write`](File::write).
    pub fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = bufs.iter().find(|buf| !buf.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        let nature = self.nature()?;
        nature.refuse_direct("write_at")?;
        ready!(self.cursor.poll_settled(cx));
        let place = match nature.kind {
            Kind::Stream => None,
            _ if nature.append => None,
            _ => Some(ready!(self.poll_position(cx))?),
        };
        loop {
            match &mut self.cursor.writing {
                None if self.nowait => {
                    let answer = now::write(self.fd.as_fd(), bufs, place);
                    return Poll::Ready(answer.inspect(|count| self.wrote(nature, place, *count)));
                }
                None if self.inline_writes && nature.kind == Kind::Regular => {
                    ready!(self.cursor.poll_turn(cx));
                    let short = [IoSlice::new(&first[..first.len().min(self.cursor.most)])];
                    let total: usize = bufs.iter().map(|buf| buf.len()).sum();
                    let bufs = if total > self.cursor.most { &short } else { bufs };
                    let answer = now::write_inline(self.fd.as_fd(), bufs, place);
                    return Poll::Ready(answer.inspect(|count| {
                        self.cursor.streak += count;
                        self.wrote(nature, place, *count);
                    }));
                }
                None => {
                    let offset = place.unwrap_or(Write::CURSOR);
                    self.cursor.start_write(&self.fd, bufs, offset);
                }
                Some(Writing::Wait(poll)) => {
                    let answer = ready!(Pin::new(poll).poll(cx));
                    self.cursor.writing = None;
                    answer?;
                }
                Some(Writing::Op(_, offset)) => {
                    match (*offset, ready!(self.cursor.poll_writing(cx))) {
                        (offset, Ok(count))
                            if offset == place.unwrap_or(Write::CURSOR)
                                && begin_with(bufs, &self.cursor.write_buf[..count]) =>
                        {
                            self.wrote(nature, place, count);
                            return Poll::Ready(Ok(count));
                        }
                        // Other bytes than these, or elsewhere: a write that was given up.
                        (_, Ok(_)) => {}
                        (_, Err(error)) if nature.kind == Kind::Stream && may_wait(&error) => {
                            let poll = PollAdd::new(&self.fd, libc::POLLOUT as u32);
                            self.cursor.writing = Some(Writing::Wait(submit(poll)));
                        }
                        (_, Err(error)) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    /// Moves the cursor behind what was written.
    fn wrote(&self, nature: Nature, place: Option<u64>, count: usize) {
        match place {
            Some(position) => self.cursor.place.set(Place::At(position + count as u64)),
            None if nature.kind != Kind::Stream && count > 0 => self.cursor.place.set(Place::End),
            None => {}
        }
    }

    /// Ready when no dropped write is on its way any more. There is nothing else to flush: what
    /// was written is the kernel's.
    ///
    /// # Errors
    ///
    /// None; the type is that of the traits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cursor.poll_settled(cx).map(Ok)
    }

    /// Moves the cursor. What [`seek`](File::seek) is made of, for implementations of traits.
    ///
    /// # Errors
    ///
    /// As [`seek`](File::seek).
    pub fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        if self.nature()?.kind == Kind::Stream {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::ESPIPE)));
        }
        ready!(self.cursor.poll_settled(cx));
        self.cursor.reading = None;
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => ready!(self.poll_position(cx))?.checked_add_signed(by),
            SeekFrom::End(by) => ready!(self.poll_end(cx))?.checked_add_signed(by),
        };
        let Some(position) = position.filter(|position| i64::try_from(*position).is_ok()) else {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a seek to before the beginning, or beyond the largest file",
            )));
        };
        self.cursor.place.set(Place::At(position));
        Poll::Ready(Ok(position))
    }

    /// The two halves of a seek, for `tokio::io::AsyncSeek`: here is asked, and made below.
    #[allow(dead_code, reason = "for the feature `tokio`")]
    pub(crate) fn ask_to_seek(&mut self, to: SeekFrom) {
        self.cursor.asked_seek = Some(to);
    }

    /// Where the cursor is, after the seek that was asked for, if one was.
    #[allow(dead_code, reason = "for the feature `tokio`")]
    pub(crate) fn poll_asked_seek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let to = self.cursor.asked_seek.unwrap_or(SeekFrom::Current(0));
        let answer = ready!(self.poll_seek(cx, to));
        self.cursor.asked_seek = None;
        Poll::Ready(answer)
    }

    fn poll_position(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if let Place::At(position) = self.cursor.place.get() {
            return Poll::Ready(Ok(position));
        }
        let end = ready!(self.poll_end(cx))?;
        self.cursor.place.set(Place::At(end));
        Poll::Ready(Ok(end))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let asking = match &mut self.cursor.asking {
            Some(asking) => asking,
            asking if self.cursor.nature.get().is_some_and(|nature| nature.kind == Kind::Block) => {
                let file = std::fs::File::from(self.fd.as_fd().try_clone_to_owned()?);
                let seek = move || io::Seek::seek(&mut &file, SeekFrom::End(0));
                asking.insert(Asking::Seek(spawn_blocking(seek)))
            }
            asking => {
                let flags = libc::AT_EMPTY_PATH;
                let statx = Statx::new(&self.fd, c"", flags, libc::STATX_SIZE);
                asking.insert(Asking::Statx(submit_file(statx)))
            }
        };
        let end = match asking {
            Asking::Statx(op) => ready!(Pin::new(op).poll(cx)).map(|statx| statx.size()),
            Asking::Seek(handle) => match ready!(Pin::new(handle).poll(cx)) {
                Ok(answer) => answer,
                Err(error) => Err(error.into()),
            },
        };
        self.cursor.asking = None;
        Poll::Ready(end)
    }

    /// Ends what is in flight; gives the bytes of a stream that nobody has taken.
    pub(in crate::fs) async fn end_transfers(&mut self) -> Vec<u8> {
        self.cursor.abandon_write();
        poll_fn(|cx| {
            ready!(self.cursor.poll_settled(cx));
            self.cursor.poll_read_ended(cx)
        })
        .await;
        let held = std::mem::replace(&mut self.cursor.held, 0..0);
        self.cursor.read_buf[held].to_vec()
    }

    /// Whether it is a pipe, by a name or without one.
    pub(in crate::fs) fn is_fifo(&self) -> bool {
        self.nature().is_ok_and(|nature| nature.fifo)
    }

    fn nature(&self) -> io::Result<Nature> {
        if let Some(nature) = self.cursor.nature.get() {
            return Ok(nature);
        }
        let (mode, _) = now::file_status(self.fd.as_fd())?;
        let flags = now::status_flags(self.fd.as_fd())?;
        let kind = match mode & libc::S_IFMT {
            libc::S_IFREG | libc::S_IFDIR => Kind::Regular,
            libc::S_IFBLK => Kind::Block,
            _ => Kind::Stream,
        };
        let fifo = mode & libc::S_IFMT == libc::S_IFIFO;
        let append = flags & libc::O_APPEND != 0;
        let direct = flags & libc::O_DIRECT != 0 && kind != Kind::Stream;
        let nature = Nature { kind, fifo, append, direct };
        self.cursor.nature.set(Some(nature));
        Ok(nature)
    }

    /// The future of a read or write. It counts for the limit of operations on files, unless it is
    /// that of a stream, which waits for others and may never end.
    pub(in crate::fs) fn submit<T: Op>(&self, op: T) -> Submission<T> {
        let stream = || self.nature().is_ok_and(|nature| nature.kind == Kind::Stream);
        if has_file_limit() && !stream() { submit_file(op) } else { submit(op) }
    }

    /// How long the rest of the file is, as far as that is known without asking.
    pub(in crate::fs) fn rest(&self) -> usize {
        let (Ok((_, size)), Place::At(position)) =
            (now::file_status(self.fd.as_fd()), self.cursor.place.get())
        else {
            return 0;
        };
        usize::try_from(size.saturating_sub(position)).unwrap_or(0)
    }
}

impl Nature {
    fn refuse_direct(self, instead: &str) -> io::Result<()> {
        if !self.direct {
            return Ok(());
        }
        let text = format!(
            "a file that is open for direct I/O takes aligned buffers only: use `{instead}` with \
             an `AlignedBuf`"
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

/// It was not done only because it would have had to wait, or because that cannot be told.
fn may_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Unsupported)
}

/// Whether the slices, one after the other, begin with `bytes`.
fn begin_with(bufs: &[IoSlice<'_>], mut bytes: &[u8]) -> bool {
    for buf in bufs {
        let len = buf.len().min(bytes.len());
        if buf[..len] != bytes[..len] {
            return false;
        }
        bytes = &bytes[len..];
    }
    bytes.is_empty()
}
