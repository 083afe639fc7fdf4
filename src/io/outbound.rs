//! The writing direction of an object: one at a time, and what is said to be written is written.
//!
//! ```text
//!  borrowed bytes --> a call that does not wait --> Ok(n): the kernel has n of them
//!                        |            ^
//!                        | no room    | there is room
//!                        v            |
//!                     a poll is armed-+
//!
//!  owned bytes -----> an op ------------------> its buffer comes back
//!                        | its future is dropped: it goes on, and the next writer waits for it
//! ```
//!
//! A borrowed write that was dropped while it waited has written nothing. An owned send is of the
//! object once the kernel has it: dropping its future, or the object, does not stop it.

use std::cell::{Cell, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::inbound::Way;
use super::turns::{Turn, Turns};
use super::whole_write::WholeWrite;
use super::zero_copy::ZeroCopy;
use socket2::SockRef;

use crate::buf::{BufResult, IoBuf, IoVectoredBuf};
use crate::op::{
    Nop, Op, PollAdd, Send, SendMsg, SharedFd, Submission, WriteV, now, now_message, submit,
};

/// The writing direction.
pub(crate) struct Outbound {
    fd: SharedFd,
    way: Way,
    pub(super) turns: Turns,
    state: RefCell<State>,
    /// `shutdown` when it is dropped, as the half of a stream that was split.
    pub(super) shuts_down: Cell<bool>,
    /// Somebody has written a part of what is to stay together, or an owned send is in flight.
    midway: Cell<bool>,
    /// Calls since the last wait.
    in_a_row: Cell<u8>,
}

#[derive(Default)]
struct State {
    room: Option<Room>,
    sending: Option<Box<dyn Sending>>,
}

/// What a write waits for.
enum Room {
    Poll(Submission<PollAdd>),
    /// Its turn: others have theirs meanwhile. A poll would wait for more room than a write needs.
    Turn(Submission<Nop>),
}

impl Room {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Room::Poll(op) => Pin::new(op).poll(cx).map_ok(drop),
            Room::Turn(op) => Pin::new(op).poll(cx).map_ok(drop),
        }
    }

    fn is_elsewhere(&self) -> bool {
        match self {
            Room::Poll(op) => op.is_elsewhere(),
            Room::Turn(op) => op.is_elsewhere(),
        }
    }

    fn finish_now(&mut self) {
        match self {
            Room::Poll(op) => drop(op.finish_now()),
            Room::Turn(op) => drop(op.finish_now()),
        }
    }
}

impl State {
    /// Ready when no owned send is on its way. The buffer's destructor is user code: if it panics,
    /// the send is gone already.
    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut sending) = self.sending.take() else { return Poll::Ready(()) };
        let done = sending.poll(cx);
        if done.is_pending() {
            self.sending = Some(sending);
        }
        done
    }
}

/// An owned send whose future was dropped.
pub(super) trait Sending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    fn is_submitted(&self) -> bool;
    fn detach(self: Box<Self>, then: Option<Box<dyn FnOnce()>>);
}

const IN_A_ROW_MAX: u8 = 128;
pub(super) const WRITABLE: u32 = libc::POLLOUT as u32;
/// "At the file's own position."
pub(super) const AT_CURSOR: u64 = u64::MAX;

impl Outbound {
    pub(crate) fn new(fd: SharedFd, way: Way) -> Outbound {
        Outbound {
            fd,
            way,
            turns: Turns::default(),
            state: RefCell::default(),
            shuts_down: Cell::new(false),
            midway: Cell::new(false),
            in_a_row: Cell::new(0),
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// For callers that have the object for themselves: futures that were leaked do not count.
    #[inline]
    pub(super) fn alone(&mut self) -> &Outbound {
        self.turns.clear();
        self.midway.set(false);
        self
    }

    /// `None`: a waker's own code has come back here.
    fn state(&self) -> Option<RefMut<'_, State>> {
        self.state.try_borrow_mut().ok()
    }

    /// Writes a part of `bufs`: at least one byte, unless they are empty.
    #[inline]
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_call(cx, |_| self.write_at_once(bufs))
    }

    /// Makes a call until it does not say that there is no room.
    #[inline]
    pub(super) fn poll_call(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_room(cx))?;
            match call(self.fd.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.want_room(),
                result => {
                    self.count_call();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// After so many calls in a row the next one goes through the loop: others have their turn.
    #[inline]
    fn count_call(&self) {
        let in_a_row = self.in_a_row.get() + 1;
        self.in_a_row.set(in_a_row % IN_A_ROW_MAX);
        if in_a_row == IN_A_ROW_MAX
            && let Some(mut state) = self.state()
        {
            state.room = Some(Room::Turn(submit(Nop::new())));
        }
    }

    /// Ready when nothing is known that a write would have to wait for.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut state) = self.state() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        ready!(state.poll_sending(cx));
        if let Some(room) = &mut state.room {
            let answer = ready!(room.poll(cx));
            state.room = None;
            // `ECANCELED`: its runtime has gone, and what there is room for is to be seen.
            answer.or_else(ignore_cancel)?;
        }
        Poll::Ready(Ok(()))
    }

    fn want_room(&self) {
        if let Some(mut state) = self.state() {
            state.room = Some(Room::Poll(submit(PollAdd::new(&self.fd, WRITABLE))));
        }
    }

    /// Waits until there is room.
    pub(crate) fn poll_writable(
        &self,
        cx: &mut Context<'_>,
        armed: &mut bool,
    ) -> Poll<io::Result<()>> {
        if !std::mem::replace(armed, true) {
            ready!(self.poll_room(cx))?;
            self.want_room();
        }
        self.poll_room(cx)
    }

    /// Writes what there is room for, or answers `WouldBlock`.
    pub(crate) fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_busy() {
            // Bytes of somebody else are on their way, and these must not overtake them.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.write_at_once(bufs)
    }

    /// Somebody is writing.
    pub(super) fn is_busy(&self) -> bool {
        self.midway.get() || self.is_sending()
    }

    /// For the faces without futures.
    pub(crate) fn poll_writable_face(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.turns.poll_without_ticket(cx) {
            return Poll::Pending;
        }
        let has_waited = self.state().is_some_and(|state| state.room.is_some());
        ready!(self.poll_room(cx))?;
        if has_waited || now_message::poll(self.fd.as_fd(), WRITABLE)? != 0 {
            return Poll::Ready(Ok(()));
        }
        self.want_room();
        self.poll_room(cx)
    }

    #[inline]
    fn write_at_once(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        let count = match self.way {
            Way::Socket => now::send(self.fd.as_fd(), bufs, 0)?,
            Way::Pipe => now::write_nonblocking(self.fd.as_fd(), bufs)?,
        };
        self.fd.note_moved();
        Ok(count)
    }

    /// Writes a part of `bufs`.
    pub(crate) async fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            self.poll_write(cx, bufs)
        })
        .await
    }

    /// Writes all of `bytes`; nobody else writes meanwhile.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut turn = self.turns.turn();
        let _midway = Midway(&self.midway);
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            while !bytes.is_empty() {
                match ready!(self.poll_write(cx, &[IoSlice::new(bytes)]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => bytes = &bytes[count..],
                }
                self.midway.set(true);
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        let mut turn = self.turns.turn();
        let mut armed = false;
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            self.poll_writable(cx, &mut armed)
        })
        .await
    }

    /// Sends the whole of `buf` by an op.
    pub(crate) async fn send<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        match self.way {
            Way::Socket => self.own(buf, |fd, buf| Send::new(fd, buf, WAIT_ALL)).await,
            Way::Pipe => {
                let turn = self.room_in_turn().await;
                let whole = WholeWrite::new(&self.fd, buf);
                let output = self.lend(whole, |whole, cx| whole.poll_output(cx)).await;
                drop(turn);
                output
            }
        }
    }

    /// As `send`, from several buffers.
    pub(crate) async fn send_vectored<V: IoVectoredBuf>(&self, bufs: V) -> BufResult<usize, V> {
        match self.way {
            Way::Socket => self.own(bufs, |fd, bufs| SendMsg::new(fd, bufs, WAIT_ALL)).await,
            Way::Pipe => self.own(bufs, |fd, bufs| WriteV::new(fd, bufs, AT_CURSOR)).await,
        }
    }

    /// As `send`, without the kernel's copy.
    pub(crate) async fn send_zc<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        let turn = self.room_in_turn().await;
        let zero_copy = ZeroCopy::new(&self.fd, buf);
        let output = self.lend(zero_copy, |zero_copy, cx| zero_copy.poll_output(cx)).await;
        drop(turn);
        output
    }

    /// Sends by the op that `describe` makes, when it is this caller's turn.
    pub(crate) async fn own<B, T>(
        &self,
        buf: B,
        describe: impl FnOnce(&SharedFd, B) -> T,
    ) -> T::Output
    where
        T: Op,
    {
        let turn = self.room_in_turn().await;
        let submission = submit(describe(&self.fd, buf));
        let output = self.lend(submission, |op, cx| Pin::new(op).poll(cx)).await;
        drop(turn);
        output
    }

    /// Waits for its turn, and until nothing is on its way.
    async fn room_in_turn(&self) -> Turn<'_> {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            // A wait for room that failed says nothing of this send, which meets the error itself.
            self.poll_room(cx).map(drop)
        })
        .await;
        turn
    }

    /// Polls what is sent; if the future goes meanwhile, it is the object's.
    async fn lend<S: Sending + 'static, T>(
        &self,
        sending: S,
        mut poll: impl FnMut(&mut S, &mut Context<'_>) -> Poll<T>,
    ) -> T {
        let _midway = Midway(&self.midway);
        self.midway.set(true);
        // Stays so if the future goes and the op does not.
        self.fd.set_sending(true);
        let mut lent = Lent { outbound: self, sending: Some(sending) };
        let output = poll_fn(|cx| match &mut lent.sending {
            Some(sending) => poll(sending, cx),
            None => unreachable!("it is taken at the drop only"),
        })
        .await;
        lent.sending = None;
        self.fd.set_sending(false);
        self.fd.note_moved();
        output
    }

    /// Waits for its turn and until all that was handed over is in the kernel.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            self.poll_sent(cx)
        })
        .await;
        Ok(())
    }

    /// Ready when no owned send is on its way.
    pub(crate) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut state) = self.state() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        ready!(state.poll_sending(cx));
        Poll::Ready(())
    }

    /// Ends the wait for room, now.
    pub(crate) fn stop(&self) {
        if let Some(mut room) = self.state().and_then(|mut state| state.room.take()) {
            room.finish_now();
        }
    }

    /// True if an owned send whose future is gone is on its way.
    pub(crate) fn is_sending(&self) -> bool {
        self.state().is_none_or(|state| state.sending.is_some())
    }
}

fn ignore_cancel(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ECANCELED) { Ok(()) } else { Err(error) }
}

pub(super) const WAIT_ALL: u32 = libc::MSG_WAITALL as u32;

/// Whoever was in the midst of something is not any more.
struct Midway<'a>(&'a Cell<bool>);

impl Drop for Midway<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A send in flight whose future may be dropped.
struct Lent<'a, S: Sending + 'static> {
    outbound: &'a Outbound,
    sending: Option<S>,
}

impl<S: Sending + 'static> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        let Some(sending) = self.sending.take().filter(Sending::is_submitted) else { return };
        if let Some(mut state) = self.outbound.state() {
            state.sending = Some(Box::new(sending));
        }
    }
}

impl<T: Op> Sending for Submission<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self).poll(cx).map(drop)
    }

    fn is_submitted(&self) -> bool {
        Submission::is_submitted(self)
    }

    fn detach(self: Box<Self>, then: Option<Box<dyn FnOnce()>>) {
        Submission::detach(*self, then);
    }
}

fn shut_down(fd: &SharedFd) {
    // The peer may have reset the connection: then there is nobody to tell.
    let _ = SockRef::from(fd).shutdown(Shutdown::Write);
}

impl Drop for Outbound {
    fn drop(&mut self) {
        let shuts_down = self.shuts_down.get() && self.way == Way::Socket;
        let state = self.state.get_mut();
        if let Some(room) = state.room.as_mut().filter(|room| room.is_elsewhere()) {
            room.finish_now();
        }
        match state.sending.take() {
            // The end is said behind what is on its way.
            Some(sending) => {
                let fd = self.fd.clone();
                let shut_down: Box<dyn FnOnce()> = Box::new(move || shut_down(&fd));
                sending.detach(shuts_down.then_some(shut_down));
            }
            None if shuts_down => shut_down(&self.fd),
            None => {}
        }
    }
}
