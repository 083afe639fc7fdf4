//! What the tests stand on: a file table of one's own, counted buffers, ops held in flight, and the
//! eight situations that every op has to survive.
//!
//! # Counting descriptors
//!
//! Tests run as threads of one process, so the process's table says nothing about one test. Linux
//! lets a thread have a table of its own: [`own_files`] gives it one with only 0, 1 and 2 in it, in
//! one atomic call, so that no descriptor of another test is kept open meanwhile. Threads that the
//! test starts (blocking pool, kernel workers, peers) share its table. [`open_fds`] then is exact.
//!
//! # Counting buffers
//!
//! A [`CountedBuf`] says when it is freed. "Not leaked": none is alive at the end. "Not freed
//! early": it is alive while the kernel has it, whatever became of the future.
//!
//! # Safety
//!
//! One call of `close_range`, before the test has any descriptor; and the buffer type.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{PipeReader, PipeWriter, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ringspun::buf::{IoBuf, IoBufMut};
use ringspun::op::{self, Recv, SharedFd, submit};
use ringspun::runtime::{Builder, Runtime};

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime with the defaults.
pub(crate) fn runtime() -> Runtime {
    builder().build().expect("a ring")
}

/// As [`runtime`], before it is built.
pub(crate) fn builder() -> Builder {
    Builder::new()
}

/// Runs `future` on a fresh runtime, which is gone when this returns.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

/// Gives this thread, and those it will start, an empty file table but for 0, 1 and 2.
///
/// Once for each thread: what a ring leaves behind in the kernel (its workers) goes on with the
/// table that the thread had then, and would look for descriptors there.
pub(crate) fn own_files() {
    thread_local! {
        static OWN: Cell<bool> = const { Cell::new(false) };
    }
    if OWN.replace(true) {
        return;
    }
    // SAFETY: this thread leaves the table that others use and has no descriptor of its own yet.
    let answer = unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_UNSHARE as i32) };
    assert_eq!(answer, 0, "close_range: {}", std::io::Error::last_os_error());
}

/// How many descriptors this thread's table has. Exact after [`own_files`].
pub(crate) fn open_fds() -> usize {
    // One is the listing's own.
    std::fs::read_dir("/proc/thread-self/fd").expect("procfs").count() - 1
}

/// Makes sure that a scope leaves as many descriptors and buffers as it found. Drop it last.
pub(crate) struct Ledger {
    fds: usize,
    pub(crate) buffers: Buffers,
}

impl Ledger {
    pub(crate) fn open() -> Ledger {
        own_files();
        Ledger { fds: open_fds(), buffers: Buffers::default() }
    }

    #[track_caller]
    pub(crate) fn close(self) {
        assert_eq!(self.buffers.live(), 0, "buffers leaked");
        let deadline = Instant::now() + PATIENCE;
        // A file that a kernel worker had open is closed a moment after its completion.
        while open_fds() != self.fds && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(open_fds(), self.fds, "descriptors leaked");
    }
}

/// Makes buffers and counts those alive.
#[derive(Clone, Default)]
pub(crate) struct Buffers {
    live: Arc<AtomicUsize>,
}

impl Buffers {
    /// An empty buffer that takes `capacity` bytes.
    pub(crate) fn empty(&self, capacity: usize) -> CountedBuf {
        self.of(Vec::with_capacity(capacity))
    }

    /// A buffer that holds `bytes`.
    pub(crate) fn of(&self, bytes: impl Into<Vec<u8>>) -> CountedBuf {
        self.live.fetch_add(1, Ordering::Relaxed);
        CountedBuf { bytes: bytes.into(), live: Arc::clone(&self.live) }
    }

    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }
}

/// A buffer that says when it is freed.
#[derive(Debug)]
pub(crate) struct CountedBuf {
    pub(crate) bytes: Vec<u8>,
    live: Arc<AtomicUsize>,
}

impl Drop for CountedBuf {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

// SAFETY: B1, B2, B3: those of the vector, which nobody else reaches while an op owns the value.
unsafe impl IoBuf for CountedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.bytes.stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.bytes.bytes_init()
    }
}

// SAFETY: B1, B2, B3: as above.
unsafe impl IoBufMut for CountedBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.stable_mut_ptr()
    }

    fn capacity(&self) -> usize {
        IoBufMut::capacity(&self.bytes)
    }

    unsafe fn set_init(&mut self, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.bytes.set_init(len) };
    }
}

/// An empty pipe: a read of it stays in flight until something is written or the writer goes.
pub(crate) struct Pipe {
    pub(crate) reader: SharedFd,
    pub(crate) writer: PipeWriter,
}

impl Pipe {
    pub(crate) fn new() -> Pipe {
        let (reader, writer): (PipeReader, PipeWriter) = std::io::pipe().expect("a pipe");
        Pipe { reader: SharedFd::new(reader), writer }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).expect("the reader is there");
    }
}

/// A pipe that takes no more: a write to it stays in flight until something is read.
pub(crate) fn full_pipe() -> (PipeReader, SharedFd) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    // SAFETY: setting flags touches no memory.
    unsafe {
        libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&writer), libc::F_SETFL, libc::O_NONBLOCK)
    };
    while writer.write(&[0; 4096]).is_ok() {}
    // SAFETY: as above.
    unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&writer), libc::F_SETFL, 0) };
    (reader, SharedFd::new(writer))
}

/// Two connected stream sockets: ours as ops take it, the peer's as std has it.
pub(crate) fn socket_pair() -> (SharedFd, std::os::unix::net::UnixStream) {
    let (ours, peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    (SharedFd::new(ours), peer)
}

/// Sends all of `text`, however short the sends, and however short the kernel is of memory.
pub(crate) async fn send_all(fd: &SharedFd, text: &[u8]) {
    let mut sent = 0;
    while sent < text.len() {
        match submit(op::Send::new(fd, text[sent..].to_vec(), 0)).await.0 {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory, "{error}"),
        }
    }
}

/// Receives what there is, or all of `len` bytes. Empty: the peer has ended.
pub(crate) async fn receive(fd: &SharedFd, len: Option<usize>) -> Vec<u8> {
    let mut received = Vec::new();
    loop {
        let room = len.map_or(64, |len| len - received.len());
        match submit(Recv::new(fd, Vec::with_capacity(room).slice_mut(..room), 0)).await {
            (Ok(0), _) => return received,
            (Ok(_), buf) => received.extend(buf.into_inner()),
            (Err(error), _) => {
                assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory, "{error}");
                continue;
            }
        }
        if len.is_none_or(|len| received.len() == len) {
            return received;
        }
    }
}

/// Polls once and lets the kernel have what was asked for.
pub(crate) async fn submit_only<F: Future + Unpin>(op: &mut F) -> Poll<F::Output> {
    let polled = poll_once(op).await;
    turn().await;
    polled
}

/// Polls once, with the waker of the task around.
pub(crate) async fn poll_once<F: Future + Unpin>(op: &mut F) -> Poll<F::Output> {
    poll_fn(|cx: &mut Context<'_>| Poll::Ready(Pin::new(&mut *op).poll(cx))).await
}

/// Two turns of the loop: what was asked for has been handed over, what came has been taken in.
pub(crate) async fn turn() {
    // A yield comes back before the ring is visited: a batch has room for many polls.
    ringspun::time::sleep(Duration::from_micros(100)).await;
    ringspun::time::sleep(Duration::from_micros(100)).await;
}

/// Turns the loop until `done`. Panics when it does not come to it.
#[track_caller]
pub(crate) fn until(
    what: &'static str,
    mut done: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let deadline = Instant::now() + PATIENCE;
    async move {
        while !done() {
            assert!(Instant::now() < deadline, "this never came to be: {what}");
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The text that `f` panics with.
#[track_caller]
pub(crate) fn panic_text(f: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f))
        .expect_err("this should have panicked");
    text_of(payload.as_ref())
}

/// What a panic said.
pub(crate) fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("(no text)"))
}

/// The names of this process's threads.
pub(crate) fn thread_names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("procfs");
    let comm = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(comm).map(|name| name.trim_end().to_owned()).collect()
}
