//! `IORING_OP_RECV` again and again, into buffers that the kernel chooses.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{BufGroup, Completion, IntoOpFd, MultiOp, OpFd, buf_group, message};
use crate::ring::PooledBuf;
use crate::ring::kernel::Sqe;

/// Many answers, each with a buffer.
pub(super) const RECV_MULTISHOT: u16 = 1 << 1;

/// Receives again and again into pooled buffers: one entry for any number of messages. Linux 6.0.
///
/// `flags` are `MSG_*` of libc, 0 for none; `MSG_TRUNC` is left out as for
/// [`RecvSelect`](super::RecvSelect). Each item is what one receive gave. An empty one is the end
/// of a stream, or an empty datagram: who reads a stream stops there, for the next poll would only
/// find the end again.
///
/// The bytes leave the socket whether or not anybody takes the items; how many may wait is
/// [`Multishot::window`](super::Multishot::window). While the pool is empty the stream waits, in a
/// row with others, for a buffer to come back: who keeps all of them waits for himself.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for the group of another runtime; those of
/// `recv(2)`. An error is an item; the next poll tries again.
///
/// # Cancellation
///
/// As for [`Multishot`](super::Multishot). Buffers of items that nobody takes go back.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
///
/// use futures::StreamExt;
/// use ringspun::op::{self, BufClass, Multishot, RecvMulti, SharedFd};
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, mut peer) = UnixStream::pair()?;
/// peer.write_all(b"hello")?;
/// drop(peer);
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let Some(group) = op::buf_group(BufClass::Small) else {
///         return Ok(()); // Linux before 5.19
///     };
///     let mut stream = Multishot::new(RecvMulti::new(SharedFd::new(ours), group, 0));
///     let mut received = Vec::new();
///     while let Some(buf) = stream.next().await {
///         let buf = buf?;
///         if buf.is_empty() {
///             break;
///         }
///         received.extend_from_slice(&buf);
///     }
///     assert_eq!(received, b"hello");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct RecvMulti {
    fd: OpFd,
    group: BufGroup,
    flags: u32,
    foreign: bool,
}

impl RecvMulti {
    /// Describes the receives.
    pub fn new(fd: impl IntoOpFd, group: BufGroup, flags: u32) -> RecvMulti {
        RecvMulti { fd: fd.into_op_fd(), group, flags, foreign: false }
    }
}

// SAFETY: O1, O7: the entry has no pointer; the kernel writes to buffers of the group only, which
// the op keeps, and never to one of another ring's, for then it is not asked; O4: `fd` is owned.
unsafe impl MultiOp for RecvMulti {
    type Item = io::Result<PooledBuf>;

    fn prepare(&mut self) -> Sqe {
        self.foreign = !self.group.is_here();
        if self.foreign {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::Recv::CODE);
        self.fd.set(&mut sqe);
        self.group.select(&mut sqe);
        sqe.op_flags = message::recv_flags(self.flags) & !(libc::MSG_TRUNC as u32);
        sqe.ioprio = RECV_MULTISHOT;
        sqe
    }

    unsafe fn item(&mut self, completion: Completion) -> Option<io::Result<PooledBuf>> {
        if self.foreign {
            return Some(Err(buf_group::foreign()));
        }
        Some(self.group.clone().receive(completion))
    }

    fn buf_group(&self) -> Option<&BufGroup> {
        (!self.foreign).then_some(&self.group)
    }
}
