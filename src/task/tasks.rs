//! All tasks of a core, and the turn that polls them.
//!
//! ```text
//!  spawn --> list (every unfinished task) --+
//!                                           v
//!  wake ---> run queue --> step: aborted? --yes--> drop the future ---+ <-- end (at once)
//!                           |                                         v
//!                           +--> poll --Ready or panic--> finish: off the list, joiner woken
//!                           |      |
//!                           |      +--Pending--> waits for a wake
//!                           +--> main's turn: the caller's closure
//! ```
//!
//! # Safety
//!
//! `Tasks` is neither `Send` nor `Sync`, and so is each `TaskRef`: what is done here is done on
//! the tasks' own thread (T1). `busy` keeps a poll from happening inside a poll. A future may be
//! dropped while another is polled (`end`), but never the one that is: see `is_polled`.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::Context;

use slab::Slab;

use super::Id;
use super::bindings::{self, Chain};
use super::blocks::Blocks;
use super::counters::{Counters, Polling};
use super::current;
use super::header::{Header, Origin, TaskName};
use super::inbox::{Closure, CoreShared};
use super::join::JoinHandle;
use super::raw::{self, Polled, TaskRef};
use super::report::{self, TICK_MS, TaskInfo};
use super::run_queue::RunQueue;
use super::state::{BOUND, CLOSED, COMPLETE, HANDLE, QUEUED};
use super::sync::{Arc, Cell};
use super::turn::{Busy, Running};
use super::waker;
use crate::wake::{CoreId, Notify};

/// A core's tasks. Main is one of them, but its future lives with the caller of [`Tasks::run`].
pub(crate) struct Tasks {
    shared: Arc<CoreShared>,
    queue: RunQueue,
    /// Holds a local reference to each task until its future is gone.
    list: RefCell<Slab<TaskRef>>,
    main: TaskRef,
    /// Whose code runs, for `task::id`.
    running: Cell<Option<NonNull<Header>>>,
    /// Who was running when the first of those was ended that are being ended now: if a task is
    /// polled meanwhile, it is this one, or the running one.
    interrupted: Cell<Option<NonNull<Header>>>,
    /// How many `end` are on the stack.
    ending: Cell<u32>,
    busy: Cell<bool>,
    refusing: Cell<bool>,
    refused_depth: Cell<u32>,
    tick: Cell<u32>,
    /// The coarse clock, in milliseconds, and when it was last looked at.
    clock: Cell<fn() -> u32>,
    looked_ms: Cell<u32>,
    /// Shares of `shared` that freed headers left for new ones.
    spare: RefCell<Vec<Arc<CoreShared>>>,
    /// Memory of freed tasks. After all that holds a task: fields are dropped in order.
    pub(super) blocks: Blocks,
}

/// How many shares are kept at most: 32 KiB.
const SPARE_MAX: usize = 4096;

/// So many polls share one look at the clock, which costs as much as a short poll.
const POLLS_PER_LOOK: usize = 64;

/// How deep the destructors of refused futures may spawn futures that are refused. Deeper ones are
/// leaked, for the alternative is the end of the stack.
const REFUSED_DEPTH_MAX: u32 = 100;

/// How deep the destructors of ended tasks may end others at once. Deeper ones end in their turn.
const ENDING_DEPTH_MAX: u32 = 16;

impl Tasks {
    /// A core without tasks, for this thread. `notify` ends its sleep.
    #[track_caller]
    pub(crate) fn new(notify: Box<dyn Notify>) -> Rc<Tasks> {
        let shared = Arc::new(CoreShared::new(CoreId::next(), notify));
        let blocks = Blocks::new();
        let main = raw::allocate(
            std::future::pending::<()>(),
            Origin {
                shared: Arc::clone(&shared),
                id: Id::next(),
                site: Location::caller(),
                index: u32::MAX,
                born: 0,
                flags: 0,
            },
            &blocks,
        );
        main.header().keep_name(TaskName::from("main"));
        Rc::new(Tasks {
            shared,
            queue: RunQueue::new(),
            list: RefCell::new(Slab::new()),
            main,
            running: Cell::new(None),
            interrupted: Cell::new(None),
            ending: Cell::new(0),
            busy: Cell::new(false),
            refusing: Cell::new(false),
            refused_depth: Cell::new(0),
            tick: Cell::new(0),
            clock: Cell::new(|| 0),
            looked_ms: Cell::new(0),
            spare: RefCell::new(Vec::new()),
            blocks,
        })
    }

    pub(crate) fn core(&self) -> CoreId {
        self.shared.core()
    }

    /// What other threads may have of this core.
    pub(crate) fn shared(&self) -> &Arc<CoreShared> {
        &self.shared
    }

    /// How many tasks are not finished; main is not counted.
    pub(crate) fn len(&self) -> usize {
        self.list.borrow().len()
    }

    #[inline]
    pub(super) fn counters(&self) -> &Counters {
        self.shared.counters()
    }

    /// How many closures that were sent here have been run; the one that runs counts.
    pub(crate) fn closures_run(&self) -> u64 {
        self.counters().calls.value()
    }

    /// The panics that nobody was told of.
    #[cfg(test)]
    pub(crate) fn panics(&self) -> u64 {
        self.counters().panics.value()
    }

    /// Whether an `end` is on the stack.
    #[cfg(test)]
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.get().is_some() || self.ending.get() > 0
    }

    /// The coarse clock, in milliseconds. Until it is set no time passes.
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(crate) fn set_clock(&self, clock: fn() -> u32) {
        self.clock.set(clock);
    }

    /// A stretch begins in which the core is not to wait. Answers the coarse clock.
    #[inline]
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(crate) fn start_stretch(&self) -> u32 {
        let now_ms = (self.clock.get())();
        self.looked_ms.set(now_ms);
        self.set_tick(now_ms / TICK_MS);
        now_ms
    }

    /// The stretch ends, and the next begins. Answers the coarse clock.
    #[inline]
    pub(crate) fn look_at_clock(&self) -> u32 {
        let before = self.looked_ms.get();
        let now_ms = self.start_stretch();
        self.counters().longest_ms.raise(u64::from(now_ms.wrapping_sub(before)));
        now_ms
    }

    #[cold]
    #[inline(never)]
    fn look_between_polls(&self) {
        self.look_at_clock();
        self.publish();
    }

    /// Writes down for other threads what is not counted one by one.
    pub(crate) fn publish(&self) {
        let counters = self.counters();
        let ready = self.queue.len() as u64;
        // What came to the run queue, and was neither a spawn nor from another thread.
        let queued = counters.polls.value() + ready;
        let others = counters.spawned.value() + counters.wakes_remote.value();
        counters.ready.set(ready);
        counters.wakes_local.set(queued.saturating_sub(others));
        counters.finished.set(counters.spawned.value() - self.len() as u64);
    }

    /// The coarse clock that ages count in. Its unit is the caller's.
    pub(crate) fn set_tick(&self, tick: u32) {
        self.tick.set(tick);
    }

    /// A new task, ready to be polled.
    #[inline]
    pub(crate) fn spawn<F: Future + 'static>(
        &self,
        future: F,
        name: Option<TaskName>,
        site: &'static Location<'static>,
    ) -> JoinHandle<F::Output> {
        let id = Id::next();
        if self.refusing.get() {
            self.refuse(future);
            return JoinHandle::refused(id);
        }
        let shared = match self.spare.borrow_mut().pop() {
            Some(shared) => shared,
            None => Arc::clone(&self.shared),
        };
        let mut list = self.list.borrow_mut();
        let place = list.vacant_entry();
        let index = u32::try_from(place.key()).expect("a core has fewer than 2^32 tasks");
        let (born, flags) = (self.tick.get(), HANDLE | QUEUED);
        let origin = Origin { shared, id, site, index, born, flags };
        let task = raw::allocate(future, origin, &self.blocks);
        if let Some(name) = name {
            task.header().keep_name(name);
        }
        if bindings::any() {
            inherit(task.header());
        }
        place.insert(task.clone());
        drop(list);
        self.counters().spawned.add(1);
        self.queue.push(task.clone());
        // SAFETY: the task's output is `F::Output`, and HANDLE is this handle's.
        unsafe { JoinHandle::new(task) }
    }

    /// Wakes of other threads go to the run queue; then the closures they sent run.
    pub(crate) fn drain_inbox(&self) {
        self.shared.drain(|header| {
            if self.queue(*header) {
                self.counters().wakes_remote.add(1);
            }
        });
        for closure in self.shared.take_closures() {
            self.counters().calls.add(1);
            let run = || bindings::apart(closure);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
                report::unseen_panic(&self.shared, None, "a closure sent to the core", payload);
            }
        }
    }

    /// Polls at most `budget` tasks, the longest ready first; `main` when it is main's turn.
    /// Answers how many turns were given. A panic of a task ends that task; one of `main` comes
    /// through.
    pub(crate) fn run(&self, budget: usize, main: &mut dyn FnMut(&mut Context<'_>)) -> usize {
        let _busy = Busy::new(&self.busy, &self.interrupted);
        if bindings::any() {
            return self.run_apart(budget, main);
        }
        self.run_ready(budget, main)
    }

    /// What is bound around the loop is for main, not for tasks.
    #[cold]
    fn run_apart(&self, budget: usize, main: &mut dyn FnMut(&mut Context<'_>)) -> usize {
        let outside = bindings::current();
        let _apart = bindings::enter(None);
        self.run_ready(budget, &mut |cx| {
            let _entered = bindings::enter(outside.clone());
            main(cx);
        })
    }

    #[inline]
    fn run_ready(&self, budget: usize, main: &mut dyn FnMut(&mut Context<'_>)) -> usize {
        let counters = self.counters();
        counters.turns.add(1);
        // But for the one that is polled first.
        counters.ready.set((self.queue.len() as u64).saturating_sub(1));
        let _polling = Polling::start(counters);
        let polls_before = counters.polls.value();
        for turns in 0..budget {
            let Some(task) = self.queue.pop() else { return turns };
            // Nobody else counts them meanwhile (`busy`).
            counters.polls.set(polls_before + turns as u64 + 1);
            self.step(&task, main);
            if turns % POLLS_PER_LOOK == POLLS_PER_LOOK - 1 {
                self.look_between_polls();
            }
        }
        budget
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.queue.is_empty()
    }

    /// True if something from another thread waits in the inbox.
    #[cfg_attr(loom, allow(dead_code, reason = "for the runtime"))]
    pub(crate) fn has_remote(&self) -> bool {
        self.shared.has_remote()
    }

    /// Gives main a turn.
    pub(crate) fn wake_main(&self) {
        self.queue(self.main.pointer());
    }

    /// Announces a sleep, so that wakes notify. False if other threads have left work: then do not
    /// sleep. After true, [`Tasks::awake`] follows.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.shared.prepare_sleep()
    }

    /// The sleep is over: wakes need not notify.
    pub(crate) fn awake(&self) {
        self.shared.awake();
    }

    /// Shows main and every unfinished task.
    pub(crate) fn for_each(&self, look: &mut dyn FnMut(TaskInfo)) {
        // A copy: `look` is not known, and may spawn.
        let tasks: Vec<TaskRef> = self.list.borrow().iter().map(|(_, task)| task.clone()).collect();
        look(TaskInfo::of(&self.main, self.tick.get()));
        for task in tasks.iter().filter(|task| !task.header().flags.has(CLOSED)) {
            look(TaskInfo::of(task, self.tick.get()));
        }
    }

    /// Ends all tasks: from now on spawns are refused; every future is dropped; the inbox closes,
    /// and closures that have not run are dropped. May be called again, which does nothing.
    pub(crate) fn shutdown(self: &Rc<Tasks>) {
        let _entered = self.enter();
        bindings::apart(|| self.end_all());
    }

    fn end_all(&self) {
        if self.refusing.get() {
            return;
        }
        let _busy = Busy::new(&self.busy, &self.interrupted);
        self.refusing.set(true);
        // First: a destructor of ours may wait for another core, and one there for us.
        self.drop_closures(self.shared.refuse());
        // Refused spawns add none, so one round ends all.
        let tasks: Vec<TaskRef> = self.list.borrow().iter().map(|(_, task)| task.clone()).collect();
        for task in &tasks {
            if !task.header().flags.has(CLOSED) {
                self.cancel(task);
            }
        }
        self.main.header().flags.set(CLOSED);
        while let Some(task) = self.queue.pop() {
            self.counters().polls.add(1);
            drop(task);
        }
        self.drop_closures(self.shared.close());
    }

    fn drop_closures(&self, closures: Vec<Closure>) {
        for closure in closures {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(closure))) {
                report::unseen_panic(&self.shared, None, "a closure sent to the core", payload);
            }
        }
        self.publish();
    }

    /// True if `header`'s task is one of these.
    #[inline]
    pub(super) fn is_home_of(&self, header: &Header) -> bool {
        // The header keeps its `CoreShared`, and this one is alive too: one address, one core.
        std::ptr::eq(&raw const **self.shared(), header.shared())
    }

    /// Puts a task of this core into the run queue. False: it is there already, or finished.
    #[inline]
    pub(super) fn queue(&self, header: NonNull<Header>) -> bool {
        // SAFETY: T3: the caller holds a reference.
        let flags = unsafe { &(*header.as_ptr()).flags };
        if flags.has(QUEUED | CLOSED) {
            return false;
        }
        flags.set(QUEUED);
        // SAFETY: T3: as above; a task of this core is on its own thread here.
        self.queue.push(unsafe { TaskRef::take(header) });
        true
    }

    /// Whose code runs.
    pub(super) fn running(&self) -> Option<TaskRef> {
        // SAFETY: T3: `step` holds the running task; it is on its own thread here.
        self.running.get().map(|header| unsafe { TaskRef::take(header) })
    }

    pub(super) fn recycle(&self, shared: Arc<CoreShared>) {
        let mut spare = self.spare.borrow_mut();
        if Arc::ptr_eq(&shared, &self.shared) && spare.len() < SPARE_MAX {
            spare.push(shared);
        }
    }

    // Always: a call more is a fifth of what a short poll costs.
    #[inline(always)]
    fn step(&self, task: &TaskRef, main: &mut dyn FnMut(&mut Context<'_>)) {
        let header = task.header();
        if header.flags.has(CLOSED | BOUND) {
            return self.step_bound(task, main);
        }
        self.step_open(task, main);
    }

    /// The rare turns: of a task that is closed, or that has bindings.
    #[cold]
    fn step_bound(&self, task: &TaskRef, main: &mut dyn FnMut(&mut Context<'_>)) {
        if task.header().flags.has(CLOSED) {
            return;
        }
        let bindings = task.header().bindings();
        let entered = bindings::enter(bindings.clone());
        self.step_open(task, main);
        drop(entered);
        self.unbind(task, bindings);
    }

    #[inline(always)]
    fn step_open(&self, task: &TaskRef, main: &mut dyn FnMut(&mut Context<'_>)) {
        let header = task.header();
        if header.state.is_aborted() {
            return self.cancel(task);
        }
        let waker = waker::borrowed(task);
        let mut cx = Context::from_waker(&waker);
        let _running = Running::new(&self.running, task);
        if task.pointer() == self.main.pointer() {
            return main(&mut cx);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: not CLOSED, so the future is there; `busy`: no poll is going on.
            unsafe { task.poll(&mut cx) }
        }));
        match polled {
            Ok(Polled::Pending) => {}
            Ok(Polled::Ready) => self.finish(task),
            Ok(Polled::DropPanicked(payload)) => {
                if let Err(second) = task.drop_output() {
                    report::unseen_panic(&self.shared, Some(task), "its output", second);
                }
                header.keep_payload(payload);
                self.finish(task);
            }
            Err(payload) => {
                header.flags.set(CLOSED);
                // SAFETY: a poll that panicked leaves the future there; CLOSED is set.
                if let Err(second) = unsafe { task.drop_future() } {
                    report::unseen_panic(&self.shared, Some(task), "its destructor", second);
                }
                header.keep_payload(payload);
                self.finish(task);
            }
        }
    }

    /// Drops the future of a task at once. False if it has to wait for the task's turn: it is being
    /// polled, or too many are being ended already.
    pub(super) fn end(&self, task: &TaskRef) -> bool {
        if task.header().flags.has(CLOSED) {
            return true;
        }
        let depth = self.ending.get();
        if depth >= ENDING_DEPTH_MAX || self.is_polled(task) {
            return false;
        }
        self.ending.set(depth + 1);
        self.cancel(task);
        self.ending.set(depth);
        true
    }

    /// True if a poll of the task is on the stack.
    fn is_polled(&self, task: &TaskRef) -> bool {
        [self.running.get(), self.interrupted.get()].contains(&Some(task.pointer()))
    }

    /// Ends a task that is not being polled: the future is dropped, under the task's bindings.
    #[cold]
    fn cancel(&self, task: &TaskRef) {
        let interrupted = self.interrupted.get();
        if interrupted.is_none() {
            self.interrupted.set(self.running.get());
        }
        let running = Running::new(&self.running, task);
        task.header().flags.set(CLOSED);
        let bindings = task.header().bindings();
        let entered = bindings::enter(bindings.clone());
        // SAFETY: the caller found CLOSED off, so the future was there; it is set now; it is not
        // being polled: `busy` in a turn, `is_polled` in `end`.
        let dropped = unsafe { task.drop_future() };
        drop(entered);
        if let Err(payload) = dropped {
            task.header().keep_payload(payload);
        }
        drop(running);
        self.interrupted.set(interrupted);
        self.finish(task);
        self.unbind(task, bindings);
    }

    /// Lets go of what a task was polled under. Its values may end here, and panic.
    fn unbind(&self, task: &TaskRef, bindings: Option<Chain>) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(bindings))) {
            report::unseen_panic(&self.shared, Some(task), "a value bound in it", payload);
        }
    }

    /// The future is gone and the result, if any, is in its place: the joiner is told.
    #[inline]
    fn finish(&self, task: &TaskRef) {
        let header = task.header();
        header.flags.set(COMPLETE);
        if header.flags.has(BOUND) {
            header.flags.clear(BOUND);
            self.unbind(task, header.take_bindings());
        }
        if !header.flags.has(HANDLE) {
            report::discard_result(task);
        } else if let Some(join) = header.take_join()
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| join.wake()))
        {
            report::unseen_panic(&self.shared, Some(task), "the waker of its joiner", payload);
        }
        let listed = self.list.borrow_mut().try_remove(header.index as usize);
        drop(listed);
    }

    /// Drops the future of a spawn that comes too late.
    #[cold]
    pub(super) fn refuse<F: Future>(&self, future: F) {
        let depth = self.refused_depth.get();
        if depth >= REFUSED_DEPTH_MAX {
            let _leaked = ManuallyDrop::new(future);
            return;
        }
        self.refused_depth.set(depth + 1);
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            report::unseen_panic(&self.shared, None, "a future spawned too late", payload);
        }
        self.refused_depth.set(depth);
    }
}

/// A new task takes what is bound where it is spawned.
#[cold]
fn inherit(header: &Header) {
    if let Some(bindings) = bindings::current() {
        header.keep_bindings(bindings);
        header.flags.set(BOUND);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // Runtimes shut their tasks down. Whoever did not has no core for the destructors to spawn
        // on: there is no reference left that could be current.
        let _left = current::leave();
        bindings::apart(|| self.end_all());
    }
}
