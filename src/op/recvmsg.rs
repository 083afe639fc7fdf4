//! `IORING_OP_RECVMSG`: receive a message into several buffers, with its sender and its control
//! messages.

#![allow(unsafe_code)]

use io_uring::opcode;
use socket2::SockAddr;

use super::message::{Incoming, recv_flags};
use super::{Completion, IntoOpFd, Op, OpFd, ReceivedControl};
use crate::buf::{BufResult, IoVectoredBufMut};
use crate::ring::kernel::Sqe;

/// Receives a message into several buffers, each filled to its capacity before the next is begun.
/// See `recvmsg(2)`. Linux 5.3.
///
/// `flags` are `MSG_*` of libc, 0 for none; `MSG_CMSG_CLOEXEC` is added if there is room for
/// [control messages](RecvMsg::control). Gives a [`ReceivedMessage`] and the buffers, also on
/// error. With `MSG_TRUNC` the buffers are zeroed first, for a stream then throws its bytes away
/// and only counts them.
///
/// # Cancellation
///
/// Ends at once with `ECANCELED`; what had arrived before wins. If the future is dropped and
/// descriptors have come already, they are closed.
#[derive(Debug)]
pub struct RecvMsg<V> {
    fd: OpFd,
    bufs: V,
    flags: u32,
    message: Box<Incoming>,
}

/// What a [`RecvMsg`] gives.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// The number of bytes. For a stream 0 is its end; for datagrams an empty one. With `MSG_TRUNC`
    /// it is the length of the datagram, which may be more than the buffers hold.
    pub count: usize,
    /// Where it came from. `None` for connected streams, and for Unix sockets without a name.
    pub address: Option<SockAddr>,
    /// The control messages that came with it.
    pub control: ReceivedControl,
    /// What the kernel says of it: `MSG_TRUNC` (the buffers were too small), `MSG_CTRUNC` (there
    /// was no room for all control messages; descriptors that did not fit are lost), `MSG_EOR`, ...
    pub flags: u32,
}

impl<V: IoVectoredBufMut> RecvMsg<V> {
    /// Describes the receive.
    pub fn new(fd: impl IntoOpFd, bufs: V, flags: u32) -> RecvMsg<V> {
        let message = Box::new(Incoming::new());
        RecvMsg { fd: fd.into_op_fd(), bufs, flags: recv_flags(flags), message }
    }

    /// Has room for so many bytes of control messages: the sum of what
    /// [`Control::space`](super::Control::space) says of each.
    #[must_use]
    pub fn control(mut self, room: usize) -> RecvMsg<V> {
        self.message.control = vec![0; room];
        self
    }
}

// SAFETY: O1: the entry points to `message`, in its box, and that to the address storage beside it,
// to the heap memory of its vectors and to the buffers' memory, which B1 keeps in place; O4: `fd`
// is owned.
unsafe impl<V: IoVectoredBufMut> Op for RecvMsg<V> {
    type Output = BufResult<ReceivedMessage, V>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::RecvMsg::CODE);
        self.fd.set(&mut sqe);
        sqe.addr = self.message.describe(&mut self.bufs);
        sqe.len = 1;
        sqe.op_flags = self.flags;
        // Without room none can come, and there are sockets (packet) that refuse the flag.
        if !self.message.control.is_empty() {
            sqe.op_flags |= libc::MSG_CMSG_CLOEXEC as u32;
        }
        if self.flags & libc::MSG_TRUNC as u32 != 0 {
            self.message.zero();
        }
        sqe
    }

    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        let control = std::mem::take(&mut self.message.control);
        // The whole room, whatever length the header tells: of a receive that was made in several
        // steps (MSG_WAITALL) that is the length of the last. What the kernel did not write is 0.
        // SAFETY: the op had the bytes zeroed, and showed them to the kernel only, for this entry.
        let control = unsafe { ReceivedControl::new(control) };
        let count = match completion.into_result() {
            Ok(count) => count as usize,
            Err(error) => return (Err(error), self.bufs),
        };
        let (room, flags) = (self.message.room(), self.message.flags());
        // SAFETY: the kernel has filled the message.
        let address = unsafe { self.message.address() };
        // SAFETY: B2: the kernel wrote the first `count` bytes through the list, in order, and not
        // more than it names; or, with MSG_TRUNC, they are zero.
        unsafe { self.bufs.set_init_total(count.min(room)) };
        (Ok(ReceivedMessage { count, address, control, flags }), self.bufs)
    }
}
