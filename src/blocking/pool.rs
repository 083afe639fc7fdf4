//! The threads and their queue.
//!
//! ```text
//!  submit: queue.push; more queued than idle or starting threads, and below the cap? start one
//!  thread: take from the queue | nothing there: idle, until notified or `keep_alive` has passed
//! ```
//!
//! A job counts as queued until a thread has taken it, and a thread as idle until it has, so a
//! thread that was notified and is not yet awake is not promised twice.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::BlockingError;
use super::handle::BlockingHandle;
use super::job::{self, Job};

/// How large the pool may be, and how long it keeps idle threads.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The cap. 0 is taken as 1.
    pub(crate) threads_max: usize,
    /// An idle thread leaves after this time.
    pub(crate) keep_alive: Duration,
    /// Threads are called `name-1`, `name-2`, ...; Linux shows 15 characters.
    pub(crate) name: String,
    /// What a thread does first.
    pub(crate) at_start: AtStart,
}

/// What a thread of the pool does first: nothing, or a call.
#[derive(Clone, Default)]
pub(crate) struct AtStart(Option<Arc<dyn Fn() + Send + Sync>>);

impl AtStart {
    pub(crate) fn call(call: impl Fn() + Send + Sync + 'static) -> AtStart {
        AtStart(Some(Arc::new(call)))
    }
}

impl std::fmt::Debug for AtStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "a call" } else { "nothing" })
    }
}

impl Default for Config {
    fn default() -> Config {
        let name = String::from("ringspun-blk");
        let at_start = AtStart::default();
        Config { threads_max: 64, keep_alive: Duration::from_secs(10), name, at_start }
    }
}

/// The state of the pool at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stats {
    /// Threads that live, starting ones included.
    pub(crate) threads: usize,
    /// Those that wait for a job.
    pub(crate) idle: usize,
    /// Jobs that no thread has taken, aborted ones included.
    pub(crate) queued: usize,
    /// The most threads that lived at one time.
    pub(crate) threads_seen_max: usize,
}

/// Starts a thread of this name that runs the closure.
pub(super) type StartThread = fn(String, Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// A capped pool of threads. Ends by [`Pool::shutdown`]; without it, when its threads have idled
/// out.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Config,
    start_thread: StartThread,
    state: Mutex<State>,
    /// A job has come, or the pool closes.
    work: Condvar,
    /// The last thread has left.
    empty: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Job>>,
    threads: usize,
    /// Of these, the ones that have not looked at the queue yet.
    starting: usize,
    idle: usize,
    threads_seen_max: usize,
    /// For the names.
    started: u64,
    closed: bool,
}

impl Pool {
    /// A pool without threads.
    pub(crate) fn new(config: Config) -> Arc<Pool> {
        Pool::with_start_thread(config, start_thread)
    }

    pub(super) fn with_start_thread(mut config: Config, start_thread: StartThread) -> Arc<Pool> {
        config.threads_max = config.threads_max.max(1);
        // std refuses a name with a NUL by a panic.
        config.name.retain(|letter| letter != '\0');
        Arc::new(Pool {
            config,
            start_thread,
            state: Mutex::default(),
            work: Condvar::new(),
            empty: Condvar::new(),
        })
    }

    /// Queues `f` and sees to it that a thread comes. After `shutdown` the handle is cancelled.
    pub(crate) fn spawn<F, T>(self: &Arc<Self>, f: F) -> BlockingHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, outcome) = job::new(f);
        self.submit(job);
        BlockingHandle::new(outcome)
    }

    /// What the pool looks like now.
    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            threads: state.threads,
            idle: state.idle,
            queued: state.queue.len(),
            threads_seen_max: state.threads_seen_max,
        }
    }

    /// Refuses new closures, cancels those that have not started, and waits until `deadline` for
    /// those that run. True if all threads have left; the others leave when their closure returns.
    pub(crate) fn shutdown(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.work.notify_all();
        for job in queue {
            job.refuse(BlockingError::cancelled());
        }

        let mut state = self.lock();
        while state.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.empty.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn submit(self: &Arc<Self>, job: Arc<dyn Job>) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            job.refuse(BlockingError::cancelled());
            return;
        }
        state.queue.push_back(job);
        let served = state.queue.len() <= state.idle + state.starting;
        if served || state.threads >= self.config.threads_max {
            drop(state);
            // Nobody listens if all are busy; they look at the queue before they idle.
            self.work.notify_one();
            return;
        }
        state.threads += 1;
        state.starting += 1;
        state.started += 1;
        state.threads_seen_max = state.threads_seen_max.max(state.threads);
        let name = format!("{}-{}", self.config.name, state.started);
        drop(state);

        let pool = Arc::clone(self);
        if let Err(error) = (self.start_thread)(name, Box::new(move || pool.run_thread())) {
            self.thread_did_not_start(error);
        }
    }

    /// The job stays in the queue if there are threads to take it. If not, nobody ever would.
    fn thread_did_not_start(&self, error: io::Error) {
        let mut state = self.lock();
        state.starting -= 1;
        state.threads -= 1;
        if state.threads > 0 {
            drop(state);
            self.work.notify_one();
            return;
        }
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.empty.notify_all();
        let error = Arc::new(error);
        for job in queue {
            job.refuse(BlockingError::no_thread(Arc::clone(&error)));
        }
    }

    /// What a thread of the pool does from its start to its end.
    fn run_thread(self: Arc<Self>) {
        let _entered = self.enter();
        if let Some(call) = &self.config.at_start.0 {
            call();
        }
        self.lock().starting -= 1;
        while let Some(job) = self.next_job() {
            job.run();
            // `job` may be the last to hold the closure's cell, which is empty by now.
        }
    }

    /// Waits for a job. `None`: the thread has been counted out and has to leave.
    fn next_job(&self) -> Option<Arc<dyn Job>> {
        let mut state = self.lock();
        let mut is_stale = false;
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed || is_stale {
                state.threads -= 1;
                if state.threads == 0 {
                    self.empty.notify_all();
                }
                return None;
            }
            state.idle += 1;
            let (woken, timed_out) = self
                .work
                .wait_timeout(state, self.config.keep_alive)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            is_stale = timed_out.timed_out();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, so a poisoned lock holds nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads)
            .field("idle", &self.idle)
            .field("queued", &self.queue.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

fn start_thread(name: String, run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    // The thread is not joined: a thread-local's destructor could hold the joiner up for ever.
    thread::Builder::new().name(name).spawn(run).map(drop)
}
