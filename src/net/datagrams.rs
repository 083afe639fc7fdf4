//! What sockets of datagrams have in common.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{SockAddr, SockRef};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::Readiness;
use crate::op::{SharedFd, now, now_message};

/// Both directions of a socket of datagrams.
pub(super) struct Datagrams {
    pub(super) input: Readiness,
    pub(super) output: Readiness,
}

/// Reads without taking.
pub(super) const PEEK: i32 = libc::MSG_PEEK;

impl Datagrams {
    pub(super) fn new(fd: SharedFd) -> Datagrams {
        Datagrams { input: Readiness::reading(fd.clone()), output: Readiness::writing(fd) }
    }

    pub(super) fn fd(&self) -> &SharedFd {
        self.input.fd()
    }

    pub(super) fn option(&self) -> SockRef<'_> {
        SockRef::from(self.fd())
    }

    pub(super) async fn recv(&self, buf: &mut [u8], flags: i32) -> io::Result<usize> {
        self.input.call(|fd| now::recv(fd, buf, flags)).await
    }

    pub(super) async fn recv_from(
        &self,
        buf: &mut [u8],
        flags: i32,
    ) -> io::Result<(usize, SockAddr)> {
        self.input.call(|fd| now::recv_from(fd, buf, flags)).await
    }

    pub(super) async fn recv_into<B: IoBufMut>(
        &self,
        mut buf: B,
    ) -> BufResult<(usize, SockAddr), B> {
        let result = self.input.call(|fd| now_message::recv_into(fd, &mut buf, 0)).await;
        (result, buf)
    }

    pub(super) async fn send(&self, buf: &[u8], address: Option<&SockAddr>) -> io::Result<usize> {
        self.output.call(|fd| send(fd, buf, address)).await
    }

    pub(super) async fn send_owned<B: IoBuf>(
        &self,
        buf: B,
        address: Option<&SockAddr>,
    ) -> BufResult<usize, B> {
        let result = self.send(buf.as_init(), address).await;
        (result, buf)
    }

    /// The descriptor, non-blocking.
    pub(super) fn into_owned(self) -> io::Result<OwnedFd> {
        self.input.stop();
        self.output.stop();
        let fd = self.fd().clone();
        drop(self);
        let fd = fd.try_unwrap().or_else(|shared| shared.as_fd().try_clone_to_owned())?;
        SockRef::from(&fd).set_nonblocking(true)?;
        Ok(fd)
    }
}

pub(super) fn send(
    fd: BorrowedFd<'_>,
    buf: &[u8],
    address: Option<&SockAddr>,
) -> io::Result<usize> {
    now::send_datagram(fd, &[IoSlice::new(buf)], address, 0)
}
