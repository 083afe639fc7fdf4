//! The threads of cores 1 and on: how they start, and how they end.
//!
//! ```text
//!  build:  start all -> each builds its core -> all have? -> hand out the Handle -> loops turn
//!                                    one has not: the others end, its error is the answer
//!  end:    asked, or its loop failed -> tasks dropped, ops cancelled, ring closed -> joined
//! ```
//!
//! A core that fails ends alone. Its tasks are dropped, so its listeners close and its peers see
//! the end of their connections; its handles answer "cancelled"; it is named on standard error.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::core_handle::{CoreHandle, Ended};
use super::handle::Handle;
use super::{Builder, Core, Running, complain, event_loop};
use crate::ring::affinity;
use crate::time;
use crate::wake::quietly;

/// Where a core stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    /// How many cores there are.
    pub(super) of: usize,
}

/// The other cores of a runtime.
pub(super) struct Threads {
    list: Vec<CoreThread>,
}

struct CoreThread {
    core: CoreHandle,
    /// Says nothing; it is closed when the core has ended.
    ended: mpsc::Receiver<()>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A core's thread that has built its core and waits for the others.
pub(super) struct Started {
    /// `None`: let go.
    thread: Option<CoreThread>,
    go: Option<mpsc::Sender<Handle>>,
}

impl Started {
    pub(super) fn core(&self) -> Option<CoreHandle> {
        Some(self.thread.as_ref()?.core.clone())
    }
}

/// Starts the thread of a core and waits until it has built the core.
pub(super) fn start(builder: &Builder, seat: Seat) -> io::Result<Started> {
    let (report, built) = mpsc::channel();
    let (go, wait_for_go) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let settings = builder.clone();
    let named = thread::Builder::new().name(settings.core_name(seat));
    let live = move || {
        let _end: mpsc::Sender<()> = end;
        let core = match settings.build_core(seat) {
            Ok(core) => core,
            Err(error) => {
                // If nobody listens the builder has given up.
                let _ = report.send(Err(error));
                return;
            }
        };
        let _ = report.send(Ok(core.place.clone()));
        match wait_for_go.recv() {
            Ok(handle) => run(&core, handle),
            Err(mpsc::RecvError) => core.shutdown(),
        }
    };
    let thread = affinity::unpinned(|| named.spawn(live))
        .map_err(|error| io::Error::new(error.kind(), format!("no thread: {error}")))?;
    let error = match built.recv() {
        Ok(Ok(core)) => {
            let thread = CoreThread { core, ended, thread: Some(thread) };
            return Ok(Started { thread: Some(thread), go: Some(go) });
        }
        Ok(Err(error)) => error,
        Err(mpsc::RecvError) => io::Error::other("it panicked while it was built"),
    };
    // It has run no code of the user: nothing holds it up.
    let _ = thread.join();
    Err(error)
}

/// The builder has given up: the thread ends, and with it what it had built.
impl Drop for Started {
    fn drop(&mut self) {
        self.go = None;
        if let Some(thread) = self.thread.as_mut().and_then(|thread| thread.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Threads {
    /// Lets the loops turn.
    pub(super) fn release(started: Vec<Started>, handle: &Handle) -> Threads {
        let release = |mut started: Started| {
            // If it has ended already its handles say so.
            let _ = started.go.as_ref()?.send(handle.clone());
            started.thread.take()
        };
        Threads { list: started.into_iter().filter_map(release).collect() }
    }

    /// Asks all to end, each within `grace`.
    pub(super) fn ask(&self, grace: Duration) {
        self.list.iter().for_each(|thread| thread.core.shutdown(grace));
    }

    /// Waits for the end of all. Answers the cores that have not ended by then.
    pub(super) fn wait(&mut self, deadline: Instant) -> Vec<usize> {
        let mut late = Vec::new();
        for core in &mut self.list {
            let rest = deadline.saturating_duration_since(Instant::now());
            if core.ended.recv_timeout(rest) == Err(mpsc::RecvTimeoutError::Timeout) {
                core.core.leave_behind();
                late.push(core.core.index());
            } else if let Some(thread) = core.thread.take()
                && has_left(core.core.thread_id(), deadline)
            {
                // A panic was told of.
                let _ = thread.join();
            }
        }
        late
    }
}

/// Waits for the thread's own end, which destructors of its thread-locals may put off for ever.
/// False: it is still there at the deadline.
fn has_left(thread_id: i32, deadline: Instant) -> bool {
    const LOOKS: Duration = Duration::from_micros(50);
    let of_thread = format!("/proc/self/task/{thread_id}");
    while Path::new(&of_thread).exists() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOKS);
    }
    true
}

/// The life of a core, after it was built.
fn run(core: &Rc<Core>, handle: Handle) {
    core.become_part_of(handle);
    let place = core.place.place();
    let outcome = catch_unwind(AssertUnwindSafe(|| turn_until_asked(core)));
    let ended = match outcome {
        Ok(Ok(())) => Ended::Asked,
        Ok(Err(error)) => Ended::Failed(error.to_string()),
        Err(payload) => {
            let why = text(&*payload).to_owned();
            quietly(|| drop(payload));
            Ended::Failed(why)
        }
    };
    let failed = match &ended {
        Ended::Failed(why) => Some(why.clone()),
        Ended::Asked | Ended::LeftBehind => None,
    };
    let _ = place.ended.set(ended);
    if let Some(why) = failed {
        complain(&format!(
            "core {} has failed: {why}; its tasks are dropped, the other cores go on",
            place.index
        ));
    }
    if quietly(|| core.shutdown()).is_none() {
        complain(&format!("core {} has panicked in its shutdown", place.index));
    }
}

fn turn_until_asked(core: &Rc<Core>) -> io::Result<()> {
    let _running = Running::start();
    let _entered = core.enter();
    let mut main = pin!(until_asked(core));
    core.tasks.wake_main();
    event_loop::run(core, &mut |cx| main.as_mut().poll(cx).is_ready())
}

/// The main future of a core: done when the core was asked to end, and its tasks are done or out
/// of time.
async fn until_asked(core: &Core) {
    const LOOKS: Duration = Duration::from_millis(5);
    let ending = &core.place.place().ending;
    let mut deadline = ending.asked_or_broken().await;
    loop {
        let now = Instant::now();
        // What was sent before the end was asked for is a task in the next turn.
        if (core.tasks.len() == 0 && !core.tasks.has_remote()) || now >= deadline {
            return;
        }
        time::sleep(LOOKS.min(deadline - now)).await;
        // Somebody may have less patience.
        deadline = ending.deadline().unwrap_or(deadline);
    }
}

/// What a panic said.
fn text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}
