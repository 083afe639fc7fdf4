//! `AsyncWriter`, and `println!` and its kin.
//!
//! # Safety
//!
//! libc calls on descriptors that are open; standard streams are replaced in a table of this
//! thread's own.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Seek, SeekFrom, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use ringspun::op::{Read, SharedFd, submit};
use ringspun::uring::{AsyncIoUring, AsyncWriter, WriteError};

use crate::support::{
    Ledger, Pipe, block_on, full_pipe, open_fds, own_files, panic_text, socket_pair, submit_only,
    turn, until,
};

/// A number that counts how often it is written out.
struct Formatted<'a>(&'a Cell<u32>);

impl fmt::Display for Formatted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.set(self.0.get() + 1);
        write!(f, "{}", self.0.get())
    }
}

#[test]
fn to_a_pipe() {
    let ledger = Ledger::open();
    block_on(async {
        let (reader, writer) = io::pipe().expect("a pipe");
        let mut writer = AsyncWriter::new(OwnedFd::from(writer));
        let name = "world";
        writer.print(format_args!("hello, {name}: ")).await.expect("room");
        writer.print(format_args!("{:>4}|{:#x}\n", 7, 255)).await.expect("room");
        writer.print(format_args!("")).await.expect("nothing");
        drop(writer);
        assert_eq!(drain(reader), "hello, world:    7|0xff\n");
    });
    ledger.close();
}

#[test]
fn a_full_pipe_parks_the_task_and_not_the_core() {
    for blocking in [true, false] {
        let ledger = Ledger::open();
        block_on(async {
            let (reader, fd) = full_pipe();
            if !blocking {
                set_nonblocking(&fd);
            }
            let finished = Rc::new(Cell::new(false));
            let flag = Rc::clone(&finished);
            let task = ringspun::spawn(async move {
                let mut writer = AsyncWriter::new(fd);
                writer
                    .print(format_args!("{}", "x".repeat(200_000)))
                    .await
                    .expect("somebody reads");
                flag.set(true);
            });
            // The core goes on with everything else.
            for _ in 0..10 {
                ringspun::time::sleep(std::time::Duration::from_millis(1)).await;
                AsyncIoUring::current().nop().await.expect("nothing can fail");
            }
            assert!(!finished.get());
            let text = read_to_end(SharedFd::new(reader)).await;
            task.await.expect("no panic");
            assert!(finished.get());
            let written = text.iter().position(|byte| *byte != 0).expect("behind what was there");
            assert_eq!(text[written..], *"x".repeat(200_000).as_bytes());
        });
        ledger.close();
    }
}

#[test]
fn formatted_once_and_at_once() {
    block_on(async {
        let (reader, writer) = io::pipe().expect("a pipe");
        let count = Cell::new(0);
        let mut writer = AsyncWriter::new(OwnedFd::from(writer));
        let print = writer.print(format_args!("{} {}\n", Formatted(&count), "y".repeat(150_000)));
        assert_eq!(count.get(), 1, "formatted before it is awaited");
        let reader = ringspun::spawn(read_to_end(SharedFd::new(reader)));
        print.await.expect("somebody reads");
        assert_eq!(count.get(), 1, "not again for each part");
        drop(writer.print(format_args!("{}", Formatted(&count))));
        assert_eq!(count.get(), 2);
        drop(writer);
        let text = reader.await.expect("no panic");
        assert_eq!(text.len(), 150_003, "nothing is written that is not awaited");
        assert!(text.starts_with(b"1 yyy"));
    });
}

#[test]
fn an_error_says_how_much_was_written() {
    const LEN: usize = 4_000_000;
    let ledger = Ledger::open();
    block_on(async {
        let (fd, mut peer) = socket_pair();
        let task = ringspun::spawn(async move {
            let mut writer = AsyncWriter::new(fd);
            let first = writer.print(format_args!("{}", "z".repeat(LEN))).await;
            // It can be used on; nobody is there all the same.
            (first, writer.print(format_args!("again\n")).await)
        });
        until("something is written", || peer_has_bytes(&peer)).await;
        // It writes on until there is no more room, or not even that far.
        turn().await;
        peer.shutdown(Shutdown::Read).expect("it is open");
        let (first, second) = task.await.expect("no panic");
        let (first, second) = (first.expect_err("too long"), second.expect_err("nobody reads"));
        let mut read = Vec::new();
        peer.read_to_end(&mut read).expect("what came before");
        assert!(!read.is_empty() && read.len() < LEN);
        assert_eq!(first.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!((inside(&first).written(), inside(&first).total()), (read.len(), LEN));
        let broken = io::Error::from_raw_os_error(libc::EPIPE);
        assert_eq!(first.to_string(), format!("wrote {} of {LEN} bytes: {broken}", read.len()));
        let source = std::error::Error::source(inside(&first)).expect("the cause");
        assert_eq!(source.to_string(), broken.to_string());
        assert_eq!(second.to_string(), format!("wrote 0 of 6 bytes: {broken}"));
    });
    ledger.close();
}

#[test]
fn no_room_on_the_disk() {
    let full = File::options().write(true).open("/dev/full").expect("it is there");
    block_on(async {
        let mut writer = AsyncWriter::new(OwnedFd::from(full));
        let error = writer.print(format_args!("text")).await.expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((inside(&error).written(), inside(&error).total()), (0, 4));
        writer.print(format_args!("")).await.expect("nothing needs no room");
    });
}

#[test]
fn what_is_not_for_writing() {
    block_on(async {
        let mut writer = AsyncWriter::new(Pipe::new().reader);
        let error = writer.print(format_args!("text")).await.expect_err("it is for reading");
        let cause = std::error::Error::source(inside(&error)).expect("the cause");
        let cause = cause.downcast_ref::<io::Error>().expect("an errno");
        assert_eq!(cause.raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn to_a_file_at_its_cursor() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"head ").expect("room");
    let fd: OwnedFd = file.try_clone().expect("a duplicate").into();
    block_on(async {
        let mut writer = AsyncWriter::on(&AsyncIoUring::current(), fd);
        writer.print(format_args!("{} ", 1)).await.expect("room");
        // The cursor is the file's, not the writer's.
        file.write_all(b"between ").expect("room");
        writer.print(format_args!("{}", 2)).await.expect("room");
        file.seek(SeekFrom::Start(0)).expect("a place");
        writer.print(format_args!("HEAD")).await.expect("room");
    });
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).expect("a place");
    file.read_to_string(&mut text).expect("text");
    assert_eq!(text, "HEAD 1 between 2");
}

#[test]
fn to_a_registered_file() {
    let ledger = Ledger::open();
    block_on(async {
        let (reader, fd) = full_pipe();
        set_nonblocking(&fd);
        let fd = fd.try_unwrap().expect("the only owner");
        let ring = AsyncIoUring::current();
        let fixed = ring.register_files(vec![fd]).expect("room");
        let mut writer = AsyncWriter::new(fixed[0]);
        let mut print = Box::pin(writer.print(format_args!("text")));
        assert!(submit_only(&mut print).await.is_pending());
        let reader = ringspun::spawn(read_to_end(SharedFd::new(reader)));
        print.await.expect("somebody reads");
        ring.unregister_files().expect("there are some");
        assert!(reader.await.expect("no panic").ends_with(b"\0text"));
    });
    ledger.close();
}

#[test]
fn dropped_in_flight() {
    let ledger = Ledger::open();
    block_on(async {
        let (reader, fd) = full_pipe();
        let mut writer = AsyncWriter::new(&fd);
        let mut print = Box::pin(writer.print(format_args!("never")));
        assert!(submit_only(&mut print).await.is_pending());
        drop(print);
        let text = ringspun::spawn(async move {
            writer.print(format_args!("now")).await.expect("somebody reads");
            drop(writer);
        });
        turn().await;
        drop(fd);
        let found = read_to_end(SharedFd::new(reader)).await;
        text.await.expect("no panic");
        let written = found.iter().position(|byte| *byte != 0).expect("behind what was there");
        // What was dropped is there as a whole if the reader was faster than the cancel.
        let possible = [b"now".as_slice(), b"nevernow", b"nownever"];
        assert!(possible.contains(&&found[written..]), "{:?}", &found[written..]);
    });
    ledger.close();
}

#[test]
fn a_display_that_fails_is_a_panic() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    block_on(async {
        let mut writer = AsyncWriter::new(ringspun::op::stderr());
        let text = panic_text(|| drop(writer.print(format_args!("{Fails}"))));
        assert!(text.contains("a formatting trait implementation returned an error"), "{text}");
        // The writer is as before.
        writer.print(format_args!("")).await.expect("nothing");
    });
}

#[test]
fn outside_a_runtime() {
    let mut print = Box::pin(ringspun::println!("nowhere"));
    let text = panic_text(|| drop(tokio_test::task::spawn(&mut print).poll()));
    assert!(text.contains("an op was used outside a runtime"), "{text}");
}

#[test]
fn macros_to_the_standard_streams() {
    own_files();
    let [out, err] = [1, 2].map(replace_stream);
    block_on(async {
        let x = 7;
        ringspun::println!().await.expect("room");
        ringspun::println!("x = {x}").await.expect("room");
        ringspun::println!("{} {y:?}", 1, y = "two",).await.expect("room");
        ringspun::print!("{{no}} end").await.expect("room");
        ringspun::eprintln!("{x:>3}").await.expect("room");
        ringspun::eprintln!().await.expect("room");
        ringspun::eprint!("{}", "the end").await.expect("room");
    });
    close_streams();
    assert_eq!(drain(out), "\nx = 7\n1 \"two\"\n{no} end");
    assert_eq!(drain(err), "  7\n\nthe end");
}

#[test]
fn macros_format_at_once_and_write_when_awaited() {
    own_files();
    let [out, _err] = [1, 2].map(replace_stream);
    block_on(async {
        let count = Cell::new(0);
        let first = ringspun::println!("{}", Formatted(&count));
        let second = ringspun::println!("{}", Formatted(&count));
        drop(ringspun::println!("{}", Formatted(&count)));
        assert_eq!(count.get(), 3);
        second.await.expect("room");
        first.await.expect("room");
    });
    close_streams();
    assert_eq!(drain(out), "2\n1\n");
}

#[test]
fn macros_do_not_mix_their_lines() {
    own_files();
    let [out, _err] = [1, 2].map(replace_stream);
    block_on(async {
        let line =
            |n: usize| async move { ringspun::println!("{}", n.to_string().repeat(100)).await };
        let tasks: Vec<_> = (0..10).map(|n| ringspun::spawn(line(n))).collect();
        for task in tasks {
            task.await.expect("no panic").expect("room");
        }
    });
    close_streams();
    let text = drain(out);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let expected: Vec<String> = (0..10).map(|n: usize| n.to_string().repeat(100)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_macro_on_a_closed_pipe_is_an_error() {
    own_files();
    let before = open_fds();
    let [out, _err] = [1, 2].map(replace_stream);
    drop(out);
    block_on(async {
        let error = ringspun::println!("{}", "text").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(inside(&error).total(), 5);
    });
    assert_eq!(open_fds(), before + 1, "the read end that stands for standard error");
}

fn inside(error: &io::Error) -> &WriteError {
    let inside = error.get_ref().expect("more than a code");
    inside.downcast_ref::<WriteError>().expect("how much was written")
}

/// All that comes, through the ring.
async fn read_to_end(reader: SharedFd) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        let op = Read::new(&reader, Vec::with_capacity(10_000), Read::CURSOR);
        let (result, part) = submit(op).await;
        if result.expect("a pipe") == 0 {
            break text;
        }
        text.extend(part);
    }
}

/// All that is in the pipe, whose writers are gone.
fn drain(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    text
}

/// Whether something waits to be read.
fn peer_has_bytes(peer: &UnixStream) -> bool {
    let mut count: libc::c_int = 0;
    // SAFETY: the call writes one integer to a place that is alive.
    let answer = unsafe { libc::ioctl(peer.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    count > 0
}

fn set_nonblocking(fd: &SharedFd) {
    // SAFETY: setting flags touches no memory.
    let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
}

/// Puts a pipe in place of a standard stream of this thread; its table is its own.
fn replace_stream(number: i32) -> PipeReader {
    let (reader, writer) = io::pipe().expect("a pipe");
    // SAFETY: both are open; what stood there is open elsewhere.
    let answer = unsafe { libc::dup2(writer.as_raw_fd(), number) };
    assert_eq!(answer, number, "{}", io::Error::last_os_error());
    reader
}

/// Ends the pipes that [`replace_stream`] made.
fn close_streams() {
    let null = File::options().write(true).open("/dev/null").expect("it is there");
    for number in [1, 2] {
        // SAFETY: both are open.
        let answer = unsafe { libc::dup2(null.as_raw_fd(), number) };
        assert_eq!(answer, number, "{}", io::Error::last_os_error());
    }
}
