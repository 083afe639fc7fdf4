//! How a core is told to end: from any thread, awaited on the core.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

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
    waiters: Vec<Waker>,
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
    ///
    /// # Panics
    ///
    /// With the text that `break_with` was called with.
    pub(super) async fn asked(&self) -> Instant {
        poll_fn(|cx| {
            // Cloning a waker is user code: not under the lock.
            let waker = cx.waker().clone();
            let mut state = self.lock();
            if let Some(fault) = state.fault.take() {
                drop(state);
                panic!("{fault}");
            }
            if let Some(deadline) = state.deadline {
                return Poll::Ready(deadline);
            }
            if state.waiters.iter().any(|known| known.will_wake(&waker)) {
                drop(state);
                return Poll::Pending;
            }
            state.waiters.push(waker);
            Poll::Pending
        })
        .await
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock, so a poisoned one is as good as new.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
