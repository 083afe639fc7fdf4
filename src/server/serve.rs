//! Running a server: starting its cores, hearing what is wished, and ending it.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::builder::{Launch, Settings};
use super::control::{Control, ServerHandle, Wish, after};
use super::core::{Part, Starter};
use super::listeners::{self, Opened};
use super::log;
use super::report::{CoreReport, Ready, Report};
use super::shared::{Phase, Shared};
use super::socket_file::SocketFile;
use crate::runtime::{Cores, Handle, RemoteJoinHandle};
use crate::signal::{Signal, SignalKind, signal};
use crate::time::{Sleep, sleep, sleep_until};

/// A server that is ready to run: [`run`](Serve::run) it, or await it inside a runtime, on the
/// cores of that. Made by [`Server::serve`](super::Server::serve).
///
/// A core that is busy with a poll that does not end cannot be told to stop. 5 s after the others
/// were, the server ends without it, says so, and the report calls it lost. Nothing helps where
/// that core is the one that awaits the server: it hears no signal either.
///
/// # Errors
///
/// Those of the addresses, with the address in the text; those of a signal handler; and if all its
/// cores have ended before it.
///
/// # Cancellation
///
/// Dropping the future stops the server: listeners are closed and connections cut off, within a
/// turn of each core's loop.
///
/// # Panics
///
/// Awaiting it panics outside a runtime.
#[must_use = "a server does nothing until it is run or awaited"]
pub struct Serve {
    settings: Settings,
    launch: Launch,
    starter: Box<dyn Starter>,
    control: Arc<Control>,
}

impl Serve {
    pub(super) fn new(settings: Settings, launch: Launch, starter: Box<dyn Starter>) -> Serve {
        Serve { settings, launch, starter, control: Arc::default() }
    }

    /// The handle by which the server is told to end.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle::new(Arc::clone(&self.control))
    }

    /// Makes a runtime and runs the server on its cores, until it ends. This thread is core 0.
    ///
    /// # Errors
    ///
    /// Also those of [`Builder::build`](crate::runtime::Builder::build).
    ///
    /// # Panics
    ///
    /// If a runtime runs on this thread already: await the server there.
    pub fn run(mut self) -> io::Result<Report> {
        let (settings, cores) = (self.launch.runtime.take(), self.launch.cores.take());
        let cores = cores.or(settings.is_none().then_some(Cores::All));
        let mut settings = settings.unwrap_or_default();
        if let Some(cores) = cores {
            settings = settings.cores(cores);
        }
        settings.build()?.block_on(self.into_future())
    }

    async fn serve(self) -> io::Result<Report> {
        let Serve { settings, mut launch, starter, control } = self;
        let handle = Handle::current();
        let cores = handle.cores();
        let cpus: Vec<Option<usize>> = cores.iter().map(|core| core.cpu()).collect();
        let Opened { listeners, addrs, files, notes } =
            listeners::open(&settings, &launch, &cpus).await?;
        let signals = if launch.handle_signals { Some(Signals::new()?) } else { None };
        let shared = Arc::new(Shared::new(settings, addrs, cores.len()));
        let mut running = Running {
            shared: Arc::clone(&shared),
            control: Arc::clone(&control),
            parts: Vec::new(),
            signals,
            deadline: None,
            drained_since: None,
            files,
            drain: launch.drain,
        };
        for (core, listeners) in cores.iter().zip(listeners) {
            let part = Part { shared: Arc::clone(&shared), index: core.index(), listeners };
            let make = starter.on_core(part);
            running.parts.push((Some(core.spawn(make)), false));
        }
        control.start(&shared);
        let ready = Ready { addrs: shared.addrs.clone(), notes, cores: cores.len() };
        match launch.on_ready.take() {
            Some(call) => call(&ready),
            None => ready.notes.iter().for_each(|note| log::line(note)),
        }
        running.until_ended().await
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<Report>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<Report>>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.serve())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("addresses", &self.launch.addresses).finish_non_exhaustive()
    }
}

/// A server that runs.
struct Running {
    shared: Arc<Shared>,
    control: Arc<Control>,
    /// By core: while it runs its handle, and whether it has ended too early.
    parts: Vec<(Option<RemoteJoinHandle<()>>, bool)>,
    signals: Option<Signals>,
    deadline: Option<Sleep>,
    drained_since: Option<Instant>,
    files: Vec<SocketFile>,
    /// How long a drain takes that a signal begins.
    drain: Duration,
}

impl Running {
    async fn until_ended(&mut self) -> io::Result<Report> {
        poll_fn(|cx| self.poll(cx)).await;
        let began = self.drained_since.unwrap_or_else(Instant::now);
        let all_lost = self.parts.iter().all(|(_, lost)| *lost);
        if all_lost {
            let text = "all cores of the server have ended: they panicked, or were shut down";
            return Err(io::Error::other(text));
        }
        let reports = self.parts.iter().enumerate().map(|(core, (_, lost))| CoreReport {
            core,
            lost: *lost,
            totals: self.shared.counts[core].totals(),
        });
        Ok(Report { cores: reports.collect(), drain: began.elapsed() })
    }

    /// Ready when no core is left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.hear(cx);
        // Again, for the stop has a limit too.
        while let Some(deadline) = &mut self.deadline
            && Pin::new(deadline).poll(cx).is_ready()
        {
            self.deadline = None;
            match self.shared.phase() {
                Phase::Stopping => self.leave_behind(),
                _ => self.stop(),
            }
        }
        self.poll_parts(cx)
    }

    fn poll_parts(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for (core, (part, lost)) in self.parts.iter_mut().enumerate() {
            let Some(running) = part else { continue };
            let Poll::Ready(end) = Pin::new(running).poll(cx) else { continue };
            *part = None;
            if let Err(error) = end {
                *lost = true;
                self.shared.loads.close(core);
                // If it never began, nobody else has done so.
                drop(self.shared.mailboxes[core].close());
                log::line(&format!("core {core} has ended before the server did: {error}"));
                self.shared.tell_all();
            }
        }
        let left = self.parts.iter().any(|(part, _)| part.is_some());
        if left { Poll::Pending } else { Poll::Ready(()) }
    }

    /// What is wished, by a handle or a signal.
    fn hear(&mut self, cx: &mut Context<'_>) {
        match self.control.wish(cx) {
            Wish::Nothing => {}
            Wish::Drain(deadline) => self.begin_drain(deadline),
            Wish::Stop => self.stop(),
        }
        while self.signals.as_mut().is_some_and(|signals| signals.poll(cx).is_ready()) {
            if self.drained_since.is_none() {
                self.begin_drain(after(self.drain));
            } else {
                self.stop();
            }
        }
    }

    fn begin_drain(&mut self, until: Instant) {
        if self.shared.phase() == Phase::Stopping {
            return;
        }
        let sooner = self.deadline.as_ref().is_none_or(|known| until < known.deadline());
        if self.drained_since.is_none() || (sooner && self.deadline.is_some()) {
            self.deadline = Some(sleep_until(until));
        }
        if self.drained_since.is_none() {
            self.drained_since = Some(Instant::now());
            self.shared.enter(Phase::Draining);
            // Whoever listens at the same path next finds it free, or has replaced it already.
            self.files.clear();
        }
    }

    fn stop(&mut self) {
        if self.shared.phase() == Phase::Stopping {
            return;
        }
        self.drained_since.get_or_insert_with(Instant::now);
        self.deadline = Some(sleep(PATIENCE));
        self.files.clear();
        self.shared.enter(Phase::Stopping);
    }

    /// The server ends without the cores that do not come to it.
    #[cold]
    fn leave_behind(&mut self) {
        for (core, (part, lost)) in self.parts.iter_mut().enumerate() {
            if part.take().is_some() {
                *lost = true;
                log::line(&format!(
                    "core {core} is busy with a poll that does not end: the server ends without it"
                ));
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without effect if it has ended.
        self.shared.enter(Phase::Stopping);
    }
}

/// How long a core has to cut off its connections: longer than a poll should take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Signals { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let one = matches!(self.terminate.poll_recv(cx), Poll::Ready(Some(())));
        let other = matches!(self.interrupt.poll_recv(cx), Poll::Ready(Some(())));
        if one || other { Poll::Ready(()) } else { Poll::Pending }
    }
}
