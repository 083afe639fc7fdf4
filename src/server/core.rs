//! What runs on each core: its accept loops, its connections, and the end of both.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::accept_loop::AcceptLoop;
use super::connection::{Ending, Outcome, Served};
use super::connections::Local;
use super::context::Context;
use super::counts::Event;
use super::idle::sweep;
use super::listeners::Listener;
use super::mailbox::Accepted;
use super::peer::Peer;
use super::shared::{Phase, Shared};
use super::stream::Stream;
use crate::op::SharedFd;
use crate::task::{self, JoinSet};
use crate::wake::quietly;

/// What a core is given at the start.
pub(super) struct Part {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) listeners: Vec<Listener>,
}

/// What a core does until the server has ended.
pub(super) type Run = Pin<Box<dyn Future<Output = ()>>>;
/// Makes it, on its core.
pub(super) type MakeRun = Box<dyn FnOnce() -> Run + Send>;

/// State and handler, whatever their types are.
pub(super) trait Starter: Send {
    fn on_core(&self, part: Part) -> MakeRun;
}

/// State and handler.
pub(super) struct Start<S, H> {
    pub(super) state: Arc<dyn Fn() -> S + Send + Sync>,
    pub(super) handler: H,
}

/// Begins a connection on this core.
pub(super) trait Connect {
    fn connect(self: Rc<Self>, accepted: Accepted);
}

struct Core<S, H> {
    local: Rc<Local>,
    state: Rc<S>,
    handler: H,
}

impl<S, H, F> Starter for Start<S, H>
where
    S: 'static,
    H: Fn(Stream, Context<S>) -> F + Clone + Send + 'static,
    F: Future + 'static,
    F::Output: Outcome,
{
    fn on_core(&self, part: Part) -> MakeRun {
        let (state, handler) = (Arc::clone(&self.state), self.handler.clone());
        Box::new(move || Box::pin(run(part, state, handler)))
    }
}

async fn run<S, H, F>(part: Part, state: Arc<dyn Fn() -> S + Send + Sync>, handler: H)
where
    S: 'static,
    H: Fn(Stream, Context<S>) -> F + 'static,
    F: Future + 'static,
    F::Output: Outcome,
{
    let Part { shared, index, listeners } = part;
    // However this ends, other cores send nothing here any more.
    let _closing = Closing { shared: Arc::clone(&shared), index };
    let local = Rc::new(Local::new(shared, index));
    let state = Rc::new(state());
    let core: Rc<dyn Connect> = Rc::new(Core { local: Rc::clone(&local), state, handler });
    // Dropped with this future, and with them the listeners.
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let accepting = AcceptLoop::new(Rc::clone(&local), Rc::clone(&core), &listener);
        let Listener { fd, .. } = listener;
        tasks.spawn(accepting.run(fd));
    }
    if let Some(limit) = local.shared.settings.idle_timeout {
        tasks.spawn(sweep(Rc::clone(&local), limit));
    }
    attend(&local, &core, &mut tasks).await;
}

/// Takes in what other cores send, and goes from phase to phase.
async fn attend(local: &Rc<Local>, core: &Rc<dyn Connect>, tasks: &mut JoinSet<()>) {
    let shared = &local.shared;
    let mut received = VecDeque::new();
    loop {
        let mut stopping = false;
        poll_fn(|cx| {
            shared.mailboxes[local.index].take(cx, &mut received);
            let phase = shared.phase();
            let drains = phase != Phase::Serving && !local.drain.is_open();
            stopping = phase == Phase::Stopping;
            let done = is_done(local);
            if drains || done || stopping || !received.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        for accepted in received.drain(..) {
            local.count(Event::Received);
            Rc::clone(core).connect(accepted);
        }
        if shared.phase() != Phase::Serving && !local.drain.is_open() {
            local.drain.open();
        }
        if stopping {
            tasks.shutdown().await;
            local.cut_all();
            return cut(local).await;
        }
        if is_done(local) {
            return;
        }
    }
}

/// Nothing is accepted any more, by any core, and nothing is left here.
fn is_done(local: &Local) -> bool {
    let shared = &local.shared;
    shared.phase() != Phase::Serving
        && shared.accepts_nothing()
        && shared.loads.of(local.index) == 0
}

/// Waits until the connections that were cut off are gone.
async fn cut(local: &Rc<Local>) {
    let (shared, index) = (&local.shared, local.index);
    // What has come meanwhile is closed, and counted with what was cut off. Nothing comes any more,
    // so that a core which is blocked holds up none but itself.
    let late = shared.mailboxes[index].close();
    local.count_many(Event::Cut, late.len() as u64);
    drop(late);
    poll_fn(|cx| {
        shared.mailboxes[index].take(cx, &mut VecDeque::new());
        if shared.loads.of(index) == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The core has ended, or its part of the server.
struct Closing {
    shared: Arc<Shared>,
    index: usize,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.shared.loads.close(self.index);
        let left = self.shared.mailboxes[self.index].close();
        self.shared.counts[self.index].add(Event::Cut, left.len() as u64);
    }
}

impl<S, H, F> Connect for Core<S, H>
where
    S: 'static,
    H: Fn(Stream, Context<S>) -> F + 'static,
    F: Future + 'static,
    F::Output: Outcome,
{
    fn connect(self: Rc<Self>, accepted: Accepted) {
        let Accepted { fd, permit, address } = accepted;
        let Ok(peer) = Peer::of(&fd) else {
            // It has gone already.
            self.local.count(Event::AcceptError);
            return;
        };
        let settings = &self.local.shared.settings;
        if let Some(on_connect) = &settings.on_connect {
            // A panic in it is a "no".
            if !quietly(|| on_connect(&peer)).unwrap_or(false) {
                self.local.count(Event::Refused);
                return;
            }
        }
        let fd = SharedFd::new(fd);
        let watch = settings.idle_timeout.map(|_| fd.watch());
        let stream = Stream::from_shared(fd);
        let (local, state) = (Rc::clone(&self.local), Rc::clone(&self.state));
        let context = Context::new(local, state, peer, address);
        let key = self.local.begin(watch);
        let ending = Ending::new(Rc::clone(&self.local), key, permit);
        let local = Rc::clone(&self.local);
        // The handler is called in the task: a panic of that call is one connection's too.
        let future = async move { (self.handler)(stream, context).await };
        local.runs(key, task::spawn(Served::new(future, ending)));
    }
}
