//! `IORING_OP_RECV` again and again, into buffers of its own that several messages share.
//!
//! The kernel fills a buffer piece by piece and does not say where a piece begins. So it is counted
//! in the order of the completions, which this op sees all of, as nobody shares its group.

#![allow(unsafe_code)]

use std::io;
use std::rc::{Rc, Weak};

use io_uring::opcode;

use super::recv_multi::RECV_MULTISHOT;
use super::{BufGroup, Completion, IntoOpFd, MultiOp, OpFd, buf_group, message};
use crate::ring::kernel::{BUF_RING_ENTRIES_MAX, Sqe};
use crate::ring::{PooledBuf, Ring};

/// The largest buffer: more than one receive gives.
const BUF_LEN_MAX: u32 = 1 << 30;

/// Receives again and again into buffers of its own, which the kernel fills piece by piece: a small
/// message takes as much of a buffer as it is long, not a whole one. Linux 6.12.
///
/// `buffers` of `buf_len` bytes each (1 to 32768, 1 byte to 1 GiB) are mapped and registered at the
/// first poll, and belong to this op alone: such buffers cannot be shared between ops, for the
/// kernel does not say which part of one it has filled. It suits a few busy connections with small
/// messages; ten thousand idle ones share a group by [`RecvMulti`](super::RecvMulti).
///
/// `flags` are `MSG_*` of libc, 0 for none; `MSG_TRUNC` is left out. Each item is what one receive
/// gave: a piece of a buffer. What does not fit into the rest of a buffer is split there, and a
/// datagram is cut off: it is meant for streams. An empty item is the end of the stream; who reads
/// stops there.
///
/// A buffer is used again when it is full and all its pieces have been dropped: so a small piece
/// that is kept holds a whole buffer. While pieces hold all buffers the stream waits until one
/// comes back, asleep. Pieces outlive the op and the runtime if need be.
///
/// # Errors
///
/// [`Unsupported`](io::ErrorKind::Unsupported) before Linux 6.12;
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for impossible numbers; `ENOMEM` without enough
/// (lockable) memory; those of `recv(2)`. An error is an item; the next poll tries again.
///
/// # Cancellation
///
/// As for [`Multishot`](super::Multishot). Dropping it gives the buffers back to the system, when
/// the kernel has let go of them and all pieces are dropped.
///
/// # Examples
///
/// ```
/// use std::io::{ErrorKind, Write};
/// use std::os::unix::net::UnixStream;
///
/// use futures::StreamExt;
/// use ringspun::op::{Multishot, RecvIncremental, SharedFd};
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, mut peer) = UnixStream::pair()?;
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let mut stream = Multishot::new(RecvIncremental::new(SharedFd::new(ours), 4, 4096, 0));
///     peer.write_all(b"hello")?;
///     let first = match stream.next().await.expect("it was not cancelled") {
///         Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
///         item => item?,
///     };
///     peer.write_all(b" world")?;
///     let second = stream.next().await.expect("it was not cancelled")?;
///     assert_eq!([&first[..], &second[..]].concat(), b"hello world");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct RecvIncremental {
    fd: OpFd,
    buffers: u16,
    buf_len: u32,
    flags: u32,
    own: Option<Own>,
    /// Why the entry that was prepared last asks for nothing.
    refusal: Option<io::Error>,
}

/// The group of one op, registered until it is dropped.
#[derive(Debug)]
struct Own {
    group: BufGroup,
    /// The ring may keep the op, so the op does not keep the ring.
    ring: Weak<Ring>,
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(ring) = self.ring.upgrade() {
            self.group.close(&ring);
        }
    }
}

impl RecvIncremental {
    /// Describes the receives: into so many buffers of so many bytes each.
    pub fn new(fd: impl IntoOpFd, buffers: u16, buf_len: u32, flags: u32) -> RecvIncremental {
        RecvIncremental { fd: fd.into_op_fd(), buffers, buf_len, flags, own: None, refusal: None }
    }

    /// The group on the current ring, made at its first use.
    fn group(&mut self) -> io::Result<&BufGroup> {
        if self.own.is_none() {
            let (buffers, bytes) = (self.buffers, self.buf_len);
            let possible = (1..=BUF_RING_ENTRIES_MAX).contains(&usize::from(buffers))
                && (1..=BUF_LEN_MAX).contains(&bytes);
            if !possible {
                return Err(impossible(buffers, bytes));
            }
            let ring = super::current_ring();
            let group = BufGroup::open(&ring, buffers, bytes)?;
            self.own = Some(Own { group, ring: Rc::downgrade(&ring) });
        }
        match &self.own {
            Some(own) if !own.group.is_of_this_ring() => Err(buf_group::foreign()),
            Some(own) if own.group.is_spent() => Err(spent()),
            Some(own) => Ok(&own.group),
            None => Err(spent()),
        }
    }
}

#[cold]
fn impossible(buffers: u16, bytes: u32) -> io::Error {
    let text = format!(
        "{buffers} buffers of {bytes} bytes cannot be received into: ask for 1 to \
         {BUF_RING_ENTRIES_MAX} buffers of 1 to {BUF_LEN_MAX} bytes"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cold]
fn spent() -> io::Error {
    io::Error::other(
        "the kernel has said of each buffer that it received more than fits: none is used again",
    )
}

// SAFETY: O1, O7: the entry has no pointer; the kernel writes to buffers of the group only, which
// nobody else selects from, and which is unregistered when the op is dropped, after its last
// completion (O2); on another ring the kernel is not asked; O4: `fd` is owned.
unsafe impl MultiOp for RecvIncremental {
    type Item = io::Result<PooledBuf>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Recv::CODE);
        match self.group() {
            Ok(group) => group.select(&mut sqe),
            Err(error) => {
                self.refusal = Some(error);
                return super::refused();
            }
        }
        self.refusal = None;
        self.fd.set(&mut sqe);
        sqe.op_flags = message::recv_flags(self.flags) & !(libc::MSG_TRUNC as u32);
        sqe.ioprio = RECV_MULTISHOT;
        sqe
    }

    unsafe fn item(&mut self, completion: Completion) -> Option<io::Result<PooledBuf>> {
        if let Some(error) = self.refusal.take() {
            return Some(Err(error));
        }
        match &self.own {
            Some(own) => Some(own.group.clone().receive(completion)),
            None => Some(completion.into_result().map(|_| PooledBuf::default())),
        }
    }

    fn buf_group(&self) -> Option<&BufGroup> {
        let own = self.own.as_ref().filter(|_| self.refusal.is_none())?;
        (!own.group.is_spent()).then_some(&own.group)
    }
}
