//! The halves of `into_split`.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use crate::support::{block_on, pair, poll_and_drop, read_all, sees_the_end, turns};

#[test]
fn the_end_when_the_writing_half_goes() {
    block_on(async {
        let (ours, mut far) = pair();
        let (mut read, mut write) = ours.into_split();
        poll_and_drop(read.read(&mut [0; 8]));
        write.write_all(b"last").await.expect("room");
        drop(write);
        let (bytes, end) = read_all(&mut far);
        assert_eq!((&bytes[..], end.expect("the end")), (&b"last"[..], ()));
        far.write_all(b"answer").expect("room");
        drop(far);
        let mut answer = Vec::new();
        read.read_to_end(&mut answer).await.expect("bytes");
        assert_eq!(answer, b"answer");
    });
}

#[test]
fn no_end_when_it_is_forgotten() {
    block_on(async {
        let (ours, mut far) = pair();
        let (mut read, write) = ours.into_split();
        poll_and_drop(read.read(&mut [0; 8]));
        write.forget();
        turns().await;
        far.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        let error = far.read(&mut [0; 8]).expect_err("nothing is there");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        far.set_read_timeout(Some(crate::support::PATIENCE)).expect("a socket");
        drop(read);
        turns().await;
        sees_the_end(&mut far);
    });
}

#[test]
fn together_again() {
    block_on(async {
        let (ours, mut far) = pair();
        let (read, write) = ours.into_split();
        poll_and_drop(read.recv(Vec::with_capacity(64)));
        turns().await;
        far.write_all(b"held").expect("room");
        turns().await;
        let mut ours = read.reunite(write).expect("of one stream");
        let mut buf = [0; 4];
        ours.read_exact(&mut buf).await.expect("bytes");
        assert_eq!(&buf, b"held");
        ours.write_all(b"x").await.expect("room");
        let (bytes, _) = futures::join!(
            async {
                turns().await;
                let mut buf = [0; 1];
                far.read_exact(&mut buf).expect("a byte");
                buf
            },
            turns()
        );
        assert_eq!(&bytes, b"x");
        drop(ours);
        turns().await;
        sees_the_end(&mut far);
    });
}

#[test]
fn strangers_come_back_whole() {
    block_on(async {
        let (first, mut first_far) = pair();
        let (second, mut second_far) = pair();
        let (first_read, first_write) = first.into_split();
        let (second_read, second_write) = second.into_split();
        let error = first_read.reunite(second_write).expect_err("strangers");
        let (mut first_read, mut second_write) = (error.0, error.1);
        second_write.write_all(b"2").await.expect("room");
        first_far.write_all(b"1").expect("room");
        let mut buf = [0; 1];
        first_read.read_exact(&mut buf).await.expect("a byte");
        assert_eq!(&buf, b"1");
        drop((first_write, second_write, first_read, second_read));
        turns().await;
        sees_the_end(&mut first_far);
        let (bytes, end) = read_all(&mut second_far);
        assert_eq!((&bytes[..], end.expect("the end")), (&b"2"[..], ()));
    });
}

#[test]
fn the_writing_half_outlives_the_reading_one() {
    block_on(async {
        let (ours, mut far) = pair();
        let (mut read, mut write) = ours.into_split();
        poll_and_drop(read.read(&mut [0; 8]));
        turns().await;
        drop(read);
        turns().await;
        write.write_all(b"still").await.expect("room");
        drop(write);
        turns().await;
        let (bytes, end) = read_all(&mut far);
        assert_eq!((&bytes[..], end.expect("the end")), (&b"still"[..], ()));
    });
}

#[test]
fn both_gone_in_two_tasks() {
    block_on(async {
        let (ours, mut far) = pair();
        let (mut read, mut write) = ours.into_split();
        let reader = ringspun::task::spawn(async move {
            let mut buf = [0; 8];
            read.read(&mut buf).await
        });
        let writer = ringspun::task::spawn(async move { write.write_all(b"x").await });
        writer.await.expect("no panic").expect("room");
        turns().await;
        reader.abort();
        turns().await;
        let (bytes, end) = read_all(&mut far);
        assert_eq!((&bytes[..], end.expect("the end")), (&b"x"[..], ()));
    });
}
