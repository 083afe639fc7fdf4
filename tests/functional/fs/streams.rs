//! Files without a place: FIFOs, terminals, devices.

use std::future::poll_fn;
use std::io::{ErrorKind, Read as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::task::Poll;

use ringspun::fs::{self, File};

use super::{Folder, kind, start_and_drop};
use crate::support::{Ledger, block_on, poll_once, runtime, turn};

fn fifo() -> (File, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (File::from(OwnedFd::from(reader)), writer)
}

#[test]
fn a_dropped_read_keeps_what_it_gets() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut file, mut writer) = fifo();
        let mut buf = [0; 8];
        assert!(start_and_drop(file.read(&mut buf)).await.is_pending());
        turn().await;
        writer.write_all(b"abcdefgh").expect("room");
        turn().await;
        // The next one is for fewer bytes: the rest stays for those after it.
        let mut small = [0; 3];
        let count = file.read(&mut small).await.expect("there");
        assert_eq!(small[..count], b"abc"[..count]);
        let mut rest = vec![0; 8 - count];
        file.read_exact(&mut rest).await.expect("there");
        assert_eq!(rest, b"abcdefgh"[count..]);
        drop(writer);
        assert_eq!(file.read(&mut rest).await.expect("the end"), 0);
    });
    ledger.close();
}

fn named_fifo(folder: &Folder) -> PathBuf {
    let path = folder.at("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("coreutils");
    assert!(made.success());
    path
}

#[test]
fn the_reader_of_a_fifo_waits_for_a_writer() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    let path = named_fifo(&folder);
    block_on(async {
        assert!(start_and_drop(File::open(&path)).await.is_pending());
        let mut open = Box::pin(File::open(&path));
        for _ in 0..20 {
            assert!(poll_once(&mut open).await.is_pending());
            turn().await;
        }
        let other = path.clone();
        let writer = std::thread::spawn(move || std::fs::write(other, "hello"));
        let mut text = String::new();
        open.await.expect("there").read_to_string(&mut text).await.expect("UTF-8");
        assert_eq!(text, "hello");
        writer.join().expect("no panic").expect("read");

        let mut options = File::options();
        let mut file =
            options.read(true).custom_flags(libc::O_NONBLOCK).open(&path).await.expect("at once");
        assert_eq!(file.read(&mut [0]).await.expect("nobody writes"), 0);
    });
    drop(folder);
    ledger.close();
}

/// The reader lets a writer in before its open has ended: what that one wrote is not lost, however
/// soon it is gone.
#[test]
fn a_writer_that_is_gone_before_the_reader_has_opened() {
    let folder = Folder::new();
    // One for each round: a reader that is still being closed would let the next writer in.
    let paths: Vec<PathBuf> = (0..200).map(|round| folder.at(&format!("fifo-{round}"))).collect();
    let made = std::process::Command::new("mkfifo").args(&paths).status().expect("coreutils");
    assert!(made.success());
    let runtime = runtime();
    for (round, path) in (0_u8..).zip(&paths) {
        let writer = std::thread::spawn({
            let path = path.clone();
            move || loop {
                // Without waiting for a reader, so that it is in as soon as one can be seen.
                let nonblocking = libc::O_NONBLOCK;
                match std::fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(&path)
                {
                    Ok(mut file) => return file.write_all(&[round]).expect("written"),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENXIO)),
                }
            }
        });
        runtime.block_on(async {
            let mut file = File::open(path).await.expect("open");
            let mut read = Vec::new();
            file.read_to_end(&mut read).await.expect("read");
            assert_eq!(read, [round]);
        });
        writer.join().expect("no panic");
    }
}

#[test]
fn the_writer_of_a_fifo_waits_for_a_reader() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    let path = named_fifo(&folder);
    block_on(async {
        let mut options = File::options();
        let options = options.write(true);
        assert!(start_and_drop(options.open(&path)).await.is_pending());
        let mut open = Box::pin(options.open(&path));
        for _ in 0..20 {
            assert!(poll_once(&mut open).await.is_pending());
            turn().await;
        }
        let other = path.clone();
        let reader = std::thread::spawn(move || std::fs::read_to_string(other));
        let mut file = open.await.expect("there");
        file.write_all(b"hello").await.expect("room");
        drop(file);
        assert_eq!(reader.join().expect("no panic").expect("UTF-8"), "hello");

        let mut options = File::options();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        let error = options.open(&path).await.expect_err("nobody reads");
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
    });
    drop(folder);
    ledger.close();
}

#[test]
fn many_dropped_reads_lose_and_double_nothing() {
    block_on(async {
        let (mut file, mut writer) = fifo();
        let sent: Vec<u8> = (0..200_u8).cycle().take(5000).collect();
        let copy = sent.clone();
        let peer = std::thread::spawn(move || {
            for part in copy.chunks(37) {
                writer.write_all(part).expect("read");
            }
        });
        let mut seen = Vec::new();
        let mut len = 0;
        loop {
            len = len % 61 + 1;
            let mut buf = vec![0; len];
            let count = match start_and_drop(file.read(&mut buf)).await {
                Poll::Ready(count) => count.expect("readable"),
                Poll::Pending if len % 2 == 0 => {
                    turn().await;
                    continue;
                }
                Poll::Pending => file.read(&mut buf).await.expect("readable"),
            };
            if count == 0 {
                break;
            }
            seen.extend_from_slice(&buf[..count]);
        }
        assert!(seen == sent, "lost or doubled");
        peer.join().expect("no panic");
    });
}

#[test]
fn read_to_end_and_no_place() {
    block_on(async {
        let (mut file, mut writer) = fifo();
        let peer = std::thread::spawn(move || {
            for _ in 0..100 {
                writer.write_all(&[5; 1000]).expect("read");
            }
        });
        let mut read = Vec::new();
        assert_eq!(file.read_to_end(&mut read).await.expect("there"), 100_000);
        peer.join().expect("no panic");
        let error = file.seek(SeekFrom::Start(0)).await.expect_err("no place");
        assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
        let error = file.stream_position().await.expect_err("no place");
        assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
    });
}

#[test]
fn writes_to_a_full_pipe_wait() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut file = File::from(OwnedFd::from(writer));
        file.set_inline_writes(true); // not for what may wait for ever
        let mut written = 0;
        while let Poll::Ready(count) = start_and_drop(file.write(&[1; 4096])).await {
            written += count.expect("room");
        }
        // Dropped, it was asked to end; what it had written by then stays written.
        let peer = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        file.write_all(b"end").await.expect("there is room again");
        file.flush().await.expect("nothing to do");
        drop(file);
        let all = peer.join().expect("no panic").expect("readable");
        assert!(all.len() >= written + 3 && all.ends_with(b"end"), "{} bytes", all.len());
    });
    ledger.close();
}

#[test]
fn a_non_blocking_descriptor_waits_all_the_same() {
    let ledger = Ledger::open();
    block_on(async {
        let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        let mut file = File::from(OwnedFd::from(ours));
        let mut buf = [0; 16];
        assert!(start_and_drop(file.read(&mut buf)).await.is_pending());
        turn().await;
        assert!(start_and_drop(file.read(&mut buf)).await.is_pending());
        peer.write_all(b"hello").expect("room");
        let count = file.read(&mut buf).await.expect("there");
        assert_eq!(&buf[..count], b"hello");

        let echo = std::thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).map(|_| all.len())
        });
        file.write_all(&vec![3; 1 << 20]).await.expect("it is read");
        drop(file);
        assert_eq!(echo.join().expect("no panic").expect("readable"), 1 << 20);
    });
    ledger.close();
}

#[test]
fn into_parts_gives_what_is_held() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut file, mut writer) = fifo();
        assert!(start_and_drop(file.read(&mut [0; 8])).await.is_pending());
        turn().await;
        writer.write_all(b"held").expect("room");
        let mut first = [0];
        file.read_exact(&mut first).await.expect("there");
        let file = file.try_into_std().expect_err("bytes are held");
        let (mut std, held) = file.into_parts().await;
        assert_eq!((&first, &held[..]), (b"h", &b"eld"[..]));
        writer.write_all(b"!").expect("room");
        std.read_exact(&mut first).expect("there");

        let mut file = File::from_std(std);
        assert!(start_and_drop(file.read(&mut [0; 8])).await.is_pending());
        let (_std, held) = file.into_parts().await;
        assert_eq!(held, b"", "the read was ended");

        let (mut file, _writer) = fifo();
        assert!(start_and_drop(file.read(&mut [0; 8])).await.is_pending());
        file.close().await.expect("the read was ended");
    });
    ledger.close();
}

#[test]
fn dropped_with_a_read_in_flight() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut file, writer) = fifo();
        assert!(start_and_drop(file.read(&mut [0; 8])).await.is_pending());
        turn().await;
        drop(file);
        turn().await;
        drop(writer);
    });
    ledger.close();
}

#[test]
fn both_ways_at_a_time_by_polls() {
    block_on(async {
        let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut file = File::from(OwnedFd::from(ours));
        let mut buf = [0; 8];
        let pending = poll_fn(|cx| Poll::Ready(file.poll_read(cx, &mut [0; 8]).is_pending())).await;
        assert!(pending);
        file.write_all(b"out").await.expect("the read in flight is no obstacle");
        let mut got = [0; 3];
        peer.read_exact(&mut got).expect("sent");
        peer.write_all(b"in").expect("room");
        let count = file.read(&mut buf).await.expect("there");
        assert_eq!((&got, &buf[..count]), (b"out", &b"in"[..]));
    });
}

#[test]
fn devices() {
    block_on(async {
        let mut zero = File::open("/dev/zero").await.expect("there");
        let mut buf = [1; 100];
        zero.read_exact(&mut buf).await.expect("endless");
        assert_eq!(buf, [0; 100]);
        let (count, _) = zero.read_at(vec![1; 10], 5).await;
        assert_eq!(count.expect("endless"), 10);
        fs::write("/dev/null", b"gone").await.expect("endless");
        let mut null = File::options().read(true).write(true).open("/dev/null").await.expect("rw");
        assert_eq!(null.read(&mut buf).await.expect("empty"), 0);
        null.write_all(&buf).await.expect("endless");
        let full = fs::write("/dev/full", b"x").await;
        assert_eq!(kind(full), ErrorKind::StorageFull);
    });
}
