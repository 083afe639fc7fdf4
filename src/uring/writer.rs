//! Formatted output through the ring: `AsyncWriter`, and what `println!` and its kin stand on.
//!
//! Text is formatted once, into an owned buffer, and written at the cursor until all of it is. A
//! full pipe or terminal parks the task, not the core.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::io;
use std::rc::Rc;

use super::AsyncIoUring;
use crate::buf::IoBuf;
use crate::op::{IntoOpFd, OpFd, PollAdd, Write, stderr, stdout};

/// Writes formatted text to a descriptor: a pipe, a terminal, a socket, a file at its cursor.
///
/// # Examples
///
/// ```
/// use ringspun::uring::AsyncWriter;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let mut writer = AsyncWriter::new(ringspun::op::stderr());
///     writer.print(format_args!("{} and {}\n", 1, 2)).await
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncWriter {
    ring: Option<AsyncIoUring>,
    fd: Rc<OpFd>,
    text: String,
}

/// How much of a text was written before an error. Inside the [`io::Error`], whose kind is that of
/// the cause.
#[derive(Debug)]
pub struct WriteError {
    written: usize,
    len: usize,
    cause: io::Error,
}

impl AsyncWriter {
    /// A writer to `fd`, on the ring of the runtime that it is used in.
    pub fn new(fd: impl IntoOpFd) -> AsyncWriter {
        AsyncWriter { ring: None, fd: Rc::new(fd.into_op_fd()), text: String::new() }
    }

    /// A writer to `fd` on this ring.
    pub fn on(ring: &AsyncIoUring, fd: impl IntoOpFd) -> AsyncWriter {
        AsyncWriter { ring: Some(ring.clone()), ..AsyncWriter::new(fd) }
    }

    /// Writes all of the text. It is formatted here and now, so the future borrows none of it:
    /// `writer.print(format_args!("x = {x}\n")).await?`.
    ///
    /// # Errors
    ///
    /// That of the write, with a [`WriteError`] inside that knows how much was written before;
    /// [`WriteZero`](io::ErrorKind::WriteZero) if nothing more can be.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave part of the text written.
    ///
    /// # Panics
    ///
    /// If a `Display` in the text fails; and as a [`Submission`](crate::op::Submission).
    pub fn print(
        &mut self,
        text: fmt::Arguments<'_>,
    ) -> impl Future<Output = io::Result<()>> + use<'_> {
        let formatted = format(std::mem::take(&mut self.text), text);
        async move {
            let ring = self.ring.clone().unwrap_or_else(AsyncIoUring::current);
            let (result, text) = write_all(&ring, &self.fd, formatted.into_bytes()).await;
            self.text = reuse(text);
            result
        }
    }
}

/// What `println!` and `print!` are made of.
#[doc(hidden)]
pub fn print_stdout(text: fmt::Arguments<'_>) -> impl Future<Output = io::Result<()>> + use<> {
    print_to(stdout().into_op_fd(), format(SPARE.take(), text))
}

/// What `eprintln!` and `eprint!` are made of.
#[doc(hidden)]
pub fn print_stderr(text: fmt::Arguments<'_>) -> impl Future<Output = io::Result<()>> + use<> {
    print_to(stderr().into_op_fd(), format(SPARE.take(), text))
}

thread_local! {
    /// The memory of the last text that a macro wrote.
    static SPARE: Cell<String> = const { Cell::new(String::new()) };
}

/// More than this is not kept for the next text.
const KEPT_MAX: usize = 64 * 1024;

async fn print_to(fd: OpFd, text: String) -> io::Result<()> {
    let ring = AsyncIoUring::current();
    let (result, text) = write_all(&ring, &Rc::new(fd), text.into_bytes()).await;
    SPARE.set(reuse(text));
    result
}

fn format(mut memory: String, text: fmt::Arguments<'_>) -> String {
    memory.clear();
    let formatted = memory.write_fmt(text);
    formatted.expect("a formatting trait implementation returned an error");
    memory
}

fn reuse(bytes: Vec<u8>) -> String {
    if bytes.capacity() > KEPT_MAX {
        String::new()
    } else {
        String::from_utf8(bytes).unwrap_or_default()
    }
}

async fn write_all(
    ring: &AsyncIoUring,
    fd: &Rc<OpFd>,
    mut text: Vec<u8>,
) -> (io::Result<()>, Vec<u8>) {
    let len = text.len();
    let mut written = 0;
    let cause = loop {
        if written == len {
            return (Ok(()), text);
        }
        let op = Write::new(OpFd::again(fd), text.slice(written..), Write::CURSOR);
        let (result, rest) = ring.submit(op).await;
        text = rest.into_inner();
        match result {
            Ok(0) => break io::ErrorKind::WriteZero.into(),
            Ok(count) => written += count,
            // The descriptor was set non-blocking, by us or by whoever shares it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let ready = PollAdd::new(OpFd::again(fd), libc::POLLOUT as u32);
                if let Err(error) = ring.submit(ready).await {
                    break error;
                }
            }
            Err(error) => break error,
        }
    };
    let kind = cause.kind();
    (Err(io::Error::new(kind, WriteError { written, len, cause })), text)
}

impl WriteError {
    /// How many bytes were written before the error.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written
    }

    /// How many bytes the text has.
    #[must_use]
    pub fn total(&self) -> usize {
        self.len
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrote {} of {} bytes: {}", self.written, self.len, self.cause)
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
