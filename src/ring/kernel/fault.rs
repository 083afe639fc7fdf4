//! What Linux may do to an operation besides doing it.

/// What Linux may do to an operation besides doing it. Fault injection keeps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answer `EINTR` without having done anything.
    Interrupted,
    /// Answer `EAGAIN` without having done anything, if it was told not to wait (`RWF_NOWAIT`).
    Again,
    /// Transfer less than asked, but something.
    Short,
    /// Answer `ENOMEM` without having done anything.
    NoMemory,
    /// Answer `ENOBUFS`, if it was to choose its buffer from a group.
    NoBuffers,
    /// End a multishot before it is asked to.
    EndsEarly,
    /// Complete later, and after operations that were submitted later.
    Late,
}
