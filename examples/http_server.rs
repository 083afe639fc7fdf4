//! HTTP/1.1 and HTTP/2 on one port, by hyper. A client that knows that the server speaks HTTP/2
//! begins with its preface; all others get HTTP/1.1.
//!
//! ```text
//! curl 127.0.0.1:8080/
//! curl --http2-prior-knowledge 127.0.0.1:8080/stream?lines=5
//! curl --data-binary @Cargo.lock 127.0.0.1:8080/echo
//! h2load -n 100000 -c 100 -m 10 http://127.0.0.1:8080/
//! wrk -c 100 http://127.0.0.1:8080/
//! ```
//!
//! One core: a task for each connection, and for each stream of HTTP/2. Bodies are streams; no
//! answer is held in memory as a whole. Ctrl-C lets requests finish for a while.

mod common;

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use futures::future::{Either, select};
use futures::stream::{self, Stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::server::conn::auto;
use ringspun::compat::hyper::{Executor, Timer};
use ringspun::net::{TcpListener, TcpStream};

use common::{Limits, Session, Stop};

/// HTTP/1.1 and HTTP/2 on io_uring.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Seconds that a client has for its first request, and for the head of each.
    #[arg(long, default_value_t = 10)]
    header_timeout: u64,
    #[command(flatten)]
    limits: Limits,
}

/// A body of any kind. Nothing asks it to be `Send`.
type Body = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = hyper::Error>>>;

const PAGE: &str = "<!doctype html>\n<title>ringspun</title>\n<h1>It spins</h1>\n";

#[ringspun::main(name = "http")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.addr).await?;
    let address = listener.local_addr()?;
    let stop = Stop::on_signals()?;
    ringspun::println!("http server on {address}, try: curl http://{address}/   (Ctrl-C ends it)")
        .await?;
    let header_timeout = Duration::from_secs(options.header_timeout);
    let mut http = auto::Builder::new(Executor::new());
    http.http1().timer(Timer::new()).header_read_timeout(header_timeout);
    // A client that is gone without a word is noticed by the pings.
    http.http2()
        .timer(Timer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(256);
    let http = Rc::new(http);
    common::serve(listener, stop, &options.limits, |stream, session| {
        let http = Rc::clone(&http);
        // A client that goes away, or breaks the protocol, ends its own connection only.
        async move { drop(connection(&http, stream, session, header_timeout).await) }
    })
    .await
}

async fn connection(
    http: &auto::Builder<Executor>,
    stream: TcpStream,
    session: Session,
    header_timeout: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let asked = Rc::new(Cell::new(false));
    let service = service_fn({
        let asked = Rc::clone(&asked);
        move |request| {
            asked.set(true);
            answer(request)
        }
    });
    // hyper's own timeout begins when it knows which HTTP it is.
    let silence = pin!(async {
        ringspun::time::sleep(header_timeout).await;
        if asked.get() {
            std::future::pending::<()>().await;
        }
    });
    let leave = pin!(session.closing());
    let serving = pin!(http.serve_connection(stream, service));
    match select(serving, select(silence, leave)).await {
        Either::Left((ended, _)) => ended,
        Either::Right((Either::Left(_), _)) => Ok(()),
        Either::Right((Either::Right(_), mut serving)) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let method = request.method().clone();
    let is_read = method == Method::GET || method == Method::HEAD;
    let mut response = match request.uri().path() {
        "/echo" if method == Method::POST => echo(request),
        "/echo" => not_allowed("POST"),
        "/" | "/stream" | "/big" | "/slow" if !is_read => not_allowed("GET, HEAD"),
        "/" => typed("text/html; charset=utf-8", whole(PAGE)),
        "/stream" => typed("text/plain", streamed(lines(number(&request, "lines", 10)))),
        "/big" => {
            let len = number(&request, "bytes", 1 << 20);
            let mut response = typed("application/octet-stream", streamed(zeros(len)));
            response.headers_mut().insert(CONTENT_LENGTH, len.into());
            response
        }
        "/slow" => {
            let wait = Duration::from_millis(number(&request, "ms", 1000).min(60_000));
            ringspun::time::sleep(wait).await;
            typed("text/plain", whole(format!("slept {} ms\n", wait.as_millis())))
        }
        _ => status(StatusCode::NOT_FOUND, "no such page\n"),
    };
    if method == Method::HEAD {
        *response.body_mut() = whole("");
    }
    Ok(response)
}

/// The request's body as it comes, with its type.
fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Box::pin(body) as Body);
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    response
}

fn lines(count: u64) -> impl Stream<Item = Bytes> {
    stream::unfold(0, move |line| async move {
        if line == count {
            return None;
        }
        ringspun::time::sleep(Duration::from_millis(10)).await;
        Some((Bytes::from(format!("line {line}\n")), line + 1))
    })
}

/// The same memory again and again.
fn zeros(len: u64) -> impl Stream<Item = Bytes> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    stream::unfold(len, |left| async move {
        let part = left.min(ZEROS.len() as u64);
        (part > 0).then(|| (Bytes::from_static(&ZEROS[..part as usize]), left - part))
    })
}

fn streamed(parts: impl Stream<Item = Bytes> + 'static) -> Body {
    use futures::StreamExt;

    Box::pin(StreamBody::new(parts.map(|part| Ok(Frame::data(part)))))
}

fn whole(text: impl Into<Bytes>) -> Body {
    Box::pin(Full::new(text.into()).map_err(|never| match never {}))
}

fn typed(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn status(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = typed("text/plain", whole(text));
    *response.status_mut() = status;
    response
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED, "not so\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// `name` of the query as a number.
fn number(request: &Request<Incoming>, name: &str, default: u64) -> u64 {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(default)
}
