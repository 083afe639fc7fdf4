//! What is said about tasks: what a dump shows, and the panics that nobody was told of.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

use super::Id;
use super::header::{Payload, TaskName};
use super::inbox::CoreShared;
use super::raw::TaskRef;
use super::state::QUEUED;

/// How a task stands. Made by [`list`](super::list).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Which it is.
    pub id: Id,
    /// What it was called by [`Builder::name`](super::Builder::name).
    pub name: Option<TaskName>,
    /// Where it was spawned.
    pub site: &'static Location<'static>,
    /// How long ago, to a tenth of a second; wraps after twelve days.
    pub age: Duration,
    /// In the run queue; else it waits, or is being polled.
    pub ready: bool,
}

/// The unit of `Tasks::set_tick`.
pub(crate) const TICK_MS: u32 = 64;

impl TaskInfo {
    pub(super) fn of(task: &TaskRef, tick: u32) -> TaskInfo {
        let header = task.header();
        TaskInfo {
            id: header.id,
            name: header.name(),
            site: header.site,
            age: Duration::from_millis(u64::from(TICK_MS) * u64::from(header.age(tick))),
            ready: header.flags.has(QUEUED),
        }
    }
}

/// Drops the result of a complete task that nobody wants.
pub(super) fn discard_result(task: &TaskRef) {
    let shared = task.header().shared();
    if let Err(payload) = task.drop_output() {
        unseen_panic(shared, Some(task), "its output", payload);
    }
    if let Some(payload) = task.header().take_payload() {
        unseen_panic(shared, Some(task), "its future", payload);
    }
}

/// Counts a panic that no join handle takes, and says so in one line.
#[cold]
pub(super) fn unseen_panic(
    shared: &CoreShared,
    task: Option<&TaskRef>,
    place: &str,
    payload: Payload,
) {
    shared.counters().panics.add(1);
    let core = shared.core().as_u64();
    let text = text(&payload);
    let line = match task {
        Some(task) => {
            let header = task.header();
            let name = header.name().map(|name| format!(" '{name}'")).unwrap_or_default();
            let (id, site) = (header.id, header.site);
            format!(
                "ringspun: task {id}{name} of core {core}, spawned at {site}, panicked in {place}: \
                 {text}\n"
            )
        }
        None => format!("ringspun: a panic on core {core} in {place}: {text}\n"),
    };
    // Not `eprintln!`, which panics when the stream is closed.
    let _ = std::io::stderr().write_all(line.as_bytes());
    drop_payload(payload);
}

/// What a panic said, if it was text.
pub(super) fn text(payload: &Payload) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "(no text)"
    }
}

/// A payload's destructor is user code and may panic; so may that of what it panics with.
fn drop_payload(mut payload: Payload) {
    for _ in 0..4 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    let _leaked = ManuallyDrop::new(payload);
}
