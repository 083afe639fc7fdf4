//! `IORING_OP_WAITID`: wait for the end of a child process.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// Waits until a child of this process ends, stops or goes on. See `waitid(2)`. Linux 6.7.
///
/// `options` are those of libc: one or more of `WEXITED`, `WSTOPPED`, `WCONTINUED` say what is
/// waited for; `WNOWAIT` leaves the child to be waited for again; `WNOHANG` does not wait and gives
/// `None` if nothing has happened yet.
///
/// A number can be another process's as soon as the child was waited for: [`pidfd`](WaitId::pidfd)
/// is the one that cannot err.
///
/// # Errors
///
/// Those of the system call: `ECHILD` if there is no such child, or `SIGCHLD` is ignored, so that
/// nothing is left to wait for; `EINVAL` for options that say nothing or are unknown.
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the pidfd is a registered file.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`, and the child is still there to be waited for. If the future is
/// dropped and the child had ended already, what it ended with is lost: add `WNOWAIT` to look first
/// where that matters.
///
/// # Examples
///
/// ```
/// use ringspun::op::{WaitId, submit};
///
/// # fn main() -> std::io::Result<()> {
/// let child = std::process::Command::new("true").spawn()?;
/// let op = WaitId::pid(child.id(), libc::WEXITED);
/// match ringspun::runtime::Runtime::new()?.block_on(submit(op)) {
///     Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {} // before Linux 6.7
///     info => {
///         let info = info?.expect("without WNOHANG it waits");
///         assert_eq!(info.pid, child.id());
///         assert!(info.status.success());
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct WaitId {
    who: Who,
    options: i32,
    /// The kernel writes to it when it has something to tell.
    info: Box<libc::siginfo_t>,
}

#[derive(Debug)]
enum Who {
    Any,
    Pid(u32),
    Group(u32),
    Descriptor(OpFd),
}

/// What [`WaitId`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitInfo {
    /// Which child.
    pub pid: u32,
    /// The user that it ran as.
    pub uid: u32,
    /// How it ended; or that it stopped or went on, which
    /// [`ExitStatusExt`] tells.
    pub status: ExitStatus,
}

impl WaitId {
    /// Any child (`P_ALL`), also those that others wait for.
    #[must_use]
    pub fn any(options: i32) -> WaitId {
        WaitId::of(Who::Any, options)
    }

    /// The child with this number (`P_PID`).
    #[must_use]
    pub fn pid(pid: u32, options: i32) -> WaitId {
        WaitId::of(Who::Pid(pid), options)
    }

    /// Any child of this process group (`P_PGID`); 0 is our own.
    #[must_use]
    pub fn group(group: u32, options: i32) -> WaitId {
        WaitId::of(Who::Group(group), options)
    }

    /// The child that this pidfd stands for (`P_PIDFD`). A pidfd with `O_NONBLOCK` never waits.
    #[must_use]
    pub fn pidfd(fd: impl IntoOpFd, options: i32) -> WaitId {
        WaitId::of(Who::Descriptor(fd.into_op_fd()), options)
    }

    fn of(who: Who, options: i32) -> WaitId {
        // SAFETY: a `siginfo_t` is integers; zero is one of them.
        let info = Box::new(unsafe { std::mem::zeroed::<libc::siginfo_t>() });
        WaitId { who, options, info }
    }
}

// SAFETY: O1: the entry points to `info` only, in a box that is not looked at before the last
// completion (O6); O4: a pidfd is owned. It closes nothing and signals nobody.
unsafe impl Op for WaitId {
    type Output = io::Result<Option<ExitInfo>>;

    fn prepare(&mut self) -> Sqe {
        let (kind, id) = match &self.who {
            Who::Any => (libc::P_ALL, 0),
            Who::Pid(pid) => (libc::P_PID, *pid as i32),
            Who::Group(group) => (libc::P_PGID, *group as i32),
            Who::Descriptor(fd) => {
                let Some(fd) = fd.plain() else { return super::refused() };
                (libc::P_PIDFD, fd)
            }
        };
        let mut sqe = Sqe::new(opcode::WaitId::CODE);
        sqe.fd = id;
        sqe.len = kind;
        sqe.file_index = self.options as u32;
        sqe.off = &raw mut *self.info as u64;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        if let Who::Descriptor(fd) = &self.who {
            fd.check_plain()?;
        }
        completion.into_result()?;
        // It says so by the signal that it did not fill in: the rest is not to be read then.
        if self.info.si_signo == 0 {
            return Ok(None);
        }
        // SAFETY: `info` was zero, and the kernel wrote what it has of a child (`SIGCHLD`).
        let pid = unsafe { self.info.si_pid() };
        // SAFETY: as above.
        let uid = unsafe { self.info.si_uid() };
        // SAFETY: as above.
        let value = unsafe { self.info.si_status() };
        let status = ExitStatus::from_raw(wait_status(self.info.si_code, value));
        Ok(Some(ExitInfo { pid: pid as u32, uid, status }))
    }
}

/// What `waitpid(2)` would have given: std has its `ExitStatus` from that.
fn wait_status(code: i32, value: i32) -> i32 {
    const CORE: i32 = 0x80;
    const STOPPED: i32 = 0x7f;
    const CONTINUED: i32 = 0xffff;
    match code {
        libc::CLD_KILLED => value & 0x7f,
        libc::CLD_DUMPED => value & 0x7f | CORE,
        libc::CLD_STOPPED | libc::CLD_TRAPPED => value << 8 | STOPPED,
        libc::CLD_CONTINUED => CONTINUED,
        _ => (value & 0xff) << 8,
    }
}

impl fmt::Debug for WaitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitId")
            .field("who", &self.who)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::wait_status;

    #[test]
    fn each_way_to_end() {
        let of = |code, value| ExitStatus::from_raw(wait_status(code, value));
        assert_eq!(of(libc::CLD_EXITED, 0).code(), Some(0));
        assert_eq!(of(libc::CLD_EXITED, 255).code(), Some(255));
        assert_eq!(of(libc::CLD_KILLED, libc::SIGKILL).signal(), Some(libc::SIGKILL));
        assert!(!of(libc::CLD_KILLED, libc::SIGKILL).core_dumped());
        assert_eq!(of(libc::CLD_DUMPED, libc::SIGABRT).signal(), Some(libc::SIGABRT));
        assert!(of(libc::CLD_DUMPED, libc::SIGABRT).core_dumped());
        assert_eq!(of(libc::CLD_STOPPED, libc::SIGSTOP).stopped_signal(), Some(libc::SIGSTOP));
        assert_eq!(of(libc::CLD_TRAPPED, libc::SIGTRAP).stopped_signal(), Some(libc::SIGTRAP));
        assert!(of(libc::CLD_CONTINUED, libc::SIGCONT).continued());
    }
}
