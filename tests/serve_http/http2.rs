//! HTTP/2 by hyper's client, and by a raw peer for what no client does.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, StatusCode};
use ringspun::compat::hyper::{Executor, Timer};
use ringspun::net::TcpStream;
use ringspun::server::Http;
use ringspun::task::JoinHandle;

use super::support::{AMPLE, SHORT, Served, run, serve};

type Sender = SendRequest<Empty<Bytes>>;

async fn connect(served: &Served) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(served.address).await.expect("it listens");
    let mut client = http2::Builder::new(Executor::new());
    let (sender, connection) =
        client.timer(Timer::new()).handshake(stream).await.expect("a handshake");
    (sender, ringspun::spawn(connection))
}

async fn get(sender: &mut Sender, path: &str) -> hyper::Result<(StatusCode, Bytes)> {
    let request = Request::get(format!("http://here{path}")).body(Empty::new()).expect("valid");
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

#[test]
fn many_requests_at_a_time_on_one_connection() {
    let served = serve(Http::new());
    run(async {
        let (sender, _connection) = connect(&served).await;
        let all = (0..50).map(|index| {
            let mut sender = sender.clone();
            async move { get(&mut sender, &format!("/{index}")).await.expect("an answer").1 }
        });
        for (index, body) in futures::future::join_all(all).await.into_iter().enumerate() {
            assert_eq!(body, format!("this is /{index}"));
        }
    });
}

#[test]
fn a_drain_says_goaway_and_answers_what_was_begun() {
    let served = serve(Http::new());
    run(async {
        let (sender, connection) = connect(&served).await;
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let mut sender = sender.clone();
                ringspun::spawn(async move { get(&mut sender, "/wait").await })
            })
            .collect();
        for _ in 0..2 {
            while served.waiting.try_recv().is_err() {
                ringspun::time::sleep(SHORT / 10).await;
            }
        }
        served.drain.cancel();
        let mut after = sender.clone();
        // GOAWAY is on its way: until it is here, requests are taken.
        while get(&mut after, "/after").await.is_ok() {}
        served.gate.cancel();
        for answer in waiting {
            let (status, body) = answer.await.expect("no panic").expect("an answer");
            assert_eq!((status, &*body), (StatusCode::OK, &b"waited"[..]));
        }
        connection.await.expect("no panic").expect("a clean end");
    });
    assert_eq!(served.outcome(), Ok(()));
}

#[test]
fn an_idle_connection_ends_when_the_drain_begins() {
    let served = serve(Http::new());
    run(async {
        let (mut sender, connection) = connect(&served).await;
        get(&mut sender, "/").await.expect("an answer");
        served.drain.cancel();
        connection.await.expect("no panic").expect("a clean end");
    });
    assert_eq!(served.outcome(), Ok(()));
}

#[test]
fn silence_ends_a_connection_as_agreed() {
    let served = serve(Http::new().keep_alive_timeout(AMPLE));
    run(async {
        let (mut sender, connection) = connect(&served).await;
        get(&mut sender, "/").await.expect("an answer");
        connection.await.expect("no panic").expect("a clean end");
    });
    assert_eq!(served.outcome(), Ok(()));
}

#[test]
fn a_panic_costs_one_request() {
    let served = serve(Http::new());
    run(async {
        let (mut sender, _connection) = connect(&served).await;
        let (status, _) = get(&mut sender, "/panic").await.expect("an answer");
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let (status, _) = get(&mut sender, "/").await.expect("an answer");
        assert_eq!(status, StatusCode::OK);
    });
}

#[test]
fn a_head_that_is_too_large_costs_one_request() {
    let served = serve(Http::new().max_header_size(8 * 1024));
    run(async {
        let (mut sender, _connection) = connect(&served).await;
        let request = Request::get("http://here/").header("long", "x".repeat(20_000));
        let request = request.body(Empty::new()).expect("valid");
        match sender.send_request(request).await {
            Ok(response) => assert_eq!(response.status(), 431),
            Err(error) => assert!(!error.is_closed(), "{error:?}"),
        }
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_let_go() {
    let served = serve(Http::new().ping(SHORT, SHORT));
    let mut peer = served.connect();
    // The preface and empty settings.
    peer.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(served.outcome().is_err());
    drop(peer);
}
