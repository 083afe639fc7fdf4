//! Borrowed reads and writes at the cursor.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, SeekFrom};
use std::task::Poll;

use ringspun::fs::{File, OpenOptions};

use super::{Folder, kind, pattern, start_and_drop, text};
use crate::support::{Ledger, block_on, panic_text};

async fn read_write(folder: &Folder, name: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).open(folder.at(name)).await.expect("room")
}

#[test]
fn what_is_written_is_read() {
    let folder = Folder::new();
    block_on(async {
        for inline in [false, true] {
            let mut file = File::create(folder.at("file")).await.expect("room");
            file.set_inline_writes(inline);
            assert_eq!(file.write(b"").await.expect("nothing to do"), 0);
            file.write_all(b"hello ").await.expect("room");
            let bufs = [IoSlice::new(b""), IoSlice::new(b"wor"), IoSlice::new(b"ld")];
            assert!(file.is_write_vectored());
            let count = file.write_vectored(&bufs).await.expect("room");
            file.write_all(&b"world"[count..]).await.expect("room");
            file.flush().await.expect("nothing to do");
            file.shutdown().await.expect("nothing to do");
            assert_eq!(file.stream_position().await.expect("a place"), 11);

            let mut file = File::open(folder.at("file")).await.expect("there");
            let mut buf = [0; 5];
            assert_eq!(file.read_exact(&mut buf).await.expect("there"), 5);
            assert_eq!(&buf, b"hello");
            assert_eq!(file.read(&mut []).await.expect("nothing to do"), 0);
            let mut rest = String::from("so: ");
            assert_eq!(file.read_to_string(&mut rest).await.expect("UTF-8"), 6);
            assert_eq!(rest, "so:  world");
            assert_eq!(file.read(&mut buf).await.expect("the end"), 0);
        }
    });
}

#[test]
fn large_and_in_small_parts() {
    let folder = Folder::new();
    let content = pattern(3_000_000);
    block_on(async {
        for (most, inline) in [(2 << 20, false), (2 << 20, true), (10_000, false), (70_001, true)] {
            let mut file = File::create(folder.at("file")).await.expect("room");
            file.set_max_buf_size(most);
            file.set_inline_writes(inline);
            assert_eq!(file.max_buf_size(), most);
            file.write_all(&content).await.expect("room");
            let mut file = File::open(folder.at("file")).await.expect("there");
            file.set_max_buf_size(most);
            let mut read = vec![1, 2, 3];
            assert_eq!(file.read_to_end(&mut read).await.expect("there"), content.len());
            assert_eq!((&read[..3], &read[3..]), (&[1, 2, 3][..], &content[..]));
        }
    });
}

#[test]
fn an_exact_read_beyond_the_end() {
    let folder = Folder::new();
    let path = folder.file("file", "abc");
    block_on(async {
        let mut file = File::open(&path).await.expect("there");
        let error = file.read_exact(&mut [0; 8]).await.expect_err("too short");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("after 3 of 8"), "{error}");
        assert_eq!(file.stream_position().await.expect("a place"), 3);
    });
}

#[test]
fn text_that_is_none() {
    let folder = Folder::new();
    let path = folder.file("file", [0xff, 0xfe]);
    block_on(async {
        let mut text = String::from("kept");
        let mut file = File::open(&path).await.expect("there");
        assert_eq!(kind(file.read_to_string(&mut text).await), ErrorKind::InvalidData);
        assert_eq!(text, "kept");
    });
}

#[test]
fn seeks() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let mut file = File::open(&path).await.expect("there");
        let mut byte = [0];
        for (to, place) in [
            (SeekFrom::Start(7), 7),
            (SeekFrom::Current(-5), 3),
            (SeekFrom::End(-1), 9),
            (SeekFrom::Current(-9), 1),
        ] {
            assert_eq!(file.seek(to).await.expect("in the file"), place);
            file.read_exact(&mut byte).await.expect("there");
            assert_eq!(u64::from(byte[0] - b'0'), place);
        }
        for wrong in [SeekFrom::Current(-3), SeekFrom::End(-11), SeekFrom::Start(u64::MAX)] {
            assert_eq!(kind(file.seek(wrong).await), ErrorKind::InvalidInput);
        }
        assert_eq!(file.stream_position().await.expect("as before"), 2);
        assert_eq!(file.seek(SeekFrom::End(5)).await.expect("may be"), 15);
        assert_eq!(file.read(&mut byte).await.expect("nothing there"), 0);
    });
}

#[test]
fn append_writes_at_the_end_wherever_the_cursor_is() {
    let folder = Folder::new();
    let path = folder.file("file", "start ");
    block_on(async {
        for inline in [false, true] {
            let mut options = OpenOptions::new();
            options.read(true).append(true).inline_writes(inline);
            let mut file = options.open(&path).await.expect("there");
            let mut buf = [0; 5];
            file.read_exact(&mut buf).await.expect("there");
            assert_eq!(&buf, b"start");
            file.write_all(b"one ").await.expect("room");
            std::fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .and_then(|mut other| std::io::Write::write_all(&mut other, b"other "))
                .expect("room");
            file.write_all(b"two ").await.expect("room");
            let end = file.metadata().await.expect("open").len();
            assert_eq!(file.stream_position().await.expect("a place"), end);
            assert_eq!(file.read(&mut buf).await.expect("the end"), 0);
            file.rewind().await.expect("a file");
            file.read_exact(&mut buf).await.expect("there");
            assert_eq!(&buf, b"start");
        }
        assert_eq!(text(&path), "start one other two one other two ");
        let mut file =
            File::from_std(std::fs::OpenOptions::new().append(true).open(&path).expect("there"));
        file.write_all(b"end").await.expect("room");
        let std = file.into_std().await;
        assert_eq!(std.metadata().expect("open").len(), 37);
        assert!(text(&path).ends_with("two end"));
    });
}

#[test]
fn wrong_access() {
    let folder = Folder::new();
    let path = folder.file("file", "abc");
    block_on(async {
        let mut reader = File::open(&path).await.expect("there");
        for inline in [false, true] {
            reader.set_inline_writes(inline);
            let error = reader.write(b"x").await.expect_err("read only");
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
        let mut writer = OpenOptions::new().write(true).open(&path).await.expect("there");
        let error = writer.read(&mut [0]).await.expect_err("write only");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        let mut directory = File::open(folder.path()).await.expect("a directory");
        assert_eq!(kind(directory.read(&mut [0]).await), ErrorKind::IsADirectory);
    });
}

#[test]
fn a_dropped_read_has_not_moved_the_cursor() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    let content = pattern(100_000);
    let path = folder.file("file", &content);
    block_on(async {
        let mut file = File::open(&path).await.expect("there");
        let mut seen = Vec::new();
        for turn in 0.. {
            let mut buf = [0; 3_000];
            if turn % 3 == 0 {
                let cold = file.advise(0, 0, ringspun::fs::Advice::DontNeed).await;
                cold.expect("only advice");
            }
            // What is given up while it waits is read again; what was done at once counts.
            let count = match start_and_drop(file.read(&mut buf)).await {
                Poll::Ready(count) => count.expect("readable"),
                Poll::Pending => file.read(&mut buf).await.expect("readable"),
            };
            if count == 0 {
                break;
            }
            seen.extend_from_slice(&buf[..count]);
        }
        assert!(seen == content, "bytes were lost or doubled");
    });
    drop(folder);
    ledger.close();
}

#[test]
fn a_dropped_write_has_not_moved_the_cursor() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    let content = pattern(50_000);
    block_on(async {
        let mut file = read_write(&folder, "file").await;
        for part in content.chunks(500) {
            let wrong = vec![0xff; 500];
            if let Poll::Ready(count) = start_and_drop(file.write(&wrong)).await {
                let back = -(count.expect("room") as i64);
                file.seek(SeekFrom::Current(back)).await.expect("a file");
            }
            // It waits for the dropped one, so that one cannot come later and on top of it.
            file.write_all(part).await.expect("room");
        }
        file.rewind().await.expect("a file");
        let mut read = Vec::new();
        file.read_to_end(&mut read).await.expect("there");
        assert!(read == content, "a dropped write came after a later one");
    });
    drop(folder);
    ledger.close();
}

#[test]
fn a_dropped_read_to_end_leaves_what_was_there() {
    let folder = Folder::new();
    let path = folder.file("file", pattern(1_000_000));
    block_on(async {
        let mut file = File::open(&path).await.expect("there");
        file.set_max_buf_size(1000);
        let mut read = b"before".to_vec();
        let _any = start_and_drop(file.read_to_end(&mut read)).await;
        assert_eq!(&read[..6], b"before");
        assert!(read[6..] == pattern(1_000_000)[..read.len() - 6], "no zeros at the end");
        let place = file.stream_position().await.expect("a place");
        assert_eq!(place, read.len() as u64 - 6);
        file.read_to_end(&mut read).await.expect("there");
        assert_eq!(read.len(), 1_000_006);
    });
}

#[test]
fn the_poll_face() {
    let folder = Folder::new();
    block_on(async {
        let mut file = read_write(&folder, "file").await;
        let written = poll_fn(|cx| file.poll_write(cx, b"0123456789")).await.expect("room");
        file.write_all(&b"0123456789"[written..]).await.expect("room");
        // Given up, and then others: both are written, the second one in the place of the first.
        let first = poll_fn(|cx| Poll::Ready(file.poll_write(cx, b"abc"))).await;
        let second = poll_fn(|cx| file.poll_write(cx, b"xyz")).await;
        let first = if let Poll::Ready(count) = first { count.expect("room") } else { 0 };
        let end = 10 + first as u64 + second.expect("room") as u64;
        poll_fn(|cx| file.poll_flush(cx)).await.expect("nothing to do");
        let place = poll_fn(|cx| file.poll_seek(cx, SeekFrom::Current(0))).await;
        assert_eq!(place.expect("a place"), end);
        poll_fn(|cx| file.poll_seek(cx, SeekFrom::Start(8))).await.expect("a file");
        let mut buf = [0; 2];
        let _any = poll_fn(|cx| Poll::Ready(file.poll_read(cx, &mut [0; 2]))).await;
        poll_fn(|cx| file.poll_seek(cx, SeekFrom::Start(8))).await.expect("a file");
        let count = poll_fn(|cx| file.poll_read(cx, &mut buf)).await.expect("there");
        assert_eq!(buf[..count], b"89"[..count]);
        poll_fn(|cx| file.poll_seek(cx, SeekFrom::Start(10))).await.expect("a file");
        let two = [IoSlice::new(b"a"), IoSlice::new(b"b")];
        let count = poll_fn(|cx| file.poll_write_vectored(cx, &two)).await;
        let end = 10 + count.expect("room");
        assert_eq!(text(&folder.at("file"))[..end], "0123456789ab"[..end]);
    });
}

#[test]
fn a_file_without_nowait() {
    // procfs does not know RWF_NOWAIT, and does not say how long its files are.
    block_on(async {
        let mut file = File::open("/proc/self/maps").await.expect("procfs");
        let mut first = [0; 64];
        file.read_exact(&mut first).await.expect("there are mappings");
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.expect("UTF-8");
        assert!(rest.lines().count() > 3, "{rest}");
    });
}

#[test]
fn others_have_their_turn_while_a_cached_file_is_read() {
    let folder = Folder::new();
    let path = folder.file("file", vec![7; 32 << 20]);
    block_on(async {
        let ticks = std::rc::Rc::new(std::cell::Cell::new(0_u32));
        let counter = std::rc::Rc::clone(&ticks);
        let heartbeat = ringspun::spawn(async move {
            loop {
                counter.set(counter.get() + 1);
                ringspun::task::yield_now().await;
            }
        });
        let mut file = File::open(&path).await.expect("there");
        let mut buf = vec![0; 64 * 1024];
        while file.read(&mut buf).await.expect("there") > 0 {}
        assert!(ticks.get() >= 16, "{} turns", ticks.get());
        heartbeat.abort();
    });
}

#[test]
fn a_write_outside_of_a_runtime_panics_and_does_no_harm() {
    let folder = Folder::new();
    let path = folder.at("file");
    let mut file = File::from_std(std::fs::File::create(&path).expect("room"));
    let said = panic_text(|| {
        let mut write = Box::pin(file.write(b"abc"));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _never = write.as_mut().poll(&mut cx);
    });
    assert!(said.contains("outside a runtime"), "{said}");
    block_on(async {
        file.write_all(b"abc").await.expect("room");
        file.close().await.expect("closed");
    });
    assert_eq!(text(&path), "abc");
}

#[test]
fn a_write_that_was_given_up_elsewhere_is_not_taken_for_this_one() {
    let folder = Folder::new();
    block_on(async {
        let mut file = read_write(&folder, "file").await;
        file.seek(SeekFrom::Start(3)).await.expect("a file");
        let _any = poll_fn(|cx| Poll::Ready(file.poll_write(cx, b"abc"))).await;
        poll_fn(|cx| file.poll_seek(cx, SeekFrom::Start(0))).await.expect("a file");
        file.write_all(b"abc").await.expect("room");
        file.sync_all().await.expect("a file");
        assert_eq!(&text(&folder.at("file"))[..3], "abc");
    });
}
