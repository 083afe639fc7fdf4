//! axum: routes, JSON, server-sent events and a WebSocket, on hyper on our streams.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures::{SinkExt, Stream, StreamExt, stream};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ringspun::compat::hyper::Timer;
use ringspun::net::TcpStream;
use ringspun::task::CoreBound;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{block_on, listen, noise};

async fn greet(State(greeting): State<&'static str>, Path(name): Path<String>) -> String {
    format!("{greeting}, {name}")
}

async fn sum(Json(numbers): Json<Vec<i64>>) -> Json<i64> {
    Json(numbers.iter().sum())
}

/// A handler has to be `Send`; what it awaits here is not.
async fn slow() -> &'static str {
    CoreBound::future(async {
        ringspun::time::sleep(Duration::from_millis(1)).await;
        "slept"
    })
    .await
}

async fn ticks() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0, |tick| async move {
        ringspun::time::sleep(Duration::from_millis(1)).await;
        (tick < 5).then(|| (Ok(Event::default().event("tick").data(tick.to_string())), tick + 1))
    });
    Sse::new(CoreBound::new(Box::pin(ticks)))
}

/// axum's own `WebSocketUpgrade` spawns on tokio.
async fn web_socket(mut request: Request) -> Response<Body> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::BAD_REQUEST;
        return refused;
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    ringspun::spawn(async move {
        let upgraded = TokioIo::new(upgrade.await.expect("answered with 101"));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, None).await;
        let (mut sink, mut messages) = socket.split();
        while let Some(Ok(message)) = messages.next().await {
            if message.is_text() || message.is_binary() {
                sink.send(message).await.expect("room");
            }
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    response.body(Body::empty()).expect("a response")
}

async fn serve() -> SocketAddr {
    let router = Router::new()
        .route("/greet/{name}", get(greet))
        .route("/sum", post(sum))
        .route("/slow", get(slow))
        .route("/ticks", get(ticks))
        .route("/socket", get(web_socket))
        .with_state("hello");
    let (listener, address) = listen().await;
    ringspun::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(Timer::new());
            let connection = http.serve_connection(CoreBound::new(stream), service);
            ringspun::spawn(connection.with_upgrades());
        }
    });
    address
}

async fn ask(address: SocketAddr, request: hyper::http::request::Builder, body: &str) -> Answer {
    let stream = TcpStream::connect(address).await.expect("a server");
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(stream).await.expect("new");
    ringspun::spawn(connection);
    let request = request.header(header::HOST, "here").body(body.to_owned()).expect("a request");
    let response = client.send_request(request).await.expect("answered");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

type Answer = (StatusCode, String);

#[test]
fn routes_with_parameters_and_state() {
    block_on(async {
        let address = serve().await;
        let request = hyper::Request::get("/greet/ring");
        assert_eq!(ask(address, request, "").await, (StatusCode::OK, "hello, ring".into()));
        let request = hyper::Request::get("/nowhere");
        assert_eq!(ask(address, request, "").await.0, StatusCode::NOT_FOUND);
        let request = hyper::Request::post("/greet/ring");
        assert_eq!(ask(address, request, "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    });
}

#[test]
fn json() {
    block_on(async {
        let address = serve().await;
        let post = || hyper::Request::post("/sum").header(header::CONTENT_TYPE, "application/json");
        assert_eq!(ask(address, post(), "[1, 2, 39]").await, (StatusCode::OK, "42".into()));
        assert_eq!(ask(address, post(), "[1, ").await.0, StatusCode::BAD_REQUEST);
    });
}

#[test]
fn a_handler_that_sleeps() {
    block_on(async {
        let address = serve().await;
        let request = hyper::Request::get("/slow");
        assert_eq!(ask(address, request, "").await, (StatusCode::OK, "slept".into()));
    });
}

#[test]
fn server_sent_events() {
    block_on(async {
        let address = serve().await;
        let expected =
            (0..5).map(|tick| format!("event: tick\ndata: {tick}\n\n")).collect::<String>();
        let request = hyper::Request::get("/ticks");
        assert_eq!(ask(address, request, "").await, (StatusCode::OK, expected));
    });
}

#[test]
fn a_web_socket() {
    block_on(async {
        let address = serve().await;
        let stream = TcpStream::connect(address).await.expect("a server");
        let url = format!("ws://{address}/socket");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.expect("upgraded");
        for round in 0..20 {
            let sent = match round % 2 {
                0 => Message::text(format!("message {round}")),
                _ => Message::binary(noise(10_000 * round, round as u64)),
            };
            socket.send(sent.clone()).await.expect("room");
            assert!(socket.next().await.expect("open").expect("a message") == sent);
        }
        socket.close(None).await.expect("open");
    });
}
