//! Calls that never wait: what a stream or a file does at once, without an entry.
//!
//! A borrowed write must not outlive its call, so it cannot be an entry: it is a `sendmsg` that
//! does not wait. `EINTR` is retried here; what would wait is `WouldBlock`.
//!
//! # Safety
//!
//! libc calls whose arguments live during the call: slices and what is on this stack.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use socket2::{SockAddr, SockAddrStorage};

/// The kernel takes at most so many vectors (`UIO_MAXIOV`).
const VECTORS_MAX: usize = 1024;

/// What the seam makes of a call before it is made. Only fault injection says more than `Go`.
#[allow(dead_code, reason = "said by the feature `chaos`")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    Go,
    /// Answer `WouldBlock`, as a kernel does that is short of room for a moment.
    WouldBlock,
    /// Let it move at most so many bytes.
    AtMost(usize),
}

/// `sendmsg(2)`, or `send(2)`, with `MSG_DONTWAIT | MSG_NOSIGNAL`.
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    address: Option<&SockAddr>,
    flags: i32,
) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    if let (&[buf], None) = (bufs, address) {
        // One slice needs no header, which the kernel would have to copy.
        let (start, len) = (buf.as_ptr().cast(), buf.len());
        // SAFETY: the kernel reads the borrowed slice.
        return answer(|| unsafe { libc::send(fd.as_raw_fd(), start, len, flags) });
    }
    let mut message = message(bufs);
    if let Some(address) = address {
        message.msg_name = address.as_ptr().cast_mut().cast();
        message.msg_namelen = address.len();
    }
    // SAFETY: the message points to the slices and the address, which are borrowed for the call.
    answer(|| unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

pub(super) fn message(bufs: &[IoSlice<'_>]) -> libc::msghdr {
    // SAFETY: a `msghdr` of zeroes has no address, no vectors and no control data.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    // `IoSlice` is laid out as `iovec`, says std; the kernel only reads.
    message.msg_iov = bufs.as_ptr().cast_mut().cast();
    message.msg_iovlen = bufs.len().min(VECTORS_MAX) as _;
    message
}

/// `recv(2)` with `MSG_DONTWAIT`.
pub(crate) fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: i32) -> io::Result<usize> {
    let (start, len) = (buf.as_mut_ptr().cast(), buf.len());
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes at most `len` bytes into the borrowed slice.
    answer(|| unsafe { libc::recv(fd.as_raw_fd(), start, len, flags) })
}

/// `recvfrom(2)` with `MSG_DONTWAIT`.
pub(crate) fn recv_from(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: i32,
) -> io::Result<(usize, SockAddr)> {
    let mut storage = SockAddrStorage::zeroed();
    let room = storage.size_of();
    let mut address_len = room;
    let (start, len) = (buf.as_mut_ptr().cast(), buf.len());
    let flags = flags | libc::MSG_DONTWAIT;
    let address = (&raw mut storage).cast();
    let count = answer(|| {
        let address_len = &raw mut address_len;
        // SAFETY: the kernel writes into the borrowed slice and the storage, and no further.
        unsafe { libc::recvfrom(fd.as_raw_fd(), start, len, flags, address, address_len) }
    })?;
    // SAFETY: the kernel wrote an address of this length, and the rest is zero.
    Ok((count, unsafe { SockAddr::new(storage, address_len.min(room)) }))
}

/// `preadv2(2)` with `RWF_NOWAIT`; without an offset at the file's own position.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8], offset: Option<u64>) -> io::Result<usize> {
    let vector = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let (fd, offset) = (fd.as_raw_fd(), place(offset)?);
    // SAFETY: the kernel writes at most the vector's length into the borrowed slice.
    answer(|| unsafe { libc::preadv2(fd, &raw const vector, 1, offset, libc::RWF_NOWAIT) })
}

/// `pwritev2(2)`; with `nowait` it does not wait for the disk either.
pub(crate) fn write(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    offset: Option<u64>,
    nowait: bool,
) -> io::Result<usize> {
    let (vectors, count) = (bufs.as_ptr().cast(), bufs.len().min(VECTORS_MAX) as libc::c_int);
    let (fd, offset) = (fd.as_raw_fd(), place(offset)?);
    let flags = if nowait { libc::RWF_NOWAIT } else { 0 };
    // SAFETY: the kernel reads the borrowed slices; `IoSlice` is laid out as `iovec`, says std.
    answer(|| unsafe { libc::pwritev2(fd, vectors, count, offset, flags) })
}

/// `read(2)` and `write(2)` on a descriptor that is non-blocking itself.
pub(crate) fn read_plain(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (start, len) = (buf.as_mut_ptr().cast(), buf.len());
    // SAFETY: the kernel writes at most `len` bytes into the borrowed slice.
    answer(|| unsafe { libc::read(fd.as_raw_fd(), start, len) })
}

/// As `read_plain`.
pub(crate) fn write_plain(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let (vectors, count) = (bufs.as_ptr().cast(), bufs.len().min(VECTORS_MAX) as libc::c_int);
    // SAFETY: the kernel reads the borrowed slices; `IoSlice` is laid out as `iovec`, says std.
    answer(|| unsafe { libc::writev(fd.as_raw_fd(), vectors, count) })
}

/// `pipe2(2)` with `O_CLOEXEC`: the reading and the writing end.
pub(crate) fn pipe(flags: i32) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors into the array.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), flags | libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else knows it.
    let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(ends[1]) };
    Ok((reader, writer))
}

/// Whether the descriptor has `O_NONBLOCK`; with `Some`, sets it.
pub(crate) fn nonblocking(fd: BorrowedFd<'_>, set: Option<bool>) -> io::Result<bool> {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let is = flags & libc::O_NONBLOCK != 0;
    let Some(wanted) = set.filter(|wanted| *wanted != is) else { return Ok(is) };
    let changed = if wanted { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: no pointers.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, changed) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(wanted)
}

/// The file status flags (`F_GETFL`): access mode, `O_APPEND`, `O_NONBLOCK`.
pub(crate) fn status_flags(fd: BorrowedFd<'_>) -> io::Result<i32> {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags) }
}

/// What an open file is (`stx_mode`) and its length, as the kernel has them at hand: a network file
/// system is not asked.
pub(crate) fn file_status(fd: BorrowedFd<'_>) -> io::Result<(u32, u64)> {
    // SAFETY: a `statx` is integers; zero is one of them.
    let mut status: libc::statx = unsafe { mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let mask = libc::STATX_TYPE | libc::STATX_SIZE;
    let (fd, path, status_ptr) = (fd.as_raw_fd(), c"".as_ptr(), &raw mut status);
    // SAFETY: the path is a constant, and the kernel writes one `statx` to this stack.
    if unsafe { libc::statx(fd, path, flags, mask, status_ptr) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((u32::from(status.stx_mode), status.stx_size))
}

/// -1 as an offset is "the file's own position".
fn place(offset: Option<u64>) -> io::Result<libc::off_t> {
    let Some(offset) = offset else { return Ok(-1) };
    libc::off_t::try_from(offset).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "an offset beyond the largest file")
    })
}

#[inline]
pub(super) fn answer(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        let answer = call();
        if answer >= 0 {
            return Ok(answer as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
