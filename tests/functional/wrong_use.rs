//! Wrong use is answered, not punished: each by its text.

use std::io::ErrorKind;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use ringspun::op::{CWD, Fixed, Nop, OpenAt, Read, Write, link, submit};
use ringspun::runtime::{Builder, EnterGuard, Handle, Runtime};
use ringspun::time::sleep;
use ringspun::uring::AsyncIoUring;

use crate::support::{Pipe, block_on, builder, panic_text, poll_once, runtime, submit_only, turn};

#[test]
fn op_polled_outside_a_runtime() {
    let text = panic_text(|| drop(tokio_test::task::spawn(submit(Nop::new())).poll()));
    assert!(text.starts_with("an op was used outside a runtime: await it inside"), "{text}");
    let text = panic_text(|| assert!(submit(Nop::new()).id().to_string().is_empty()));
    assert!(text.starts_with("an op was used outside a runtime"), "{text}");
    let text = panic_text(|| drop(AsyncIoUring::current()));
    assert!(text.starts_with("an op was used outside a runtime"), "{text}");
    assert!(AsyncIoUring::try_current().is_none());
}

#[test]
fn op_in_flight_polled_outside_its_runtime() {
    let runtime = runtime();
    let pipe = Pipe::new();
    let mut op = submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR));
    runtime.block_on(async { assert!(submit_only(&mut op).await.is_pending()) });
    let text = panic_text(|| drop(tokio_test::task::spawn(&mut op).poll()));
    assert!(text.contains("was polled outside its runtime: nobody would complete it"), "{text}");
    // No harm was done.
    drop(pipe.writer);
    assert_eq!(runtime.block_on(op).0.expect("the end"), 0);
}

#[test]
fn op_polled_on_another_runtime() {
    let (one, other) = (runtime(), runtime());
    let pipe = Pipe::new();
    let mut op = submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR));
    one.block_on(async { assert!(poll_once(&mut op).await.is_pending()) });
    let text = panic_text(|| drop(other.block_on(&mut op)));
    assert!(text.contains("was polled in the runtime of ring"), "{text}");
    assert!(text.contains("stays with the ring that it was first used on"), "{text}");
    drop(pipe.writer);
    assert_eq!(one.block_on(op).0.expect("the end"), 0);
}

#[test]
fn id_of_another_runtime() {
    let foreign = runtime();
    let pipe = Pipe::new();
    let mut op = submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR));
    let id = foreign.block_on(async {
        let id = op.id();
        assert!(submit_only(&mut op).await.is_pending());
        id
    });
    block_on(async {
        let error = AsyncIoUring::current().cancel(id).await.expect_err("not here");
        assert!(error.to_string().contains("of another runtime"), "{error}");
    });
    drop(pipe.writer);
    assert_eq!(foreign.block_on(op).0.expect("untouched"), 0);
}

#[test]
fn op_polled_after_it_was_ready() {
    block_on(async {
        let mut op = submit(Nop::new());
        (&mut op).await.expect("a nop");
        let polled = ringspun::spawn(async move { op.await.is_ok() }).await;
        let text = polled.expect_err("it panicked").to_string();
        assert!(text.contains("an op was polled after it was ready"), "{text}");
    });
}

#[test]
fn nested_block_on() {
    let text = panic_text(|| block_on(async { runtime().block_on(async {}) }));
    assert!(text.starts_with("a runtime runs on this thread already"), "{text}");
    assert!(text.contains("await the future instead"), "{text}");
    assert!(text.contains("spawn_blocking"), "{text}");
    // In a task it is that task's panic, and the outer runtime goes on.
    let outer = std::rc::Rc::new(runtime());
    let same = std::rc::Rc::clone(&outer);
    outer.block_on(async move {
        let task = ringspun::spawn(async move { same.block_on(async {}) });
        let text = task.await.expect_err("it panicked").to_string();
        assert!(text.contains("a runtime runs on this thread already"), "{text}");
        submit(Nop::new()).await.expect("a nop");
    });
    // Afterwards the thread is as it was.
    block_on(async { submit(Nop::new()).await }).expect("a nop");
}

#[test]
fn nested_turn() {
    let text = panic_text(|| {
        block_on(async {
            let _ = runtime().turn(None);
        });
    });
    assert!(text.starts_with("a runtime runs on this thread already"), "{text}");
}

#[test]
fn block_on_in_spawn_blocking_is_fine() {
    let answer = block_on(in_spawn_blocking());
    assert_eq!(answer, 9);
}

async fn in_spawn_blocking() -> i32 {
    let inner = || Runtime::new().expect("a ring").block_on(async { 9 });
    ringspun::spawn_blocking(inner).await.expect("another thread")
}

#[test]
fn entries_out_of_range() {
    for entries in [0, 32_769, u32::MAX] {
        let error = Builder::new().entries(entries).build().expect_err("impossible");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let expected = format!("a ring of {entries} entries is impossible: ask for 1 to 32768");
        assert_eq!(error.to_string(), expected);
    }
    block_on_one_entry();
}

fn block_on_one_entry() {
    let runtime = builder().entries(1).build().expect("one is enough");
    runtime.block_on(async { submit(Nop::new()).await }).expect("a nop");
}

#[test]
fn completion_entries_out_of_range() {
    // None and too many are rounded to what there is.
    for entries in [0, 1, u32::MAX] {
        let runtime = builder().cq_entries(entries).build().expect("rounded");
        runtime.block_on(async { submit(Nop::new()).await }).expect("a nop");
    }
}

#[test]
fn chain_too_long() {
    let runtime = builder().entries(2).build().expect("a small ring");
    let error =
        runtime.block_on(async { link(vec![Nop::new(); 3]).await }).expect_err("it cannot fit");
    assert_eq!((error.len, error.entries, error.ops.len()), (3, 2, 3));
    let text = error.to_string();
    assert!(text.contains("a chain of 3 ops does not fit into a submission queue of 2"), "{text}");
    assert!(text.contains("raise Builder::entries"), "{text}");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
}

#[test]
fn empty_chain() {
    let outputs = block_on(async { link(Vec::<Nop>::new()).await }).expect("nothing fits always");
    assert!(outputs.is_empty());
}

#[test]
#[allow(unsafe_code, reason = "a bad descriptor cannot be made otherwise")]
fn bad_descriptor() {
    block_on(async {
        // SAFETY: a number that no descriptor has; nobody closes it.
        let fd = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
        let (result, buf) = submit(Read::new(fd, vec![7; 3], Read::CURSOR)).await;
        assert_eq!(result.expect_err("bad").raw_os_error(), Some(libc::EBADF));
        assert_eq!(buf, [7; 3], "the buffer comes back as it was");
        // No table of registered files.
        let (result, _) = submit(Read::new(Fixed(5), vec![0; 3], 0)).await;
        assert_eq!(result.expect_err("bad").raw_os_error(), Some(libc::EBADF));
        let (result, _) = submit(Read::new(Fixed(u32::MAX), vec![0; 3], 0)).await;
        assert_eq!(result.expect_err("bad").raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn wrong_kind_of_descriptor() {
    block_on(async {
        let pipe = Pipe::new();
        let accept = ringspun::op::Accept::new(&pipe.reader, 0);
        let error = submit(accept).await.expect_err("no socket");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        let (result, _) = submit(Write::new(&pipe.reader, "text", Write::CURSOR)).await;
        assert_eq!(result.expect_err("read end").raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn path_with_a_nul_byte() {
    block_on(async {
        let error = submit(OpenAt::new(CWD, "a\0b", 0, 0)).await.expect_err("no such path");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "the path contains a NUL byte");
    });
}

#[test]
fn empty_buffers() {
    block_on(async {
        let pipe = Pipe::new();
        let file = ringspun::op::SharedFd::new(tempfile::tempfile().expect("a file"));
        let (result, buf) = submit(Write::new(&file, Vec::new(), 0)).await;
        assert_eq!((result.expect("nothing to do"), buf.len()), (0, 0));
        let (result, buf) = submit(Read::new(&file, Vec::new(), 0)).await;
        assert_eq!((result.expect("nothing to do"), buf.len()), (0, 0));
        // On a pipe nothing is asked for, and nothing is waited for.
        let read = submit(Read::new(&pipe.reader, Vec::new(), Read::CURSOR));
        let (result, _) = read.timeout(Duration::from_secs(30)).await;
        assert_eq!(result.expect("nothing to do"), 0);
    });
}

#[test]
fn timeout_of_a_century() {
    block_on(async {
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        submit(Nop::new()).timeout(century).await.expect("a nop");
        submit(Nop::new()).timeout(Duration::MAX).await.expect("a nop");
        let mut pause = sleep(Duration::MAX);
        assert!(poll_once(&mut pause).await.is_pending());
        turn().await;
        let mut op = submit(ringspun::op::Timeout::new(Duration::MAX, 0, 0));
        assert!(submit_only(&mut op).await.is_pending());
    });
    // And the longest wait of a turn.
    let runtime = runtime();
    runtime.handle().run(|| {});
    runtime.turn(Some(Duration::MAX)).expect("the ring works");
}

#[test]
fn timeout_of_nothing() {
    block_on(async {
        let pipe = Pipe::new();
        let read = submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR));
        let (result, buf) = read.timeout(Duration::ZERO).await;
        assert_eq!(result.expect_err("at once").kind(), ErrorKind::TimedOut);
        assert_eq!(buf.len(), 8);
    });
}

#[test]
fn outside_a_runtime() {
    let text = panic_text(|| drop(ringspun::spawn(async {})));
    assert!(text.starts_with("ringspun::spawn was called outside a runtime"), "{text}");
    let text = panic_text(|| drop(ringspun::spawn_blocking(|| ())));
    assert!(text.starts_with("there is no ringspun runtime on this thread"), "{text}");
    let text = panic_text(|| futures::executor::block_on(sleep(Duration::from_secs(1))));
    assert!(text.contains("has to be polled inside a runtime"), "{text}");
    let text = panic_text(|| assert_eq!(ringspun::task::id().as_u64(), 0));
    assert!(text.contains("outside a task"), "{text}");
}

#[test]
fn peer_gone() {
    // SIGPIPE never kills; the write says so.
    block_on(async {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let writer = ringspun::op::SharedFd::new(writer);
        let (result, buf) = submit(Write::new(&writer, "lost", Write::CURSOR)).await;
        assert_eq!(result.expect_err("no reader").kind(), ErrorKind::BrokenPipe);
        assert_eq!(buf, "lost");
        let (ours, peer) = crate::support::socket_pair();
        drop(peer);
        let (result, _) = submit(ringspun::op::Send::new(&ours, "lost", 0)).await;
        assert_eq!(result.expect_err("no peer").kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn descriptor_closed_by_its_last_owner_only() {
    block_on(async {
        let pipe = Pipe::new();
        let shared = pipe.reader.clone();
        let number = shared.as_raw_fd();
        let mut op = submit(Read::new(pipe.reader, vec![0; 8], Read::CURSOR));
        assert!(submit_only(&mut op).await.is_pending());
        let shared = shared.try_unwrap().expect_err("the op owns it too");
        drop(shared);
        // Still open: the number belongs to the op.
        assert!(std::fs::exists(format!("/proc/thread-self/fd/{number}")).expect("procfs"));
        drop(pipe.writer);
        assert_eq!(op.await.0.expect("the end"), 0);
    });
}

/// Implemented twice for what is `Send`, so that the call below is ambiguous then.
trait NotSend<Twice> {
    fn holds(&self) {}
}

struct IsSend;

impl<T: ?Sized> NotSend<()> for PhantomData<T> {}
impl<T: ?Sized + Send> NotSend<IsSend> for PhantomData<T> {}

/// Does not compile if one of them could go to another thread: a ring has one thread.
#[test]
fn what_belongs_to_a_core_is_not_send() {
    PhantomData::<Runtime>.holds();
    PhantomData::<EnterGuard<'static>>.holds();
    PhantomData::<AsyncIoUring>.holds();
    PhantomData::<ringspun::op::Submission<Nop>>.holds();
    PhantomData::<ringspun::task::JoinHandle<()>>.holds();
    PhantomData::<ringspun::time::Sleep>.holds();
}

#[test]
fn what_other_threads_hold_is_send() {
    fn check<T: Send + Sync>() {}
    check::<Handle>();
    check::<Builder>();
    check::<ringspun::op::OpId>();
    check::<ringspun::task::AbortHandle>();
    check::<ringspun::runtime::RemoteJoinHandle<()>>();
}
