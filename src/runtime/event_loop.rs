//! The event loop: run what is ready, hand the ring to the kernel, wake what is done.

use std::io;
use std::task::Context;
use std::time::Duration;

use super::Core;
use crate::ring::Wait;
use crate::time::NextWait;

/// Turns until `main`, polled whenever it was woken, says that it is done.
pub(crate) fn run(core: &Core, main: &mut dyn FnMut(&mut Context<'_>) -> bool) -> io::Result<()> {
    let mut done = false;
    core.start_stretch();
    loop {
        core.tasks.drain_inbox(); // wakes and closures from other threads
        core.tasks.run(core.batch, &mut |cx| done = done || main(cx)); // run queue -> futures
        if done {
            core.stamp();
            return core.flush();
        }
        core.enter_ring(None)?; // entries -> kernel, completions <- kernel: one system call
        core.ring.dispatch(); // completions -> slots -> wakers -> run queue
        core.fire_timers(); // deadlines -> wakers -> run queue
    }
}

/// One turn without a main future; answers how many things happened.
pub(crate) fn turn(core: &Core, wait: Option<Duration>) -> io::Result<usize> {
    core.start_stretch();
    core.tasks.drain_inbox();
    let polled = core.tasks.run(core.batch, &mut |_| {});
    let limit = if core.is_idle() { Some(Duration::ZERO) } else { wait };
    core.enter_ring(limit)?;
    let completed = core.ring.dispatch();
    let fired = core.fire_timers();
    core.tasks.drain_inbox();
    core.stamp();
    Ok(polled + completed + fired)
}

/// A ring that is never done is not waited for.
const FLUSHES_MAX: usize = 1024;

/// Hands over what was asked for, and closes what was dropped.
pub(crate) fn flush(core: &Core) -> io::Result<()> {
    core.flush()
}

impl Core {
    /// The one place where a core waits.
    fn enter_ring(&self, limit: Option<Duration>) -> io::Result<()> {
        self.check_fork();
        self.stamp();
        let wait = self.next_wait(limit);
        if wait == Wait::No {
            if self.ring.needs_enter() {
                self.ring.enter(Wait::No).map_err(|error| self.fail(error))?;
            }
            return Ok(());
        }
        if self.park.poll_first(self, wait).map_err(|error| self.fail(error))? {
            self.start_stretch();
            return Ok(());
        }
        // From here on a wake from another thread writes to the notifier.
        let wait = if self.tasks.prepare_sleep() { wait } else { Wait::No };
        let entered = self.ring.enter(wait);
        self.tasks.awake();
        self.start_stretch();
        entered.map_err(|error| self.fail(error))
    }

    /// Tasks ready: not at all. A timer set: until it is due. Else until something comes.
    fn next_wait(&self, limit: Option<Duration>) -> Wait {
        if self.tasks.has_ready() || limit == Some(Duration::ZERO) {
            return Wait::No;
        }
        let wait = if self.timers.any() {
            match self.timers.next_wait(self.timers.now()) {
                // A wait with a deadline that has passed costs 23 us.
                NextWait::Due => return Wait::No,
                NextWait::For(duration) => Wait::AtMost(duration),
                NextWait::Forever => Wait::Forever,
            }
        } else {
            Wait::Forever
        };
        match (wait, limit) {
            (Wait::AtMost(duration), Some(limit)) => Wait::AtMost(duration.min(limit)),
            (Wait::Forever, Some(limit)) => Wait::AtMost(limit),
            (wait, _) => wait,
        }
    }

    fn fire_timers(&self) -> usize {
        if self.timers.any() { self.timers.fire(self.timers.now()) } else { 0 }
    }

    /// What was asked for leaves before `block_on` returns; completions stay for the next, but the
    /// descriptors of what was dropped are closed now.
    fn flush(&self) -> io::Result<()> {
        // A small queue takes what there is in several rounds.
        for _ in 0..FLUSHES_MAX {
            if !self.ring.needs_enter() {
                break;
            }
            self.ring.enter(Wait::No).map_err(|error| self.fail(error))?;
            if self.ring.orphans() > 0 {
                self.ring.dispatch();
            }
        }
        Ok(())
    }

    /// The ring is of no more use: what the kernel may own is lost.
    fn fail(&self, error: io::Error) -> io::Error {
        for op in self.ring.fail() {
            super::complain(&format!(
                "the ring failed ({error}); opcode {} on descriptor {}, submitted at {}, is lost \
                 and its memory leaked",
                op.opcode, op.fd, op.site
            ));
        }
        error
    }

    /// The clock by which ops and tasks are dated, and how long the core went on without waiting;
    /// coarse, for it is read each turn.
    fn stamp(&self) {
        self.ring.set_clock(self.tasks.look_at_clock());
        self.tasks.publish();
    }

    /// As `stamp`, after a wait, which does not count.
    fn start_stretch(&self) {
        self.ring.set_clock(self.tasks.start_stretch());
    }

    /// A ring belongs to the process that made it.
    fn check_fork(&self) {
        debug_assert_eq!(
            self.pid,
            std::process::id(),
            "this process was forked while a runtime ran: the child must not use it (exec, or \
             fork before the runtime is built)"
        );
    }
}
