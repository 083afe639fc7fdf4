//! `IORING_OP_SENDMSG_ZC`: send several buffers without copying them.

#![allow(unsafe_code)]

use io_uring::opcode;
use socket2::SockAddr;

use super::{Completion, Control, IntoOpFd, Op, SendMsg};
use crate::buf::{BufResult, IoVectoredBuf};
use crate::ring::kernel::Sqe;

/// Sends several buffers as one message without copying them. Linux 6.1.
///
/// As [`SendMsg`], with the differences of [`SendZc`](super::SendZc).
///
/// # Errors
///
/// Those of both.
///
/// # Cancellation
///
/// As for [`SendZc`](super::SendZc).
#[derive(Debug)]
pub struct SendMsgZc<V> {
    send: SendMsg<V>,
}

impl<V: IoVectoredBuf> SendMsgZc<V> {
    /// Describes the send.
    pub fn new(fd: impl IntoOpFd, bufs: V, flags: u32) -> SendMsgZc<V> {
        SendMsgZc { send: SendMsg::new(fd, bufs, flags) }
    }

    /// Sends to this address.
    #[must_use]
    pub fn to(self, address: impl Into<SockAddr>) -> SendMsgZc<V> {
        SendMsgZc { send: self.send.to(address) }
    }

    /// Sends these control messages with the bytes.
    #[must_use]
    pub fn control(self, control: Control) -> SendMsgZc<V> {
        SendMsgZc { send: self.send.control(control) }
    }
}

// SAFETY: O1, O4: as `SendMsg`; the last completion comes when the kernel reads no more.
unsafe impl<V: IoVectoredBuf> Op for SendMsgZc<V> {
    type Output = BufResult<usize, V>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = self.send.prepare();
        if sqe.opcode == opcode::SendMsg::CODE {
            sqe.opcode = opcode::SendMsgZc::CODE;
        }
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: the caller's promise, handed on.
        unsafe { self.send.complete(completion) }
    }
}
