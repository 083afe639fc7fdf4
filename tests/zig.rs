//! The fifteen tests of `AsyncIOUring`, the library for Zig, ported by meaning: each has the name
//! of its original, in Rust's spelling.

use std::future::Future;
use std::io::{ErrorKind, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ringspun::op::{
    CancelError, Completion, Nop, Op, Read, SharedFd, Sqe, Submission, TimeoutEnd, TimeoutRemove,
    Write,
};
use ringspun::runtime::{Builder, Runtime};
use ringspun::uring::AsyncIoUring;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

fn runtime(entries: u32) -> Runtime {
    Builder::new().entries(entries).build().expect("a ring")
}

/// An empty file.
fn file() -> SharedFd {
    SharedFd::new(tempfile::tempfile().expect("a file"))
}

/// A read that waits, for nobody writes. The second keeps it so.
fn waiting_read(ring: &AsyncIoUring) -> (Submission<Read<Vec<u8>>>, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let buf = Vec::with_capacity(20);
    (ring.read(SharedFd::new(reader), buf, Read::CURSOR), writer)
}

/// Polls once; nobody is woken.
fn poll_now<F: Future + Unpin>(op: &mut F) -> Poll<F::Output> {
    Pin::new(op).poll(&mut Context::from_waker(Waker::noop()))
}

/// Fills `count` entries of the queue with nops.
fn nops(ring: &AsyncIoUring, count: usize) -> Vec<Submission<Nop>> {
    let mut nops: Vec<_> = (0..count).map(|_| ring.nop()).collect();
    for nop in &mut nops {
        assert!(poll_now(nop).is_pending());
    }
    nops
}

async fn all_done(nops: Vec<Submission<Nop>>) {
    for nop in nops {
        nop.await.expect("nothing can fail");
    }
}

#[test]
fn write() {
    runtime(2).block_on(async {
        let ring = AsyncIoUring::current();
        let file = file();
        let (written, buf) = ring.write(&file, vec![9; 20], 17).await;
        assert_eq!(written.expect("room"), 20);
        assert_eq!(buf, [9; 20]);
        let (_, buf) = ring.read(&file, Vec::with_capacity(64), 0).await;
        assert_eq!(buf, [[0; 17].as_slice(), &[9; 20]].concat());
    });
}

/// There, the nops are submitted to make room and the write is alone in the queue. Here it waits
/// its turn in user space; it is done all the same, and behind them.
#[test]
fn write_handles_full_submission_queue() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let file = file();
        let filler = nops(&ring, 4);
        let mut write = ring.write(&file, vec![9; 20], 17);
        assert!(poll_now(&mut write).is_pending());
        assert_eq!(write.await.0.expect("room"), 20);
        for mut nop in filler {
            assert!(poll_now(&mut nop).is_ready(), "they went first");
        }
        let (_, buf) = ring.read(&file, Vec::with_capacity(20), 17).await;
        assert_eq!(buf, [9; 20]);
    });
}

#[test]
fn read() {
    runtime(2).block_on(async {
        let ring = AsyncIoUring::current();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[9; 20]).expect("room");
        let (count, buf) = ring.read(SharedFd::new(file), Vec::with_capacity(20), 0).await;
        assert_eq!(count.expect("bytes"), 20);
        assert_eq!(buf, [9; 20]);
    });
}

/// There, an op of two entries; here, a chain, which is never cut either.
#[test]
fn overriding_number_of_sqes_in_a_custom_op_submits_pending_entries_when_the_queue_would_be_full() {
    runtime(2).block_on(async {
        let ring = AsyncIoUring::current();
        let filler = nops(&ring, 1);
        let (first, second) = ring.link((Nop::new(), Nop::new())).await.expect("two fit");
        assert!(first.is_ok() && second.is_ok());
        all_done(filler).await;
    });
}

/// There, `do` with a timeout; here, `submit`.
#[test]
fn read_with_manual_api() {
    runtime(2).block_on(async {
        let ring = AsyncIoUring::current();
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let op = Read::new(SharedFd::new(reader), Vec::with_capacity(20), Read::CURSOR);
        let (result, buf) = ring.submit(op).timeout(SHORT).await;
        assert_eq!(result.expect_err("nobody writes").kind(), ErrorKind::TimedOut);
        assert!(buf.is_empty() && buf.capacity() >= 20, "the buffer comes back");
    });
}

/// An op of one's own that has another do its work, and changes the entry.
struct Forced<T>(T);

// SAFETY: O1 is the inner op's promise: the flag only says where its work is done.
#[allow(unsafe_code, reason = "an op of one's own")]
unsafe impl<T: Op> Op for Forced<T> {
    type Output = T::Output;

    fn prepare(&mut self) -> Sqe {
        const IOSQE_ASYNC: u8 = 1 << 4;
        let mut sqe = self.0.prepare();
        sqe.flags |= IOSQE_ASYNC;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> T::Output {
        // SAFETY: the completion of the entry that the inner op prepared.
        unsafe { self.0.complete(completion) }
    }
}

#[test]
fn read_with_manual_api_and_overridden_submit() {
    runtime(2).block_on(async {
        let ring = AsyncIoUring::current();
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let reader = SharedFd::new(reader);
        let read = || Forced(Read::new(&reader, Vec::with_capacity(20), Read::CURSOR));
        writer.write_all(&[9; 20]).expect("room");
        assert_eq!(ring.submit(read()).await.1, [9; 20]);
        let (result, _) = ring.submit(read()).timeout(SHORT).await;
        assert_eq!(result.expect_err("nobody writes").kind(), ErrorKind::TimedOut);
        let written = Forced(Write::new(SharedFd::new(writer), vec![1; 3], Write::CURSOR));
        assert_eq!(ring.submit(written).await.0.expect("room"), 3);
    });
}

/// There, `error.Cancelled`; here it is told from a cancel.
#[test]
fn read_with_timeout_returns_cancelled() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let (read, _writer) = waiting_read(&ring);
        let start = Instant::now();
        let (result, _) = read.timeout(SHORT).await;
        assert_eq!(result.expect_err("nobody writes").kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
    });
}

#[test]
fn read_with_timeout_returns_cancelled_with_only_1_sqe_free() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let filler = nops(&ring, 3);
        let (read, _writer) = waiting_read(&ring);
        let (result, _) = read.timeout(SHORT).await;
        assert_eq!(result.expect_err("nobody writes").kind(), ErrorKind::TimedOut);
        all_done(filler).await;
    });
}

/// There, the cancel answers 0 and the read is `error.Cancelled`.
#[test]
fn read_that_is_cancelled_returns_cancelled() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let (mut read, _writer) = waiting_read(&ring);
        let id = read.id();
        let reader = ringspun::spawn(read);
        ringspun::task::yield_now().await;
        assert_eq!(ring.cancel(id).await, Ok(()));
        let (result, _) = reader.await.expect("no panic");
        let errno = result.expect_err("nobody writes").raw_os_error();
        assert_eq!(errno, Some(libc::ECANCELED));
    });
}

#[test]
fn cancelling_an_operation_that_does_not_exist_returns_an_error() {
    runtime(2).block_on(async {
        let ring = AsyncIoUring::current();
        let gone = ring.nop().id();
        assert_eq!(ring.cancel(gone).await, Err(CancelError::NotFound));
    });
}

#[test]
fn short_timeout_returns_success() {
    runtime(2).block_on(async {
        let start = Instant::now();
        let end = AsyncIoUring::current().timeout(SHORT, 0, 0).await;
        assert_eq!(end.expect("ETIME is how it ends"), TimeoutEnd::Elapsed);
        assert!(start.elapsed() >= SHORT);
    });
}

#[test]
fn long_timeout_cancelled_with_cancel_returns_cancelled() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let mut timeout = ring.timeout(HOUR, 0, 0);
        let id = timeout.id();
        let waiter = ringspun::spawn(timeout);
        ringspun::task::yield_now().await;
        assert_eq!(ring.cancel(id).await, Ok(()));
        let error = waiter.await.expect("no panic").expect_err("an hour is long");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    });
}

#[test]
fn long_timeout_removed_with_timeout_remove_returns_cancelled() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let mut timeout = ring.timeout(HOUR, 0, 0);
        let id = timeout.id();
        let waiter = ringspun::spawn(timeout);
        ringspun::task::yield_now().await;
        ring.timeout_remove(id).await.expect("it is there");
        let error = waiter.await.expect("no panic").expect_err("an hour is long");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    });
}

/// There, an op of one's own; here there is one, by name and as a value.
#[test]
fn timeout_remove_can_update_a_timeout() {
    runtime(4).block_on(async {
        let ring = AsyncIoUring::current();
        let mut timeout = ring.timeout(HOUR, 0, 0);
        let id = timeout.id();
        let waiter = ringspun::spawn(timeout);
        ringspun::task::yield_now().await;
        let start = Instant::now();
        ring.submit(TimeoutRemove::update(id, HOUR * 2, 0)).await.expect("it is there");
        ring.timeout_update(id, SHORT, 0).await.expect("it is there");
        let end = waiter.await.expect("no panic").expect("ETIME is how it ends");
        assert_eq!(end, TimeoutEnd::Elapsed);
        assert!(start.elapsed() >= SHORT);
    });
}

/// There, `process_outstanding_events` is called by hand; here, `turn`.
#[test]
fn timeout_remove_on_an_expired_timeout_returns_an_error() {
    let runtime = runtime(4);
    let _entered = runtime.enter();
    let ring = AsyncIoUring::current();
    let mut timeout = ring.timeout(SHORT, 0, 0);
    let id = timeout.id();
    let end = turn_until_done(&runtime, &mut timeout);
    assert_eq!(end.expect("ETIME is how it ends"), TimeoutEnd::Elapsed);
    let removed = turn_until_done(&runtime, &mut ring.timeout_remove(id));
    assert_eq!(removed.expect_err("it has expired").kind(), ErrorKind::NotFound);
    runtime.run_until_idle().expect("a ring");
}

fn turn_until_done<F: Future + Unpin>(runtime: &Runtime, op: &mut F) -> F::Output {
    loop {
        if let Poll::Ready(output) = poll_now(op) {
            return output;
        }
        runtime.turn(None).expect("a ring");
    }
}
