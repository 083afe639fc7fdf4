//! `IORING_OP_SENDMSG`: send several buffers as one message, to an address, with control messages.

#![allow(unsafe_code)]

use io_uring::opcode;
use socket2::SockAddr;

use super::message::{Outgoing, send_flags};
use super::{Completion, Control, IntoOpFd, Op, OpFd};
use crate::buf::{BufResult, IoVectoredBuf};
use crate::ring::kernel::Sqe;

/// Sends several buffers, one after the other, as one message. See `sendmsg(2)`. Linux 5.3.
///
/// `flags` are `MSG_*` of libc, as for [`Send`](super::Send). A socket that is not connected needs
/// an address: [`to`](SendMsg::to). At most 1024 buffers, else `EMSGSIZE`. Gives the number of
/// bytes that the kernel took, which may be less than there were for a stream, and the buffers,
/// also on error. The control messages are dropped with the op, and the descriptors in them closed
/// unless they have other owners.
///
/// # Errors
///
/// [`InvalidInput`](std::io::ErrorKind::InvalidInput) for control messages with a registered file.
///
/// # Cancellation
///
/// As for [`Send`](super::Send).
#[derive(Debug)]
pub struct SendMsg<V> {
    fd: OpFd,
    bufs: V,
    flags: u32,
    message: Box<Outgoing>,
}

impl<V: IoVectoredBuf> SendMsg<V> {
    /// Describes the send.
    pub fn new(fd: impl IntoOpFd, bufs: V, flags: u32) -> SendMsg<V> {
        let message = Box::new(Outgoing::new());
        SendMsg { fd: fd.into_op_fd(), bufs, flags: send_flags(flags), message }
    }

    /// Sends to this address.
    #[must_use]
    pub fn to(mut self, address: impl Into<SockAddr>) -> SendMsg<V> {
        self.message.address = Some(address.into());
        self
    }

    /// Sends these control messages with the bytes.
    #[must_use]
    pub fn control(mut self, control: Control) -> SendMsg<V> {
        self.message.control = control;
        self
    }
}

// SAFETY: O1: the entry points to `message`, in its box, and that to the address beside it, to the
// heap memory of its vectors and to the buffers' initialised bytes, which B1 keeps in place; the
// kernel only reads, and without MSG_ZEROCOPY has copied the bytes when it answers. The control
// messages name descriptors that they own. O4: `fd` is owned.
unsafe impl<V: IoVectoredBuf> Op for SendMsg<V> {
    type Output = BufResult<usize, V>;

    fn prepare(&mut self) -> Sqe {
        if self.message.control.check_plain().is_err() {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::SendMsg::CODE);
        self.fd.set(&mut sqe);
        sqe.addr = self.message.describe(&self.bufs);
        sqe.len = 1;
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        let refused = self.message.control.check_plain();
        let result = refused.and_then(|()| completion.into_result());
        (result.map(|count| count as usize), self.bufs)
    }
}
