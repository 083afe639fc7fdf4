//! What the listeners of one core share: the eventfd that handlers ring, and the wait for it.
//!
//! ```text
//!  armed: a poll of the eventfd, whose slot wakes the one that asked last ("leader")
//!    it rings --> the leader empties the eventfd and wakes the others; each looks at its count
//!    the leader goes --> another one is woken, asks, and leads
//!    all go --> the poll is cancelled: a listener that nobody awaits keeps no core busy
//! ```
//!
//! A listener looks at its count before it waits, and the eventfd is emptied only by one that wakes
//! all the others after it. So a signal that comes at any moment is seen: by the look, or by a poll
//! that finds the eventfd full.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::op::signals::Watch;
use crate::op::{self, EventFd, PollAdd, Submission, now, submit};

thread_local! {
    /// Those of the runtimes of this thread, by the id of the ring.
    static BELLS: RefCell<Vec<(u32, Weak<Bell>)>> = const { RefCell::new(Vec::new()) };
}

/// The bell of one core.
pub(super) struct Bell {
    eventfd: Arc<EventFd>,
    watches: RefCell<Vec<(i32, Weak<Watch>)>>,
    armed: RefCell<Option<Submission<PollAdd>>>,
    leader: Cell<u64>,
    waiting: RefCell<Vec<(u64, Waker)>>,
    names: Cell<u64>,
}

impl Bell {
    /// That of the current runtime.
    #[track_caller]
    pub(super) fn current() -> io::Result<Rc<Bell>> {
        let ring = op::current_ring().id();
        BELLS.with_borrow_mut(|bells| {
            bells.retain(|(_, bell)| bell.strong_count() > 0);
            let known = bells.iter().find(|(of, _)| *of == ring);
            if let Some(bell) = known.and_then(|(_, bell)| bell.upgrade()) {
                return Ok(bell);
            }
            let bell = Rc::new(Bell {
                eventfd: Arc::new(EventFd::new()?),
                watches: RefCell::default(),
                armed: RefCell::default(),
                leader: Cell::new(0),
                waiting: RefCell::default(),
                names: Cell::new(0),
            });
            bells.push((ring, Rc::downgrade(&bell)));
            Ok(bell)
        })
    }

    /// Counts `signal`, for all listeners of this core that ask for it.
    pub(super) fn watch(&self, signal: i32) -> io::Result<Rc<Watch>> {
        let mut watches = self.watches.borrow_mut();
        watches.retain(|(_, watch)| watch.strong_count() > 0);
        let known = watches.iter().find(|(of, _)| *of == signal);
        if let Some(watch) = known.and_then(|(_, watch)| watch.upgrade()) {
            return Ok(watch);
        }
        let watch = Rc::new(Watch::new(signal, &self.eventfd)?);
        watches.push((signal, Rc::downgrade(&watch)));
        Ok(watch)
    }

    /// A name for a listener; never 0.
    pub(super) fn name(&self) -> u64 {
        self.names.set(self.names.get() + 1);
        self.names.get()
    }

    /// Ready when the bell has been rung since it was asked last: then look.
    pub(super) fn poll(&self, name: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.keep(name, cx.waker());
        // Polling clones a waker, which is user code: nothing is borrowed meanwhile.
        let armed = self.armed.borrow_mut().take();
        let mut armed = armed.unwrap_or_else(|| {
            submit(PollAdd::new(Arc::clone(&self.eventfd), libc::POLLIN as u32))
        });
        let polled = Pin::new(&mut armed).poll(cx);
        if polled.is_pending() {
            self.leader.set(name);
            let other = self.armed.borrow_mut().replace(armed);
            drop(other);
            return Poll::Pending;
        }
        drop(armed);
        self.leader.set(0);
        // If this is disturbed, the next poll comes at once and tries again.
        let _ = now::read_nonblocking(self.eventfd.as_fd(), &mut [0; 8]);
        self.wake_others(name);
        polled.map_ok(drop)
    }

    fn keep(&self, name: u64, waker: &Waker) {
        let waiting = self.waiting.borrow();
        let known = waiting.iter().find(|(of, _)| *of == name);
        if known.is_some_and(|(_, kept)| kept.will_wake(waker)) {
            return;
        }
        drop(waiting);
        let waker = waker.clone();
        let mut waiting = self.waiting.borrow_mut();
        let old = match waiting.iter_mut().find(|(of, _)| *of == name) {
            Some((_, kept)) => Some(std::mem::replace(kept, waker)),
            None => {
                waiting.push((name, waker));
                None
            }
        };
        drop(waiting);
        drop(old);
    }

    fn wake_others(&self, name: u64) {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(|(of, _)| *of == name);
        let own = place.map(|place| waiting.swap_remove(place));
        let others = std::mem::take(&mut *waiting);
        waiting.extend(own);
        drop(waiting);
        for (_, waker) in others {
            waker.wake();
        }
    }

    /// This listener waits no longer.
    pub(super) fn leave(&self, name: u64) {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(|(of, _)| *of == name);
        let left = place.map(|place| waiting.swap_remove(place));
        let nobody = waiting.is_empty();
        let heir = match waiting.first() {
            Some((heir, waker)) if self.leader.get() == name => {
                self.leader.set(*heir);
                Some(waker.clone())
            }
            _ => None,
        };
        drop(waiting);
        let unwanted = if nobody { self.armed.borrow_mut().take() } else { None };
        drop((left, unwanted));
        if let Some(heir) = heir {
            heir.wake();
        }
    }
}
