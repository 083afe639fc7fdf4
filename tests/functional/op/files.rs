//! What the tests of file ops share: a folder of their own, and a place to hold an op that never
//! waits.
//!
//! ```text
//!  in a chain:       [read of an empty pipe] --> [the op]     not begun until the read is over
//!  in the backlog:   [a no-op fills the ring of one entry]  [the op]
//! ```
//!
//! So the end that somebody asks for is the outcome also of these ops, and not only if it wins a
//! race; and nothing of the op may have been done then.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use ringspun::op::{Chain, Link, Nop, Read, SharedFd, link, submit};
use ringspun::uring::AsyncIoUring;

use super::suite::{self, Case, Outcome};
use crate::support::{Buffers, CountedBuf, Ledger, Pipe, builder, poll_once, submit_only, until};

/// A case whose op can be put behind another.
pub(crate) trait FileCase: Case {
    /// One op that will succeed, not submitted.
    fn plain(&mut self) -> Self::Op;

    /// Looks that nothing was done by an op that was ended in time.
    fn check_undone(&mut self) {}
}

/// A folder that is gone with its value, and a descriptor of it.
pub(crate) struct Folder {
    temporary: tempfile::TempDir,
    pub(crate) fd: SharedFd,
    names: u32,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        let temporary = tempfile::tempdir().expect("a folder");
        let fd = std::fs::File::open(temporary.path()).expect("it is there");
        Folder { temporary, fd: SharedFd::new(fd), names: 0 }
    }

    /// A name that nothing has yet.
    pub(crate) fn name(&mut self) -> String {
        self.names += 1;
        format!("name{}", self.names)
    }

    /// A new file with this in it.
    pub(crate) fn file(&mut self, content: &str) -> String {
        let name = self.name();
        std::fs::write(self.path(&name), content).expect("room");
        name
    }

    /// A new folder.
    pub(crate) fn folder(&mut self) -> String {
        let name = self.name();
        std::fs::create_dir(self.path(&name)).expect("room");
        name
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// Whether something has this name, a dangling link too.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("it is there")
    }
}

/// Any descriptor.
pub(crate) fn dev_null() -> OwnedFd {
    std::fs::File::options().read(true).write(true).open("/dev/null").expect("it is there").into()
}

#[track_caller]
pub(crate) fn assert_errno<T>(result: io::Result<T>, errno: i32) {
    let error = result.err().expect("it should fail");
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
}

/// The answer to a path with a NUL byte inside: an error that says so.
#[track_caller]
pub(crate) fn assert_nul<T>(result: io::Result<T>) {
    let error = result.err().expect("it should fail");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the path contains a NUL byte");
}

/// The answer to a registered file where the kernel takes a number only.
#[track_caller]
pub(crate) fn assert_no_fixed<T>(result: io::Result<T>) {
    let error = result.err().expect("it should fail");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("a registered file cannot be used here"), "{text}");
}

/// The deadline: alone the op is faster; behind a read that waits it is not.
pub(crate) fn timeout<C: FileCase>() {
    for duration in [Duration::from_millis(5), Duration::from_secs(3600)] {
        held::<C>(async |case, _, _| {
            let output = case.op().timeout(duration).await;
            if let Some(error) = output.error() {
                // On a machine that is busy with something else.
                assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
                assert!(duration < Duration::from_secs(1));
            } else {
                case.check(output);
            }
        });
    }
    held::<C>(async |case, pipe, buffers| {
        let chain = behind_a_read(case, pipe, buffers);
        let (read, op) = chain.timeout(Duration::from_millis(5)).await.expect("it fits");
        for error in [read.error(), op.error()] {
            let error = error.expect("it should time out");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        }
        case.check_undone();
    });
}

/// By its id alone, in the backlog; and with the chain in which it waits.
pub(crate) fn cancelled<C: FileCase>() {
    suite::cancelled::<C>();
    in_the_backlog::<C>(async |case, _| {
        let (mut first, mut op) = (submit(Nop::new()), case.op());
        let id = op.id();
        assert!(poll_once(&mut first).await.is_pending());
        assert!(poll_once(&mut op).await.is_pending());
        assert_eq!(AsyncIoUring::current().cancel(id).await, Ok(()));
        assert_cancelled(&op.await);
        first.await.expect("it is not touched by that");
        case.check_undone();
    });
    held::<C>(async |case, pipe, buffers| {
        let mut chain = behind_a_read(case, pipe, buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        chain.request_cancel();
        let (read, op) = chain.await.expect("it fits");
        assert_cancelled(&read);
        assert_cancelled(&op);
        case.check_undone();
    });
    // Behind a hard link it starts, asked to end: both outcomes are real.
    held::<C>(async |case, pipe, buffers| {
        let mut chain = behind_a_read(case, pipe, buffers).hard();
        assert!(submit_only(&mut chain).await.is_pending());
        chain.request_cancel();
        let (read, op) = chain.await.expect("it fits");
        assert_cancelled(&read);
        if op.error().is_some() {
            assert_cancelled(&op);
            case.check_undone();
        } else {
            case.check(op);
        }
    });
}

/// In the backlog, and behind a read that waits.
pub(crate) fn dropped_in_flight<C: FileCase>() {
    suite::dropped_in_flight::<C>();
    in_the_backlog::<C>(async |case, buffers| {
        let before = buffers.live();
        let (mut first, mut op) = (submit(Nop::new()), case.op());
        assert!(poll_once(&mut first).await.is_pending());
        assert!(poll_once(&mut op).await.is_pending());
        drop(op);
        assert_eq!(buffers.live(), before, "the kernel has not seen it");
        first.await.expect("it is not touched by that");
        case.check_undone();
    });
    held::<C>(async |case, pipe, buffers| {
        let before = buffers.live();
        let mut chain = behind_a_read(case, pipe, buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        drop(chain);
        assert!(buffers.live() > before, "the kernel may still use it");
        let counted = buffers.clone();
        until("the dropped chain is freed", move || counted.live() == before).await;
        let reader = pipe.reader.clone();
        until("its descriptors are let go", move || reader.owners() == 2).await;
        case.check_undone();
    });
}

/// Behind a read that waits: in a task, kept beyond the runtime, polled there.
pub(crate) fn runtime_shut_down<C: FileCase>() {
    suite::runtime_shut_down::<C>();
    held::<C>(async |case, pipe, buffers| {
        let mut chain = behind_a_read(case, pipe, buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        ringspun::spawn(chain).detach();
    });
    let ledger = Ledger::open();
    let runtime = builder().entries(8).build().expect("a ring");
    let (mut case, pipe, mut chain) = runtime.block_on(async {
        let (mut case, pipe) = (C::new(&ledger.buffers), Pipe::new());
        let mut chain = behind_a_read(&mut case, &pipe, &ledger.buffers);
        assert!(submit_only(&mut chain).await.is_pending());
        (case, pipe, chain)
    });
    drop(runtime);
    let Poll::Ready(outcome) = tokio_test::task::spawn(&mut chain).poll() else {
        panic!("a drained chain has its outcome")
    };
    let (read, op) = outcome.expect("it fits");
    assert_cancelled(&read);
    assert_cancelled(&op);
    case.check_undone();
    drop((case, pipe, chain, read, op));
    ledger.close();
}

/// A chain that waits until the pipe is written to.
fn behind_a_read<C: FileCase>(
    case: &mut C,
    pipe: &Pipe,
    buffers: &Buffers,
) -> Link<(Read<CountedBuf>, C::Op)>
where
    (Read<CountedBuf>, C::Op): Chain,
{
    link((Read::new(&pipe.reader, buffers.empty(16), Read::CURSOR), case.plain()))
}

/// Runs a situation of a chain of two, and counts.
fn held<C: FileCase>(test: impl AsyncFnOnce(&mut C, &Pipe, &Buffers)) {
    let ledger = Ledger::open();
    let runtime = builder().entries(8).build().expect("a ring");
    let buffers = ledger.buffers.clone();
    runtime.block_on(async {
        let (mut case, pipe) = (C::new(&buffers), Pipe::new());
        test(&mut case, &pipe, &buffers).await;
    });
    drop(runtime);
    ledger.close();
}

/// Runs a situation on a ring of one entry, and counts.
fn in_the_backlog<C: FileCase>(test: impl AsyncFnOnce(&mut C, &Buffers)) {
    let ledger = Ledger::open();
    let runtime = builder().entries(1).build().expect("a ring");
    let buffers = ledger.buffers.clone();
    runtime.block_on(async {
        let mut case = C::new(&buffers);
        test(&mut case, &buffers).await;
    });
    drop(runtime);
    ledger.close();
}

#[track_caller]
fn assert_cancelled(output: &impl Outcome) {
    let error = output.error().expect("it should be cancelled");
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
}
