//! Pipes, anonymous and named.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Waker};
use std::time::Duration;

use ringspun::pipe::{OpenOptions, Receiver, Sender, pipe};

use crate::support::{Ledger, block_on, turn};

/// Polls once and drops: what a `select!` does that another branch has won.
fn poll_and_drop<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "nothing was to be there yet");
}

struct Fifo(tempfile::TempDir);

impl Fifo {
    fn new() -> Fifo {
        let dir = tempfile::tempdir().expect("a folder");
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("fifo")).status();
        assert!(made.expect("mkfifo").success());
        Fifo(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("fifo")
    }
}

/// What std has: blocking ends of the same kind.
fn with_std_writer() -> (Receiver, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    (Receiver::from_owned_fd(OwnedFd::from(reader)).expect("a pipe"), writer)
}

#[test]
fn through_and_the_end() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut sender, mut receiver) = pipe().expect("a pipe");
        sender.write_all(b"one").await.expect("room");
        let mut buf = [0; 16];
        assert_eq!(receiver.read(&mut buf).await.expect("bytes"), 3);
        assert_eq!(&buf[..3], b"one");
        drop(sender);
        assert_eq!(receiver.read(&mut buf).await.expect("the end"), 0);
        assert_eq!(receiver.read(&mut buf).await.expect("the end, again"), 0);
    });
    ledger.close();
}

#[test]
fn a_dropped_read_loses_nothing() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut receiver, mut writer) = with_std_writer();
        for round in 0..20_u8 {
            poll_and_drop(receiver.read(&mut [0; 16]));
            turn().await;
            writer.write_all(&[round; 4]).expect("room");
            let mut buf = [0; 4];
            receiver.read_exact(&mut buf).await.expect("bytes");
            assert_eq!(buf, [round; 4]);
        }
    });
    ledger.close();
}

#[test]
fn a_dropped_write_has_written_nothing() {
    block_on(async {
        let (mut sender, mut receiver) = pipe().expect("a pipe");
        let mut filled = 0;
        while let Ok(count) = sender.try_write(&[1; 4096]) {
            filled += count;
        }
        // Under chaos there may be room still.
        let more = ringspun::time::timeout(Duration::from_millis(5), sender.write(&[2; 4096]));
        let written = more.await.map_or(0, |count| count.expect("room"));
        drop(sender);
        let mut all = Vec::new();
        receiver.read_to_end(&mut all).await.expect("bytes");
        assert_eq!(all.len(), filled + written);
    });
}

#[test]
fn more_than_a_pipe_holds() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut sender, mut receiver) = pipe().expect("a pipe");
        let sent: Vec<u8> = (0..1 << 20).map(|index: u32| ((index * 31) >> 3) as u8).collect();
        let text = sent.clone();
        let task = ringspun::spawn(async move { sender.write_all(&text).await });
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).await.expect("bytes");
        task.await.expect("no panic").expect("it is read");
        assert!(received == sent);
    });
    ledger.close();
}

#[test]
fn nobody_reads() {
    block_on(async {
        let (mut sender, receiver) = pipe().expect("a pipe");
        drop(receiver);
        let error = sender.write_all(b"lost").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        // A write that waits for room hears of it too.
        let (mut sender, receiver) = pipe().expect("a pipe");
        let task = ringspun::spawn(async move { sender.write_all(&[0; 1 << 20]).await });
        ringspun::time::sleep(Duration::from_millis(5)).await;
        drop(receiver);
        let error = task.await.expect("no panic").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn writers_of_a_fifo_come_and_go() {
    let fifo = Fifo::new();
    let ledger = Ledger::open();
    block_on(async {
        let mut receiver = OpenOptions::new().open_receiver(fifo.path()).expect("a fifo");
        let mut buf = [0; 16];
        // There was no writer yet: that is not the end.
        let early = ringspun::time::timeout(Duration::from_millis(5), receiver.read(&mut buf));
        assert!(early.await.is_err());
        for word in ["first", "second"] {
            let mut sender =
                OpenOptions::new().open_sender(fifo.path()).expect("a reader is there");
            sender.write_all(word.as_bytes()).await.expect("room");
            assert_eq!(receiver.read(&mut buf).await.expect("bytes"), word.len());
            assert_eq!(&buf[..word.len()], word.as_bytes());
            drop(sender);
            assert_eq!(receiver.read(&mut buf).await.expect("the writer went"), 0);
        }
    });
    ledger.close();
}

#[test]
fn a_writer_comes_while_one_reads() {
    let fifo = Fifo::new();
    block_on(async {
        let receiver = OpenOptions::new().open_receiver(fifo.path()).expect("a fifo");
        let path = fifo.path();
        let task = ringspun::spawn(async move {
            ringspun::time::sleep(Duration::from_millis(5)).await;
            let sender = OpenOptions::new().open_sender(path).expect("a reader is there");
            sender.send(b"late".to_vec()).await.0
        });
        let (count, buf) = receiver.recv(Vec::with_capacity(16)).await;
        assert_eq!(count.expect("bytes"), buf.len());
        assert_eq!(buf[..], b"late"[..buf.len()]);
        assert_eq!(task.await.expect("no panic").expect("room"), 4);
    });
}

#[test]
fn a_fifo_without_a_reader() {
    let fifo = Fifo::new();
    let error = OpenOptions::new().open_sender(fifo.path()).expect_err("nobody reads");
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
    block_on(async {
        let mut sender =
            OpenOptions::new().read_write(true).open_sender(fifo.path()).expect("it reads itself");
        sender.write_all(b"kept").await.expect("room");
        let mut receiver =
            OpenOptions::new().read_write(true).open_receiver(fifo.path()).expect("a fifo");
        drop(sender);
        let mut buf = [0; 4];
        receiver.read_exact(&mut buf).await.expect("bytes");
        assert_eq!(&buf, b"kept");
        let end = ringspun::time::timeout(Duration::from_millis(5), receiver.read(&mut buf));
        assert!(end.await.is_err(), "it is a writer itself");
    });
}

#[test]
fn what_is_no_pipe() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = OpenOptions::new().open_receiver(file.path()).expect_err("a file");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let error = Sender::from_file(File::create(file.path()).expect("a file")).expect_err("a file");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let (reader, writer) = io::pipe().expect("a pipe");
    let error = Sender::from_owned_fd(OwnedFd::from(reader)).expect_err("the other end");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let error = Receiver::from_owned_fd(OwnedFd::from(writer)).expect_err("the other end");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(OpenOptions::new().unchecked(true).open_receiver(file.path()).is_ok());
}

#[test]
fn try_functions_and_readiness() {
    block_on(async {
        let (sender, receiver) = pipe().expect("a pipe");
        let mut buf = [0; 8];
        let error = receiver.try_read(&mut buf).expect_err("nothing is there");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        sender.writable().await.expect("room");
        let (sent, _) = sender.send(b"ready".to_vec()).await;
        assert_eq!(sent.expect("room"), 5);
        let count = loop {
            receiver.readable().await.expect("bytes");
            match receiver.try_read(&mut buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => break read.expect("bytes"),
            }
        };
        assert_eq!(&buf[..count], b"ready");
    });
}

#[test]
fn given_away_blocking() {
    let ledger = Ledger::open();
    block_on(async {
        let (sender, receiver) = pipe().expect("a pipe");
        let writer = sender.into_blocking_fd().expect("nobody else has it");
        let reader = receiver.into_blocking_fd().expect("nothing is held");
        assert!(!is_nonblocking(&writer) && !is_nonblocking(&reader));
        let mut writer = File::from(writer);
        writer.write_all(b"std").expect("room");
        drop(writer);
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).expect("bytes");
        assert_eq!(text, "std");

        let (sender, _receiver) = pipe().expect("a pipe");
        assert!(is_nonblocking(&sender.into_nonblocking_fd().expect("nobody else has it")));
    });
    ledger.close();
}

#[test]
fn given_away_while_bytes_are_held() {
    block_on(async {
        let (mut receiver, mut writer) = with_std_writer();
        writer.write_all(b"held").expect("room");
        // A part is read and given back: that is held here, and not in the pipe.
        let all = ringspun::time::timeout(Duration::from_millis(20), async {
            receiver.read_exact(&mut [0; 8]).await
        });
        assert!(all.await.is_err());
        let error = receiver.into_blocking_fd().expect_err("bytes are held");
        let receiver = error.into_receiver().expect("it is whole");
        let (fd, bytes) = receiver.into_parts().expect("nobody else has it");
        assert_eq!(bytes, b"held");
        drop(fd);
    });
}

#[test]
fn between_two_children() {
    block_on(async {
        let (sender, receiver) = pipe().expect("a pipe");
        let stdout = Stdio::try_from(sender).expect("nobody else has it");
        let stdin = Stdio::try_from(receiver).expect("nothing is held");
        let mut echo = ringspun::process::Command::new("echo");
        let mut first = echo.arg("across").stdout(stdout).spawn().expect("echo");
        drop(echo);
        let output = ringspun::process::Command::new("cat").stdin(stdin).output().await;
        assert_eq!(output.expect("cat").stdout, b"across\n");
        assert!(first.wait().await.expect("it ends").success());
    });
}

fn is_nonblocking(fd: &OwnedFd) -> bool {
    let info = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", fd.as_raw_fd()));
    let info = info.expect("it is open");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("procfs");
    let flags = i32::from_str_radix(flags.trim(), 8).expect("octal");
    flags & libc::O_NONBLOCK != 0
}
