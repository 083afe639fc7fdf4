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
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::core_handle::{CoreHandle, Ended};
use super::handle::Handle;
use super::{Builder, Core, Running, event_loop};
use crate::time;

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
    thread: CoreThread,
    go: mpsc::Sender<Handle>,
}

impl Started {
    pub(super) fn core(&self) -> CoreHandle {
        self.thread.core.clone()
    }
}

/// Starts the thread of a core and waits until it has built the core.
pub(super) fn start(builder: &Builder, seat: Seat) -> io::Result<Started> {
    let (report, built) = mpsc::channel();
    let (go, wait_for_go) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let settings = builder.clone();
    let thread = thread::Builder::new().name(settings.core_name(seat)).spawn(move || {
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
    })?;
    match built.recv() {
        Ok(Ok(core)) => {
            let thread = CoreThread { core, ended, thread: Some(thread) };
            Ok(Started { thread, go })
        }
        Ok(Err(error)) => Err(error),
        Err(mpsc::RecvError) => {
            Err(io::Error::other(format!("core {} panicked while it was built", seat.index)))
        }
    }
}

impl Threads {
    /// Lets the loops turn.
    pub(super) fn release(started: Vec<Started>, handle: &Handle) -> Threads {
        let release = |started: Started| {
            // If it has ended already its handles say so.
            let _ = started.go.send(handle.clone());
            started.thread
        };
        Threads { list: started.into_iter().map(release).collect() }
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
                late.push(core.core.index());
            } else if let Some(thread) = core.thread.take() {
                // Its core is gone: what is left is the thread's own end. A panic was told of.
                let _ = thread.join();
            }
        }
        late
    }
}

/// The life of a core, after it was built.
fn run(core: &Rc<Core>, handle: Handle) {
    core.become_part_of(handle);
    let place = core.place.place();
    let outcome = catch_unwind(AssertUnwindSafe(|| turn_until_asked(core)));
    let ended = match outcome {
        Ok(Ok(())) => Ended::Asked,
        Ok(Err(error)) => Ended::Failed(error.to_string()),
        Err(payload) => Ended::Failed(text(&*payload).to_owned()),
    };
    if let Ended::Failed(why) = &ended {
        eprintln!(
            "ringspun: core {} has failed: {why}; its tasks are dropped, the other cores go on",
            place.index
        );
    }
    let _ = place.ended.set(ended);
    if catch_unwind(AssertUnwindSafe(|| core.shutdown())).is_err() {
        eprintln!("ringspun: core {} has panicked in its shutdown", place.index);
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
    let mut deadline = ending.asked().await;
    loop {
        let now = Instant::now();
        if core.tasks.len() == 0 || now >= deadline {
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
