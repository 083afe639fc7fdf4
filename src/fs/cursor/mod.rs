//! Borrowed reads and writes at the cursor: what of them is in flight, and their `poll_*` faces.
//!
//! ```text
//!  poll_read(slice)                                  poll_write(slice)
//!    held bytes of a dropped read?   (streams)         a dropped write still runs? wait for it
//!    preadv2(RWF_NOWAIT) into the slice (files)        pwritev2 on this thread, if asked for
//!    READ into a buffer of the file, then a copy       copy, then WRITE from it
//! ```
//!
//! An operation is a field of the file, not of the future that asked for it. So the two buffers are
//! used again and again, and a read of a stream that is dropped is there for the next one.

mod faces;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::blocking::BlockingHandle;
use crate::buf::{IoBufMut, Slice};
use crate::op::{PollAdd, Read, Statx, Submission, Write, submit, submit_file};

/// The most that one read or write moves, unless set otherwise. As in tokio.
const MOST: usize = 2 * 1024 * 1024;

/// So many bytes may be copied on this thread in a row before others have their turn.
const STREAK_MAX: usize = 1024 * 1024;

/// What borrowed reads and writes of one `File` need.
pub(super) struct Cursor {
    /// Clones of the file share it.
    place: Rc<Cell<Place>>,
    nature: Cell<Option<Nature>>,
    reading: Option<Reading>,
    writing: Option<Writing>,
    /// The future that had asked for `writing` is gone.
    abandoned: bool,
    asking: Option<Asking>,
    /// Between the two halves of a seek by the traits of tokio.
    asked_seek: Option<SeekFrom>,
    read_buf: Vec<u8>,
    /// Where in `read_buf` are bytes of a stream that nobody has taken.
    held: Range<usize>,
    write_buf: Vec<u8>,
    most: usize,
    /// Bytes that were copied without a wait between.
    streak: usize,
    /// The file system knows `RWF_NOWAIT`, as far as is known.
    knows_nowait: bool,
}

/// Where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    At(u64),
    /// Something was appended: where that is, is asked when it matters.
    End,
}

/// What a file is like, asked once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    kind: Kind,
    fifo: bool,
    append: bool,
    direct: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Regular,
    Block,
    /// No place in it: FIFO, terminal, character device, socket.
    Stream,
}

enum Reading {
    Op(Submission<Read<Slice<Vec<u8>>>>, u64),
    /// The descriptor is non-blocking and there was nothing.
    Wait(Submission<PollAdd>),
}

enum Writing {
    Op(Submission<Write<Vec<u8>>>, u64),
    Wait(Submission<PollAdd>),
}

/// Where the end is.
enum Asking {
    Statx(Submission<Statx>),
    /// `statx` does not know how long a block device is.
    Seek(BlockingHandle<io::Result<u64>>),
}

impl Cursor {
    pub(super) fn at(position: u64) -> Cursor {
        Cursor::on(Rc::new(Cell::new(Place::At(position))), None, MOST)
    }

    fn on(place: Rc<Cell<Place>>, nature: Option<Nature>, most: usize) -> Cursor {
        Cursor {
            place,
            nature: Cell::new(nature),
            reading: None,
            writing: None,
            abandoned: false,
            asking: None,
            asked_seek: None,
            read_buf: Vec::new(),
            held: 0..0,
            write_buf: Vec::new(),
            most,
            streak: 0,
            knows_nowait: true,
        }
    }

    /// The same place, for another handle.
    pub(super) fn share(&self) -> Cursor {
        Cursor::on(Rc::clone(&self.place), self.nature.get(), self.most)
    }

    /// What a plain file has to do to be where this is; none for what has no place.
    pub(super) fn place(&self) -> Option<SeekFrom> {
        if self.is_stream() {
            return None;
        }
        match self.place.get() {
            Place::At(position) => Some(SeekFrom::Start(position)),
            Place::End => Some(SeekFrom::End(0)),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.reading.is_some() || self.writing.is_some() || !self.held.is_empty()
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    fn is_stream(&self) -> bool {
        self.nature.get().is_some_and(|nature| nature.kind == Kind::Stream)
    }

    /// A new read of a file begins: what an earlier one left is old.
    pub(super) fn forget_stale(&mut self) {
        self.asking = None;
        if !self.is_stream() {
            self.reading = None;
        }
    }

    /// The future that wanted to write is gone: nobody will take the outcome.
    pub(super) fn abandon_write(&mut self) {
        match &mut self.writing {
            Some(Writing::Op(op, _)) if op.is_submitted() => {
                op.request_cancel();
                self.abandoned = true;
            }
            // A poll that panicked leaves an op that nobody ever saw.
            Some(Writing::Op(..) | Writing::Wait(_)) => self.writing = None,
            None => {}
        }
    }

    /// Ready when no dropped write runs any more.
    pub(super) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.abandoned {
            if let Some(Writing::Op(op, _)) = &mut self.writing {
                let (_nobody_asks, buf) = ready!(Pin::new(op).poll(cx));
                self.write_buf = buf;
            }
            self.writing = None;
            self.abandoned = false;
        }
        Poll::Ready(())
    }

    /// Ends the read that is in flight; what it got of a stream is held.
    fn poll_read_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.is_stream();
        if let Some(Reading::Op(op, _)) = &mut self.reading {
            op.request_cancel();
            let (result, buf) = ready!(Pin::new(op).poll(cx));
            self.read_buf = buf.into_inner();
            self.held = if stream { 0..result.unwrap_or(0) } else { 0..0 };
        }
        self.reading = None;
        Poll::Ready(())
    }

    fn start_read(&mut self, file: impl crate::op::IntoOpFd, len: usize, offset: u64) {
        let len = len.min(self.most);
        let mut buf = std::mem::take(&mut self.read_buf);
        buf.clear();
        buf.reserve(len);
        self.streak = 0;
        let op = Read::new(file, buf.slice_mut(..len), offset);
        // A read of a stream waits for others.
        let op = if self.is_stream() { submit(op) } else { submit_file(op) };
        self.reading = Some(Reading::Op(op, offset));
    }

    fn start_write(&mut self, file: impl crate::op::IntoOpFd, bufs: &[IoSlice<'_>], offset: u64) {
        let mut copy = std::mem::take(&mut self.write_buf);
        copy.clear();
        for buf in bufs {
            let room = self.most - copy.len();
            copy.extend_from_slice(&buf[..buf.len().min(room)]);
        }
        self.streak = 0;
        let op = Write::new(file, copy, offset);
        let op = if self.is_stream() { submit(op) } else { submit_file(op) };
        self.writing = Some(Writing::Op(op, offset));
    }

    /// Copies out what a read got; what does not fit is held for the next one if it is a stream's.
    fn take(&mut self, into: &mut [u8], mut got: Range<usize>) -> usize {
        let count = got.len().min(into.len());
        into[..count].copy_from_slice(&self.read_buf[got.start..got.start + count]);
        got.start += count;
        self.held = if self.is_stream() { got } else { 0..0 };
        count
    }

    /// Pending, and woken at once, when this thread has copied for long enough.
    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.streak < STREAK_MAX {
            return Poll::Ready(());
        }
        self.streak = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Cursor {
    /// The outcome of the read in flight; its bytes are at the front of `read_buf`.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(Reading::Op(op, _)) = &mut self.reading else {
            unreachable!("a read was started");
        };
        let (result, buf) = ready!(Pin::new(op).poll(cx));
        self.reading = None;
        self.read_buf = buf.into_inner();
        Poll::Ready(result)
    }

    /// The outcome of the write in flight; its bytes are in `write_buf`.
    fn poll_writing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(Writing::Op(op, _)) = &mut self.writing else {
            unreachable!("a write was started");
        };
        let (result, buf) = ready!(Pin::new(op).poll(cx));
        self.writing = None;
        self.write_buf = buf;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("place", &self.place.get())
            .field("nature", &self.nature.get())
            .field("reading", &self.reading.is_some())
            .field("writing", &self.writing.is_some())
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
