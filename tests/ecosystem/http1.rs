//! hyper, HTTP 1: client and server on our streams.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use ringspun::compat::hyper::Timer;
use ringspun::net::TcpStream;
use ringspun::task::CoreBound;

use crate::support::{block_on, listen, noise};

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// A body without a length, so it goes in chunks.
fn chunked(bytes: Bytes, piece: usize) -> Body {
    let pieces = bytes.chunks(piece).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// Not `Send`: it counts in a cell, and sleeps.
async fn answer(
    count: Rc<Cell<usize>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    count.set(count.get() + 1);
    ringspun::time::sleep(Duration::from_micros(100)).await;
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/hello") => Ok(Response::new(whole("hello"))),
        (&Method::POST, "/echo") => {
            let whole_length = request.headers().contains_key(CONTENT_LENGTH);
            let bytes = request.into_body().collect().await?.to_bytes();
            let body = if whole_length { whole(bytes) } else { chunked(bytes, 10_000) };
            Ok(Response::new(body))
        }
        _ => {
            let mut response = Response::new(whole(""));
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(response)
        }
    }
}

async fn serve() -> (SocketAddr, Rc<Cell<usize>>, Rc<Cell<usize>>) {
    let (listener, address) = listen().await;
    let (connections, requests) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let counts = (Rc::clone(&connections), Rc::clone(&requests));
    ringspun::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.set(connections.get() + 1);
            let requests = Rc::clone(&requests);
            let service = service_fn(move |request| answer(Rc::clone(&requests), request));
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(Timer::new());
            ringspun::spawn(http.serve_connection(stream, service));
        }
    });
    (address, counts.0, counts.1)
}

async fn connect(address: SocketAddr) -> hyper::client::conn::http1::SendRequest<Body> {
    let stream = TcpStream::connect(address).await.expect("a server");
    let (client, connection) =
        hyper::client::conn::http1::handshake(stream).await.expect("no bytes yet");
    ringspun::spawn(connection);
    client
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(HOST, "here");
    request.body(body).expect("a request")
}

#[test]
fn many_requests_on_one_connection() {
    block_on(async {
        let (address, connections, requests) = serve().await;
        let mut client = connect(address).await;
        for round in 0..50 {
            client.ready().await.expect("kept alive");
            let (path, status) = match round % 2 {
                0 => ("/hello", StatusCode::OK),
                _ => ("/nowhere", StatusCode::NOT_FOUND),
            };
            let response =
                client.send_request(request(Method::GET, path, whole(""))).await.expect("answered");
            assert_eq!(response.status(), status);
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(body, if status == StatusCode::OK { "hello" } else { "" });
        }
        assert_eq!((connections.get(), requests.get()), (1, 50));
    });
}

#[test]
fn bodies_with_a_length_and_in_chunks() {
    block_on(async {
        let (address, ..) = serve().await;
        let mut client = connect(address).await;
        for (round, len) in [1, 8191, 8192, 100_000, 1 << 20].into_iter().enumerate() {
            let sent = Bytes::from(noise(len, round as u64));
            for in_chunks in [false, true] {
                let body =
                    if in_chunks { chunked(sent.clone(), 7777) } else { whole(sent.clone()) };
                client.ready().await.expect("kept alive");
                let response = client.send_request(request(Method::POST, "/echo", body)).await;
                let response = response.expect("answered");
                let is_chunked = response.headers().contains_key(TRANSFER_ENCODING);
                assert_eq!(is_chunked, in_chunks, "{len} bytes");
                let received = response.into_body().collect().await.expect("a body").to_bytes();
                assert!(received == sent, "other bytes came back, of {len}");
            }
        }
    });
}

#[test]
fn a_hundred_connections_at_once() {
    block_on(async {
        let (address, connections, requests) = serve().await;
        let clients = (0..100_u64).map(|n| async move {
            let mut client = connect(address).await;
            let sent = Bytes::from(noise(5000, n));
            let request = request(Method::POST, "/echo", chunked(sent.clone(), 999));
            let response = client.send_request(request).await.expect("answered");
            response.into_body().collect().await.expect("a body").to_bytes() == sent
        });
        let same = futures::future::join_all(clients.map(ringspun::spawn)).await;
        assert!(same.into_iter().all(|same| same.expect("no panic")));
        assert_eq!((connections.get(), requests.get()), (100, 100));
    });
}

#[test]
fn a_client_that_says_nothing_is_given_up() {
    block_on(async {
        let (listener, address) = listen().await;
        let mut silent = TcpStream::connect(address).await.expect("a listener");
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(Timer::new()).header_read_timeout(Duration::from_millis(20));
        let count = Rc::new(Cell::new(0));
        let service = service_fn(|request| answer(Rc::clone(&count), request));
        let error = http.serve_connection(stream, service).await.expect_err("nothing came");
        assert!(error.is_timeout(), "{error:?}");
        // The timer of a request that does come is reset for the next one.
        assert_eq!(silent.read(&mut [0; 1]).await.expect("closed"), 0);
    });
}

#[test]
fn an_upgraded_connection_carries_bytes() {
    use hyper_util::rt::TokioIo;
    use ringspun::io::{AsyncReadExt, AsyncWriteExt};

    async fn switch(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let upgrade = hyper::upgrade::on(&mut request);
        ringspun::spawn(async move {
            let upgraded = upgrade.await.expect("it was answered with 101");
            let (mut reader, mut writer) = ringspun::io::split(TokioIo::new(upgraded));
            ringspun::io::copy(&mut reader, &mut writer).await.expect("an echo");
        });
        let mut response = Response::new(whole(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("upgrade", "echo".parse().expect("a value"));
        Ok(response)
    }

    block_on(async {
        let (listener, address) = listen().await;
        ringspun::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let http = hyper::server::conn::http1::Builder::new();
            let connection =
                http.serve_connection(CoreBound::new(stream), service_fn(switch)).with_upgrades();
            connection.await.expect("served");
        });
        let stream = TcpStream::connect(address).await.expect("a listener");
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(CoreBound::new(stream)).await.expect("new");
        ringspun::spawn(connection.with_upgrades());
        let mut question = request(Method::GET, "/", whole(""));
        question.headers_mut().insert("connection", "upgrade".parse().expect("a value"));
        question.headers_mut().insert("upgrade", "echo".parse().expect("a value"));
        let response = client.send_request(question).await.expect("answered");
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut upgraded = TokioIo::new(hyper::upgrade::on(response).await.expect("upgraded"));
        for round in 0..20 {
            let sent = noise(3000 * round, round as u64);
            upgraded.write_all(&sent).await.expect("room");
            let mut received = vec![0; sent.len()];
            upgraded.read_exact(&mut received).await.expect("bytes");
            assert!(received == sent, "other bytes came back");
        }
    });
}
