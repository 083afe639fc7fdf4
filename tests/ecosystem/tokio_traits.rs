//! `tokio::io`'s traits and helpers, by the names they have in `ringspun::io`.

use std::io::{IoSlice, SeekFrom};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use ringspun::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufReader,
    BufStream, BufWriter, ReadBuf,
};
use ringspun::net::TcpStream;
use ringspun::task::CoreBound;

use crate::support::{block_on, listen, noise, pair};

const MIB: usize = 1 << 20;

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> std::io::Result<u64> {
    let (mut reader, mut writer) = ringspun::io::split(stream);
    let copied = ringspun::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    Ok(copied)
}

#[test]
fn echo_of_a_mebibyte() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(echo(theirs));
        let (mut reader, mut writer) = ours.into_split();
        let sent = noise(MIB, 1);
        let expected = sent.clone();
        let writing = ringspun::spawn(async move {
            AsyncWriteExt::write_all(&mut writer, &sent).await.expect("room");
            AsyncWriteExt::shutdown(&mut writer).await.expect("connected");
        });
        let mut received = Vec::new();
        let count = AsyncReadExt::read_to_end(&mut reader, &mut received).await.expect("bytes");
        assert_eq!(count, MIB);
        assert!(received == expected, "other bytes came back");
        writing.await.expect("no panic");
        assert_eq!(echo.await.expect("no panic").expect("all was copied"), MIB as u64);
    });
}

#[test]
fn memory_that_is_not_initialized() {
    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        let sent = noise(300_000, 2);
        let expected = sent.clone();
        let writing = ringspun::spawn(async move { theirs.write_all(&sent).await });
        let mut received = Vec::with_capacity(64 * 1024);
        while ours.read_buf(&mut received).await.expect("bytes") > 0 {
            if received.capacity() == received.len() {
                received.reserve(received.len());
            }
        }
        assert!(received == expected, "other bytes came");
        writing.await.expect("no panic").expect("room");
    });
}

#[test]
fn a_read_buf_that_is_partly_filled_and_partly_initialized() {
    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"abcdefgh").await.expect("room");
        let mut memory = [std::mem::MaybeUninit::uninit(); 6];
        let mut buf = ReadBuf::uninit(&mut memory);
        buf.put_slice(b"--");
        buf.initialize_unfilled_to(1);
        std::future::poll_fn(|cx| Pin::new(&mut ours).poll_read(cx, &mut buf))
            .await
            .expect("bytes");
        assert_eq!(buf.filled(), b"--abcd");
        // Full: ready at once, whatever comes.
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(matches!(Pin::new(&mut ours).poll_read(cx, &mut buf), Poll::Ready(Ok(()))));
        let mut rest = [0; 4];
        AsyncReadExt::read_exact(&mut ours, &mut rest).await.expect("bytes");
        assert_eq!(&rest, b"efgh");
    });
}

#[test]
fn vectored_writes_are_forwarded() {
    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        assert!(ours.is_write_vectored());
        // More than the kernel takes at once, and some that are empty.
        let lines = (0..3000).map(|n| "x".repeat(n % 4)).collect::<Vec<_>>();
        let expected = lines.concat();
        let mut slices = lines.iter().map(|line| IoSlice::new(line.as_bytes())).collect::<Vec<_>>();
        let mut slices = &mut slices[..];
        let mut calls = 0;
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let write = |cx: &mut Context<'_>| Pin::new(&mut ours).poll_write_vectored(cx, slices);
            let count = std::future::poll_fn(write).await.expect("room");
            assert!(count > 0);
            IoSlice::advance_slices(&mut slices, count);
            calls += 1;
        }
        assert!(calls < 100, "{calls} calls for 3000 slices");
        drop(ours);
        let mut received = String::new();
        AsyncReadExt::read_to_string(&mut theirs, &mut received).await.expect("text");
        assert!(received == expected, "other bytes came");
    });
}

#[test]
fn a_read_that_lost_its_race_loses_nothing() {
    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        let mut buf = [0; 8];
        for round in 0..100_u8 {
            let given_up = AsyncReadExt::read(&mut ours, &mut buf);
            let polled = pin!(given_up).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            theirs.write_all(&[round]).await.expect("room");
            assert_eq!(AsyncReadExt::read(&mut ours, &mut buf).await.expect("a byte"), 1);
            assert_eq!(buf[0], round);
        }
    });
}

#[test]
fn lines_by_a_buf_reader_and_without_one() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let (mut reader, mut writer) = theirs.into_split();
        let answering = ringspun::spawn(async move {
            // The half shows its bytes itself.
            let mut line = String::new();
            while reader.read_line(&mut line).await.expect("text") > 0 {
                writer.write_all(line.to_uppercase().as_bytes()).await.expect("room");
                line.clear();
            }
        });
        let mut stream = BufStream::new(ours);
        for n in 0..200 {
            let question = format!("line {n} {}\n", "of many ".repeat(n));
            stream.write_all(question.as_bytes()).await.expect("room");
            stream.flush().await.expect("connected");
            let mut answer = String::new();
            stream.read_line(&mut answer).await.expect("a line");
            assert_eq!(answer, question.to_uppercase());
        }
        stream.shutdown().await.expect("connected");
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.expect("the end"), 0);
        answering.await.expect("no panic");
    });
}

#[test]
fn filling_twice_shows_the_same_bytes() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let (mut reader, _writer) = ours.into_split();
        theirs.write_all(b"abc").await.expect("room");
        assert_eq!(reader.fill_buf().await.expect("bytes"), b"abc");
        assert_eq!(reader.fill_buf().await.expect("bytes"), b"abc");
        AsyncBufReadExt::consume(&mut reader, 2);
        assert_eq!(reader.fill_buf().await.expect("bytes"), b"c");
        AsyncBufReadExt::consume(&mut reader, 1);
        drop(theirs);
        assert_eq!(reader.fill_buf().await.expect("the end"), b"");
        assert_eq!(reader.fill_buf().await.expect("the end, again"), b"");
    });
}

#[test]
fn copy_bidirectional_between_two_connections() {
    block_on(async {
        let (mut client, front) = pair().await;
        let (back, server) = pair().await;
        let proxy = ringspun::spawn(async move {
            let (mut front, mut back) = (front, back);
            ringspun::io::copy_bidirectional(&mut front, &mut back).await
        });
        let echo = ringspun::spawn(echo(server));
        let sent = noise(MIB, 3);
        let (reader, writer) = client.split();
        let writing = async {
            AsyncWriteExt::write_all(writer, &sent).await.expect("room");
            AsyncWriteExt::shutdown(writer).await.expect("connected");
        };
        let mut received = Vec::new();
        let reading = AsyncReadExt::read_to_end(reader, &mut received);
        let ((), count) = futures::join!(writing, reading);
        assert_eq!(count.expect("bytes"), MIB);
        assert!(received == sent, "other bytes came back");
        echo.await.expect("no panic").expect("copied");
        let both = proxy.await.expect("no panic").expect("copied");
        assert_eq!(both, (MIB as u64, MIB as u64));
    });
}

#[test]
fn helpers_work_beside_ours() {
    block_on(async {
        let (mut near, mut far) = ringspun::io::duplex(16);
        let (ours, mut theirs) = pair().await;
        let bridge = ringspun::spawn(async move {
            let mut both = ringspun::io::join(ringspun::io::empty(), ours);
            ringspun::io::copy(&mut far, &mut both).await
        });
        let writing = ringspun::spawn(async move {
            let mut writer = BufWriter::new(&mut near);
            writer.write_u32(7).await.expect("room");
            writer.write_all(&[1; 1000]).await.expect("room");
            writer.shutdown().await.expect("it is read");
        });
        assert_eq!(theirs.read_u32().await.expect("four bytes"), 7);
        let mut rest = Vec::new();
        let mut limited = BufReader::new(&mut theirs).take(1000);
        limited.read_to_end(&mut rest).await.expect("bytes");
        assert_eq!(rest, [1; 1000]);
        writing.await.expect("no panic");
        assert_eq!(bridge.await.expect("no panic").expect("copied"), 1004);
        let mut cursor = std::io::Cursor::new(rest);
        assert_eq!(cursor.seek(SeekFrom::End(-10)).await.expect("memory"), 990);
    });
}

#[test]
fn shutdown_after_a_reset_is_no_error() {
    block_on(async {
        let (mut ours, theirs) = pair().await;
        theirs.set_zero_linger().expect("a socket");
        drop(theirs);
        AsyncReadExt::read(&mut ours, &mut [0; 8]).await.expect_err("it was reset");
        AsyncWriteExt::write_all(&mut ours, b"x").await.expect_err("it was reset");
        std::future::poll_fn(|cx| Pin::new(&mut ours).poll_shutdown(cx)).await.expect("as tokio");
    });
}

#[test]
fn core_bound_forwards_and_refuses_other_threads() {
    fn needs_send<T: Send>(value: T) -> T {
        value
    }
    block_on(async {
        let (listener, address) = listen().await;
        let echo = ringspun::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            echo(needs_send(CoreBound::new(stream))).await
        });
        let ours = TcpStream::connect(address).await.expect("a listener");
        let mut ours = needs_send(CoreBound::new(ours));
        assert!(ours.is_write_vectored());
        ours.write_all(b"there and back").await.expect("room");
        ours.shutdown().await.expect("connected");
        let mut text = String::new();
        ours.read_to_string(&mut text).await.expect("text");
        assert_eq!(text, "there and back");
        echo.await.expect("no panic").expect("copied");
        let refused = std::thread::spawn(move || {
            let cx = &mut Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut ours).poll_write(cx, b"x");
        });
        refused.join().expect_err("it is of another core");
    });
}
