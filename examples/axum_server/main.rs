//! axum without tokio's runtime: routes, JSON, server-sent events and a WebSocket.
//!
//! ```text
//! curl 127.0.0.1:8080/hello/you
//! curl --json '{"text": "buy milk"}' 127.0.0.1:8080/notes
//! curl --no-buffer 127.0.0.1:8080/events
//! ```
//!
//! The page at `/` talks over the WebSocket and shows the events.
//!
//! axum wants handlers, their futures and their state to be `Send`. Most are by themselves. What
//! belongs to the core because it sleeps or reads a stream goes into `CoreBound`, and so does state
//! that needs no lock, for it never leaves.

#[path = "../common/mod.rs"]
mod common;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Extension, Json, Router};
use clap::Parser;
use futures::future::{Either, select};
use futures::{SinkExt, Stream, StreamExt, stream};
use hyper::server::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ringspun::compat::hyper::Timer;
use ringspun::net::TcpListener;
use ringspun::task::CoreBound;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use common::{Limits, Session, Stop};

/// axum on io_uring.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// Seconds that a client has for the head of a request.
    #[arg(long, default_value_t = 10)]
    header_timeout: u64,
    /// Milliseconds between two events.
    #[arg(long, default_value_t = 1000)]
    tick: u64,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Clone, Deserialize, Serialize)]
struct Note {
    text: String,
}

#[derive(Clone)]
struct App {
    /// All handlers run on this core, one at a time up to their next await: no lock.
    notes: Arc<CoreBound<RefCell<Vec<Note>>>>,
    tick: Duration,
}

#[ringspun::main(name = "axum")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(options.addr).await?;
    let address = listener.local_addr()?;
    let stop = Stop::on_signals()?;
    ringspun::println!("axum server on {address}, try http://{address}/   (Ctrl-C ends it)")
        .await?;
    let app = App {
        notes: Arc::new(CoreBound::new(RefCell::default())),
        tick: Duration::from_millis(options.tick),
    };
    let router = Router::new()
        .route("/", get(page))
        .route("/hello/{name}", get(hello))
        .route("/notes", get(notes).post(add_note))
        .route("/notes/{number}", get(note))
        .route("/events", get(events))
        .route("/socket", get(socket))
        .with_state(app);
    let mut http = http1::Builder::new();
    http.timer(Timer::new()).header_read_timeout(Duration::from_secs(options.header_timeout));
    common::serve(listener, stop, &options.limits, |stream, session| {
        let router = router.clone().layer(Extension(session.clone()));
        let connection = http
            .serve_connection(CoreBound::new(stream), TowerToHyperService::new(router))
            .with_upgrades();
        async move {
            let leave = pin!(session.closing());
            // A client that goes away ends its own connection only.
            if let Either::Right((_, mut connection)) = select(pin!(connection), leave).await {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
    })
    .await
}

async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

async fn hello(Path(name): Path<String>) -> String {
    format!("hello, {name}\n")
}

async fn notes(State(app): State<App>) -> Json<Vec<Note>> {
    Json(app.notes.with(|notes| notes.borrow().clone()))
}

async fn note(State(app): State<App>, Path(number): Path<usize>) -> Result<Json<Note>, StatusCode> {
    let note = app.notes.with(|notes| notes.borrow().get(number).cloned());
    note.map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn add_note(State(app): State<App>, Json(note): Json<Note>) -> impl IntoResponse {
    let number = app.notes.with(|notes| {
        notes.borrow_mut().push(note);
        notes.borrow().len() - 1
    });
    (StatusCode::CREATED, [(header::LOCATION, format!("/notes/{number}"))])
}

/// A tick now and then, until the client has enough or the server ends.
async fn events(
    State(app): State<App>,
    Extension(session): Extension<Session>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0_u64, move |tick| async move {
        ringspun::time::sleep(app.tick).await;
        Some((Ok(Event::default().event("tick").data(tick.to_string())), tick + 1))
    });
    let ticks = ticks.take_until(async move { session.closing().await });
    Sse::new(CoreBound::new(Box::pin(ticks)))
}

/// Upgrades by hand: axum's own `WebSocketUpgrade` would spawn on tokio.
async fn socket(
    Extension(session): Extension<Session>,
    mut request: Request,
) -> Result<Response<Body>, StatusCode> {
    let is_13 = request.headers().get(header::SEC_WEBSOCKET_VERSION).is_some_and(|v| v == "13");
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).filter(|_| is_13);
    let accept = derive_accept_key(key.ok_or(StatusCode::BAD_REQUEST)?.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    // The connection's own task ends with the upgrade; the session goes on in this one.
    ringspun::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        // A client that goes away ends its own socket only.
        drop(echo(socket, session).await);
    })
    .detach();
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    response.body(Body::empty()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn echo(
    mut socket: WebSocketStream<TokioIo<Upgraded>>,
    session: Session,
) -> Result<(), tungstenite::Error> {
    let mut leave = pin!(session.closing());
    loop {
        let message = match select(socket.next(), leave.as_mut()).await {
            Either::Left((Some(message), _)) => message?,
            Either::Left((None, _)) => return Ok(()),
            Either::Right(_) => return socket.close(None).await,
        };
        // Pings and the end are answered by tungstenite.
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
}
