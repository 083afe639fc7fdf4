//! What ends a core's sleep from outside: an eventfd that its ring polls, multishot, and never
//! reads. Each write is an edge, and each edge a completion. The poll is armed again on any end.

use std::sync::Arc;

use super::kernel::{EventFd, OP_POLL_ADD, POLL_ADD_MULTI, Sqe};
use super::user_data::UserData;
use crate::wake::Notify;

impl Notify for Arc<EventFd> {
    fn notify(&self) {
        self.signal();
    }
}

/// The entry that arms the poll.
pub(crate) fn poll(eventfd: &EventFd) -> Sqe {
    let mut sqe = Sqe::new(OP_POLL_ADD);
    sqe.fd = eventfd.raw();
    sqe.len = POLL_ADD_MULTI;
    // The kernel takes the mask as two swapped halves on big endian machines.
    let mask = u32::from(libc::POLLIN as u16);
    sqe.op_flags = if cfg!(target_endian = "big") { mask.rotate_left(16) } else { mask };
    sqe.user_data = UserData::of_notifier();
    sqe
}
