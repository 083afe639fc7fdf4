//! Standard input, output and error: each in a file table of this thread's own.
//!
//! # Safety
//!
//! libc calls on descriptors that are open; standard streams are replaced in a table of this
//! thread's own.

#![allow(unsafe_code)]

use std::fs::File;
use std::future::Future;
use std::io::{self, PipeReader, PipeWriter, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use ringspun::io::{stderr, stdin, stdout};

use crate::support::{block_on, open_fds, own_files, turn};

/// Puts `fd` in place of a standard stream of this thread, whose table is its own.
fn replace(number: i32, fd: impl Into<OwnedFd>) {
    let fd = fd.into();
    // SAFETY: both are open; what stood there is open elsewhere.
    let answer = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    assert_eq!(answer, number, "{}", io::Error::last_os_error());
}

fn piped_input() -> PipeWriter {
    own_files();
    let (reader, writer) = io::pipe().expect("a pipe");
    replace(0, reader);
    writer
}

fn piped_output(number: i32) -> PipeReader {
    own_files();
    let (reader, writer) = io::pipe().expect("a pipe");
    replace(number, writer);
    reader
}

fn close(number: i32) {
    replace(number, File::options().read(true).write(true).open("/dev/null").expect("it is there"));
}

fn flags(number: i32) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(number, libc::F_GETFL) }
}

/// Polls once and drops: what a `select!` does that another branch has won.
fn poll_and_drop<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "nothing was to be there yet");
}

/// Chaos may say that memory is short, which loses nothing.
macro_rules! insist {
    ($call:expr) => {
        loop {
            match $call.await {
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {}
                answer => break answer,
            }
        }
    };
}

#[test]
fn a_pipe_to_its_end() {
    let mut writer = piped_input();
    let before = flags(0);
    block_on(async {
        writer.write_all(b"some words").expect("room");
        let mut buf = [0; 4];
        let mut read = Vec::new();
        while read.len() < 4 {
            let rest = &mut buf[..4 - read.len()];
            let count = insist!(stdin().read(rest)).expect("bytes");
            read.extend_from_slice(&rest[..count]);
        }
        assert_eq!(read, b"some");
        drop(writer);
        let mut rest = Vec::new();
        insist!(stdin().read_to_end(&mut rest)).expect("bytes");
        assert_eq!(rest, b" words");
        assert_eq!(insist!(stdin().read(&mut buf)).expect("the end"), 0);
        assert_eq!(flags(0), before, "they are others' too");
    });
}

#[test]
fn takes_no_more_than_was_asked_for() {
    let mut writer = piped_input();
    block_on(async {
        writer.write_all(b"mine, theirs").expect("room");
        drop(writer);
        let mut buf = [0; 6];
        insist!(stdin().read_exact(&mut buf)).expect("bytes");
        assert_eq!(&buf, b"mine, ");
        // A child gets the rest.
        let cat = ringspun::process::Command::new("cat").output().await.expect("cat");
        assert_eq!(cat.stdout, b"theirs");
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    let mut writer = piped_input();
    block_on(async {
        for round in 0..20_u8 {
            poll_and_drop(stdin().read(&mut [0; 64]));
            turn().await;
            writer.write_all(&[round; 3]).expect("room");
            let mut buf = [0; 3];
            insist!(stdin().read_exact(&mut buf)).expect("bytes");
            assert_eq!(buf, [round; 3]);
        }
    });
}

#[test]
fn a_dropped_read_exact_gives_back() {
    let mut writer = piped_input();
    block_on(async {
        writer.write_all(b"half").expect("room");
        for _ in 0..5 {
            let mut buf = [0; 8];
            let mut input = stdin();
            let all = ringspun::time::timeout(Duration::from_millis(3), async {
                insist!(input.read_exact(&mut buf))
            });
            assert!(all.await.is_err());
        }
        writer.write_all(b"more").expect("room");
        let mut buf = [0; 8];
        insist!(stdin().read_exact(&mut buf)).expect("bytes");
        assert_eq!(&buf, b"halfmore");
    });
}

#[test]
fn released() {
    let mut writer = piped_input();
    block_on(async {
        assert_eq!(stdin().release().await.expect("nothing is armed"), b"");
        poll_and_drop(stdin().read(&mut [0; 64]));
        turn().await;
        let mut held = insist!(stdin().release()).expect("it ends");
        assert_eq!(held, b"", "nothing came");
        writer.write_all(b"for a child").expect("room");
        turn().await;
        // What comes now is nobody's here.
        writer.flush().expect("a pipe");
        let (mut input, mut buf) = (stdin(), [0; 64]);
        let count = insist!(input.read(&mut buf)).expect("bytes");
        held.extend_from_slice(&buf[..count]);
        while held.len() < 11 {
            let count = insist!(input.read(&mut buf)).expect("bytes");
            held.extend_from_slice(&buf[..count]);
        }
        assert_eq!(held, b"for a child");

        // A read that is done and that nobody took is given.
        poll_and_drop(stdin().read(&mut [0; 64]));
        turn().await;
        writer.write_all(b"x").expect("room");
        ringspun::time::sleep(Duration::from_millis(20)).await;
        let mut given = insist!(stdin().release()).expect("it ends");
        if given.is_empty() {
            // Chaos held it back, or failed it: then it is in the pipe still.
            let count = insist!(stdin().read(&mut buf)).expect("bytes");
            given.extend_from_slice(&buf[..count]);
        }
        assert_eq!(given, b"x");
    });
}

#[test]
fn two_readers_stand_in_line() {
    let mut writer = piped_input();
    block_on(async {
        let read = || {
            ringspun::spawn(async {
                let mut buf = [0; 2];
                insist!(stdin().read_exact(&mut buf)).map(|_| buf)
            })
        };
        let (first, second) = (read(), read());
        turn().await;
        writer.write_all(b"1122").expect("room");
        assert_eq!(&first.await.expect("no panic").expect("bytes"), b"11");
        assert_eq!(&second.await.expect("no panic").expect("bytes"), b"22");
    });
}

#[test]
fn a_file_and_the_null_device() {
    own_files();
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"in a file").expect("room");
    file.rewind().expect("a file");
    replace(0, file);
    block_on(async {
        let mut text = String::new();
        insist!(stdin().read_to_string(&mut text)).expect("bytes");
        assert_eq!(text, "in a file");
        close(0);
        assert_eq!(insist!(stdin().read(&mut [0; 8])).expect("the end"), 0);
    });
}

#[test]
fn a_terminal() {
    own_files();
    // SAFETY: no memory is involved.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) };
    assert!(master >= 0);
    // SAFETY: it was just made.
    let mut master = unsafe { File::from_raw_fd(master) };
    // SAFETY: it is open.
    assert_eq!(unsafe { libc::grantpt(master.as_raw_fd()) }, 0);
    // SAFETY: it is open.
    assert_eq!(unsafe { libc::unlockpt(master.as_raw_fd()) }, 0);
    let mut name = [0; 64];
    // SAFETY: the buffer is as long as it is said.
    let named = unsafe { libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()) };
    assert_eq!(named, 0);
    let name: Vec<u8> = name.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
    let name = String::from_utf8(name).expect("ASCII");
    replace(0, File::options().read(true).write(true).open(name).expect("a terminal"));
    block_on(async {
        poll_and_drop(stdin().read(&mut [0; 64]));
        turn().await;
        assert_eq!(insist!(stdin().release()).expect("it ends"), b"");
        master.write_all(b"typed\n").expect("room");
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut buf = [0; 64];
            let count = insist!(stdin().read(&mut buf)).expect("a line");
            line.extend_from_slice(&buf[..count]);
        }
        assert_eq!(line, b"typed\n");
    });
}

#[test]
fn non_blocking_by_somebody_else() {
    let mut writer = piped_input();
    let reader = piped_output(1);
    for number in [0, 1] {
        // SAFETY: no memory is involved.
        unsafe { libc::fcntl(number, libc::F_SETFL, flags(number) | libc::O_NONBLOCK) };
    }
    block_on(async {
        poll_and_drop(stdin().read(&mut [0; 4]));
        turn().await;
        writer.write_all(b"late").expect("room");
        let mut buf = [0; 4];
        insist!(stdin().read_exact(&mut buf)).expect("bytes");
        assert_eq!(&buf, b"late");
        let all = std::thread::spawn(move || read_all(reader));
        write_insisting(&[7; 1 << 18]).await;
        close(1);
        assert_eq!(all.join().expect("no panic").len(), 1 << 18);
    });
}

#[test]
fn the_next_runtime_has_what_the_last_one_left() {
    let mut writer = piped_input();
    block_on(async {
        poll_and_drop(stdin().read(&mut [0; 8]));
        turn().await;
    });
    block_on(async {
        writer.write_all(b"kept").expect("room");
        let mut buf = [0; 4];
        insist!(stdin().read_exact(&mut buf)).expect("bytes");
        assert_eq!(&buf, b"kept");
        poll_and_drop(stdin().read(&mut [0; 8]));
        turn().await;
        writer.write_all(b"again").expect("room");
        turn().await;
    });
    block_on(async {
        let mut buf = [0; 5];
        insist!(stdin().read_exact(&mut buf)).expect("bytes");
        assert_eq!(&buf, b"again");
    });
}

fn read_all(mut reader: PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("bytes");
    all
}

/// A failure of chaos may come after a part: so in pieces that are written whole or not at all.
async fn write_insisting(bytes: &[u8]) {
    for piece in bytes.chunks(libc::PIPE_BUF) {
        insist!(stdout().write_all(piece)).expect("room");
    }
}

#[test]
fn texts_in_order() {
    let reader = piped_output(1);
    block_on(async {
        let tasks: Vec<_> = (0..20_u8)
            .map(|number| {
                ringspun::spawn(async move {
                    insist!(stdout().write_all(&[b'a' + number; 100])).expect("room");
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        insist!(stdout().flush()).expect("a pipe");
        assert_eq!(stdout().write(b"").await.expect("nothing"), 0);
    });
    close(1);
    let all = read_all(reader);
    let mut texts: Vec<_> = all.chunks(100).map(<[u8]>::to_vec).collect();
    assert!(texts.iter().all(|text| text.iter().all(|byte| *byte == text[0])));
    texts.sort_unstable();
    texts.dedup();
    assert_eq!((all.len(), texts.len()), (2000, 20));
}

#[test]
fn a_dropped_text_is_finished_first() {
    let reader = piped_output(2);
    let all = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        read_all(reader)
    });
    block_on(async {
        // More than the pipe holds: it waits for the reader.
        poll_and_drop(stderr().write_all(&[1; 1 << 18]));
        turn().await;
        let next = stderr().write_all(&[2; 1 << 18]).await;
        // Chaos may fail the one or the other.
        assert!(next.is_ok() || cfg!(feature = "chaos"));
        let _ = stderr().flush().await;
    });
    close(2);
    let all = all.join().expect("no panic");
    assert!(all.is_sorted(), "one after the other");
    assert!(all.len() == 2 << 18 || cfg!(feature = "chaos"));
}

#[test]
fn nobody_reads() {
    drop(piped_output(1));
    block_on(async {
        let error = insist!(stdout().write_all(b"lost")).expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
    close(1);
}

#[test]
fn a_file_is_appended_to() {
    own_files();
    let file = tempfile::NamedTempFile::new().expect("a file");
    replace(1, file.reopen().expect("a file"));
    block_on(async {
        for word in ["one ", "two ", "three"] {
            insist!(stdout().write_all(word.as_bytes())).expect("room");
        }
    });
    close(1);
    assert_eq!(std::fs::read_to_string(file.path()).expect("a file"), "one two three");
}

#[test]
fn no_descriptors_are_taken() {
    let _writer = piped_input();
    let before = open_fds();
    block_on(async {
        poll_and_drop(stdin().read(&mut [0; 8]));
        turn().await;
        insist!(stdin().release()).expect("it ends");
    });
    assert_eq!(open_fds(), before);
}
