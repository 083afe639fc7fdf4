//! What other cores send to a core: accepted descriptors, and the news that something has changed.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::balance::Permit;

/// A connection as it was accepted: nothing was done with it yet.
pub(super) struct Accepted {
    pub(super) fd: OwnedFd,
    pub(super) permit: Permit,
    /// Which of the addresses it came by.
    pub(super) address: usize,
}

/// The mailbox of one core.
#[derive(Default)]
pub(super) struct Mailbox {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    accepted: VecDeque<Accepted>,
    owner: Option<Waker>,
    closed: bool,
}

/// A core that does not even take in what it was sent gets no more: it is busy with something else.
const ROOM: usize = 256;

impl Mailbox {
    /// Gives it back if the core has ended, or does not come to take it.
    pub(super) fn send(&self, accepted: Accepted) -> Result<(), Accepted> {
        let mut inside = self.lock();
        if inside.closed || inside.accepted.len() >= ROOM {
            return Err(accepted);
        }
        inside.accepted.push_back(accepted);
        let owner = inside.owner.take();
        drop(inside);
        owner.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Has its owner look around.
    pub(super) fn wake(&self) {
        let owner = self.lock().owner.take();
        owner.into_iter().for_each(Waker::wake);
    }

    /// Takes what has come, and has `cx` woken by what comes next.
    pub(super) fn take(&self, cx: &Context<'_>, into: &mut VecDeque<Accepted>) {
        let new = cx.waker().clone();
        let mut inside = self.lock();
        into.append(&mut inside.accepted);
        let old = inside.owner.replace(new);
        drop(inside);
        drop(old);
    }

    /// Nobody takes anything any more: what is in it is dropped, and so closed.
    pub(super) fn close(&self) {
        let mut inside = self.lock();
        inside.closed = true;
        let left = std::mem::take(&mut inside.accepted);
        let owner = inside.owner.take();
        drop(inside);
        drop((left, owner));
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // No user code runs under this lock, so a poisoned one is as good as new.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
