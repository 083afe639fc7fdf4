//! What ends a core's sleep from outside: an eventfd that its ring polls, multishot, and never
//! reads. Each write is an edge, and each edge a completion. The poll is armed again on any end.

use std::sync::Arc;

use super::kernel::{EventFd, OP_POLL_ADD, POLL_ADD_MULTI, Sqe, poll_mask};
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
    sqe.op_flags = poll_mask(u32::from(libc::POLLIN as u16));
    sqe.user_data = UserData::of_notifier();
    sqe
}
