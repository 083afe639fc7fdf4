//! `futures-io`'s traits, by the helpers of `futures`.

use std::io::{IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::Context;

use futures::StreamExt;
use futures::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, copy, copy_buf,
};
use ringspun::task::CoreBound;

use crate::support::{block_on, noise, pair};

const MIB: usize = 1 << 20;

#[test]
fn echo_of_a_mebibyte() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let (reader, mut writer) = theirs.into_split();
            // The half is its own buffer.
            let copied = copy_buf(reader, &mut writer).await?;
            AsyncWriteExt::close(&mut writer).await?;
            std::io::Result::Ok(copied)
        });
        let sent = noise(MIB, 1);
        let (mut reader, mut writer) = AsyncReadExt::split(ours);
        let writing = async {
            AsyncWriteExt::write_all(&mut writer, &sent).await.expect("room");
            AsyncWriteExt::close(&mut writer).await.expect("connected");
        };
        let mut received = Vec::new();
        let reading = AsyncReadExt::read_to_end(&mut reader, &mut received);
        let ((), count) = futures::join!(writing, reading);
        assert_eq!(count.expect("bytes"), MIB);
        assert!(received == sent, "other bytes came back");
        assert_eq!(echo.await.expect("no panic").expect("copied"), MIB as u64);
    });
}

#[test]
fn lines() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let (_, mut writer) = theirs.into_split();
        AsyncWriteExt::write_all(&mut writer, b"one\ntwo\nthree").await.expect("room");
        drop(writer);
        let lines = BufReader::new(ours).lines().map(|line| line.expect("text"));
        assert_eq!(lines.collect::<Vec<_>>().await, ["one", "two", "three"]);
    });
}

#[test]
fn several_slices_both_ways() {
    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cdefg")];
        let write = |cx: &mut Context<'_>| Pin::new(&mut ours).poll_write_vectored(cx, &slices);
        assert_eq!(std::future::poll_fn(write).await.expect("room"), 7);
        let (mut one, mut two) = ([0; 3], [0; 3]);
        let mut bufs =
            [IoSliceMut::new(&mut one), IoSliceMut::new(&mut []), IoSliceMut::new(&mut two)];
        let read = AsyncReadExt::read_vectored(&mut theirs, &mut bufs);
        assert_eq!(read.await.expect("bytes"), 6);
        assert_eq!((&one, &two), (b"abc", b"def"));
        let mut rest = [0; 8];
        assert_eq!(AsyncReadExt::read(&mut theirs, &mut rest).await.expect("a byte"), 1);
        assert_eq!(rest[0], b'g');
        let none = AsyncReadExt::read_vectored(&mut theirs, &mut []);
        assert_eq!(none.await.expect("nothing was asked for"), 0);
    });
}

#[test]
fn through_core_bound() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let (reader, mut writer) = theirs.into_split();
            copy(reader, &mut writer).await
        });
        let (reader, writer) = AsyncReadExt::split(CoreBound::new(ours));
        let mut writer = BufWriter::new(writer);
        writer.write_all(b"a line\n").await.expect("room");
        writer.flush().await.expect("connected");
        let mut reader = BufReader::new(reader);
        let mut line = String::new();
        reader.read_line(&mut line).await.expect("text");
        assert_eq!(line, "a line\n");
        writer.close().await.expect("connected");
        assert_eq!(reader.read_line(&mut line).await.expect("the end"), 0);
        assert_eq!(echo.await.expect("no panic").expect("copied"), 7);
    });
}
