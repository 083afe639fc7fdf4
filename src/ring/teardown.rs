//! The end of a ring: cancel everything, wait for every last answer, only then close.
//!
//! Closing a ring does not stop the kernel: a read that runs in a kernel worker goes on writing
//! into user memory for as long as it takes, and neither close nor a synchronous cancel waits for
//! it. So each op in flight is cancelled by its own key and awaited. What has not answered by the
//! deadline is `Lost`: its memory is leaked, never freed, and it is named.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::Ring;
use super::completion::Ask;
use super::kernel::{Kernel, Wait};

/// An op that had not ended when the ring was closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LostOp {
    pub(crate) opcode: u8,
    pub(crate) fd: i32,
    pub(crate) site: &'static Location<'static>,
}

/// How long one wait may last before followers that started meanwhile are cancelled too.
const ROUND: Duration = Duration::from_millis(10);

/// Somebody else may have used the time up; ops that end when they are cancelled (2 us each) are
/// not lost for that.
const GRACE: Duration = Duration::from_millis(100);

impl Ring {
    /// Ends all ops and closes the ring. Answers what had to be given up at `deadline`.
    pub(crate) fn shutdown(&self, deadline: Instant) -> Vec<LostOp> {
        if self.is_closed() {
            return Vec::new();
        }
        self.finish_sends(deadline);
        let inner = self.inner.borrow();
        inner.counters.abandoned.add(inner.slots.left());
        drop(inner);
        self.end_queued();
        self.cancel_again();
        let deadline = deadline.max(Kernel::now() + GRACE);
        let fatal = self.drain(deadline).is_err();
        let lost = if fatal || !self.is_drained() { self.lose() } else { Vec::new() };
        self.unregister_all(lost.is_empty() && !fatal);
        // The kernel object is dropped with nothing borrowed.
        let kernel = self.inner.borrow_mut().kernel.take();
        drop(kernel);
        lost
    }

    /// Sends of dropped streams are to arrive; their own timeouts end those that do not.
    fn finish_sends(&self, deadline: Instant) {
        while self.inner.borrow().slots.has_left() {
            let rest = deadline.saturating_duration_since(Kernel::now());
            if rest.is_zero() || self.enter(Wait::AtMost(rest.min(ROUND))).is_err() {
                return;
            }
            self.dispatch();
        }
    }

    /// What never reached the kernel ends here.
    fn end_queued(&self) {
        self.inner.borrow_mut().slots.end_interrupted();
        let keys = self.inner.borrow().slots.in_flight();
        for key in keys {
            // Queued ops end at once; those in the kernel are marked, and cancelled by `drain`.
            self.ask(key, Ask::Cancel);
        }
    }

    /// A cancel that was left to a future (`begin_cancel`) may just have ended in the backlog, and
    /// the future, which would have told, need not be polled again.
    fn cancel_again(&self) {
        let mut inner = self.inner.borrow_mut();
        for key in inner.slots.in_flight() {
            if inner.slots.cancel_again(key) {
                inner.cancels.push_back(key);
            }
        }
    }

    fn drain(&self, deadline: Instant) -> std::io::Result<()> {
        let mut asked = 0;
        loop {
            self.dispatch();
            if self.is_drained() {
                return Ok(());
            }
            let now = Kernel::now();
            if now >= deadline && asked > 0 {
                return Ok(());
            }
            // Ops that a destructor or an orphan's closure submitted meanwhile.
            if asked > 0 {
                self.end_queued();
            }
            asked += 1;
            let wait = deadline.saturating_duration_since(now).min(ROUND);
            self.enter(if wait.is_zero() { Wait::No } else { Wait::AtMost(wait) })?;
        }
    }

    fn is_drained(&self) -> bool {
        self.inner.borrow().slots.is_drained()
    }

    fn lose(&self) -> Vec<LostOp> {
        let (metas, waiters) = self.inner.borrow_mut().slots.lose();
        // Whoever waits is told: the future panics with a clear text instead of hanging.
        for waiter in waiters {
            self.wake(waiter);
        }
        metas
            .into_iter()
            .map(|meta| LostOp { opcode: meta.opcode, fd: meta.fd, site: meta.site })
            .collect()
    }

    /// A fatal error of `enter`: a completion was dropped, or the ring is not what it was. What
    /// the kernel may own is `Lost`.
    pub(crate) fn fail(&self) -> Vec<LostOp> {
        let lost = self.lose();
        let kernel = self.inner.borrow_mut().kernel.take();
        drop(kernel);
        self.registered.pools.close(false, |_| Ok(()));
        lost
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Runtimes shut their ring down; this is for the builder that failed half way. Every
        // future of an op holds the ring, so none is left: only orphans can be.
        if !self.is_closed() {
            self.shutdown(Kernel::now() + Duration::from_secs(1));
        }
    }
}
