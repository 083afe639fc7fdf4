//! How many connections there are, whether there is room for one more, and on which core.
//!
//! These numbers are shared by all cores. They are touched once when a connection begins and once
//! when it ends. A connection counts from its admission on, so also while it is on its way to
//! another core.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// How far a core may be above the one with the fewest before it hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// It never does.
    Never,
    /// By two, and a sixteenth of what the other has.
    Margin,
    /// Not at all.
    None,
}

/// The connections of all cores.
pub(super) struct Loads {
    cores: Box<[Load]>,
    total: AtomicUsize,
    max: usize,
    max_per_core: usize,
    /// Those who wait for room; the number of them beside the lock, for who makes room.
    waiting: AtomicUsize,
    waiters: Mutex<Vec<Waker>>,
}

/// The connections of one core; on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Load {
    connections: AtomicUsize,
    closed: AtomicBool,
}

/// Leave to have a connection; given back when it is dropped, on whatever thread.
pub(super) struct Permit {
    loads: Arc<Loads>,
    core: usize,
}

impl Loads {
    pub(super) fn new(cores: usize, max: Option<usize>, max_per_core: Option<usize>) -> Loads {
        Loads {
            cores: (0..cores).map(|_| Load::default()).collect(),
            total: AtomicUsize::new(0),
            max: max.unwrap_or(usize::MAX),
            max_per_core: max_per_core.unwrap_or(usize::MAX),
            waiting: AtomicUsize::new(0),
            waiters: Mutex::default(),
        }
    }

    /// How many connections there are.
    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::SeqCst)
    }

    /// How many connections a core has.
    pub(super) fn of(&self, core: usize) -> usize {
        self.cores[core].connections.load(Ordering::SeqCst)
    }

    /// Whether there is a limit at all.
    pub(super) fn is_limited(&self) -> bool {
        self.max != usize::MAX || self.max_per_core != usize::MAX
    }

    /// The core has ended: it gets no more.
    pub(super) fn close(&self, core: usize) {
        self.cores[core].closed.store(true, Ordering::SeqCst);
        self.tell();
    }

    /// Leave for one connection that `own` has taken, on the core where it is to go; `None` if
    /// there is no room.
    pub(super) fn admit(self: &Arc<Self>, own: usize, spread: Spread) -> Option<Permit> {
        let core = self.choose(own, spread);
        if self.of(core) >= self.max_per_core || !take_one(&self.total, self.max) {
            return None;
        }
        if !take_one(&self.cores[core].connections, self.max_per_core) {
            self.total.fetch_sub(1, Ordering::SeqCst);
            // Another core was quicker. Meanwhile somebody may have met this one at the limit.
            self.tell();
            return None;
        }
        Some(Permit { loads: Arc::clone(self), core })
    }

    /// As `admit`, when there is room.
    pub(super) async fn admitted(self: &Arc<Self>, own: usize, spread: Spread) -> Permit {
        poll_fn(|cx| self.poll(cx, || self.admit(own, spread))).await
    }

    /// Ready when a connection that `own` takes now is likely to be admitted.
    pub(super) fn poll_room(&self, cx: &Context<'_>, own: usize, spread: Spread) -> Poll<()> {
        self.poll(cx, || {
            let core = self.choose(own, spread);
            let free = self.total() < self.max && self.of(core) < self.max_per_core;
            free.then_some(())
        })
    }

    fn poll<T>(&self, cx: &Context<'_>, mut attempt: impl FnMut() -> Option<T>) -> Poll<T> {
        if let Some(done) = attempt() {
            return Poll::Ready(done);
        }
        let new = cx.waker().clone();
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if waiters.iter().all(|waiter| !waiter.will_wake(&new)) {
            waiters.push(new);
        }
        self.waiting.store(waiters.len(), Ordering::SeqCst);
        drop(waiters);
        // Whoever made room before the line above did not know of this one.
        attempt().map_or(Poll::Pending, Poll::Ready)
    }

    fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *waiters);
        self.waiting.store(0, Ordering::SeqCst);
        drop(waiters);
        // Only one may get the room; which of them has a connection for it is not known.
        all.into_iter().for_each(Waker::wake);
    }

    fn choose(&self, own: usize, spread: Spread) -> usize {
        if spread == Spread::Never {
            return own;
        }
        let open =
            self.cores.iter().enumerate().filter(|(_, load)| !load.closed.load(Ordering::Relaxed));
        let loads = open.map(|(core, load)| (load.connections.load(Ordering::Relaxed), core));
        let Some((fewest, least)) = loads.min() else { return own };
        let here = self.cores[own].connections.load(Ordering::Relaxed);
        let margin = if spread == Spread::Margin { 2 + fewest / 16 } else { 1 };
        if here >= fewest + margin || here >= self.max_per_core { least } else { own }
    }

    fn give_back(&self, core: usize) {
        self.cores[core].connections.fetch_sub(1, Ordering::SeqCst);
        self.total.fetch_sub(1, Ordering::SeqCst);
        self.tell();
    }
}

/// Adds one unless that would be more than `max`.
fn take_one(number: &AtomicUsize, max: usize) -> bool {
    let next = |now: usize| (now < max).then_some(now + 1);
    number.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
}

impl Permit {
    /// The core on which the connection counts.
    pub(super) fn core(&self) -> usize {
        self.core
    }

    /// Counts it on another core; the limit for a core may be passed by it.
    pub(super) fn move_to(&mut self, core: usize) {
        self.loads.cores[core].connections.fetch_add(1, Ordering::SeqCst);
        self.moved(core);
    }

    /// Counts it on another core, if there is room.
    pub(super) fn try_move_to(&mut self, core: usize) -> bool {
        let fits = take_one(&self.loads.cores[core].connections, self.loads.max_per_core);
        if fits {
            self.moved(core);
        }
        fits
    }

    fn moved(&mut self, core: usize) {
        let before = std::mem::replace(&mut self.core, core);
        self.loads.cores[before].connections.fetch_sub(1, Ordering::SeqCst);
        self.loads.tell();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.loads.give_back(self.core);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{Loads, Permit, Spread};

    fn loads(cores: usize, max: Option<usize>, per_core: Option<usize>) -> Arc<Loads> {
        Arc::new(Loads::new(cores, max, per_core))
    }

    fn admit(loads: &Arc<Loads>, own: usize, spread: Spread) -> Permit {
        loads.admit(own, spread).expect("there is room")
    }

    #[test]
    fn all_on_one_core_are_spread() {
        let loads = loads(2, None, None);
        let all: Vec<Permit> = (0..10_000).map(|_| admit(&loads, 0, Spread::Margin)).collect();
        let (one, other) = (loads.of(0), loads.of(1));
        assert_eq!(one + other, 10_000);
        assert!(one.abs_diff(other) * 5 < 5_000, "{one} and {other}");
        drop(all);
        assert_eq!(loads.total(), 0);
    }

    #[test]
    fn without_hand_off_they_stay() {
        let loads = loads(2, None, None);
        let _all: Vec<Permit> = (0..100).map(|_| admit(&loads, 1, Spread::Never)).collect();
        assert_eq!((loads.of(0), loads.of(1)), (0, 100));
    }

    #[test]
    fn least_loaded_is_exact() {
        let loads = loads(3, None, None);
        let _all: Vec<Permit> = (0..99).map(|_| admit(&loads, 1, Spread::None)).collect();
        assert_eq!((loads.of(0), loads.of(1), loads.of(2)), (33, 33, 33));
    }

    #[test]
    fn a_core_that_has_ended_gets_none() {
        let loads = loads(2, None, None);
        loads.close(1);
        let _all: Vec<Permit> = (0..10).map(|_| admit(&loads, 0, Spread::None)).collect();
        assert_eq!(loads.of(1), 0);
    }

    #[test]
    fn limits() {
        let loads = loads(2, Some(3), Some(2));
        let mut all: Vec<Permit> = (0..3).map(|_| admit(&loads, 0, Spread::Margin)).collect();
        assert_eq!((loads.of(0), loads.of(1)), (2, 1));
        assert!(loads.admit(0, Spread::Margin).is_none());
        all.pop();
        assert!(loads.admit(0, Spread::Never).is_none(), "core 0 is full");
        assert_eq!(loads.total(), 2);
        assert!(loads.admit(1, Spread::Never).is_some());
    }

    #[test]
    fn who_waits_is_told() {
        let loads = loads(1, Some(1), None);
        let first = admit(&loads, 0, Spread::Never);
        let mut next = pin!(loads.admitted(0, Spread::Never));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut cx).is_pending());
        assert!(loads.poll_room(&cx, 0, Spread::Never).is_pending());
        drop(first);
        assert!(loads.poll_room(&cx, 0, Spread::Never).is_ready());
        assert!(next.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn several_who_wait_do_not_wake_each_other_for_ever() {
        let loads = loads(1, Some(9), Some(1));
        let _first = admit(&loads, 0, Spread::Never);
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let (one, other) = (loads.admitted(0, Spread::Never), loads.admitted(0, Spread::Never));
        let (mut one, mut other) = (pin!(one), pin!(other));
        for _ in 0..3 {
            assert!(one.as_mut().poll(&mut cx).is_pending());
            assert!(other.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn moved() {
        let loads = loads(2, None, Some(1));
        let mut permit = admit(&loads, 0, Spread::Never);
        assert!(permit.try_move_to(1));
        assert_eq!((permit.core(), loads.of(0), loads.of(1), loads.total()), (1, 0, 1, 1));
        let mut other = admit(&loads, 0, Spread::Never);
        assert!(!other.try_move_to(1));
        other.move_to(1);
        assert_eq!((other.core(), loads.of(0), loads.of(1), loads.total()), (1, 0, 2, 2));
    }
}
