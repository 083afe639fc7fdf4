//! h2 without hyper: streams with flow control by hand.

use h2::RecvStream;
use hyper::body::Bytes;
use hyper::{Request, Response};

use crate::support::{block_on, noise, pair};

/// All of a body; says for each piece that there is room again.
async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut received = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("data");
        received.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).expect("it was taken");
    }
    received
}

#[test]
fn ten_streams_beyond_their_windows() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let serving = ringspun::spawn(async move {
            let mut connection = h2::server::handshake(theirs).await.expect("a preface");
            while let Some(request) = connection.accept().await {
                let (request, mut respond) = request.expect("a request");
                ringspun::spawn(async move {
                    let received = read(request.into_body()).await;
                    let mut body = respond.send_response(Response::new(()), false).expect("open");
                    body.send_data(Bytes::from(received), true).expect("open");
                });
            }
        });
        let (client, connection) = h2::client::handshake(ours).await.expect("a preface");
        let connection = ringspun::spawn(connection);
        let streams = (0..10_u64).map(|number| {
            let client = client.clone();
            ringspun::spawn(async move {
                let mut client = client.ready().await.expect("connected");
                // Four windows.
                let sent = noise(256 * 1024, number);
                let request = Request::post("http://here/").body(()).expect("a request");
                let (response, mut body) = client.send_request(request, false).expect("open");
                body.send_data(Bytes::from(sent.clone()), true).expect("open");
                let received = read(response.await.expect("answered").into_body()).await;
                assert!(received == sent, "stream {number} got other bytes");
            })
        });
        for stream in streams.collect::<Vec<_>>() {
            stream.await.expect("no panic");
        }
        drop(client);
        connection.await.expect("no panic").expect("closed in order");
        serving.await.expect("no panic");
    });
}
