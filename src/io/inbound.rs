//! The reading direction of an object: the receive belongs to it, not to whoever waits.
//!
//! ```text
//!             a reader comes                       the kernel answers
//!   nothing ------------------> a receive is armed ------------------> bytes are held
//!      ^                          stays armed when                          |
//!      |                          the reader goes                           |
//!      +------------------------- the next reader takes them <--------------+
//! ```
//!
//! The receive is single-shot: nothing is taken from the socket that nobody asked for, at most one
//! buffer is held, and the kernel's own back-pressure works. While it waits it holds no memory: the
//! kernel picks a buffer of the core's ring when bytes are there. Where there is no such buffer (an
//! empty pool, an old kernel) a poll is armed instead, and the bytes are then taken by a call that
//! does not wait, straight into the reader's slice: no reader waits for another one's buffers.

use std::cell::{Cell, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub(crate) use super::receiving::Way;
use super::receiving::{Armed, State, is_cancelled, is_for_poll};
use super::turns::Turns;
use crate::op::{
    self, BufClass, PollAdd, PooledBuf, ReadSelect, RecvSelect, SharedFd, now, submit,
};

/// The reading direction.
pub(crate) struct Inbound {
    pub(super) fd: SharedFd,
    pub(super) way: Way,
    pub(super) turns: Turns,
    /// An owned receive is in flight, and may have taken bytes.
    pub(super) lent: Cell<bool>,
    state: RefCell<State>,
}

/// What a wait has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Bytes are held.
    Held,
    /// The end.
    End,
    /// The descriptor can be read now.
    Ready,
}

/// From so many bytes on a reader's slice is worth a call of its own.
const BULK_MIN: usize = 4096;
/// So many reads at once, and then one through the loop: others have their turn.
const IN_A_ROW_MAX: u8 = 64;
/// The private buffer of a reader that brings none.
const PRIVATE_LEN: usize = 4096;

pub(super) const READABLE: u32 = (libc::POLLIN | libc::POLLRDHUP) as u32;

impl Inbound {
    pub(crate) fn new(fd: SharedFd, way: Way) -> Inbound {
        Inbound {
            fd,
            way,
            turns: Turns::default(),
            lent: Cell::new(false),
            state: RefCell::default(),
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// For callers that have the object for themselves: futures that were leaked do not count.
    #[inline]
    pub(super) fn alone(&mut self) -> &Inbound {
        self.turns.clear();
        self.lent.set(false);
        self
    }

    /// `None`: a waker's own code has come back here. Whoever gets that asks again at once.
    #[inline]
    pub(super) fn state(&self) -> Option<RefMut<'_, State>> {
        self.state.try_borrow_mut().ok()
    }

    fn again<T>(cx: &Context<'_>) -> Poll<T> {
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads into `out`: at least one byte, unless it is the end or `out` is empty.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(mut state) = self.state() else { return Self::again(cx) };
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if state.filled && state.is_idle() && out.len() > BULK_MIN && state.in_a_row < IN_A_ROW_MAX
        {
            match self.read_at_once(&mut state, out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.filled = false,
                result => return Poll::Ready(result),
            }
        }
        loop {
            match ready!(self.poll_found(&mut state, cx, false))? {
                Found::Held => {
                    let count = state.take(out);
                    return Poll::Ready(Ok(count + self.more(&mut state, &mut out[count..])));
                }
                Found::End => return Poll::Ready(Ok(0)),
                Found::Ready => match self.read_at_once(&mut state, out) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.filled = false,
                    result => return Poll::Ready(result),
                },
            }
        }
    }

    /// The bytes of a full buffer are seldom all: the rest goes straight into the slice.
    fn more(&self, state: &mut State, rest: &mut [u8]) -> usize {
        let gives_way = state.in_a_row >= IN_A_ROW_MAX;
        if !state.filled || rest.len() <= BULK_MIN || !state.is_idle() || gives_way {
            return 0;
        }
        match self.read_at_once(state, rest) {
            Ok(count) => count,
            Err(error) => {
                state.filled = false;
                // The kernel tells an error once: it is for the next reader.
                if error.kind() != io::ErrorKind::WouldBlock {
                    state.error = Some(error);
                }
                0
            }
        }
    }

    /// Waits until bytes are held or the end has come; `has_bytes` tells.
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut state) = self.state() else { return Self::again(cx) };
        loop {
            match ready!(self.poll_found(&mut state, cx, true))? {
                Found::Held | Found::End => return Poll::Ready(Ok(())),
                Found::Ready => {
                    let mut private = vec![0; PRIVATE_LEN];
                    match self.read_at_once(&mut state, &mut private) {
                        Ok(0) => return Poll::Ready(Ok(())),
                        Ok(count) => {
                            private.truncate(count);
                            state.held = Some(PooledBuf::from(private));
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    /// Waits until a read would not have to.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut state) = self.state() else { return Self::again(cx) };
        if state.held.is_none() && matches!(state.armed, Armed::Nothing) {
            state.armed = self.arm_poll();
        }
        if let Err(error) = ready!(self.poll_found(&mut state, cx, false)) {
            state.error = Some(error);
        }
        Poll::Ready(Ok(()))
    }

    /// For calls of another kind: ends what is armed but a poll, which is awaited. `Some`: bytes
    /// that were held, or the end.
    pub(super) fn poll_alone(
        &self,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<Option<usize>>> {
        let Some(mut state) = self.state() else { return Self::again(cx) };
        if state.is_receiving() {
            state.finish_now(self.way);
        }
        if let Some(error) = state.error.take() {
            return Poll::Ready(Err(error));
        }
        if state.has_held() || state.ended {
            return Poll::Ready(Ok(Some(state.take(out))));
        }
        if let Armed::Poll(op) = &mut state.armed {
            let answer = ready!(Pin::new(op).poll(cx));
            state.armed = Armed::Nothing;
            answer?;
        }
        Poll::Ready(Ok(None))
    }

    pub(super) fn arm_readable(&self) {
        if let Some(mut state) = self.state() {
            state.armed = self.arm_poll();
        }
    }

    /// Copies what comes next without taking it.
    pub(crate) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(mut state) = self.state() else { return Self::again(cx) };
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match ready!(self.poll_found(&mut state, cx, false))? {
                Found::Held => return Poll::Ready(Ok(state.copy(out))),
                Found::End => return Poll::Ready(Ok(0)),
                Found::Ready => match now::recv(self.fd.as_fd(), out, libc::MSG_PEEK) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                },
            }
        }
    }

    /// Reads what is there, or answers `WouldBlock`.
    pub(crate) fn try_read(&self, out: &mut [u8]) -> io::Result<usize> {
        let Some(mut state) = self.state() else { return Err(io::ErrorKind::WouldBlock.into()) };
        state.settle(self.way);
        if out.is_empty() {
            return Ok(0);
        }
        if state.has_held() {
            self.fd.note_moved();
            return Ok(state.take(out));
        }
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if state.ended {
            return Ok(0);
        }
        if state.is_receiving() || self.lent.get() {
            // The kernel may have bytes for it that are older than those of a call made now.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_at_once(&mut state, out)
    }

    /// Takes what is held as it is, without a copy; empty if it is the end.
    pub(crate) fn take_held(&self) -> PooledBuf {
        let taken = self.state().and_then(|mut state| state.take_whole());
        taken.unwrap_or_else(|| PooledBuf::from(Vec::new()))
    }

    /// Shows the held bytes to `consume`, which says how many of them it has taken.
    pub(crate) fn consume(&self, consume: impl FnOnce(&[u8]) -> usize) -> usize {
        let Some(mut state) = self.state() else { return 0 };
        state.next_held();
        let Some(held) = &mut state.held else { return 0 };
        let count = consume(held).min(held.len());
        held.advance(count);
        state.drop_if_empty();
        count
    }

    /// What is held and comes next; empty if nothing is.
    #[allow(dead_code, reason = "for `compat`, whose features may be off")]
    pub(super) fn held(&mut self) -> &[u8] {
        let state = self.state.get_mut();
        state.next_held();
        state.held.as_deref().unwrap_or_default()
    }

    /// An error waits for the next reader.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.state().and_then(|mut state| state.error.take())
    }

    /// Runs a poll function when it is this caller's turn.
    pub(crate) async fn in_turn<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            poll(cx)
        })
        .await
    }

    /// Ends what is armed, now, and answers all that is held. The direction is as new then.
    pub(crate) fn stop(&self) -> Vec<PooledBuf> {
        let Some(mut state) = self.state() else { return Vec::new() };
        state.finish_now(self.way);
        let mut held = Vec::new();
        while let Some(buf) = state.take_whole() {
            held.push(buf);
        }
        held
    }

    /// True if bytes wait in user space. What is armed is asked, not ended.
    pub(crate) fn has_held(&self) -> bool {
        self.state().is_some_and(|mut state| {
            state.settle(self.way);
            state.has_held()
        })
    }

    /// A receive is armed, and may have taken bytes.
    pub(super) fn is_receiving(&self) -> bool {
        self.state().is_none_or(|state| state.is_receiving())
    }

    /// A FIFO may have no writer yet: what would be read then is the end.
    pub(super) fn poll_first(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut state) = self.state() else { return Self::again(cx) };
        if let (Way::Pipe, Armed::Poll(op)) = (self.way, &mut state.armed) {
            let events = ready!(Pin::new(op).poll(cx));
            state.armed = Armed::Nothing;
            return Poll::Ready(events.map(drop));
        }
        Poll::Ready(Ok(()))
    }

    /// The end, or an error, is known.
    pub(super) fn has_ended(&self) -> bool {
        self.state().is_some_and(|state| state.ended || state.error.is_some())
    }

    /// A receive of another kind has met the end.
    pub(super) fn note_end(&self) {
        if let Some(mut state) = self.state() {
            state.ended = self.way == Way::Socket;
        }
    }

    /// An error for the next reader.
    pub(super) fn put_error(&self, error: io::Error) {
        if let Some(mut state) = self.state() {
            state.error.get_or_insert(error);
        }
    }

    /// Takes a receive over whose future is gone.
    pub(super) fn adopt(&self, armed: Armed) {
        if let Some(mut state) = self.state() {
            state.armed = armed;
        }
    }

    /// For the faces without futures.
    pub(crate) fn poll_face<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.turns.poll_without_ticket(cx) { poll(cx) } else { Poll::Pending }
    }

    /// Gives back what was read last: it comes first again.
    pub(super) fn put_front(&self, buf: PooledBuf) {
        if let Some(mut state) = self.state()
            && let Some(held) = state.held.replace(buf)
        {
            state.late.push_front(held);
        }
    }

    /// Puts back what a stopped multishot had taken, or what the next owner is to read first.
    pub(crate) fn put_back(&self, bufs: impl IntoIterator<Item = PooledBuf>) {
        if let Some(mut state) = self.state() {
            state.late.extend(bufs.into_iter().filter(|buf| !buf.is_empty()));
        }
    }

    /// The heart: turns what is armed into something found.
    /// `bulk`: whoever asks takes large buffers.
    fn poll_found(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
        bulk: bool,
    ) -> Poll<io::Result<Found>> {
        loop {
            state.next_held();
            if state.held.is_some() {
                return Poll::Ready(Ok(Found::Held));
            }
            if let Some(error) = state.error.take() {
                return Poll::Ready(Err(error));
            }
            if state.ended {
                return Poll::Ready(Ok(Found::End));
            }
            let answer = match &mut state.armed {
                Armed::Nothing => {
                    state.in_a_row = 0;
                    state.armed = self.arm(state.filled && bulk);
                    continue;
                }
                Armed::Recv(op) => ready!(Pin::new(op).poll(cx)),
                Armed::Read(op) => ready!(Pin::new(op).poll(cx)),
                // Its buffer's destructor is user code: if it panics, the receive is gone already.
                Armed::Adopted(_) => {
                    let Armed::Adopted(mut op) = std::mem::take(&mut state.armed) else { continue };
                    match op.poll(cx) {
                        Poll::Ready(answer) => answer,
                        Poll::Pending => {
                            state.armed = Armed::Adopted(op);
                            return Poll::Pending;
                        }
                    }
                }
                Armed::Poll(op) => {
                    let events = ready!(Pin::new(op).poll(cx));
                    state.armed = Armed::Nothing;
                    match events {
                        Err(error) if is_cancelled(&error) => continue,
                        events => return Poll::Ready(events.map(|_| Found::Ready)),
                    }
                }
            };
            state.armed = Armed::Nothing;
            match self.file(state, answer) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(Ok(Found::End)),
                Err(error) if is_for_poll(&error) => state.armed = self.arm_poll(),
                // Nobody here had asked for that: its runtime has gone. In the next one it goes on.
                Err(error) if is_cancelled(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Keeps what a receive has brought. False: it was the end.
    fn file(&self, state: &mut State, answer: io::Result<PooledBuf>) -> io::Result<bool> {
        let buf = answer?;
        if buf.is_empty() {
            state.ended = self.way == Way::Socket;
            return Ok(false);
        }
        self.fd.note_moved();
        state.filled = buf.len() >= BULK_MIN;
        state.held = Some(buf);
        Ok(true)
    }

    fn arm(&self, bulk: bool) -> Armed {
        let class = if bulk { BufClass::Large } else { BufClass::Small };
        match op::buf_group(class).filter(|group| group.available() > 0) {
            Some(group) if self.way == Way::Socket => {
                Armed::Recv(submit(RecvSelect::new(&self.fd, group, 0).poll_first(true)))
            }
            Some(group) => Armed::Read(submit(ReadSelect::new(&self.fd, group))),
            None => self.arm_poll(),
        }
    }

    fn arm_poll(&self) -> Armed {
        Armed::Poll(submit(PollAdd::new(&self.fd, READABLE)))
    }

    fn read_at_once(&self, state: &mut State, out: &mut [u8]) -> io::Result<usize> {
        state.in_a_row = state.in_a_row.saturating_add(1);
        let count = match self.way {
            Way::Socket => now::recv(self.fd.as_fd(), out, 0)?,
            Way::Pipe => now::read_nonblocking(self.fd.as_fd(), out)?,
        };
        if count > 0 {
            self.fd.note_moved();
        }
        state.ended = count == 0 && self.way == Way::Socket;
        state.filled = count >= BULK_MIN;
        Ok(count)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        // Where nobody turns the ring, a cancel would stay in it, and the descriptor open.
        let state = self.state.get_mut();
        if state.is_elsewhere() {
            state.finish_now(self.way);
        }
    }
}
