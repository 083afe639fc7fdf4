//! What is done at once or not at all, as in [`now`](super::now): messages with control data,
//! receives into buffers that are owned, readiness, and options.
//!
//! # Safety
//!
//! B1-B3 for the buffer that is filled: it is borrowed uniquely for the call. The descriptors that
//! a message brings are taken over once, before anybody sees their numbers.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::slice;

use socket2::SockAddr;

use super::control::{Control, ReceivedControl};
use super::now::allowed;
use crate::buf::IoBufMut;
use crate::ring::socket_calls;

/// The kernel sends at most so many descriptors with one message (`SCM_MAX_FD`).
const FDS_MAX: usize = 253;
/// Room for the descriptors, for credentials and a security label if the socket asks for them.
const CONTROL_ROOM: usize = Control::space(FDS_MAX * 4) + 512;

/// Receives a datagram into `buf`, from its first byte up to its capacity.
pub(crate) fn recv_into<B: IoBufMut>(
    fd: BorrowedFd<'_>,
    buf: &mut B,
    flags: i32,
) -> io::Result<(usize, SockAddr)> {
    allowed(0)?;
    let (start, room) = (buf.stable_mut_ptr(), buf.capacity());
    // SAFETY: B2: `capacity` bytes may be written; B3: `buf` is borrowed uniquely.
    let bytes = unsafe { slice::from_raw_parts_mut(start.cast::<MaybeUninit<u8>>(), room) };
    let (count, address) = socket_calls::recv_uninit(fd, bytes, flags)?;
    // SAFETY: B2: the kernel has written the first `count` bytes.
    unsafe { buf.set_init(count) };
    Ok((count, address))
}

/// Sends bytes with descriptors (`SCM_RIGHTS`).
pub(crate) fn send_with_fds(
    fd: BorrowedFd<'_>,
    buf: &[u8],
    fds: &[BorrowedFd<'_>],
    address: Option<&SockAddr>,
) -> io::Result<usize> {
    if fds.len() > FDS_MAX {
        let what = format!(
            "{} descriptors at once: the kernel takes at most {FDS_MAX} with one message",
            fds.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    allowed(0)?;
    let control = Control::borrowed_rights(fds);
    socket_calls::send_message(fd, &[IoSlice::new(buf)], address, control.as_bytes(), 0)
}

/// Receives bytes and the descriptors that come with them.
pub(crate) fn recv_with_fds(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>, SockAddr)> {
    allowed(0)?;
    let mut control = vec![0; CONTROL_ROOM];
    let received = socket_calls::recv_message(fd, buf, &mut control, 0)?;
    control.truncate(received.control);
    // SAFETY: the kernel wrote these bytes for this receive, and they are read here only.
    let mut control = unsafe { ReceivedControl::new(control) };
    if received.flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::other(format!(
            "descriptors that came with a message were lost: there was no room for all of them in \
             this process (RLIMIT_NOFILE); the message ({} bytes) is lost with them",
            received.count
        )));
    }
    Ok((received.count, control.take_rights(), received.address))
}

/// Sends `buf` as datagrams of `segment` bytes each, the last maybe shorter (`UDP_SEGMENT`).
pub(crate) fn send_segments(
    fd: BorrowedFd<'_>,
    buf: &[u8],
    segment: u16,
    address: Option<&SockAddr>,
) -> io::Result<usize> {
    allowed(0)?;
    let mut control = [0; Control::space(2)];
    Control::write_segment(&mut control, segment);
    socket_calls::send_message(fd, &[IoSlice::new(buf)], address, &control, 0)
}

/// Receives a datagram, or several as one: then the length of each but the last (`UDP_GRO`).
pub(crate) fn recv_segments(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
) -> io::Result<(usize, Option<usize>, SockAddr)> {
    allowed(0)?;
    let mut control = [0; Control::space(4) + 128];
    let received = socket_calls::recv_message(fd, buf, &mut control, 0)?;
    let segment = Control::read_segment(&control[..received.control.min(control.len())]);
    Ok((received.count, segment, received.address))
}

/// What the descriptor is ready for now, of `events`; also `POLLERR` and `POLLHUP`.
pub(crate) fn poll(fd: BorrowedFd<'_>, events: u32) -> io::Result<u32> {
    Ok(socket_calls::poll(fd, events as i16)? as u16 as u32)
}

/// An option of `udp(7)`.
pub(crate) fn udp_option(fd: impl AsFd, name: i32) -> io::Result<i32> {
    socket_calls::option(fd.as_fd(), libc::SOL_UDP, name)
}

/// Sets an option of `udp(7)`.
pub(crate) fn set_udp_option(fd: impl AsFd, name: i32, value: i32) -> io::Result<()> {
    socket_calls::set_option(fd.as_fd(), libc::SOL_UDP, name, value)
}

/// Who has connected a Unix socket: process, user, group.
pub(crate) fn peer_credentials(fd: impl AsFd) -> io::Result<(i32, u32, u32)> {
    socket_calls::peer_credentials(fd.as_fd())
}

/// How many bytes the peer of a TCP socket has acknowledged.
pub(crate) fn bytes_acknowledged(fd: impl AsFd) -> io::Result<u64> {
    socket_calls::bytes_acknowledged(fd.as_fd())
}

/// Has the kernel choose among sockets that listen on one address by the CPU: see
/// `SO_ATTACH_REUSEPORT_CBPF` in `socket(7)`.
pub(crate) fn steer_by_cpu(fd: BorrowedFd<'_>, cpus: &[Option<usize>]) -> io::Result<()> {
    socket_calls::steer_by_cpu(fd, cpus)
}

/// The numbers of borrowed descriptors.
pub(super) fn numbers<'a>(fds: &'a [BorrowedFd<'_>]) -> impl Iterator<Item = u8> + 'a {
    fds.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes())
}
