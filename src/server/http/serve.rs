//! `Server::serve_http`: handlers and services of the user on all connections of a server.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use ::hyper::body::Body as HttpBody;
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use pin_project_lite::pin_project;

use super::Http;
use super::body::Body;
use crate::server::{Context, Serve, Server, Stream};

type BoxError = Box<dyn Error + Send + Sync>;

impl<S: 'static> Server<S> {
    /// Serves HTTP/1.1 and HTTP/2 on all connections, with the limits of [`Http::new`].
    ///
    /// `handler` is called for each request. It answers a `Response`, or a `Result` with one; an
    /// error ends the connection (of HTTP/2: the request) without an answer. Bodies are anything
    /// with hyper's trait `Body`; nothing needs to be `Send` but the handler itself, which is
    /// cloned for each core.
    ///
    /// What the end of the server and a panic do to a connection: see
    /// [`Http::serve_connection`]. [`Server::idle_timeout`] is not needed with it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use hyper::{Request, Response};
    /// use ringspun::server::{Body, Context, Server};
    ///
    /// async fn hello(request: Request<Body>, ctx: Context) -> Response<String> {
    ///     Response::new(format!("{} on core {}\n", request.uri().path(), ctx.core()))
    /// }
    ///
    /// fn main() -> std::io::Result<()> {
    ///     let report = Server::bind("127.0.0.1:8080").serve_http(hello).run()?;
    ///     println!("{report}");
    ///     Ok(())
    /// }
    /// ```
    pub fn serve_http<H, F, B, E>(self, handler: H) -> Serve
    where
        H: Fn(Request<Body>, Context<S>) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: IntoAnswer<Body = B, Error = E>,
        B: HttpBody + 'static,
        B::Data: 'static,
        B::Error: Into<BoxError>,
        E: Into<BoxError> + 'static,
    {
        self.serve_http_with(Http::new(), handler)
    }

    /// The same with limits of your own.
    pub fn serve_http_with<H, F, B, E>(self, http: Http, handler: H) -> Serve
    where
        H: Fn(Request<Body>, Context<S>) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: IntoAnswer<Body = B, Error = E>,
        B: HttpBody + 'static,
        B::Data: 'static,
        B::Error: Into<BoxError>,
        E: Into<BoxError> + 'static,
    {
        self.serve_http_service(http, move |context| HandlerService {
            handler: handler.clone(),
            context,
        })
    }

    /// The same with a service of hyper's kind, which `make` makes for each connection.
    ///
    /// An axum `Router` is one by `hyper_util::service::TowerToHyperService`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::convert::Infallible;
    ///
    /// use hyper::service::service_fn;
    /// use hyper::{Request, Response};
    /// use ringspun::server::{Body, Http, Server};
    ///
    /// async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    ///     Ok(Response::new("hello\n".to_owned()))
    /// }
    ///
    /// fn main() -> std::io::Result<()> {
    ///     let server = Server::bind("127.0.0.1:8080").max_connections(10_000);
    ///     server.serve_http_service(Http::new(), |_| service_fn(hello)).run()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn serve_http_service<M, V, B>(self, http: Http, make: M) -> Serve
    where
        M: Fn(Context<S>) -> V + Clone + Send + 'static,
        V: Service<Request<Body>, Response = Response<B>> + 'static,
        V::Future: 'static,
        V::Error: Into<BoxError>,
        B: HttpBody + 'static,
        B::Data: 'static,
        B::Error: Into<BoxError>,
    {
        self.serve(move |stream: Stream, context: Context<S>| {
            let http = http.clone();
            let draining = context.draining();
            let service = make(context);
            async move {
                let outcome = http.serve_counted(stream, draining, service).await;
                if outcome.panics > 0 {
                    // It was said by the panic's own message; so the server counts it too.
                    resume_unwind(Box::new("a service of HTTP has panicked"));
                }
                outcome.of_the_service()
            }
        })
    }
}

/// What a handler of HTTP may answer: a response, or a result with one.
///
/// An error ends an HTTP/1 connection, and the stream of an HTTP/2 connection, without an answer.
pub trait IntoAnswer {
    /// The body of the response.
    type Body;
    /// Why there is none.
    type Error;

    /// The result that hyper asks for.
    fn into_answer(self) -> Result<Response<Self::Body>, Self::Error>;
}

impl<B> IntoAnswer for Response<B> {
    type Body = B;
    type Error = Infallible;

    fn into_answer(self) -> Result<Response<B>, Infallible> {
        Ok(self)
    }
}

impl<B, E> IntoAnswer for Result<Response<B>, E> {
    type Body = B;
    type Error = E;

    fn into_answer(self) -> Result<Response<B>, E> {
        self
    }
}

/// A handler, with what it is given besides the request, as a service.
pub(super) struct HandlerService<H, X> {
    handler: H,
    context: X,
}

impl<H, X, F> Service<Request<Body>> for HandlerService<H, X>
where
    H: Fn(Request<Body>, X) -> F,
    X: Clone,
    F: Future,
    F::Output: IntoAnswer,
{
    type Response = Response<<F::Output as IntoAnswer>::Body>;
    type Error = <F::Output as IntoAnswer>::Error;
    type Future = Handling<F>;

    fn call(&self, request: Request<Body>) -> Handling<F> {
        Handling { future: (self.handler)(request, self.context.clone()) }
    }
}

pin_project! {
    /// The handler's future with hyper's kind of result.
    pub(super) struct Handling<F> {
        #[pin]
        future: F,
    }
}

impl<F> Future for Handling<F>
where
    F: Future,
    F::Output: IntoAnswer,
{
    type Output =
        Result<Response<<F::Output as IntoAnswer>::Body>, <F::Output as IntoAnswer>::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.project().future.poll(cx)).into_answer())
    }
}
