//! The handle by which a server is told to end.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::address::LocalAddr;
use super::shared::{Phase, Shared};

/// Tells a server to end, from any thread; made by [`Serve::handle`](super::Serve::handle).
#[derive(Clone)]
pub struct ServerHandle {
    control: Arc<Control>,
}

/// What was asked for, and who is to hear of it.
#[derive(Default)]
pub(super) struct Control {
    asked: Mutex<Asked>,
    started: OnceLock<Arc<Shared>>,
}

#[derive(Default)]
struct Asked {
    deadline: Option<Instant>,
    stop: bool,
    server: Option<Waker>,
}

/// The wish that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Drain(Instant),
    Stop,
}

/// A deadline that cannot be expressed is centuries away.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(super) fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + FAR)
}

impl ServerHandle {
    pub(super) fn new(control: Arc<Control>) -> ServerHandle {
        ServerHandle { control }
    }

    /// Has the server accept nothing more, wait for its connections until `deadline` has passed,
    /// and cut off the rest. Of several calls the most impatient counts. Before the server has
    /// started: it ends when it starts.
    pub fn drain(&self, deadline: Duration) {
        let deadline = after(deadline);
        self.ask(|asked| {
            asked.deadline = Some(asked.deadline.map_or(deadline, |before| before.min(deadline)));
        });
    }

    /// Cuts off all connections and ends the server.
    pub fn stop(&self) {
        self.ask(|asked| asked.stop = true);
    }

    /// Where it listens; empty before it does.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<LocalAddr> {
        self.control.started.get().map(|shared| shared.addrs.clone()).unwrap_or_default()
    }

    /// How many connections there are now, on all cores.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.control.started.get().map_or(0, |shared| shared.loads.total())
    }

    /// How many connections each core has now; empty before the server has started.
    #[must_use]
    pub fn connections_by_core(&self) -> Vec<usize> {
        let Some(shared) = self.control.started.get() else { return Vec::new() };
        (0..shared.counts.len()).map(|core| shared.loads.of(core)).collect()
    }

    /// The drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.control.started.get().is_some_and(|shared| shared.phase() >= Phase::Draining)
    }

    fn ask(&self, how: impl FnOnce(&mut Asked)) {
        let mut asked = self.control.lock();
        how(&mut asked);
        let server = asked.server.take();
        drop(asked);
        server.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addrs", &self.local_addrs())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl Control {
    /// The server has started.
    pub(super) fn start(&self, shared: &Arc<Shared>) {
        let _ = self.started.set(Arc::clone(shared));
    }

    /// What is wished now; `cx` is woken by the next wish.
    pub(super) fn wish(&self, cx: &Context<'_>) -> Wish {
        let new = cx.waker().clone();
        let mut asked = self.lock();
        let old = asked.server.replace(new);
        let wish = match asked.deadline {
            _ if asked.stop => Wish::Stop,
            Some(deadline) => Wish::Drain(deadline),
            None => Wish::Nothing,
        };
        drop(asked);
        drop(old);
        wish
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        // No user code runs under this lock, so a poisoned one is as good as new.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
