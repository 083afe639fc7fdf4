//! The settings of a server, each with its default and its reason.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::connection::Outcome;
use super::context::Context;
use super::core::Start;
use super::peer::Peer;
use super::policy::{Accept, Verdict, WhenFull, is_welcome};
use super::report::Ready;
use super::serve::Serve;
use super::stream::Stream;
use crate::runtime::{Builder, Cores};

/// A server before it runs: where it listens, on which cores, and within which limits.
///
/// Nothing happens before [`Serve`] runs; errors of addresses and settings come out there.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::time::Duration;
///
/// use ringspun::net::TcpStream;
/// use ringspun::server::{Context, Server, Stream};
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let server = Server::bind("127.0.0.1:0")
///     .max_connections(10_000)
///     .idle_timeout(Duration::from_secs(60))
///     .handle_signals(false)
///     // Made once on each core, for its connections; it need not be `Send`.
///     .state(|| Cell::new(0))
///     .serve(|mut stream: Stream, context: Context<Cell<u32>>| async move {
///         let greeted = context.state();
///         greeted.set(greeted.get() + 1);
///         stream.write_all(format!("you are number {}", greeted.get()).as_bytes()).await
///     });
///
/// let handle = server.handle();
/// let running = ringspun::spawn(async move { server.await });
/// # while handle.local_addrs().is_empty() { ringspun::task::yield_now().await; }
/// let address = handle.local_addrs()[0].tcp().expect("that is what was asked for");
/// let mut text = String::new();
/// TcpStream::connect(address).await?.read_to_string(&mut text).await?;
/// assert_eq!(text, "you are number 1");
///
/// handle.drain(Duration::from_secs(5));
/// let report = running.await??;
/// assert_eq!(report.totals().finished, 1);
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "a server does nothing until `serve` is called, and what that answers is run"]
pub struct Server<S = ()> {
    pub(super) settings: Settings,
    pub(super) launch: Launch,
    state: Arc<dyn Fn() -> S + Send + Sync>,
}

/// What the cores of a server go by.
pub(super) struct Settings {
    pub(super) accept: Accept,
    pub(super) when_full: WhenFull,
    pub(super) refuse_with: Option<Arc<[u8]>>,
    pub(super) max_connections: Option<usize>,
    pub(super) max_connections_per_core: Option<usize>,
    pub(super) backlog: u32,
    pub(super) on_connect: Option<OnConnect>,
    pub(super) idle_timeout: Option<Duration>,
}

/// What is needed to start a server.
pub(super) struct Launch {
    pub(super) addresses: Vec<Address>,
    pub(super) prefer_inherited: bool,
    pub(super) share_port: bool,
    pub(super) steer_by_cpu: bool,
    pub(super) nodelay: bool,
    pub(super) handle_signals: bool,
    pub(super) drain: Duration,
    pub(super) cores: Option<Cores>,
    pub(super) runtime: Option<Builder>,
    pub(super) on_ready: Option<OnReady>,
}

pub(super) type OnConnect = Box<dyn Fn(&Peer) -> bool + Send + Sync>;
type OnReady = Box<dyn FnOnce(&Ready) + Send>;

/// As std has it since 1.79, and more than most kernels allow: they cap it (`net.core.somaxconn`).
const BACKLOG_DEFAULT: u32 = 4096;
/// What those who stop services wait for, with some seconds left for the rest.
const DRAIN_DEFAULT: Duration = Duration::from_secs(25);

impl Server {
    /// A server at this address; see [`Address`] for what that may be.
    pub fn bind(address: impl Into<Address>) -> Server {
        Server {
            settings: Settings {
                accept: Accept::default(),
                when_full: WhenFull::default(),
                refuse_with: None,
                max_connections: None,
                max_connections_per_core: None,
                backlog: BACKLOG_DEFAULT,
                on_connect: None,
                idle_timeout: None,
            },
            launch: Launch {
                addresses: vec![address.into()],
                prefer_inherited: false,
                share_port: false,
                steer_by_cpu: false,
                nodelay: true,
                handle_signals: true,
                drain: DRAIN_DEFAULT,
                cores: None,
                runtime: None,
                on_ready: None,
            },
            state: Arc::new(|| ()),
        }
    }

    /// A server at the listening sockets that the process was started with; the same as
    /// `bind(Address::inherited())`.
    pub fn inherited() -> Server {
        Server::bind(Address::inherited())
    }
}

impl<S: 'static> Server<S> {
    /// Listens at this address too.
    pub fn and(mut self, address: impl Into<Address>) -> Server<S> {
        self.launch.addresses.push(address.into());
        self
    }

    /// If the process was started with listening sockets, uses those and no other address: so that
    /// one program runs by hand and under systemd's socket activation. False by default.
    pub fn prefer_inherited(mut self, prefer: bool) -> Server<S> {
        self.launch.prefer_inherited = prefer;
        self
    }

    /// The cores on which [`run`](Serve::run) serves: all by default.
    pub fn cores(mut self, cores: impl Into<Cores>) -> Server<S> {
        self.launch.cores = Some(cores.into());
        self
    }

    /// The settings of the runtime that [`run`](Serve::run) makes. What [`cores`](Server::cores)
    /// says counts more; without that, its cores are those of these settings.
    pub fn runtime(mut self, settings: Builder) -> Server<S> {
        self.launch.runtime = Some(settings);
        self
    }

    /// The most connections on all cores together: no limit by default, but for that of
    /// descriptors.
    pub fn max_connections(mut self, connections: usize) -> Server<S> {
        self.settings.max_connections = Some(connections.max(1));
        self
    }

    /// The most connections on one core. It may be passed by those that come from a core that has
    /// just ended.
    pub fn max_connections_per_core(mut self, connections: usize) -> Server<S> {
        self.settings.max_connections_per_core = Some(connections.max(1));
        self
    }

    /// What becomes of more than that: [`WhenFull::Wait`] by default.
    pub fn when_full(mut self, choice: WhenFull) -> Server<S> {
        self.settings.when_full = choice;
        self
    }

    /// What a connection that is refused is told before it is closed, and sets
    /// [`WhenFull::Refuse`]. For HTTP a whole response, with `Connection: close`.
    pub fn refuse_with(mut self, bytes: impl Into<Vec<u8>>) -> Server<S> {
        self.settings.refuse_with = Some(bytes.into().into());
        self.when_full(WhenFull::Refuse)
    }

    /// How many connections may wait to be accepted, per listening socket: 4096 by default, which
    /// the system caps (`net.core.somaxconn`).
    pub fn backlog(mut self, connections: u32) -> Server<S> {
        self.settings.backlog = connections;
        self
    }

    /// Which core gets a connection: [`Accept::ReusePortWithHandOff`] by default.
    pub fn accept(mut self, choice: Accept) -> Server<S> {
        self.settings.accept = choice;
        self
    }

    /// Whether the kernel gives a TCP connection to the core whose CPU has received it
    /// (`SO_ATTACH_REUSEPORT_CBPF`), and not to any. It saves a way between CPUs where a network
    /// card spreads connections over all of them; it is uneven where it does not. False by default.
    /// Without effect with [`Accept::LeastLoaded`].
    pub fn steer_by_cpu(mut self, steer: bool) -> Server<S> {
        self.launch.steer_by_cpu = steer;
        self
    }

    /// Whether it may join servers of the same user that listen at the same TCP addresses already,
    /// as in a rolling restart; connections are then shared out between them. False by default: it
    /// is an error then, `AddrInUse`. A server with [`Accept::LeastLoaded`] can only be joined if
    /// it says this too.
    pub fn share_port(mut self, share: bool) -> Server<S> {
        self.launch.share_port = share;
        self
    }

    /// Whether small writes go out at once (`TCP_NODELAY`): true by default.
    pub fn nodelay(mut self, nodelay: bool) -> Server<S> {
        self.launch.nodelay = nodelay;
        self
    }

    /// Has `call` decide whether a connection is welcome. It is called on the core that would serve
    /// it; one that is not welcome is closed and counts as refused.
    pub fn on_connect<V: Verdict>(
        mut self,
        call: impl Fn(&Peer) -> V + Send + Sync + 'static,
    ) -> Server<S> {
        self.settings.on_connect = Some(Box::new(move |peer| is_welcome(call(peer))));
        self
    }

    /// Ends connections on which no byte has moved, in or out, for this long (and at most a quarter
    /// longer). Off by default. It also ends those whose peer has gone without a word.
    ///
    /// What the handler does by the descriptor itself ([`AsFd`](std::os::fd::AsFd)) is not seen.
    pub fn idle_timeout(mut self, duration: Duration) -> Server<S> {
        self.settings.idle_timeout = (!duration.is_zero()).then_some(duration);
        self
    }

    /// Whether `SIGTERM` and `SIGINT` (Ctrl-C) begin the drain, and a second one ends it at once:
    /// true by default. Afterwards these signals are ignored: see [`signal`](crate::signal).
    pub fn handle_signals(mut self, handle: bool) -> Server<S> {
        self.launch.handle_signals = handle;
        self
    }

    /// How long connections may go on after a signal has come: 25 s by default.
    pub fn drain(mut self, deadline: Duration) -> Server<S> {
        self.launch.drain = deadline;
        self
    }

    /// Calls `call` when the server listens, instead of printing the notes to standard error.
    pub fn on_ready(mut self, call: impl FnOnce(&Ready) + Send + 'static) -> Server<S> {
        self.launch.on_ready = Some(Box::new(call));
        self
    }

    /// Has `factory` make a state on each core, for the connections of that core:
    /// [`Context::state`]. It need not be `Send`.
    pub fn state<T: 'static>(self, factory: impl Fn() -> T + Send + Sync + 'static) -> Server<T> {
        Server { settings: self.settings, launch: self.launch, state: Arc::new(factory) }
    }

    /// The server that runs a clone of `handler` on each core, for each connection as a task of its
    /// own. The future need not be `Send`. Its output is `()` or `Result<(), E>`; an error is
    /// counted and goes no further. When the future ends, the stream that it owns is closed.
    pub fn serve<H, F>(self, handler: H) -> Serve
    where
        H: Fn(Stream, Context<S>) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: Outcome,
    {
        let start = Start { state: self.state, handler };
        Serve::new(self.settings, self.launch, Box::new(start))
    }
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.launch.addresses)
            .field("accept", &self.settings.accept)
            .finish_non_exhaustive()
    }
}
