//! Standard output and standard error.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::buf::{IoBuf, Slice};
use crate::io::Turns;
use crate::op::{self, PollAdd, Submission, Write, submit};

/// Standard output. Made by [`stdout`].
///
/// What is written is copied, and is with the kernel when the future is ready: nothing has to be
/// flushed. One text goes at a time, whole: all handles of a core stand in one line, and a text
/// whose future was dropped meanwhile is finished first. Other cores, other processes and
/// [`println!`](crate::println) do not stand in that line.
///
/// # Panics
///
/// What waits panics outside a runtime.
pub struct Stdout {
    output: Rc<Output>,
}

/// Standard error. Made by [`stderr`]. What is said at [`Stdout`] holds here.
pub struct Stderr {
    output: Rc<Output>,
}

thread_local! {
    static STDOUT: OnceCell<Rc<Output>> = const { OnceCell::new() };
    static STDERR: OnceCell<Rc<Output>> = const { OnceCell::new() };
}

/// Standard output of this process.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// ringspun::runtime::Runtime::new()?.block_on(async {
///     ringspun::io::stdout().write_all(b"one text, whole\n").await
/// })
/// # }
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    let new = || Rc::new(Output::new(op::stdout));
    let shared = STDOUT.try_with(|output| Rc::clone(output.get_or_init(new)));
    // While the thread ends there is nobody to share it with.
    Stdout { output: shared.unwrap_or_else(|_| new()) }
}

/// Standard error of this process.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// ringspun::runtime::Runtime::new()?.block_on(async {
///     ringspun::io::stderr().write_all(b"one text, whole\n").await
/// })
/// # }
/// ```
#[must_use]
pub fn stderr() -> Stderr {
    let new = || Rc::new(Output::new(op::stderr));
    let shared = STDERR.try_with(|output| Rc::clone(output.get_or_init(new)));
    Stderr { output: shared.unwrap_or_else(|_| new()) }
}

/// One of the two, of one thread.
struct Output {
    fd: fn() -> BorrowedFd<'static>,
    turns: Turns,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    text: Option<Text>,
    /// The memory of the last one.
    spare: Vec<u8>,
}

/// A text on its way.
struct Text {
    written: usize,
    step: Step,
}

enum Step {
    Write(Submission<Write<Slice<Vec<u8>>>>),
    /// It has `O_NONBLOCK`, by whoever shares it, and there is no room.
    Room(Submission<PollAdd>, Vec<u8>),
}

/// Of more than this `write` takes a part; `write_all` takes all.
const WRITE_MAX: usize = 64 * 1024;
/// More than this is not kept for the next text.
const SPARE_MAX: usize = 64 * 1024;

#[allow(clippy::missing_errors_doc, reason = "said once, at `write`")]
impl Stdout {
    /// Writes a part of `buf`, and answers how much: at most 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`: [`BrokenPipe`](io::ErrorKind::BrokenPipe) if nobody reads any more; or
    /// that of an earlier text whose future was dropped. Never
    /// [`Interrupted`](io::ErrorKind::Interrupted).
    ///
    /// # Cancellation
    ///
    /// Before its turn nothing is written. After that dropping the future does not stop it.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write_part(buf).await
    }

    /// Writes all of `buf`, whole: no other text of this core comes in between.
    ///
    /// # Cancellation
    ///
    /// As [`write`](Stdout::write). If the core does not run on, a part may be missing.
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.output.write_all(buf).await
    }

    /// Waits until all texts of dropped futures are with the kernel.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.output.flush().await
    }

    /// As [`flush`](Stdout::flush).
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.output.flush().await
    }
}

#[allow(clippy::missing_errors_doc, reason = "as `Stdout`")]
impl Stderr {
    /// See [`Stdout::write`].
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.write_part(buf).await
    }

    /// See [`Stdout::write_all`].
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.output.write_all(buf).await
    }

    /// See [`Stdout::flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.output.flush().await
    }

    /// See [`Stdout::flush`].
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.output.flush().await
    }
}

#[allow(dead_code, reason = "for compat")]
impl Stdout {
    /// For the faces without futures: takes a copy, and answers before it is written.
    pub(crate) fn poll_write_face(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.output.poll_write_face(cx, bufs)
    }

    /// For the faces without futures.
    pub(crate) fn poll_flush_face(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush_face(cx)
    }
}

#[allow(dead_code, reason = "for compat")]
impl Stderr {
    /// For the faces without futures: takes a copy, and answers before it is written.
    pub(crate) fn poll_write_face(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.output.poll_write_face(cx, bufs)
    }

    /// For the faces without futures.
    pub(crate) fn poll_flush_face(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush_face(cx)
    }
}

impl Output {
    fn new(fd: fn() -> BorrowedFd<'static>) -> Output {
        Output { fd, turns: Turns::default(), state: RefCell::default() }
    }

    async fn write_part(&self, buf: &[u8]) -> io::Result<usize> {
        let part = &buf[..buf.len().min(WRITE_MAX)];
        self.write_all(part).await?;
        Ok(part.len())
    }

    async fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        let mut turn = self.turns.turn();
        let mut begun = buf.is_empty();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            ready!(self.poll_written(cx))?;
            if !std::mem::replace(&mut begun, true) {
                self.begin(&[IoSlice::new(buf)], buf.len());
            }
            self.poll_written(cx)
        })
        .await
    }

    async fn flush(&self) -> io::Result<()> {
        let mut turn = self.turns.turn();
        poll_fn(|cx| {
            ready!(turn.poll(cx));
            self.poll_written(cx)
        })
        .await
    }

    fn poll_write_face(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.turns.poll_without_ticket(cx) {
            return Poll::Pending;
        }
        ready!(self.poll_written(cx))?;
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        let count = total.min(WRITE_MAX);
        if count > 0 {
            self.begin(bufs, count);
            if let Poll::Ready(Err(error)) = self.poll_written(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush_face(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turns.poll_without_ticket(cx) { self.poll_written(cx) } else { Poll::Pending }
    }

    /// Copies `count` bytes, to be written.
    fn begin(&self, bufs: &[IoSlice<'_>], mut count: usize) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        let mut bytes = std::mem::take(&mut state.spare);
        for buf in bufs {
            let part = &buf[..buf.len().min(count)];
            bytes.extend_from_slice(part);
            count -= part.len();
        }
        state.text = Some(Text { written: 0, step: self.step(bytes, 0) });
    }

    fn step(&self, bytes: Vec<u8>, written: usize) -> Step {
        Step::Write(submit(Write::new((self.fd)(), bytes.slice(written..), Write::CURSOR)))
    }

    /// Ready when no text is on its way.
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            // A waker's own code has come back here.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        loop {
            let Some(text) = &mut state.text else { return Poll::Ready(Ok(())) };
            let mut moved = false;
            let answer = match &mut text.step {
                // It was left in another runtime of this thread, which does not run now.
                Step::Write(op) if op.is_elsewhere() => {
                    moved = true;
                    op.finish_now()
                }
                Step::Write(op) => Some(ready!(Pin::new(op).poll(cx))),
                Step::Room(op, bytes) => {
                    if !op.is_elsewhere() {
                        let room = ready!(Pin::new(op).poll(cx));
                        if let Err(error) = room {
                            state.text = None;
                            return Poll::Ready(Err(error));
                        }
                    }
                    text.step = self.step(std::mem::take(bytes), text.written);
                    continue;
                }
            };
            let Some((result, bytes)) = answer else {
                state.text = None;
                let what = "a text was cut off: its runtime was shut down while it was written";
                return Poll::Ready(Err(io::Error::other(what)));
            };
            let bytes = bytes.into_inner();
            match result {
                Ok(0) => {
                    state.text = None;
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Ok(count) if text.written + count == bytes.len() => state.end(bytes),
                Ok(count) => {
                    text.written += count;
                    text.step = self.step(bytes, text.written);
                }
                Err(error) if moved && error.raw_os_error() == Some(libc::ECANCELED) => {
                    text.step = self.step(bytes, text.written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let room = submit(PollAdd::new((self.fd)(), libc::POLLOUT as u32));
                    text.step = Step::Room(room, bytes);
                }
                Err(error) => {
                    state.end(bytes);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl State {
    fn end(&mut self, mut bytes: Vec<u8>) {
        self.text = None;
        if bytes.capacity() <= SPARE_MAX {
            bytes.clear();
            self.spare = bytes;
        }
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdout").finish_non_exhaustive()
    }
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stderr").finish_non_exhaustive()
    }
}
