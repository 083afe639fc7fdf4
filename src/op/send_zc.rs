//! `IORING_OP_SEND_ZC`: send without copying.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;
use socket2::SockAddr;

use super::message::send_flags;
use super::{Completion, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoBuf};
use crate::ring::kernel::Sqe;
use crate::ring::{self, FixedBuf};

/// `IORING_RECVSEND_FIXED_BUF`
const FIXED_BUF: u16 = 1 << 2;

/// Sends the initialised bytes of `buf` from where they are, without a copy in the kernel. TCP and
/// UDP only. Linux 6.0.
///
/// `flags` are `MSG_*` of libc, 0 for none, as for [`Send`](super::Send). The op ends, and gives
/// the buffer back, when the kernel reads it no more: for TCP that is when the peer has
/// acknowledged the bytes, so later than a send. Worth it for large buffers on a real network card:
/// on the loopback interface, and for a few KiB, a copy is faster.
///
/// # Errors
///
/// `ENOMEM` when the pages would be more than `RLIMIT_MEMLOCK` lets a process pin: send these bytes
/// by [`Send`](super::Send) then, the buffer has come back. `EOPNOTSUPP` for a socket of another
/// kind, such as a Unix one.
///
/// # Cancellation
///
/// Until the kernel has taken the bytes it ends with `ECANCELED`, or as a short send; after that a
/// cancel, a deadline or a drop changes nothing, and the buffer stays with the op until the kernel
/// is done.
#[derive(Debug)]
pub struct SendZc<B> {
    fd: OpFd,
    buf: B,
    flags: u32,
    address: Option<Box<SockAddr>>,
}

/// [`SendZc`] of a registered buffer, whose pages need not be pinned each time. Made by
/// [`SendZc::fixed`].
///
/// # Errors
///
/// Besides: [`InvalidInput`](io::ErrorKind::InvalidInput) for the buffer of another runtime,
/// `EFAULT` for one that was unregistered meanwhile.
#[derive(Debug)]
pub struct SendZcFixed {
    fd: OpFd,
    buf: FixedBuf,
    flags: u32,
    foreign: bool,
}

impl<B: IoBuf> SendZc<B> {
    /// Describes the send.
    pub fn new(fd: impl IntoOpFd, buf: B, flags: u32) -> SendZc<B> {
        SendZc { fd: fd.into_op_fd(), buf, flags: send_flags(flags), address: None }
    }

    /// Sends to this address, for a socket that is not connected.
    #[must_use]
    pub fn to(mut self, address: impl Into<SockAddr>) -> SendZc<B> {
        self.address = Some(Box::new(address.into()));
        self
    }
}

impl SendZc<FixedBuf> {
    /// Describes the send of a registered buffer.
    pub fn fixed(fd: impl IntoOpFd, buf: FixedBuf, flags: u32) -> SendZcFixed {
        SendZcFixed { fd: fd.into_op_fd(), buf, flags: send_flags(flags), foreign: false }
    }
}

// SAFETY: O1: the entry points to `buf`'s initialised bytes, which B1 keeps in place, and to
// `address`, in its box; the kernel only reads, and the last completion comes when it reads no
// more; O4: `fd` is owned.
unsafe impl<B: IoBuf> Op for SendZc<B> {
    type Output = BufResult<usize, B>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::SendZc::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::readable(&self.buf);
        sqe.op_flags = self.flags;
        if let Some(address) = &self.address {
            sqe.off = address.as_ptr() as u64;
            // The first half of the field.
            sqe.file_index = address.len() << if cfg!(target_endian = "big") { 16 } else { 0 };
        }
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        (completion.into_result().map(|count| count as usize), self.buf)
    }
}

// SAFETY: O1: the entry points to the initialised bytes of `buf` only, which are on the heap and
// stay there (the kernel refuses a range that is not registered under this index), until the last
// completion, as above; O4: `fd` is owned.
unsafe impl Op for SendZcFixed {
    type Output = BufResult<usize, FixedBuf>;

    fn prepare(&mut self) -> Sqe {
        self.foreign = ring::current().is_none_or(|ring| ring.id() != self.buf.ring_id());
        if self.foreign {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::SendZc::CODE);
        self.fd.set(&mut sqe);
        (sqe.addr, sqe.len) = super::readable(self.buf.memory());
        sqe.op_flags = self.flags;
        sqe.ioprio = FIXED_BUF;
        sqe.buf_index = self.buf.index();
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        if self.foreign {
            let error = io::Error::new(
                io::ErrorKind::InvalidInput,
                "this buffer is registered with the ring of another runtime",
            );
            return (Err(error), self.buf);
        }
        (completion.into_result().map(|count| count as usize), self.buf)
    }
}
