//! The ends of a pipe, taken apart: a stream does the same with both directions at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::inbound::READABLE;
use super::kind::Kind;
use super::read_end::ReadEnd;
use super::receiving::Armed;
use super::write_end::WriteEnd;
use crate::op::{PollAdd, SharedFd, submit};

impl<K: Kind> ReadEnd<K> {
    /// Gives the descriptor, and what was received and not read.
    pub(crate) fn into_owned_parts(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        let mut bytes = Vec::new();
        for buf in self.inbound.stop() {
            bytes.extend_from_slice(&buf);
        }
        let fd = self.fd().clone();
        drop(self);
        Ok((sole(fd)?, bytes))
    }

    /// Ends what is armed, and says whether bytes are held: they would be lost with the end.
    pub(crate) fn holds_bytes(&self) -> bool {
        let held = self.inbound.stop();
        let holds = !held.is_empty();
        self.inbound.put_back(held);
        holds
    }

    /// The first read is to wait until there is something, were it the end. A FIFO that had no
    /// writer yet would give the end at once.
    pub(crate) fn wait_first(&self) {
        self.inbound.adopt(Armed::Poll(submit(PollAdd::new(self.fd(), READABLE))));
    }
}

impl<K: Kind> WriteEnd<K> {
    /// Gives the descriptor.
    pub(crate) fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.outbound.stop();
        let fd = self.fd().clone();
        drop(self);
        sole(fd)
    }
}

/// A duplicate, if an op in flight has the descriptor too.
fn sole(fd: SharedFd) -> io::Result<OwnedFd> {
    fd.try_unwrap().or_else(|shared| shared.as_fd().try_clone_to_owned())
}
