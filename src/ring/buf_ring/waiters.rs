//! Who waits for a buffer to come back, in order.
//!
//! Wakers are user code: they are cloned before, and woken and dropped after anything here (R3).

use std::collections::VecDeque;
use std::task::Waker;

use crate::wake::LocalWaker;

/// A queue of those who wait, each with a ticket.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    queue: VecDeque<(u64, LocalWaker)>,
    next: u64,
}

/// Where somebody with a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue, and this waker is the one that is kept.
    Waits,
    /// In the queue; `replace` has to follow.
    WaitsOtherwise,
    /// It was called.
    Called,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts somebody at the end, or where the ticket says that was called before; answers the
    /// ticket.
    pub(super) fn join(&mut self, called: Option<u64>, waiter: LocalWaker) -> u64 {
        let ticket = called.unwrap_or(self.next);
        self.next = self.next.max(ticket + 1);
        let at = self.queue.partition_point(|(before, _)| *before < ticket);
        self.queue.insert(at, (ticket, waiter));
        ticket
    }

    /// Takes the first out.
    pub(super) fn call(&mut self) -> Option<LocalWaker> {
        self.queue.pop_front().map(|(_, waiter)| waiter)
    }

    /// `waker` is only compared.
    pub(super) fn place(&self, ticket: u64, waker: &Waker) -> Place {
        match self.find(ticket) {
            Some(at) if self.queue[at].1.will_wake(waker) => Place::Waits,
            Some(_) => Place::WaitsOtherwise,
            None => Place::Called,
        }
    }

    /// Keeps another waker for the ticket. Answers what is to be dropped.
    pub(super) fn replace(&mut self, ticket: u64, waiter: LocalWaker) -> LocalWaker {
        match self.find(ticket) {
            Some(at) => std::mem::replace(&mut self.queue[at].1, waiter),
            None => waiter,
        }
    }

    /// Takes somebody out who waits no more; none if it was called already.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<LocalWaker> {
        let at = self.find(ticket)?;
        self.queue.remove(at).map(|(_, waiter)| waiter)
    }

    fn find(&self, ticket: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::{Place, Waiters};
    use crate::wake::LocalWaker;

    fn waiter() -> LocalWaker {
        LocalWaker::new(Waker::noop())
    }

    #[test]
    fn called_in_order() {
        let mut waiters = Waiters::default();
        let tickets = [0; 3].map(|_| waiters.join(None, waiter()));
        for (at, ticket) in tickets.iter().enumerate() {
            assert_ne!(waiters.place(*ticket, Waker::noop()), Place::Called);
            assert!(waiters.call().is_some());
            let places = tickets.map(|ticket| waiters.place(ticket, Waker::noop()));
            assert_eq!(places.iter().filter(|place| **place == Place::Called).count(), at + 1);
        }
        assert!(waiters.call().is_none());
    }

    #[test]
    fn who_was_called_in_vain_keeps_his_place() {
        let mut waiters = Waiters::default();
        let [first, second] = [0; 2].map(|_| waiters.join(None, waiter()));
        assert!(waiters.call().is_some());
        let third = waiters.join(None, waiter());
        assert_eq!(waiters.join(Some(first), waiter()), first);
        for ticket in [first, second, third] {
            assert_ne!(waiters.place(ticket, Waker::noop()), Place::Called);
            assert!(waiters.call().is_some());
            assert_eq!(waiters.place(ticket, Waker::noop()), Place::Called);
        }
    }

    #[test]
    fn who_leaves_is_not_called() {
        let mut waiters = Waiters::default();
        let [first, second] = [0; 2].map(|_| waiters.join(None, waiter()));
        assert!(waiters.leave(first).is_some());
        assert!(waiters.leave(first).is_none());
        assert_ne!(waiters.place(second, Waker::noop()), Place::Called);
        assert!(waiters.call().is_some());
        assert!(waiters.is_empty());
    }
}
