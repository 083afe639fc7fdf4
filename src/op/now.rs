//! What is done at once or not at all: plain calls through the seam, for what is borrowed.
//!
//! A borrowed slice cannot be given to the kernel for later, so a borrowed write is a call that
//! does not wait, and what it cannot do at once is `WouldBlock`; who gets that waits for readiness
//! by [`PollAdd`](super::PollAdd) and tries again. `EINTR` never comes out.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};

use socket2::SockAddr;

use crate::ring::{self, Disturbance, direct};

/// Asks the seam; answers how many bytes may be moved.
#[inline]
pub(super) fn allowed(bytes: usize) -> io::Result<usize> {
    match ring::disturb(bytes) {
        Disturbance::Go => Ok(usize::MAX),
        Disturbance::WouldBlock => Err(io::ErrorKind::WouldBlock.into()),
        Disturbance::AtMost(limit) => Ok(limit),
    }
}

/// Sends bytes of a stream. See `sendmsg(2)`; `MSG_DONTWAIT` and `MSG_NOSIGNAL` are always set.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>], flags: i32) -> io::Result<usize> {
    let bytes = total(bufs);
    match allowed(bytes)? {
        limit if limit >= bytes => direct::send(fd, bufs, None, flags),
        limit => direct::send(fd, &[first(bufs, limit)], None, flags),
    }
}

/// Sends a datagram, whole or not at all.
pub(crate) fn send_datagram(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    address: Option<&SockAddr>,
    flags: i32,
) -> io::Result<usize> {
    allowed(0)?;
    direct::send(fd, bufs, address, flags)
}

/// Receives. See `recv(2)`; `MSG_DONTWAIT` is always set.
#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: i32) -> io::Result<usize> {
    allowed(0)?;
    direct::recv(fd, buf, flags)
}

/// Receives a datagram and who sent it.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: i32,
) -> io::Result<(usize, SockAddr)> {
    allowed(0)?;
    direct::recv_from(fd, buf, flags)
}

/// Reads what is there without waiting (`RWF_NOWAIT`): of a file what is cached, of a pipe what is
/// in it. `Unsupported` (`EOPNOTSUPP`) where the file cannot say.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8], offset: Option<u64>) -> io::Result<usize> {
    allowed(0)?;
    direct::read(fd, buf, offset)
}

/// Writes what can be written without waiting (`RWF_NOWAIT`).
pub(crate) fn write(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    offset: Option<u64>,
) -> io::Result<usize> {
    let bytes = total(bufs);
    match allowed(bytes)? {
        limit if limit >= bytes => direct::write(fd, bufs, offset, true),
        limit => direct::write(fd, &[first(bufs, limit)], offset, true),
    }
}

/// Writes to a file on this thread. It may wait for the disk: only on explicit request.
pub(crate) fn write_inline(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    offset: Option<u64>,
) -> io::Result<usize> {
    direct::write(fd, bufs, offset, false)
}

/// Reads from a descriptor that has `O_NONBLOCK`.
pub(crate) fn read_nonblocking(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    allowed(0)?;
    direct::read_plain(fd, buf)
}

/// Writes to a descriptor that has `O_NONBLOCK`.
pub(crate) fn write_nonblocking(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let bytes = total(bufs);
    match allowed(bytes)? {
        limit if limit >= bytes => direct::write_plain(fd, bufs),
        limit => direct::write_plain(fd, &[first(bufs, limit)]),
    }
}

/// A pipe: the reading and the writing end, closed at exec; `flags` are `O_*`.
pub(crate) fn pipe(flags: i32) -> io::Result<(OwnedFd, OwnedFd)> {
    direct::pipe(flags)
}

/// Sets or clears `O_NONBLOCK`.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    direct::nonblocking(fd, Some(nonblocking)).map(drop)
}

/// The file status flags: access mode, `O_APPEND`, `O_NONBLOCK`.
pub(crate) fn status_flags(fd: BorrowedFd<'_>) -> io::Result<i32> {
    direct::status_flags(fd)
}

/// What an open file is (`S_IFMT`) and its length, without asking a network file system.
pub(crate) fn file_status(fd: BorrowedFd<'_>) -> io::Result<(u32, u64)> {
    direct::file_status(fd)
}

fn total(bufs: &[IoSlice<'_>]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

/// The beginning of the first buffer that has one.
fn first<'a>(bufs: &'a [IoSlice<'_>], limit: usize) -> IoSlice<'a> {
    let buf = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| &buf[..]);
    IoSlice::new(&buf[..limit.min(buf.len())])
}
