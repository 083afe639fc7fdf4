//! The end of a runtime: of one core, and of all.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::core_handle::{CoreHandle, CoreState, Ended};
use super::{CENTURY, Core, Runtime, complain};
use crate::{task, time};

/// What the end of a runtime left. Made by [`Runtime::shutdown`] and [`Runtime::shutdown_within`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks that were dropped before they were done; of cores left behind none are known. One that
    /// was spawned through a handle counts twice, with what carries its result.
    pub tasks_dropped: usize,
    /// Cores that had failed: their threads panicked or their rings did.
    pub cores_failed: Vec<usize>,
    /// Cores that were still busy with a poll or a closure after
    /// [`shutdown_timeout`](super::Builder::shutdown_timeout), and were left behind.
    pub cores_left_behind: Vec<usize>,
}

/// How often the end of the last task is looked for.
const LOOKS: Duration = Duration::from_millis(2);

/// What a core may take beyond its own timeout.
const OWN_END: Duration = Duration::from_secs(1);

/// How long the cores that are asked for their tasks may be busy with one of them.
const ANSWER: Duration = Duration::from_millis(100);

impl Runtime {
    /// Ends the runtime now, as its drop does, and says what that left.
    pub fn shutdown(mut self) -> ShutdownReport {
        self.end()
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
    pub fn shutdown_within(mut self, grace: Duration) -> io::Result<ShutdownReport> {
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now + CENTURY);
        self.try_block_on(async {
            let mut before = None;
            while Instant::now() < deadline {
                let standing = self.standing().await;
                // A task may spawn on a core that was found idle: on all of them nothing has
                // happened from one round to the next.
                if standing.is_some() && standing == before {
                    return;
                }
                if standing.is_none() {
                    let rest = deadline.saturating_duration_since(Instant::now());
                    time::sleep(LOOKS.min(rest)).await;
                }
                before = standing.map(|ran| ran.into_iter().map(|ran| ran + 1).collect());
            }
        })?;
        Ok(self.end())
    }

    /// How many closures each core has run, if none has tasks. The question itself is one more. A
    /// core that does not answer has a task at least: the one that keeps it busy.
    async fn standing(&self) -> Option<Vec<u64>> {
        let handle = self.handle();
        let others = handle.cores().iter().filter(|core| core.is_alive());
        let asked: Vec<_> = others.map(|core| core.call(task::count)).collect();
        let answers = async {
            let mut idle = true;
            let mut ran = Vec::with_capacity(asked.len());
            for answer in asked {
                // One that ended meanwhile has no tasks.
                let (tasks, closures) = answer.await.unwrap_or_default();
                idle &= tasks == 0;
                ran.push(closures);
            }
            idle.then_some(ran)
        };
        time::timeout(ANSWER, answers).await.ok().flatten()
    }

    /// Ends all cores, the others beside core 0.
    pub(super) fn end(&mut self) -> ShutdownReport {
        let threads = self.threads.take();
        if let Some(threads) = &threads {
            threads.ask(Duration::ZERO);
        }
        let deadline = deadline_after(self.core.shutdown_timeout.saturating_add(OWN_END));
        self.core.shutdown();
        let _ = self.core.place.place().ended.set(Ended::Asked);
        let late = threads.map(|mut threads| threads.wait(deadline)).unwrap_or_default();
        for index in &late {
            complain(&format!(
                "core {index} is still busy with a poll or a closure after the {:?} of \
                 shutdown_timeout; its thread is left behind",
                self.core.shutdown_timeout
            ));
        }
        let handle = self.handle();
        let dropped = |core: &CoreHandle| core.place().tasks_dropped.load(Ordering::Relaxed);
        let failed = |core: &&CoreHandle| matches!(core.state(), CoreState::Failed(_));
        ShutdownReport {
            tasks_dropped: handle.cores().iter().map(dropped).sum(),
            cores_failed: handle.cores().iter().filter(failed).map(CoreHandle::index).collect(),
            cores_left_behind: late,
        }
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
            let place = self.place.place();
            place.tasks_dropped.fetch_add(self.tasks.len(), Ordering::Relaxed);
            // For who waits for it on another thread.
            place.ending.ask(Duration::ZERO);
            self.tasks.shutdown();
            self.timers.clear();
        }
        let blocked = !self.pool.shutdown(deadline);
        let lost = self.ring.shutdown(deadline);
        if blocked {
            complain(&format!(
                "a closure of spawn_blocking still runs after the {:?} of shutdown_timeout; its \
                 thread is left behind",
                self.shutdown_timeout
            ));
        }
        for op in lost {
            complain(&format!(
                "the kernel did not end opcode {} on descriptor {}, submitted at {}, within the \
                 {:?} of shutdown_timeout; its memory is leaked",
                op.opcode, op.fd, op.site, self.shutdown_timeout
            ));
        }
    }
}
