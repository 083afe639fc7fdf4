//! What other cores send to a core: accepted descriptors, and the news that something has changed.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

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
    /// When the first of them came.
    waits_since: Option<Instant>,
    owner: Option<Waker>,
    closed: bool,
}

/// A core that does not even take in what it was sent gets no more: it is busy with something else.
pub(super) const ROOM: usize = 256;
/// Nor does one that has let the first of them lie for so long: a handler blocks it.
const PATIENCE: Duration = Duration::from_millis(20);

impl Mailbox {
    /// Gives it back if the core has ended, or has not come to take `room` that were sent before.
    pub(super) fn send(&self, accepted: Accepted, room: usize) -> Result<(), Accepted> {
        let mut inside = self.lock();
        let is_late = inside.accepted.len() >= room || inside.is_left_lying();
        // Without a bound of its own the sender has nowhere else to put it.
        if inside.closed || (room != usize::MAX && is_late) {
            return Err(accepted);
        }
        if inside.accepted.is_empty() {
            inside.waits_since = Some(Instant::now());
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

    /// Nobody takes anything any more: gives what is in it, to be dropped, and so closed.
    pub(super) fn close(&self) -> VecDeque<Accepted> {
        let mut inside = self.lock();
        inside.closed = true;
        let left = std::mem::take(&mut inside.accepted);
        let owner = inside.owner.take();
        drop(inside);
        drop(owner);
        left
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // No user code runs under this lock, so a poisoned one is as good as new.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn is_left_lying(&self) -> bool {
        !self.accepted.is_empty()
            && self.waits_since.is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use super::super::balance::{Loads, Spread};
    use super::{Accepted, Mailbox, PATIENCE, ROOM};

    fn accepted() -> Accepted {
        let loads = Arc::new(Loads::new(1, None, None));
        let permit = loads.admit(0, Spread::Never).expect("there is room");
        let (socket, _) = std::os::unix::net::UnixStream::pair().expect("sockets");
        Accepted { fd: OwnedFd::from(socket), permit, address: 0 }
    }

    #[test]
    fn a_core_that_does_not_come_gets_no_more() {
        let mailbox = Mailbox::default();
        assert!(mailbox.send(accepted(), ROOM).is_ok());
        std::thread::sleep(PATIENCE);
        assert!(mailbox.send(accepted(), ROOM).is_err());
        let mut taken = VecDeque::new();
        let cx = Context::from_waker(Waker::noop());
        mailbox.take(&cx, &mut taken);
        assert_eq!(taken.len(), 1);
        std::thread::sleep(PATIENCE);
        assert!(mailbox.send(accepted(), ROOM).is_ok(), "it has come");
        mailbox.take(&cx, &mut taken);
        let sent = (0..ROOM + 1).filter(|_| mailbox.send(accepted(), ROOM).is_ok()).count();
        assert!(sent <= ROOM, "{sent}");
    }

    #[test]
    fn what_comes_to_a_closed_one_is_given_back() {
        let mailbox = Mailbox::default();
        mailbox.close();
        assert!(mailbox.send(accepted(), ROOM).is_err());
    }
}
