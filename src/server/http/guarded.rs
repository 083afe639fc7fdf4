//! Around the user's service: what is being answered, panics, and the word that ends a connection.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use ::hyper::header::{CONNECTION, HeaderValue};
use ::hyper::service::Service;
use ::hyper::{Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;

use super::body::Body;

/// What a connection's parts know of each other.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Requests and answers that have not come to their end.
    active: Cell<usize>,
    /// Requests that were begun.
    requests: Cell<u64>,
    /// HTTP/1: bytes came while nothing was being answered, the beginning of a head.
    head_begun: Cell<bool>,
    /// The next answer is the last one.
    closing: Cell<bool>,
    panics: Cell<u64>,
}

impl Connection {
    pub(super) fn is_active(&self) -> bool {
        self.active.get() > 0
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.get()
    }

    pub(super) fn is_head_begun(&self) -> bool {
        self.head_begun.get()
    }

    pub(super) fn received(&self) {
        if !self.is_active() {
            self.head_begun.set(true);
        }
    }

    /// Each answer from now on says that the connection ends.
    pub(super) fn set_closing(&self) {
        self.closing.set(true);
    }

    /// What the peer sends cannot be relied on any more.
    pub(super) fn set_broken(&self) {
        self.closing.set(true);
    }
}

/// A request, or an answer, that has not come to its end.
#[derive(Debug)]
pub(super) struct InFlight(Rc<Connection>);

impl InFlight {
    fn new(connection: &Rc<Connection>) -> InFlight {
        connection.active.set(connection.active.get() + 1);
        InFlight(Rc::clone(connection))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}

/// The user's service as hyper calls it.
pub(super) struct Guarded<S> {
    service: S,
    connection: Rc<Connection>,
    body_timeout: Duration,
}

impl<S> Guarded<S> {
    pub(super) fn new(service: S, connection: &Rc<Connection>, body_timeout: Duration) -> Self {
        Guarded { service, connection: Rc::clone(connection), body_timeout }
    }
}

impl<S, B> Service<Request<Incoming>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: HttpBody,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = &self.connection;
        connection.requests.set(connection.requests.get() + 1);
        connection.head_begun.set(false);
        let version = request.version();
        let in_flight = InFlight::new(connection);
        let request = request
            .map(|incoming| Body::new(incoming, self.body_timeout, InFlight::new(connection)));
        let future = match catch_unwind(AssertUnwindSafe(|| self.service.call(request))) {
            Ok(future) => Some(future),
            Err(payload) => {
                has_panicked(connection, payload);
                None
            }
        };
        Answering { future, version, in_flight: Some(in_flight) }
    }
}

fn has_panicked(connection: &Connection, payload: Box<dyn Any + Send>) {
    connection.panics.set(connection.panics.get() + 1);
    connection.set_broken();
    drop(payload);
}

pin_project! {
    /// The future of an answer. Without a future: the service has panicked.
    pub(super) struct Answering<F> {
        #[pin]
        future: Option<F>,
        version: Version,
        in_flight: Option<InFlight>,
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let in_flight = this.in_flight.take().expect("polled after it was ready");
        let polled = this
            .future
            .as_mut()
            .as_pin_mut()
            .map(|future| catch_unwind(AssertUnwindSafe(|| future.poll(cx))));
        let answer = match polled {
            Some(Ok(Poll::Pending)) => {
                *this.in_flight = Some(in_flight);
                return Poll::Pending;
            }
            Some(Ok(Poll::Ready(answer))) => answer?.map(Some),
            Some(Err(payload)) => {
                has_panicked(in_flight.connection(), payload);
                internal_error()
            }
            None => internal_error(),
        };
        let is_last = in_flight.connection().closing.get() && *this.version <= Version::HTTP_11;
        let mut answer = answer.map(|body| ResponseBody { body, _in_flight: in_flight });
        if is_last {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(answer))
    }
}

fn internal_error<B>() -> Response<Option<B>> {
    let mut answer = Response::new(None);
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

pin_project! {
    /// The service's body; empty when the service has panicked.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        body: Option<B>,
        _in_flight: InFlight,
    }
}

impl<B: HttpBody> HttpBody for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => Poll::Ready(ready!(body.poll_frame(cx))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
