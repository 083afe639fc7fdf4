//! `WAITID`.
//!
//! # Safety
//!
//! libc calls about child processes of the test, with numbers only.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use ringspun::op::{CancelError, ExitInfo, Fixed, SharedFd, Submission, WaitId, submit};
use ringspun::uring::AsyncIoUring;

use super::files::{assert_errno, assert_no_fixed};
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, block_on, runtime, submit_only, until};

/// A child that ends when its input does; it stays to be waited for.
struct Ends {
    child: Running,
    input: Option<ChildStdin>,
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It fails if the test has waited for it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Case for Ends {
    type Op = WaitId;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Ends {
        let (child, input) = cat();
        Ends { child, input: Some(input) }
    }

    fn op(&mut self) -> Submission<WaitId> {
        submit(WaitId::pid(self.child.0.id(), libc::WEXITED | libc::WNOWAIT))
    }

    fn release(&mut self) {
        self.input = None;
    }

    fn check(&mut self, output: io::Result<Option<ExitInfo>>) {
        let info = output.expect("it is our child").expect("it ended");
        assert_eq!(info.pid, self.child.0.id());
        assert!(info.status.success());
        // SAFETY: it only reads the user's number.
        assert_eq!(info.uid, unsafe { libc::getuid() });
    }

    /// Nothing is waited for.
    fn bad_op(&mut self) -> Submission<WaitId> {
        submit(WaitId::pid(self.child.0.id(), 0))
    }
}

#[test]
fn ok() {
    suite::ok::<Ends>();
}

#[test]
fn error() {
    suite::error::<Ends>();
}

#[test]
fn timeout() {
    suite::timeout::<Ends>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Ends>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Ends>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Ends>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Ends>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Ends>();
}

#[test]
fn each_way_to_end() {
    for (script, code, signal) in [
        ("exit 0", Some(0), None),
        ("exit 7", Some(7), None),
        ("exit 255", Some(255), None),
        ("kill -KILL $$", None, Some(libc::SIGKILL)),
        ("kill -TERM $$", None, Some(libc::SIGTERM)),
    ] {
        let child = Running(Command::new("sh").args(["-c", script]).spawn().expect("a shell"));
        let pid = child.0.id();
        block_on(async {
            let info = submit(WaitId::pid(pid, libc::WEXITED)).await.expect("it is our child");
            let info = info.expect("it ended");
            assert_eq!((info.pid, info.status.code()), (pid, code), "{script}");
            assert_eq!(info.status.signal(), signal, "{script}");
            // It was waited for, once.
            assert_errno(submit(WaitId::pid(pid, libc::WEXITED)).await, libc::ECHILD);
        });
    }
}

#[test]
fn stopped_and_going_on() {
    let (child, input) = cat();
    block_on(async {
        let wait = |options| submit(WaitId::pid(child.0.id(), options));
        let signal = |signal| {
            // SAFETY: the child was not waited for, so the number is still its own.
            assert_eq!(unsafe { libc::kill(child.0.id() as i32, signal) }, 0);
        };
        signal(libc::SIGSTOP);
        let info = wait(libc::WSTOPPED).await.expect("it is our child").expect("it stopped");
        assert_eq!(info.status.stopped_signal(), Some(libc::SIGSTOP));
        signal(libc::SIGCONT);
        let info = wait(libc::WCONTINUED).await.expect("it is our child").expect("it goes on");
        assert!(info.status.continued());
        drop(input);
        let info = wait(libc::WEXITED).await.expect("it is our child").expect("it ended");
        assert!(info.status.success());
    });
}

#[test]
fn nothing_yet() {
    let (child, input) = cat();
    block_on(async {
        let options = libc::WEXITED | libc::WNOHANG;
        let look = || submit(WaitId::pid(child.0.id(), options));
        assert_eq!(look().await.expect("it is our child"), None);
        drop(input);
        until("it ends", || {
            // SAFETY: a `siginfo_t` is integers; zero is one of them.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let options = options | libc::WNOWAIT;
            // SAFETY: the structure is alive during the call.
            unsafe { libc::waitid(libc::P_PID, child.0.id(), &raw mut info, options) };
            info.si_signo != 0
        })
        .await;
        assert!(look().await.expect("it is our child").expect("it ended").status.success());
    });
}

#[test]
fn by_its_descriptor() {
    suite::alone(|| {
        let ledger = Ledger::open();
        let (child, input) = cat();
        let runtime = runtime();
        let fd = SharedFd::new(pidfd(&child));
        runtime.block_on(async {
            let mut dropped = submit(WaitId::pidfd(&fd, libc::WEXITED));
            assert!(submit_only(&mut dropped).await.is_pending());
            assert_eq!(fd.owners(), 2);
            drop(dropped);
            until("the descriptor is let go", || fd.owners() == 1).await;
            let mut op = submit(WaitId::pidfd(&fd, libc::WEXITED));
            assert!(submit_only(&mut op).await.is_pending());
            drop(input);
            let info = op.await.expect("it is our child").expect("it ended");
            assert_eq!(info.pid, child.0.id());
            assert!(info.status.success());
            assert_errno(submit(WaitId::pidfd(&fd, libc::WEXITED)).await, libc::ECHILD);
        });
        drop((runtime, fd, child));
        ledger.close();
    });
}

#[test]
fn no_child_no_process_no_descriptor() {
    block_on(async {
        // The first process is nobody's child here.
        assert_errno(submit(WaitId::pid(1, libc::WEXITED)).await, libc::ECHILD);
        assert_errno(submit(WaitId::pid(0, libc::WEXITED)).await, libc::EINVAL);
        assert_errno(submit(WaitId::pid(u32::MAX, libc::WEXITED)).await, libc::EINVAL);
        let file = SharedFd::new(std::fs::File::open("/dev/null").expect("it is there"));
        assert_errno(submit(WaitId::pidfd(file, libc::WEXITED)).await, libc::EBADF);
        assert_no_fixed(submit(WaitId::pidfd(Fixed(0), libc::WEXITED)).await);
    });
}

/// Only children that this thread started: the other tests have theirs.
#[test]
fn any_child_and_any_of_a_group() {
    use std::os::unix::process::CommandExt;
    suite::alone(|| {
        let own = libc::WEXITED | libc::__WNOTHREAD;
        block_on(async {
            assert_errno(submit(WaitId::any(own)).await, libc::ECHILD);
            let child = Running(Command::new("true").process_group(0).spawn().expect("a child"));
            let looked = submit(WaitId::any(own | libc::WNOWAIT)).await.expect("a child");
            assert_eq!(looked.expect("it ended").pid, child.0.id());
            let ring = AsyncIoUring::current();
            let info = ring.waitid(WaitId::group(child.0.id(), own)).await.expect("a child");
            assert_eq!(info.expect("it ended").pid, child.0.id());
            assert_errno(submit(WaitId::any(own)).await, libc::ECHILD);
        });
    });
}

#[test]
fn a_cancelled_wait_leaves_the_child() {
    let (mut child, input) = cat();
    block_on(async {
        let mut op = submit(WaitId::pid(child.0.id(), libc::WEXITED));
        assert!(submit_only(&mut op).await.is_pending());
        let id = op.id();
        let answer = AsyncIoUring::current().cancel(id).await;
        assert!(!matches!(answer, Err(CancelError::AlreadyInProgress)), "{answer:?}");
        assert_errno(op.await, libc::ECANCELED);
    });
    drop(input);
    assert!(child.0.wait().expect("it was not waited for").success());
}

#[test]
fn a_child_that_ends_while_the_wait_is_cancelled() {
    for _ in 0..50 {
        let (mut child, input) = cat();
        block_on(async {
            let mut op = submit(WaitId::pid(child.0.id(), libc::WEXITED));
            assert!(submit_only(&mut op).await.is_pending());
            drop(input);
            match op.cancel().await {
                Ok(info) => assert!(info.expect("it ended").status.success()),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
                    assert!(child.0.wait().expect("it was not waited for").success());
                }
            }
        });
    }
}

fn cat() -> (Running, ChildStdin) {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
    let input = child.stdin.take().expect("it is piped");
    (Running(child), input)
}

fn pidfd(child: &Running) -> OwnedFd {
    // SAFETY: numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.0.id() as i32, 0) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the call just made it, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}
