//! Standard input.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::buf::{BufResult, IoBufMut, Slice};
use crate::io::Turns;
use crate::op::{self, PollAdd, Read, Submission, submit};

/// Standard input, whatever it is: a terminal, a pipe, a file, `/dev/null`. Made by [`stdin`].
///
/// It asks the kernel for as many bytes as the reader has room for, and only while there is a
/// reader. Dropping the future of a read loses nothing: the read stays, and what it brings is for
/// the next reader on this core. But until then it may take input that is meant for a child process
/// with the same terminal: [`release`](Stdin::release) ends it.
///
/// Readers on several cores, or other processes, share the input: each byte goes to one of them.
///
/// # Panics
///
/// What waits panics outside a runtime.
pub struct Stdin {
    input: Rc<Input>,
}

/// Standard input of this process.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// ringspun::runtime::Runtime::new()?.block_on(async {
///     let mut text = String::new();
///     ringspun::io::stdin().read_to_string(&mut text).await?;
///     println!("{} lines", text.lines().count());
///     Ok(())
/// })
/// # }
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    thread_local! {
        static INPUT: OnceCell<Rc<Input>> = const { OnceCell::new() };
    }
    let new = || Rc::new(Input::default());
    let shared = INPUT.try_with(|input| Rc::clone(input.get_or_init(new)));
    // While the thread ends there is nobody to share it with.
    Stdin { input: shared.unwrap_or_else(|_| new()) }
}

/// The input of one thread: the read that is armed, and what it brought.
#[derive(Default)]
struct Input {
    turns: Turns,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    armed: Armed,
    held: Vec<u8>,
    /// How many of the held bytes were taken.
    taken: usize,
}

#[derive(Default)]
enum Armed {
    #[default]
    Nothing,
    Read(Submission<Read<Slice<Vec<u8>>>>),
    /// It has `O_NONBLOCK`, by whoever shares it, on a kernel that does not wait then.
    Poll(Submission<PollAdd>),
}

/// More than this is not asked for at a time.
const READ_MAX: usize = 64 * 1024;

impl Stdin {
    /// Reads at most `buf.len()` bytes, and answers how many. 0 is the end; of a terminal
    /// (Ctrl-D) more may come after it.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`, as for all reads here; never
    /// [`Interrupted`](io::ErrorKind::Interrupted).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.input.in_turn(|cx| self.input.poll_read(cx, buf)).await
    }

    /// Fills `buf`, and answers its length.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the end comes first; what came before is
    /// in `buf` then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: bytes that were read already are given back.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut unread = Unread { input: &self.input, buf, filled: 0 };
        self.input.in_turn(|cx| unread.poll_all(cx)).await?;
        Ok(std::mem::take(&mut unread.filled))
    }

    /// Reads up to the end, and appends all to `buf`. Answers how many bytes that were.
    ///
    /// # Cancellation
    ///
    /// What was read before the future was dropped is in `buf`.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        loop {
            let mut append = |held: &[u8]| {
                buf.extend_from_slice(held);
                held.len()
            };
            let input = &self.input;
            if input.in_turn(|cx| input.poll_with(cx, READ_MAX, &mut append)).await? == 0 {
                return Ok(buf.len() - before);
            }
        }
    }

    /// As [`read_to_end`](Stdin::read_to_end), for text.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8; `buf` is as before then, and
    /// the bytes are lost.
    pub async fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).await?;
        let text = String::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
        buf.push_str(&text);
        Ok(text.len())
    }

    /// Lets go of standard input: ends the read that a dropped future has left, and gives what was
    /// read and not taken by anybody. A child process with the same terminal, or a library that
    /// reads by itself, then gets all that is typed. The next read takes hold of it again.
    ///
    /// It stands in the line like a reader: behind one that waits.
    pub async fn release(&mut self) -> io::Result<Vec<u8>> {
        self.input.in_turn(|cx| self.input.poll_release(cx)).await
    }

    /// For the faces without futures.
    #[allow(dead_code, reason = "for compat")]
    pub(crate) fn poll_read_face(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let input = &self.input;
        if input.turns.poll_without_ticket(cx) { input.poll_read(cx, buf) } else { Poll::Pending }
    }
}

impl Input {
    async fn in_turn<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            poll(cx)
        })
        .await
    }

    fn poll_read(&self, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_with(cx, out.len(), &mut |held| {
            let count = held.len().min(out.len());
            out[..count].copy_from_slice(&held[..count]);
            count
        })
    }

    /// Shows what is held, or comes, to `take`, which answers how much of it it took.
    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            // A waker's own code has come back here.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        loop {
            if state.has_held() {
                let count = take(&state.held[state.taken..]);
                state.taken += count;
                return Poll::Ready(Ok(count));
            }
            if matches!(state.armed, Armed::Nothing) {
                state.arm(wanted.min(READ_MAX));
            }
            if let Some(end) = ready!(state.poll_armed(cx))? {
                return Poll::Ready(Ok(end));
            }
        }
    }

    fn poll_release(&self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        match &mut state.armed {
            Armed::Nothing => {}
            Armed::Read(op) => {
                op.request_cancel();
                ready!(state.poll_armed(cx))?;
            }
            Armed::Poll(_) => state.armed = Armed::Nothing,
        }
        state.armed = Armed::Nothing;
        let taken = std::mem::take(&mut state.taken);
        let mut held = std::mem::take(&mut state.held);
        held.drain(..taken.min(held.len()));
        Poll::Ready(Ok(held))
    }

    /// These come first again.
    fn put_front(&self, bytes: &[u8]) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            let taken = std::mem::take(&mut state.taken);
            state.held.splice(..taken, bytes.iter().copied());
        }
    }
}

impl State {
    fn has_held(&self) -> bool {
        self.taken < self.held.len()
    }

    fn arm(&mut self, wanted: usize) {
        let mut buf = std::mem::take(&mut self.held);
        self.taken = 0;
        buf.clear();
        buf.reserve(wanted);
        let buf = buf.slice_mut(..wanted);
        self.armed = Armed::Read(submit(Read::new(op::stdin(), buf, Read::CURSOR)));
    }

    /// Ready: something has changed; with `Some(0)` it is the end.
    fn poll_armed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        let answer = match &mut self.armed {
            Armed::Nothing => return Poll::Ready(Ok(None)),
            // It was left in another runtime of this thread, which does not run now.
            Armed::Read(op) if op.is_elsewhere() => op.finish_now(),
            Armed::Read(op) => Some(ready!(Pin::new(op).poll(cx))),
            Armed::Poll(op) => {
                if !op.is_elsewhere() {
                    ready!(Pin::new(op).poll(cx))?;
                }
                None
            }
        };
        self.armed = Armed::Nothing;
        Poll::Ready(answer.map_or(Ok(None), |answer| self.file(answer)))
    }

    fn file(
        &mut self,
        (result, buf): BufResult<usize, Slice<Vec<u8>>>,
    ) -> io::Result<Option<usize>> {
        let mut bytes = buf.into_inner();
        let error = match result {
            Ok(0) => return Ok(Some(0)),
            Ok(count) => {
                bytes.truncate(count);
                if self.has_held() {
                    // Given back by a reader that has gone; they come first.
                    self.held.append(&mut bytes);
                } else {
                    self.held = bytes;
                    self.taken = 0;
                }
                return Ok(None);
            }
            Err(error) => error,
        };
        match error.raw_os_error() {
            // Its runtime has gone, or it was released.
            Some(libc::ECANCELED) => Ok(None),
            Some(libc::EAGAIN) => {
                self.armed = Armed::Poll(submit(PollAdd::new(op::stdin(), libc::POLLIN as u32)));
                Ok(None)
            }
            _ => Err(error),
        }
    }
}

/// Bytes that were read and may have to go back.
struct Unread<'a> {
    input: &'a Input,
    buf: &'a mut [u8],
    filled: usize,
}

impl Unread<'_> {
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.filled < self.buf.len() {
            match ready!(self.input.poll_read(cx, &mut self.buf[self.filled..])) {
                Ok(0) => {
                    self.filled = 0;
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "standard input ended before the buffer was full",
                    )));
                }
                Ok(count) => self.filled += count,
                Err(error) => {
                    self.filled = 0;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        if self.filled > 0 {
            self.input.put_front(&self.buf[..self.filled]);
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}
