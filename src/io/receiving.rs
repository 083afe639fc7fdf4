//! What an object has of its reading direction: the receive that is armed, and what it brought.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use crate::op::{PollAdd, PooledBuf, ReadSelect, RecvSelect, Submission};

/// How bytes are taken from a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `recv`.
    Socket,
    /// `read`; `O_NONBLOCK` is set. Its end is not for ever: a FIFO may get another writer.
    Pipe,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) armed: Armed,
    /// Never empty.
    pub(super) held: Option<PooledBuf>,
    /// What a stopped multishot left; behind `held`.
    pub(super) late: VecDeque<PooledBuf>,
    /// An error met by somebody who only asked for readiness.
    pub(super) error: Option<io::Error>,
    pub(super) ended: bool,
    /// The last receive filled its buffer: more is likely to be there.
    pub(super) filled: bool,
    /// Reads that did not go through the loop.
    pub(super) in_a_row: u8,
}

/// What the kernel has been asked for.
#[derive(Default)]
pub(super) enum Armed {
    #[default]
    Nothing,
    Recv(Submission<RecvSelect>),
    Read(Submission<ReadSelect>),
    /// A receive into a buffer whose owner has gone.
    Adopted(Box<dyn Adopted>),
    Poll(Submission<PollAdd>),
}

/// A receive of the owned kind whose future was dropped: what it brings is for the next reader.
pub(super) trait Adopted {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<PooledBuf>>;
    fn take_if_done(&mut self) -> Option<io::Result<PooledBuf>>;
    fn finish_now(&mut self) -> Option<io::Result<PooledBuf>>;
    fn is_elsewhere(&self) -> bool;
}

/// No buffer in the pool, or a kernel that does not wait on a non-blocking descriptor.
pub(super) fn is_for_poll(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN))
}

impl State {
    pub(super) fn is_idle(&self) -> bool {
        let nothing = !self.has_held() && !self.ended && self.error.is_none();
        nothing && matches!(self.armed, Armed::Nothing)
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        match &self.armed {
            Armed::Nothing => false,
            Armed::Recv(op) => op.is_elsewhere(),
            Armed::Read(op) => op.is_elsewhere(),
            Armed::Adopted(op) => op.is_elsewhere(),
            Armed::Poll(op) => op.is_elsewhere(),
        }
    }

    pub(super) fn is_receiving(&self) -> bool {
        !matches!(self.armed, Armed::Nothing | Armed::Poll(_))
    }

    pub(super) fn has_held(&self) -> bool {
        self.held.is_some() || !self.late.is_empty()
    }

    pub(super) fn next_held(&mut self) {
        if self.held.is_none() && !self.late.is_empty() {
            self.held = self.late.pop_front();
        }
    }

    pub(super) fn take_whole(&mut self) -> Option<PooledBuf> {
        self.next_held();
        self.held.take()
    }

    pub(super) fn copy(&self, out: &mut [u8]) -> usize {
        let Some(held) = &self.held else { return 0 };
        let count = held.len().min(out.len());
        out[..count].copy_from_slice(&held[..count]);
        count
    }

    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        self.next_held();
        let count = self.copy(out);
        if let Some(held) = &mut self.held {
            held.advance(count);
        }
        self.drop_if_empty();
        count
    }

    pub(super) fn drop_if_empty(&mut self) {
        if self.held.as_ref().is_some_and(|held| held.is_empty()) {
            self.held = None;
        }
    }

    /// Takes in what has come for the armed receive, if it has.
    pub(super) fn settle(&mut self, way: Way) {
        // Out of its place first: the drop of an adopted buffer is user code, and may panic.
        let mut armed = std::mem::take(&mut self.armed);
        let answer = match &mut armed {
            Armed::Recv(op) => op.take_if_done(),
            Armed::Read(op) => op.take_if_done(),
            Armed::Adopted(op) => op.take_if_done(),
            Armed::Nothing | Armed::Poll(_) => None,
        };
        match answer {
            Some(answer) => self.keep(answer, way),
            None => self.armed = armed,
        }
    }

    /// Ends the armed receive; what it had taken by then is held.
    pub(super) fn finish_now(&mut self, way: Way) {
        let mut armed = std::mem::take(&mut self.armed);
        let answer = match &mut armed {
            Armed::Recv(op) => op.finish_now(),
            Armed::Read(op) => op.finish_now(),
            Armed::Adopted(op) => op.finish_now(),
            Armed::Poll(op) => {
                let _ = op.finish_now();
                None
            }
            Armed::Nothing => None,
        };
        if let Some(answer) = answer {
            self.keep(answer, way);
        }
    }

    pub(super) fn keep(&mut self, answer: io::Result<PooledBuf>, way: Way) {
        self.armed = Armed::Nothing;
        match answer {
            Ok(buf) if buf.is_empty() => self.ended = way == Way::Socket,
            Ok(buf) => self.late.push_back(buf),
            Err(error) if is_for_poll(&error) || is_cancelled(&error) => {}
            Err(error) => self.error = Some(error),
        }
    }
}

pub(super) fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}
