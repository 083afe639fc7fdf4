//! Who is at the other end.

use std::io;
use std::os::fd::AsFd;

use crate::op::now_message;

/// The process that has connected, or listens: as it was then. See `SO_PEERCRED` in `unix(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    pid: i32,
    uid: u32,
    gid: u32,
}

impl UCred {
    pub(crate) fn of_peer(socket: impl AsFd) -> io::Result<UCred> {
        let (pid, uid, gid) = now_message::peer_credentials(socket)?;
        Ok(UCred { pid, uid, gid })
    }

    /// Its user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The process, unless it cannot be seen from this one's namespace.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        Some(self.pid).filter(|pid| *pid > 0)
    }
}
