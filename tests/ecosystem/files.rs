//! Files by the traits of tokio and of futures.

use std::io::SeekFrom;

use ringspun::fs::File;

use crate::support::{block_on, noise, pair};

const MIB: usize = 1 << 20;

fn file() -> File {
    File::from_std(tempfile::tempfile().expect("a file"))
}

#[test]
fn a_file_through_a_connection_into_a_file() {
    use ringspun::io::{AsyncSeekExt, AsyncWriteExt, copy};

    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        let bytes = noise(MIB, 1);
        let mut from = file();
        from.write_all(&bytes).await.expect("room");
        AsyncSeekExt::rewind(&mut from).await.expect("a file");
        let sending = ringspun::spawn(async move {
            let count = copy(&mut from, &mut ours).await.expect("copied");
            AsyncWriteExt::shutdown(&mut ours).await.expect("connected");
            count
        });
        let mut into = file();
        assert_eq!(copy(&mut theirs, &mut into).await.expect("copied"), MIB as u64);
        assert_eq!(sending.await.expect("no panic"), MIB as u64);
        let (count, received) = into.read_exact_at(vec![0; MIB], 0).await;
        count.expect("all of it");
        assert!(received == bytes, "other bytes came");
    });
}

#[test]
fn lines_and_seeks_by_tokios_traits() {
    use ringspun::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};
    use ringspun::io::{AsyncWrite, BufWriter};

    block_on(async {
        let mut writer = BufWriter::new(file());
        assert!(writer.is_write_vectored());
        for n in 0..1000 {
            writer.write_all(format!("line {n}\n").as_bytes()).await.expect("room");
        }
        writer.shutdown().await.expect("written");
        let mut file = writer.into_inner();
        let len = AsyncSeekExt::stream_position(&mut file).await.expect("a file");
        assert_eq!(
            AsyncSeekExt::seek(&mut file, SeekFrom::End(-9)).await.expect("a file"),
            len - 9
        );
        let mut last = Vec::with_capacity(100);
        assert_eq!(AsyncReadExt::read_buf(&mut file, &mut last).await.expect("bytes"), 9);
        assert_eq!(last, b"line 999\n");
        AsyncSeekExt::seek(&mut file, SeekFrom::Current(-(len as i64))).await.expect("a file");
        AsyncSeekExt::seek(&mut file, SeekFrom::Current(-1)).await.expect_err("before the start");
        let mut lines = BufReader::new(file).lines();
        for n in 0..1000 {
            let line = lines.next_line().await.expect("text").expect("a line");
            assert_eq!(line, format!("line {n}"));
        }
        assert_eq!(lines.next_line().await.expect("the end"), None);
    });
}

#[test]
fn lines_and_seeks_by_futures_traits() {
    use futures::StreamExt;
    use futures::io::{AsyncBufReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};

    block_on(async {
        let mut file = file();
        AsyncWriteExt::write_all(&mut file, b"one\ntwo\nthree\n").await.expect("room");
        AsyncWriteExt::close(&mut file).await.expect("written");
        assert_eq!(AsyncSeekExt::seek(&mut file, SeekFrom::End(-10)).await.expect("a file"), 4);
        let lines = BufReader::new(file).lines().map(|line| line.expect("text"));
        assert_eq!(lines.collect::<Vec<_>>().await, ["two", "three"]);
    });
}
