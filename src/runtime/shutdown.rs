//! The end of a runtime: of one core, and of all.

use std::io;
use std::time::{Duration, Instant};

use super::core_handle::Ended;
use super::{CENTURY, Core, Runtime};
use crate::ring::affinity;
use crate::{task, time};

/// What the end of a runtime left. Made by [`Runtime::shutdown`] and [`Runtime::shutdown_within`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that were dropped before they were done.
    pub tasks_dropped: usize,
    /// Cores that had failed before: their threads panicked or their rings did.
    pub cores_failed: Vec<usize>,
    /// Cores that were still busy with a poll or a closure after
    /// [`shutdown_timeout`](super::Builder::shutdown_timeout), and were left behind.
    pub cores_left_behind: Vec<usize>,
}

/// How often the end of the last task is looked for.
const LOOKS: Duration = Duration::from_millis(2);

/// What a core may take beyond its own timeout.
const OWN_END: Duration = Duration::from_secs(1);

/// How long a core that is asked for its tasks may be busy with one of them.
const ANSWER: Duration = Duration::from_millis(100);

impl Runtime {
    /// Ends the runtime now, as its drop does, and says what that left.
    pub fn shutdown(self) -> ShutdownReport {
        self.count_and_end()
    }

    /// Lets the tasks of all cores go on until there are none, at most for `grace`; then ends the
    /// runtime.
    ///
    /// # Errors
    ///
    /// As [`try_block_on`](Runtime::try_block_on).
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already.
    pub fn shutdown_within(self, grace: Duration) -> io::Result<ShutdownReport> {
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now + CENTURY);
        self.try_block_on(async {
            // A task may spawn on a core that had none left: all have to be found idle at a time.
            while self.tasks_left().await > 0 && Instant::now() < deadline {
                time::sleep(LOOKS.min(deadline.saturating_duration_since(Instant::now()))).await;
            }
        })?;
        Ok(self.count_and_end())
    }

    fn count_and_end(mut self) -> ShutdownReport {
        // A core that fails here will say so on standard error.
        let tasks_dropped = self.try_block_on(self.tasks_left()).unwrap_or_default();
        let handle = self.handle();
        let failed = handle
            .cores()
            .iter()
            .filter(|core| matches!(core.place().ended.get(), Some(Ended::Failed(_))));
        let cores_failed = failed.map(|core| core.index()).collect();
        let cores_left_behind = self.end();
        ShutdownReport { tasks_dropped, cores_failed, cores_left_behind }
    }

    /// Tasks that are not done, on all cores. A core that does not answer has one at least: the one
    /// that keeps it busy.
    async fn tasks_left(&self) -> usize {
        let mut left = self.core.tasks.len();
        let handle = self.handle();
        let others = handle.cores().iter().filter(|core| core.index() != 0 && core.is_alive());
        let asked: Vec<_> = others.map(|core| core.call(task::count)).collect();
        for answer in asked {
            left += match time::timeout(ANSWER, answer).await {
                Ok(answer) => answer.unwrap_or(0),
                Err(_late) => 1,
            };
        }
        left
    }

    /// Ends all cores, the others beside core 0. Answers those that did not end in time.
    pub(super) fn end(&mut self) -> Vec<usize> {
        let threads = self.threads.take();
        if let Some(threads) = &threads {
            threads.ask(Duration::ZERO);
        }
        let deadline = deadline_after(self.core.shutdown_timeout.saturating_add(OWN_END));
        self.core.shutdown();
        let _ = self.core.place.place().ended.set(Ended::Asked);
        let late = threads.map(|mut threads| threads.wait(deadline)).unwrap_or_default();
        for index in &late {
            eprintln!(
                "ringspun: core {index} is still busy with a poll or a closure after the {:?} of \
                 shutdown_timeout; its thread is left behind",
                self.core.shutdown_timeout
            );
        }
        if std::mem::take(&mut self.pinned) {
            affinity::unpin();
        }
        late
    }
}

/// Without end, as far as an `Instant` goes.
fn deadline_after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or(now + CENTURY)
}

impl Core {
    /// Ends what this core has: tasks, timers, blocking threads, ops.
    pub(super) fn shutdown(&self) {
        let deadline = deadline_after(self.shutdown_timeout);
        {
            let _entered = self.enter();
            self.tasks.shutdown();
            self.timers.clear();
        }
        let blocked = !self.pool.shutdown(deadline);
        let lost = self.ring.shutdown(deadline);
        if blocked {
            eprintln!(
                "ringspun: a closure of spawn_blocking still runs after the {:?} of \
                 shutdown_timeout; its thread is left behind",
                self.shutdown_timeout
            );
        }
        for op in lost {
            eprintln!(
                "ringspun: the kernel did not end opcode {} on descriptor {}, submitted at {}, \
                 within the {:?} of shutdown_timeout; its memory is leaked",
                op.opcode, op.fd, op.site, self.shutdown_timeout
            );
        }
    }
}
