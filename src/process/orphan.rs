//! Children that nobody holds any more and that have not ended: they must not stay zombies.
//!
//! ```text
//!  dropped --> a poll of its pidfd, that nobody awaits --it ends--> reaped
//!                 | no runtime, no pidfd; the runtime ends first
//!                 v
//!              LEFT: looked at whenever a child is made or dropped
//! ```

use std::process::Child;
use std::sync::{Mutex, PoisonError};

use crate::op::{SharedFd, children, keep_until_readable};

/// What no ring watches.
static LEFT: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// A child that is reaped when this is dropped, or later.
struct Orphan(Option<Child>);

/// Sees to it that `child` is reaped when it has ended.
pub(super) fn adopt(mut child: Child, pidfd: Option<SharedFd>) {
    sweep();
    if has_gone(&mut child) {
        return;
    }
    let pidfd = pidfd.map_or_else(|| children::pidfd(child.id()).map(SharedFd::new), Ok);
    let orphan = Orphan(Some(child));
    if let Ok(pidfd) = pidfd {
        keep_until_readable(pidfd, orphan);
    }
}

/// Reaps those that have ended meanwhile.
pub(super) fn sweep() {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain_mut(|child| !has_gone(child));
}

/// An error is `ECHILD`: somebody else has waited for it.
fn has_gone(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        if !has_gone(&mut child) {
            LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
    }
}
