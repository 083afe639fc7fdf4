//! What kind of file a descriptor is: which transfers may come out short.
//!
//! # Safety
//!
//! libc calls whose arguments live on this stack.

#![allow(unsafe_code)]

use io_uring::opcode;

use super::super::{Fault, IOSQE_FIXED_FILE, Sqe};
use super::faults;

const SPLICE_F_FD_IN_FIXED: u32 = 1 << 31;

/// Whether the kernel could have moved less than this entry asks for, without a reason that the
/// program can see. Never in front of a link: a short transfer would have cut the chain there.
pub(super) fn may_be_short(sqe: &Sqe) -> bool {
    let allowed = faults::allows(sqe, Fault::Short)
        && sqe.len > 1
        && !sqe.is_linked()
        && !faults::selects_buffer(sqe)
        // The kernel alone knows what is behind the index.
        && sqe.flags & IOSQE_FIXED_FILE == 0;
    if !allowed {
        return false;
    }
    match sqe.opcode {
        opcode::Send::CODE | opcode::SendZc::CODE | opcode::Recv::CODE => {
            let whole = (libc::MSG_WAITALL | libc::MSG_TRUNC) as u32;
            sqe.op_flags & whole == 0 && is_stream_socket(sqe.fd)
        }
        opcode::Read::CODE | opcode::ReadFixed::CODE => is_divisible(sqe.fd, true, sqe.len),
        opcode::Write::CODE | opcode::WriteFixed::CODE => is_divisible(sqe.fd, false, sqe.len),
        opcode::Splice::CODE | opcode::Tee::CODE => {
            // Whole packets and whole sectors are not cut; nobody knows what an index stands for.
            let fixed = sqe.op_flags & SPLICE_F_FD_IN_FIXED != 0;
            let source = sqe.file_index as i32;
            !fixed && is_divisible(source, true, sqe.len) && is_divisible(sqe.fd, true, sqe.len)
        }
        // `len` counts vectors there, and the first may be empty.
        _ => false,
    }
}

fn is_divisible(fd: i32, reads: bool, len: u32) -> bool {
    match file_type(fd) {
        Some(libc::S_IFREG) => !is_direct(fd),
        // Up to PIPE_BUF a write is whole or not at all; packets are never cut.
        Some(libc::S_IFIFO) => !is_direct(fd) && (reads || len as usize > libc::PIPE_BUF),
        Some(libc::S_IFSOCK) => is_stream_socket(fd),
        // eventfd, timerfd, signalfd and inotify have no type and want whole records.
        _ => false,
    }
}

fn file_type(fd: i32) -> Option<libc::mode_t> {
    // SAFETY: a `stat` is integers; zero is one of its values.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid during the call.
    let answer = unsafe { libc::fstat(fd, &raw mut stat) };
    (answer == 0).then_some(stat.st_mode & libc::S_IFMT)
}

/// O_DIRECT: whole sectors of a file, whole packets of a pipe.
fn is_direct(fd: i32) -> bool {
    // SAFETY: no pointers are passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags < 0 || flags & libc::O_DIRECT != 0
}

fn is_stream_socket(fd: i32) -> bool {
    let mut kind: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    let pointer = (&raw mut kind).cast();
    // SAFETY: the pointers are valid during the call, and `len` is the size of `kind`.
    let answer =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, pointer, &raw mut len) };
    answer == 0 && kind == libc::SOCK_STREAM
}
