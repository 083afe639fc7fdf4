//! `IORING_OP_EPOLL_CTL`: change what an epoll watches.

#![allow(unsafe_code)]

use std::fmt;
use std::io;

use io_uring::opcode;

use super::{Completion, IntoOpFd, Op, OpFd};
use crate::ring::kernel::Sqe;

/// What an epoll shall report, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpollEvent {
    /// `EPOLLIN`, `EPOLLOUT`, ...
    pub events: u32,
    /// Comes back with each event.
    pub data: u64,
}

/// Adds, changes or removes the interest of `epfd` in `fd`. See `epoll_ctl(2)`. Linux 5.6.
///
/// `op` is `EPOLL_CTL_ADD`, `EPOLL_CTL_MOD` or `EPOLL_CTL_DEL` of libc; `event` is not used by the
/// last.
///
/// # Errors
///
/// Those of the system call (`EEXIST`, `ENOENT`, `EPERM`, `ELOOP`, ...);
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if `fd` is a registered file. `EINVAL` where the
/// kernel was built without it.
///
/// # Cancellation
///
/// It does not wait: a cancel that comes in time gives `ECANCELED` and nothing was changed.
pub struct EpollCtl {
    epfd: OpFd,
    fd: OpFd,
    op: i32,
    event: Option<Box<libc::epoll_event>>,
}

impl EpollCtl {
    /// Describes the change.
    pub fn new(
        epfd: impl IntoOpFd,
        fd: impl IntoOpFd,
        op: i32,
        event: Option<EpollEvent>,
    ) -> EpollCtl {
        let event = event
            .map(|event| Box::new(libc::epoll_event { events: event.events, u64: event.data }));
        EpollCtl { epfd: epfd.into_op_fd(), fd: fd.into_op_fd(), op, event }
    }
}

// SAFETY: O1: the entry points to `event` only, in its box, and the kernel only reads it; O4: both
// descriptors are owned.
unsafe impl Op for EpollCtl {
    type Output = io::Result<()>;

    /// It may have been done: a second try would get `EEXIST` or `ENOENT`.
    const RESTARTABLE: bool = false;

    fn prepare(&mut self) -> Sqe {
        let Some(fd) = self.fd.plain() else { return super::refused() };
        let mut sqe = Sqe::new(opcode::EpollCtl::CODE);
        self.epfd.set(&mut sqe);
        sqe.off = fd as u64;
        sqe.len = self.op as u32;
        sqe.addr = self.event.as_deref().map_or(0, |event| std::ptr::from_ref(event) as u64);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        self.fd.check_plain()?;
        completion.into_result().map(drop)
    }
}

impl fmt::Debug for EpollCtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpollCtl")
            .field("epfd", &self.epfd)
            .field("fd", &self.fd)
            .field("op", &self.op)
            .finish_non_exhaustive()
    }
}
