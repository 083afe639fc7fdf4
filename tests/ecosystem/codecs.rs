//! tokio-util: frames on our streams.

use futures::{SinkExt, StreamExt};
use hyper::body::Bytes;
use ringspun::io::AsyncReadExt;
use tokio_util::codec::{Framed, FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec};

use crate::support::{block_on, noise, pair};

#[test]
fn lines() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let answering = ringspun::spawn(async move {
            let mut framed = Framed::new(theirs, LinesCodec::new());
            while let Some(line) = framed.next().await {
                framed.send(line.expect("text").to_uppercase()).await.expect("room");
            }
        });
        let mut framed = Framed::new(ours, LinesCodec::new());
        for n in 0..100 {
            let line = format!("line {n} {}", "is long ".repeat(n * 10));
            framed.send(line.as_str()).await.expect("room");
            let answer = framed.next().await.expect("open").expect("text");
            assert_eq!(answer, line.to_uppercase());
        }
        SinkExt::<String>::close(&mut framed).await.expect("connected");
        assert!(framed.next().await.is_none());
        answering.await.expect("no panic");
    });
}

#[test]
fn frames_with_a_length_through_two_halves() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let (reader, writer) = theirs.into_split();
            let frames = FramedRead::new(reader, LengthDelimitedCodec::new());
            let sink = FramedWrite::new(writer, LengthDelimitedCodec::new());
            frames.map(|frame| frame.map(Bytes::from)).forward(sink).await
        });
        let framed = Framed::new(ours, LengthDelimitedCodec::new());
        let (mut sink, frames) = framed.split();
        let sent = (0..60).map(|n| Bytes::from(noise(n * n * 100, n as u64))).collect::<Vec<_>>();
        let expected = sent.clone();
        let writing = async move {
            for frame in sent {
                sink.feed(frame).await.expect("room");
            }
            sink.close().await.expect("connected");
        };
        let reading = frames.map(|frame| frame.expect("a frame").freeze()).collect::<Vec<_>>();
        let ((), received) = futures::join!(writing, reading);
        assert!(received == expected, "other frames came back");
        echo.await.expect("no panic").expect("an echo");
    });
}

#[test]
fn what_was_read_ahead_comes_back_with_the_parts() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        theirs.write_all(b"a line\nand a rest").await.expect("room");
        theirs.shutdown().await.expect("connected");
        let mut framed = Framed::new(ours, LinesCodec::new());
        assert_eq!(framed.next().await.expect("open").expect("text"), "a line");
        let parts = framed.into_parts();
        let mut stream = parts.io;
        let mut rest = parts.read_buf.to_vec();
        AsyncReadExt::read_to_end(&mut stream, &mut rest).await.expect("the end");
        assert_eq!(rest, b"and a rest");
    });
}
