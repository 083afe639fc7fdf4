//! Calls on sockets that never wait, beyond plain sends and receives: messages with control data,
//! receives into memory that is not initialised, readiness as it is now, and a few options.
//!
//! # Safety
//!
//! libc calls whose arguments live during the call: slices and what is on this stack.

#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockAddrStorage};

use super::direct::{answer, message};

/// What a receive has brought.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes in the buffer.
    pub(crate) count: usize,
    /// `MSG_TRUNC`, `MSG_CTRUNC`.
    pub(crate) flags: i32,
    /// Bytes of control messages.
    pub(crate) control: usize,
    /// Who sent it, as far as the socket says so.
    pub(crate) address: SockAddr,
}

/// As `direct::send`, with control messages. They are well formed, and name no descriptor but
/// borrowed ones.
pub(crate) fn send_message(
    fd: BorrowedFd<'_>,
    bufs: &[IoSlice<'_>],
    address: Option<&SockAddr>,
    control: &[u8],
    flags: i32,
) -> io::Result<usize> {
    let mut message = message(bufs);
    if let Some(address) = address {
        message.msg_name = address.as_ptr().cast_mut().cast();
        message.msg_namelen = address.len();
    }
    message.msg_control = control.as_ptr().cast_mut().cast();
    message.msg_controllen = control.len() as _;
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the message points to slices and an address that are borrowed for the call; the
    // kernel only reads.
    answer(|| unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) })
}

/// `recvmsg(2)` with `MSG_DONTWAIT | MSG_CMSG_CLOEXEC`. Descriptors that come are numbers in
/// `control`: the caller takes them over.
pub(crate) fn recv_message(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    control: &mut [u8],
    flags: i32,
) -> io::Result<Received> {
    let mut storage = SockAddrStorage::zeroed();
    let room = storage.size_of();
    let mut vector = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: a `msghdr` of zeroes has no address, no vectors and no control data.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = (&raw mut storage).cast();
    message.msg_namelen = room;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len() as _;
    // SAFETY: the kernel writes into the borrowed slices and the storage, and no further.
    let count = answer(|| unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) })?;
    let len = message.msg_namelen.min(room);
    // SAFETY: the kernel wrote an address of this length, and the rest is zero.
    let address = unsafe { SockAddr::new(storage, len) };
    let (flags, control) = (message.msg_flags, message.msg_controllen as usize);
    Ok(Received { count, flags, control, address })
}

/// `recvfrom(2)` with `MSG_DONTWAIT`, into memory that need not be initialised: as many bytes of
/// it as are answered are so then.
pub(crate) fn recv_uninit(
    fd: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
    flags: i32,
) -> io::Result<(usize, SockAddr)> {
    let mut storage = SockAddrStorage::zeroed();
    let room = storage.size_of();
    let mut address_len = room;
    let (start, len) = (buf.as_mut_ptr().cast(), buf.len());
    // With this flag the answer may be more than what was written.
    let flags = (flags & !libc::MSG_TRUNC) | libc::MSG_DONTWAIT;
    let address = (&raw mut storage).cast();
    let count = answer(|| {
        let address_len = &raw mut address_len;
        // SAFETY: the kernel writes into the borrowed slice and the storage, and no further.
        unsafe { libc::recvfrom(fd.as_raw_fd(), start, len, flags, address, address_len) }
    })?;
    // SAFETY: the kernel wrote an address of this length, and the rest is zero.
    Ok((count, unsafe { SockAddr::new(storage, address_len.min(room)) }))
}

/// What a descriptor is ready for now, of `events` (`POLL*`): `poll(2)` that does not wait.
pub(crate) fn poll(fd: BorrowedFd<'_>, events: i16) -> io::Result<i16> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: the kernel writes to the one entry.
    answer(|| unsafe { libc::poll(&raw mut entry, 1, 0) as libc::ssize_t })?;
    Ok(entry.revents)
}

/// An option that is a number.
pub(crate) fn option(fd: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    let (fd, place) = (fd.as_raw_fd(), (&raw mut value).cast());
    // SAFETY: the kernel writes at most `len` bytes, all of them the number's.
    answer(|| unsafe { libc::getsockopt(fd, level, name, place, &raw mut len) as libc::ssize_t })?;
    Ok(value)
}

/// Sets an option that is a number.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    let (fd, place) = (fd.as_raw_fd(), (&raw const value).cast());
    // SAFETY: the kernel reads the number.
    answer(|| unsafe { libc::setsockopt(fd, level, name, place, len) as libc::ssize_t })?;
    Ok(())
}

/// Who has connected a Unix socket (`SO_PEERCRED`): process, user, group.
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<(i32, u32, u32)> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let (fd, place) = (fd.as_raw_fd(), (&raw mut found).cast());
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: the kernel writes at most `len` bytes, all of them the structure's.
    answer(|| unsafe { libc::getsockopt(fd, level, name, place, &raw mut len) as libc::ssize_t })?;
    Ok((found.pid, found.uid, found.gid))
}

/// How many bytes the peer of a TCP socket has acknowledged (`TCP_INFO`).
pub(crate) fn bytes_acknowledged(fd: BorrowedFd<'_>) -> io::Result<u64> {
    /// Where `tcpi_bytes_acked` lies in `struct tcp_info`, in numbers of 8 bytes.
    const PLACE: usize = 15;
    let mut info = [0_u64; PLACE + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    let (fd, place) = (fd.as_raw_fd(), info.as_mut_ptr().cast());
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    // SAFETY: the kernel writes at most `len` bytes, all of them the array's.
    answer(|| unsafe { libc::getsockopt(fd, level, name, place, &raw mut len) as libc::ssize_t })?;
    Ok(info[PLACE])
}

/// Has the kernel choose among the sockets that listen on one address (`SO_REUSEPORT`) by the CPU
/// that takes the packet in: `sockets[i]` is that of `cpus[i]`, in the order in which they began to
/// listen; other CPUs by their number. One of the sockets is enough.
pub(crate) fn steer_by_cpu(fd: BorrowedFd<'_>, cpus: &[Option<usize>]) -> io::Result<()> {
    let one =
        |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let this_cpu = (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32;
    let mut program = vec![one(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, this_cpu)];
    for (socket, cpu) in cpus.iter().enumerate() {
        let Some(cpu) = *cpu else { continue };
        program.push(one(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, cpu as u32));
        program.push(one(libc::BPF_RET | libc::BPF_K, 0, 0, socket as u32));
    }
    let sockets = cpus.len().max(1) as u32;
    program.push(one(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, sockets));
    program.push(one(libc::BPF_RET | libc::BPF_A, 0, 0, 0));
    let described = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let len = size_of::<libc::sock_fprog>() as libc::socklen_t;
    let (fd, place) = (fd.as_raw_fd(), (&raw const described).cast());
    let (level, name) = (libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF);
    // SAFETY: the kernel reads the program, whose instructions live in the vector.
    answer(|| unsafe { libc::setsockopt(fd, level, name, place, len) as libc::ssize_t })?;
    Ok(())
}
