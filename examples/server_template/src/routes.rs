//! What is answered to which request. Here you begin to make it yours.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, StatusCode};
use ringspun::server::{Body, Context};
use tracing::debug;

use crate::config::Config;
use crate::metrics::{Counter, Counters};

const PAGE: &str = include_str!("page.html");
/// The page brings all it needs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// What handlers share on a core.
pub(crate) struct App {
    counters: Counters,
    own: Counter,
    max_body: usize,
}

/// Which routes a connection's address has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is no address for the administrator alone.
    Everything,
    Admin,
    Public,
}

type Answer = Response<Full<Bytes>>;

impl App {
    pub(crate) fn new(config: &Config, counters: Counters, core: usize) -> App {
        App { own: counters.of_core(core), counters, max_body: config.max_body_bytes }
    }

    /// The service of one connection.
    pub(crate) fn service<S: 'static>(
        self: &Rc<App>,
        ctx: Context<S>,
        place: Place,
    ) -> impl Service<
        Request<Body>,
        Response = Answer,
        Error = Infallible,
        Future = impl Future<Output = Result<Answer, Infallible>> + 'static,
    > + 'static {
        let app = Rc::clone(self);
        service_fn(move |request| {
            let (app, ctx) = (Rc::clone(&app), ctx.clone());
            async move { Ok(app.logged(request, &ctx, place).await) }
        })
    }

    async fn logged<S>(&self, request: Request<Body>, ctx: &Context<S>, place: Place) -> Answer {
        self.own.add_request();
        let begun = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let version = request.version();
        let answer = self.answer(request, ctx.is_draining(), place).await;
        debug!(
            peer = %ctx.peer(),
            core = ctx.core(),
            %method,
            %path,
            ?version,
            status = answer.status().as_u16(),
            us = begun.elapsed().as_micros() as u64,
            "request"
        );
        answer
    }

    async fn answer(&self, request: Request<Body>, is_draining: bool, place: Place) -> Answer {
        let path = request.uri().path();
        let is_for_admin = matches!(path, "/" | "/metrics" | "/metrics.json");
        if is_for_admin && place == Place::Public {
            return text(StatusCode::NOT_FOUND, "no such page\n");
        }
        let allowed: &[Method] = match path {
            "/echo" => &[Method::POST, Method::PUT],
            _ => &[Method::GET, Method::HEAD],
        };
        if !allowed.contains(request.method()) {
            return not_allowed(allowed);
        }
        match path {
            "/" => page(),
            "/hello" => text(StatusCode::OK, "hello\n"),
            "/echo" => self.echo(request).await,
            // The process lives.
            "/healthz" => text(StatusCode::OK, "ok\n"),
            // Whether a balancer should send more.
            "/readyz" if is_draining => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            "/readyz" => text(StatusCode::OK, "ready\n"),
            "/metrics" => {
                typed("text/plain; version=0.0.4; charset=utf-8", self.counters.prometheus())
            }
            "/metrics.json" => typed("application/json", self.counters.json(is_draining)),
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    async fn echo(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        match Limited::new(body, self.max_body).collect().await {
            Ok(body) => {
                let mut answer = Response::new(Full::new(body.to_bytes()));
                if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
                    answer.headers_mut().insert(CONTENT_TYPE, content_type.clone());
                }
                answer
            }
            Err(error) if error.is::<LengthLimitError>() => {
                text(StatusCode::PAYLOAD_TOO_LARGE, "too long\n")
            }
            Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        }
    }
}

fn page() -> Answer {
    let mut answer = typed("text/html; charset=utf-8", PAGE);
    let policy = HeaderValue::from_static(PAGE_POLICY);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

fn typed(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = typed("text/plain; charset=utf-8", body);
    *answer.status_mut() = status;
    answer
}

fn not_allowed(allowed: &[Method]) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n");
    let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        answer.headers_mut().insert(ALLOW, names);
    }
    answer
}
