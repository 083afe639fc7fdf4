//! One connection from its first byte to its end: the version, the times, the drain.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::hyper::body::Body as HttpBody;
use ::hyper::rt::{Read, Write};
use ::hyper::server::conn::{http1, http2};
use ::hyper::service::Service;
use ::hyper::{Request, Response};

use crate::compat::hyper::Executor;
use crate::time::{Sleep, sleep_until};

use super::Http;
use super::body::Body;
use super::guarded::{Answering, Connection, Guarded, ResponseBody};
use super::io::{Io, Version};

type BoxError = Box<dyn Error + Send + Sync>;

/// How a connection went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Panics of the service, each of which was answered with status 500.
    pub(super) panics: u64,
    pub(super) result: Result<(), BoxError>,
}

impl Outcome {
    /// The error if it is the service's; what peers do wrong concerns nobody.
    pub(super) fn of_the_service(self) -> Result<(), BoxError> {
        match self.result {
            Err(error) if is_of_the_service(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn is_of_the_service(error: &BoxError) -> bool {
    error.downcast_ref::<::hyper::Error>().is_some_and(::hyper::Error::is_user)
}

impl Http {
    /// Serves one connection: HTTP/2 if it begins with its preface, HTTP/1 if not.
    ///
    /// `io` is any stream with the traits of `hyper::rt`: ours have them, TLS streams get them by
    /// `hyper_util::rt::TokioIo`. When `draining` is ready the connection comes to its end without
    /// losing a request: HTTP/2 by GOAWAY, HTTP/1 after the next answer, which says
    /// `Connection: close`; an idle one stays until then. `Context::draining` is made for this; who
    /// has no end in mind gives `std::future::pending()`.
    ///
    /// A panic of the service is answered with status 500 and ends an HTTP/1 connection. Protocol
    /// upgrades are not offered.
    ///
    /// # Errors
    ///
    /// What the service answers as an error, what the peer did against the protocol, what the
    /// system said, and times that ran out. The connection is closed then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the connection at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::future::pending;
    ///
    /// use hyper::service::service_fn;
    /// use hyper::{Request, Response};
    /// use ringspun::net::TcpStream;
    /// use ringspun::server::{Body, Http};
    ///
    /// async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    ///     Ok(Response::new("hello".to_owned()))
    /// }
    ///
    /// async fn one(http: &Http, stream: TcpStream) {
    ///     let _ = http.serve_connection(stream, pending(), service_fn(hello)).await;
    /// }
    /// ```
    pub async fn serve_connection<I, D, S, B>(
        &self,
        io: I,
        draining: D,
        service: S,
    ) -> Result<(), BoxError>
    where
        I: Read + Write + Unpin + 'static,
        D: Future<Output = ()>,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Future: 'static,
        S::Error: Into<BoxError>,
        B: HttpBody + 'static,
        B::Data: 'static,
        B::Error: Into<BoxError>,
    {
        self.serve_counted(io, draining, service).await.result
    }

    pub(super) async fn serve_counted<I, D, S, B>(&self, io: I, draining: D, service: S) -> Outcome
    where
        I: Read + Write + Unpin + 'static,
        D: Future<Output = ()>,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Future: 'static,
        S::Error: Into<BoxError>,
        B: HttpBody + 'static,
        B::Data: 'static,
        B::Error: Into<BoxError>,
    {
        let connection = Rc::new(Connection::default());
        let result = self.serve_version(&connection, io, draining, service).await;
        Outcome { panics: connection.panics(), result }
    }

    async fn serve_version<I, D, S, B>(
        &self,
        connection: &Rc<Connection>,
        io: I,
        draining: D,
        service: S,
    ) -> Result<(), BoxError>
    where
        I: Read + Write + Unpin + 'static,
        D: Future<Output = ()>,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Future: 'static,
        S::Error: Into<BoxError>,
        B: HttpBody + 'static,
        B::Data: 'static,
        B::Error: Into<BoxError>,
    {
        let mut watch = Watch::new(self, connection);
        let mut io = Io::new(io, connection, self.write_timeout);
        let version = poll_fn(|cx| match io.poll_version(cx) {
            Poll::Pending => watch.poll_expired(cx).map(|phase| Err(watch.error(phase))),
            ready => ready,
        });
        let Some(version) = version.await? else { return Ok(()) };
        watch.version = version;
        let service = Guarded::new(service, connection, self.body_timeout);
        match version {
            Version::Http1 => {
                let serving = pin!(self.http1.serve_connection(io, service));
                watch.run(serving, draining).await
            }
            Version::Http2 => {
                let serving = pin!(self.http2.serve_connection(io, service));
                watch.run(serving, draining).await
            }
        }
    }
}

/// What differs between the versions when a connection has to come to its end.
trait Drain {
    /// Called once. True if the peer is told without a request of its.
    fn begin_drain(self: Pin<&mut Self>) -> bool;
}

impl<I, S, B> Drain for http1::Connection<Io<I>, Guarded<S>>
where
    I: Read + Write + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: HttpBody + 'static,
    B::Error: Into<BoxError>,
{
    // hyper's way closes an idle connection, and with it a request that is on its way.
    fn begin_drain(self: Pin<&mut Self>) -> bool {
        false
    }
}

impl<I, S, B> Drain for http2::Connection<Io<I>, Guarded<S>, Executor>
where
    I: Read + Write + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: HttpBody + 'static,
    B::Error: Into<BoxError>,
    Executor: ::hyper::rt::bounds::Http2ServerConnExec<Answering<S::Future>, ResponseBody<B>>,
{
    fn begin_drain(self: Pin<&mut Self>) -> bool {
        self.graceful_shutdown();
        true
    }
}

/// What a connection is waiting for, with a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The service, a body: they have limits of their own.
    Active,
    /// The first head, or one that has begun.
    Head,
    /// The next request. What HTTP/2 says of itself in between is no beginning of one.
    Idle,
    /// The peer was told to go.
    Leaving,
}

/// Watches how long a connection is in a phase.
///
/// A timer that is set too early is left as it is and set again when it fires, so that a busy
/// connection touches the timers about once in a timeout and not twice in a request.
struct Watch<'a> {
    connection: &'a Connection,
    header_timeout: Duration,
    keep_alive_timeout: Duration,
    version: Version,
    phase: Phase,
    requests: u64,
    deadline: Option<Instant>,
    sleep: Option<Sleep>,
    is_leaving: bool,
}

impl<'a> Watch<'a> {
    fn new(http: &Http, connection: &'a Connection) -> Watch<'a> {
        Watch {
            connection,
            header_timeout: http.header_timeout,
            keep_alive_timeout: http.keep_alive_timeout,
            version: Version::Http1,
            phase: Phase::Head,
            requests: 0,
            deadline: Instant::now().checked_add(http.header_timeout),
            sleep: None,
            is_leaving: false,
        }
    }

    async fn run<C, D, E>(mut self, mut serving: Pin<&mut C>, draining: D) -> Result<(), BoxError>
    where
        C: Drain + Future<Output = Result<(), E>>,
        D: Future<Output = ()>,
        E: Into<BoxError>,
    {
        let mut draining = pin!(Some(draining));
        poll_fn(|cx| {
            let waiting = draining.as_mut().as_pin_mut();
            if waiting.is_some_and(|draining| draining.poll(cx).is_ready()) {
                draining.set(None);
                self.connection.set_closing();
                serving.as_mut().begin_drain();
            }
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Into::into));
            }
            self.update();
            let Poll::Ready(phase) = self.poll_expired(cx) else { return Poll::Pending };
            if phase == Phase::Idle && serving.as_mut().begin_drain() {
                self.is_leaving = true;
                // It has something to say now.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(match phase {
                Phase::Idle => Ok(()),
                _ => Err(self.error(phase).into()),
            })
        })
        .await
    }

    /// Sees what the connection is doing after it was polled.
    fn update(&mut self) {
        let requests = self.connection.requests();
        let phase = if self.connection.is_active() {
            Phase::Active
        } else if self.is_leaving {
            Phase::Leaving
        } else if self.version == Version::Http1
            && (requests == 0 || self.connection.is_head_begun())
        {
            Phase::Head
        } else {
            Phase::Idle
        };
        if phase == self.phase && requests == self.requests {
            return;
        }
        (self.phase, self.requests) = (phase, requests);
        let timeout = match phase {
            Phase::Active => None,
            Phase::Head | Phase::Leaving => Some(self.header_timeout),
            Phase::Idle => Some(self.keep_alive_timeout),
        };
        self.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Ready with the phase whose time has run out.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Phase> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        loop {
            match &mut self.sleep {
                Some(sleep) if sleep.deadline() <= deadline => {
                    let is_last = sleep.deadline() == deadline;
                    if Pin::new(sleep).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.sleep = None;
                    if is_last {
                        return Poll::Ready(self.phase);
                    }
                }
                other => *other = Some(sleep_until(deadline)),
            }
        }
    }

    fn error(&self, phase: Phase) -> io::Error {
        let text = match phase {
            Phase::Leaving => "the peer did not leave after GOAWAY".to_owned(),
            _ => format!("no complete head of a request within {:?}", self.header_timeout),
        };
        io::Error::new(io::ErrorKind::TimedOut, text)
    }
}
