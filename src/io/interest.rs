//! What to wait for, and what was found.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

const READABLE: u8 = 1 << 0;
const WRITABLE: u8 = 1 << 1;
const READ_CLOSED: u8 = 1 << 2;
const WRITE_CLOSED: u8 = 1 << 3;
const PRIORITY: u8 = 1 << 4;
const ERROR: u8 = 1 << 5;

/// What to wait for; see `ready` of the sockets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

/// What a socket is ready for. Like all readiness it may be out of date when you look at it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ready(u8);

impl Interest {
    /// Something to read, or the end.
    pub const READABLE: Interest = Interest(READABLE);
    /// Room for a write.
    pub const WRITABLE: Interest = Interest(WRITABLE);
    /// A pending error.
    pub const ERROR: Interest = Interest(ERROR);
    /// Urgent data (`POLLPRI`).
    pub const PRIORITY: Interest = Interest(PRIORITY);

    /// Whether it has [`READABLE`](Interest::READABLE).
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Whether it has [`WRITABLE`](Interest::WRITABLE).
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether it has [`ERROR`](Interest::ERROR).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }

    /// Whether it has [`PRIORITY`](Interest::PRIORITY).
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Both.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "the name is tokio's")]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// This without `other`, unless nothing is left then.
    #[must_use]
    pub fn remove(self, other: Interest) -> Option<Interest> {
        Some(Interest(self.0 & !other.0)).filter(|left| left.0 != 0)
    }

    /// What a poll has to wait for.
    pub(crate) fn mask(self) -> u32 {
        let wanted = |flag: u8, events: i16| if self.0 & flag != 0 { events } else { 0 };
        let events = wanted(READABLE, libc::POLLIN | libc::POLLRDHUP)
            | wanted(WRITABLE, libc::POLLOUT)
            | wanted(PRIORITY, libc::POLLPRI);
        events as u16 as u32
    }

    /// What answers it.
    pub(crate) fn answers(self) -> Ready {
        let mut wanted = Ready(self.0);
        if self.is_readable() {
            wanted |= Ready::READ_CLOSED;
        }
        if self.is_writable() {
            wanted |= Ready::WRITE_CLOSED;
        }
        wanted | Ready::ERROR
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = self.add(other);
    }
}

impl Ready {
    /// For nothing.
    pub const EMPTY: Ready = Ready(0);
    /// There is something to read.
    pub const READABLE: Ready = Ready(READABLE);
    /// There is room.
    pub const WRITABLE: Ready = Ready(WRITABLE);
    /// Nothing more comes.
    pub const READ_CLOSED: Ready = Ready(READ_CLOSED);
    /// Nothing more is taken.
    pub const WRITE_CLOSED: Ready = Ready(WRITE_CLOSED);
    /// There is urgent data.
    pub const PRIORITY: Ready = Ready(PRIORITY);
    /// There is an error, which the next call gives.
    pub const ERROR: Ready = Ready(ERROR);
    /// For everything.
    pub const ALL: Ready =
        Ready(READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED | PRIORITY | ERROR);

    /// Whether it is ready for nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Ready::EMPTY
    }

    /// Whether there is something to read, or the end.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.has(READABLE | READ_CLOSED)
    }

    /// Whether a write would not wait.
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.has(WRITABLE | WRITE_CLOSED)
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_read_closed(self) -> bool {
        self.has(READ_CLOSED)
    }

    /// Whether nothing more is taken.
    #[must_use]
    pub fn is_write_closed(self) -> bool {
        self.has(WRITE_CLOSED)
    }

    /// Whether there is urgent data.
    #[must_use]
    pub fn is_priority(self) -> bool {
        self.has(PRIORITY)
    }

    /// Whether there is an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.has(ERROR)
    }

    fn has(self, any: u8) -> bool {
        self.0 & any != 0
    }

    /// What `poll(2)` has said. An error makes each call return, with that error.
    pub(crate) fn from_events(events: u32) -> Ready {
        let events = events as i16;
        let has = |event: i16| events & event != 0;
        let when = |is: bool, ready: Ready| if is { ready } else { Ready::EMPTY };
        let (hangup, error) = (has(libc::POLLHUP), has(libc::POLLERR));
        when(has(libc::POLLIN) || error, Ready::READABLE)
            | when(has(libc::POLLOUT) || error, Ready::WRITABLE)
            | when(hangup || has(libc::POLLRDHUP), Ready::READ_CLOSED)
            | when(hangup, Ready::WRITE_CLOSED)
            | when(has(libc::POLLPRI), Ready::PRIORITY)
            | when(error, Ready::ERROR)
    }
}

impl BitOr for Ready {
    type Output = Ready;

    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;

    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Ready;

    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

const NAMES: [(u8, &str); 6] = [
    (READABLE, "READABLE"),
    (WRITABLE, "WRITABLE"),
    (READ_CLOSED, "READ_CLOSED"),
    (WRITE_CLOSED, "WRITE_CLOSED"),
    (PRIORITY, "PRIORITY"),
    (ERROR, "ERROR"),
];

fn list(flags: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    for (_, name) in NAMES.iter().filter(|(flag, _)| flags & flag != 0) {
        write!(f, "{separator}{name}")?;
        separator = " | ";
    }
    if separator.is_empty() { f.write_str("EMPTY") } else { Ok(()) }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(self.0, f)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        list(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Interest, Ready};

    #[test]
    fn what_poll_says() {
        let found = Ready::from_events((libc::POLLIN | libc::POLLHUP) as u32);
        assert!(found.is_readable() && found.is_read_closed() && found.is_write_closed());
        assert!(!found.is_error() && !found.is_priority());
        let refused = Ready::from_events(libc::POLLERR as u32);
        for interest in [Interest::READABLE, Interest::WRITABLE, Interest::ERROR] {
            assert!(!(refused & interest.answers()).is_empty(), "{interest:?} sees the error");
        }
        assert!(Ready::from_events(0).is_empty());
    }

    #[test]
    fn added_and_removed() {
        let both = Interest::READABLE | Interest::WRITABLE;
        assert!(both.is_readable() && both.is_writable() && !both.is_priority());
        assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
        assert_eq!(Interest::READABLE.remove(Interest::READABLE), None);
        assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
        assert_eq!(format!("{:?}", Ready::ALL - Ready::ALL), "EMPTY");
    }
}
