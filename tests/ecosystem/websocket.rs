//! tungstenite: both ends of a WebSocket.

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::support::{block_on, noise, pair};

#[test]
fn texts_binaries_pings_and_a_close() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(theirs).await.expect("a handshake");
            let mut closed = None;
            while let Some(message) = socket.next().await {
                match message.expect("a message") {
                    Message::Close(frame) => closed = frame,
                    // Pongs are sent by the crate itself.
                    Message::Ping(_) => {}
                    message => socket.send(message).await.expect("room"),
                }
            }
            closed
        });
        let (mut socket, _) =
            tokio_tungstenite::client_async("ws://here/", ours).await.expect("a handshake");
        for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let sent = Message::binary(noise(len, 1));
            socket.send(sent.clone()).await.expect("room");
            assert!(socket.next().await.expect("open").expect("a message") == sent, "{len} bytes");
        }
        socket.send(Message::text("words")).await.expect("room");
        assert_eq!(socket.next().await.expect("open").expect("a text"), Message::text("words"));
        socket.send(Message::Ping("ball".into())).await.expect("room");
        let pong = socket.next().await.expect("open").expect("a pong");
        assert_eq!(pong, Message::Pong("ball".into()));
        let frame = CloseFrame { code: CloseCode::Away, reason: "enough".into() };
        socket.close(Some(frame.clone())).await.expect("open");
        while let Some(message) = socket.next().await {
            assert!(message.expect("the other's close").is_close());
        }
        assert_eq!(echo.await.expect("no panic"), Some(frame));
    });
}
