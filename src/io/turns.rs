//! Who of those that wait for one direction of an object is served: first come, first served.
//!
//! ```text
//!  serving --> the op's slot wakes this one
//!     ^
//!     |  it has its result, or is dropped: the next is woken and takes its place
//!  others: [ticket, waker], [ticket, waker] ...
//! ```
//!
//! An op's slot wakes one task. If several wait for the same object, each is woken in its turn: by
//! the one before it, whether that got what it wanted or lost a `select!`. So no result is left
//! lying while somebody waits for one.
//!
//! The `poll_*` faces of other people's traits have no future that could be dropped, so they stand
//! in no line: the last one that polled is woken when nobody else is being served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll};

use crate::wake::{LocalWaker, quietly};

/// Those behind the one that is served. Seldom any, and there are many idle objects: in a box.
type Others = Option<Box<VecDeque<(u64, LocalWaker)>>>;

/// The line before one direction of an object.
#[derive(Default)]
pub(crate) struct Turns {
    /// The ticket of the one that is served; 0 is nobody.
    serving: Cell<u64>,
    issued: Cell<u64>,
    others: RefCell<Others>,
    /// Whoever polled last without a ticket.
    poller: RefCell<Option<LocalWaker>>,
}

/// A place in the line, given back when it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    /// 0: not in the line yet.
    ticket: u64,
}

impl Turns {
    /// A place in the line; it is taken at the first poll.
    #[inline]
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn { turns: self, ticket: 0 }
    }

    /// Remembers who polls without a ticket; true if it may go on, for nobody is being served.
    pub(crate) fn poll_without_ticket(&self, cx: &Context<'_>) -> bool {
        self.remember(cx);
        self.serving.get() == 0
    }

    /// Whoever has the object for itself knows that the line is dead: those in it were leaked.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.serving.get() != 0 {
            self.serving.set(0);
            drop(self.others.get_mut().take());
        }
    }

    #[inline]
    fn remember(&self, cx: &Context<'_>) {
        let known = self.poller.borrow().as_ref().is_some_and(|kept| kept.will_wake(cx.waker()));
        if !known {
            // Cloning and dropping a foreign waker is user code: nothing is borrowed meanwhile.
            let new = LocalWaker::new(cx.waker());
            let old = self.poller.borrow_mut().replace(new);
            drop(old);
        }
    }

    /// The place at the front is free: whoever is next takes it and is woken.
    fn advance(&self) {
        let next = self.others.borrow_mut().as_mut().and_then(|others| others.pop_front());
        let waker = match next {
            Some((ticket, waker)) => {
                self.serving.set(ticket);
                Some(waker)
            }
            None => {
                self.serving.set(0);
                self.poller.borrow_mut().take()
            }
        };
        if let Some(waker) = waker {
            // A foreign waker is user code, and this may be a `drop`.
            let _ = quietly(|| waker.wake());
        }
    }

    fn leave(&self, ticket: u64) {
        if self.serving.get() == ticket {
            self.advance();
            return;
        }
        let mut others = self.others.borrow_mut();
        let Some(line) = others.as_mut() else { return };
        let place = line.iter().position(|(other, _)| *other == ticket);
        let left = place.and_then(|place| line.remove(place));
        drop(others);
        drop(left);
    }
}

impl Turn<'_> {
    /// Ready when this one is served; from then on until it is dropped.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let turns = self.turns;
        if self.ticket == 0 {
            let ticket = turns.issued.get() + 1;
            turns.issued.set(ticket);
            self.ticket = ticket;
            if turns.serving.get() == 0 {
                turns.serving.set(ticket);
            }
        }
        if turns.serving.get() == self.ticket { Poll::Ready(()) } else { self.wait(cx) }
    }

    #[cold]
    fn wait(&self, cx: &Context<'_>) -> Poll<()> {
        let new = LocalWaker::new(cx.waker());
        // Making it was user code: the line may have moved.
        if self.turns.serving.get() == self.ticket {
            return Poll::Ready(());
        }
        let mut others = self.turns.others.borrow_mut();
        let line = others.get_or_insert_default();
        let old = match line.iter_mut().find(|(other, _)| *other == self.ticket) {
            Some((_, kept)) => Some(std::mem::replace(kept, new)),
            None => {
                line.push_back((self.ticket, new));
                None
            }
        };
        drop(others);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.ticket != 0 {
            self.turns.leave(self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::Turns;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn first_come_first_served() {
        let turns = Turns::default();
        let (count, waker) = counted();
        let cx = Context::from_waker(&waker);
        let (mut first, mut second, mut third) = (turns.turn(), turns.turn(), turns.turn());
        assert!(first.poll(&cx).is_ready());
        assert!(second.poll(&cx).is_pending());
        assert!(third.poll(&cx).is_pending());
        drop(first);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(third.poll(&cx).is_pending());
        assert!(second.poll(&cx).is_ready());
        drop(second);
        assert!(third.poll(&cx).is_ready());
    }

    #[test]
    fn dropped_after_it_was_woken() {
        let turns = Turns::default();
        let (count, waker) = counted();
        let cx = Context::from_waker(&waker);
        let (mut first, mut second, mut third) = (turns.turn(), turns.turn(), turns.turn());
        assert!(first.poll(&cx).is_ready());
        assert!(second.poll(&cx).is_pending());
        assert!(third.poll(&cx).is_pending());
        drop(first);
        drop(second);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(third.poll(&cx).is_ready());
    }

    #[test]
    fn dropped_in_the_line() {
        let turns = Turns::default();
        let (count, waker) = counted();
        let cx = Context::from_waker(&waker);
        let (mut first, mut second) = (turns.turn(), turns.turn());
        assert!(first.poll(&cx).is_ready());
        assert!(second.poll(&cx).is_pending());
        drop(second);
        drop(first);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        assert_eq!(turns.serving.get(), 0);
    }

    #[test]
    fn never_polled() {
        let turns = Turns::default();
        drop(turns.turn());
        assert_eq!(turns.serving.get(), 0);
    }

    #[test]
    fn a_poller_without_a_ticket_is_told_last() {
        let turns = Turns::default();
        let (count, waker) = counted();
        let (polled, poller) = counted();
        let cx = Context::from_waker(&waker);
        assert!(turns.poll_without_ticket(&Context::from_waker(&poller)));
        let mut first = turns.turn();
        assert!(first.poll(&cx).is_ready());
        assert!(!turns.poll_without_ticket(&Context::from_waker(&poller)));
        drop(first);
        assert_eq!(polled.0.load(Ordering::Relaxed), 1);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
