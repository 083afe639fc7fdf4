//! The name of an op.

use std::fmt;

use super::slot::SlotKey;

/// The name of one op on one ring. Never used again for another op, so a late
/// [`cancel`](crate::uring::AsyncIoUring::cancel) finds nothing rather than a stranger.
///
/// `Copy` and `Send`: another thread can keep it and cancel through
/// [`Handle::cancel`](crate::runtime::Handle::cancel).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId {
    pub(crate) ring: u32,
    pub(crate) key: SlotKey,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ring, self.key.sequence)
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpId({self})")
    }
}
