//! hyper, HTTP 2: what it spawns runs on the core, by our executor.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use ringspun::compat::hyper::{Executor, Timer};
use ringspun::net::TcpStream;

use crate::support::{block_on, listen, noise};

/// The later a request, the sooner its answer.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let number = request.uri().path().trim_start_matches('/').parse::<u64>().unwrap_or_default();
    let body = request.into_body().collect().await?.to_bytes();
    ringspun::time::sleep(Duration::from_micros(100) * (100 - number as u32)).await;
    Ok(Response::new(Full::new(body)))
}

#[test]
fn a_hundred_streams_on_one_connection() {
    block_on(async {
        let (listener, address) = listen().await;
        let serving = ringspun::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut http = hyper::server::conn::http2::Builder::new(Executor::new());
            http.timer(Timer::new()).keep_alive_interval(Duration::from_secs(1));
            http.serve_connection(stream, service_fn(answer)).await
        });
        let stream = TcpStream::connect(address).await.expect("a listener");
        let mut http = hyper::client::conn::http2::Builder::new(Executor::new());
        http.timer(Timer::new()).adaptive_window(true);
        let (client, connection) = http.handshake(stream).await.expect("a preface");
        let connection = ringspun::spawn(connection);

        let requests = (0..100_u64).map(|number| {
            let mut client = client.clone();
            async move {
                let sent = Bytes::from(noise(64 * 1024, number));
                let request = Request::post(format!("http://here/{number}"));
                let request = request.body(Full::new(sent.clone())).expect("a request");
                client.ready().await.expect("connected");
                let response = client.send_request(request).await.expect("answered");
                let received = response.into_body().collect().await.expect("a body").to_bytes();
                assert!(received == sent, "stream {number} got other bytes");
            }
        });
        for request in requests.map(ringspun::spawn).collect::<Vec<_>>() {
            request.await.expect("no panic");
        }
        drop(client);
        connection.await.expect("no panic").expect("closed in order");
        // It ends too; its last words may find nobody.
        drop(serving.await.expect("no panic"));
    });
}
