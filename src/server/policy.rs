//! What can be chosen.

use std::io;

/// Which core gets a connection. For [`Server::accept`](super::Server::accept).
///
/// A Unix socket and an inherited one is a single socket, from which all cores accept; there
/// [`ReusePort`](Accept::ReusePort) does as [`ReusePortWithHandOff`](Accept::ReusePortWithHandOff).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Accept {
    /// Each core listens for itself (`SO_REUSEPORT`), and keeps what the kernel gives it: by a hash
    /// of the addresses, so by chance. The cheapest, and uneven: some cores end with half as many
    /// connections as others, when clients stay for long.
    ReusePort,
    /// As [`ReusePort`](Accept::ReusePort), but a core that has more connections than the one with
    /// the fewest (by 2 and a sixteenth) hands new ones over to that. The default. A core that
    /// does not come for them, for something blocks it, is sent no more until it does.
    #[default]
    ReusePortWithHandOff,
    /// The cores accept from one socket, and each connection goes to the core with the fewest.
    LeastLoaded,
}

/// What becomes of a connection when there are as many as there may be. For
/// [`Server::when_full`](super::Server::when_full).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits in the kernel's backlog until another one ends. The default.
    #[default]
    Wait,
    /// It is accepted, told so ([`Server::refuse_with`](super::Server::refuse_with)) and closed.
    Refuse,
}

/// What an `on_connect` says of a connection: `bool`, `io::Result<()>`, or `()` for "yes".
pub trait Verdict: sealed::Sealed {}

mod sealed {
    /// Keeps `Verdict` to this crate.
    pub trait Sealed {
        fn into_bool(self) -> bool;
    }
}

pub(super) fn is_welcome(verdict: impl Verdict) -> bool {
    verdict.into_bool()
}

impl Verdict for () {}
impl sealed::Sealed for () {
    fn into_bool(self) -> bool {
        true
    }
}

impl Verdict for bool {}
impl sealed::Sealed for bool {
    fn into_bool(self) -> bool {
        self
    }
}

impl Verdict for io::Result<()> {}
impl sealed::Sealed for io::Result<()> {
    fn into_bool(self) -> bool {
        self.is_ok()
    }
}
