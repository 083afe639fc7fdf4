//! How a core is told to end: from any thread, awaited on the core.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::wake::quietly;

/// Whether a core was asked to end, and until when its tasks may take.
#[derive(Debug, Default)]
pub(super) struct Ending {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    deadline: Option<Instant>,
    /// For tests of what a core's own fault does to the others.
    fault: Option<String>,
    /// None: woken, and not polled since.
    waiters: Slab<Option<Waker>>,
}

impl Ending {
    /// Asks for the end within `grace`. Of several askers the most impatient counts.
    pub(super) fn ask(&self, grace: Duration) {
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now + super::CENTURY);
        self.change(|state| {
            state.deadline = Some(state.deadline.map_or(deadline, |before| before.min(deadline)));
        });
    }

    pub(super) fn break_with(&self, fault: String) {
        self.change(|state| state.fault = Some(fault));
    }

    /// The deadline, once there is one.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { ending: self, key: None }
    }

    /// As `asked`, for the core's loop.
    ///
    /// # Panics
    ///
    /// With the text that `break_with` was called with.
    pub(super) async fn asked_or_broken(&self) -> Instant {
        let mut asked = self.asked();
        poll_fn(|cx| {
            let fault = self.lock().fault.take();
            if let Some(fault) = fault {
                panic!("{fault}");
            }
            Pin::new(&mut asked).poll(cx)
        })
        .await
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waiters: Vec<Waker> =
            state.waiters.iter_mut().filter_map(|(_, waiter)| waiter.take()).collect();
        drop(state);
        for waiter in waiters {
            // One that panics does not cost the next its wake.
            quietly(|| waiter.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock, so a poisoned one is as good as new.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end to be asked for. Dropped, it leaves nothing behind.
pub(super) struct Asked<'a> {
    ending: &'a Ending,
    key: Option<usize>,
}

impl Future for Asked<'_> {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        // Cloning and dropping a waker is user code: not under the lock.
        let waker = Some(cx.waker().clone());
        let mut state = self.ending.lock();
        if let Some(deadline) = state.deadline {
            return Poll::Ready(deadline);
        }
        let old = match self.key {
            Some(key) => std::mem::replace(&mut state.waiters[key], waker),
            None => {
                let key = state.waiters.insert(waker);
                drop(state);
                self.key = Some(key);
                return Poll::Pending;
            }
        };
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let left = self.ending.lock().waiters.remove(key);
            quietly(|| drop(left));
        }
    }
}
