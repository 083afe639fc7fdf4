//! Unix streams and listeners.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use ringspun::io::{Interest, Ready};
use ringspun::net::unix::SocketAddr;
use ringspun::net::{UnixListener, UnixSocket, UnixStream};

use super::{insist, poll_and_drop};
use crate::support::{Ledger, block_on, open_fds, runtime, turn, until};

/// Two ends, the far one std's: nothing but what is tested goes through the ring.
fn with_std() -> (UnixStream, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    (UnixStream::from_std(ours).expect("a stream"), theirs)
}

/// A name that nobody else has.
fn abstract_name(what: &str) -> String {
    format!("\0ringspun-{what}-{}", std::process::id())
}

/// What can be read through the descriptor of a pipe.
fn through(reader: OwnedFd) -> String {
    let mut text = String::new();
    std::io::PipeReader::from(reader).read_to_string(&mut text).expect("a pipe");
    text
}

/// A pipe with a text in it, closed behind.
fn pipe_with(text: &str) -> io::PipeReader {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(text.as_bytes()).expect("room");
    reader
}

#[test]
fn there_and_back() {
    let ledger = Ledger::open();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    block_on(async {
        let listener = UnixListener::bind(&path).expect("a new name");
        assert_eq!(listener.local_addr().expect("bound").as_pathname(), Some(&*path));
        let error = UnixListener::bind(&path).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let mut ours = UnixStream::connect(&path).await.expect("a listener");
        assert_eq!(ours.peer_addr().expect("connected").as_pathname(), Some(&*path));
        assert!(ours.local_addr().expect("a socket").is_unnamed());
        let (mut theirs, from) = listener.accept().await.expect("a connection");
        assert!(from.is_unnamed());
        ours.write_all(b"ping").await.expect("room");
        ours.shutdown().await.expect("connected");
        let mut text = String::new();
        assert_eq!(theirs.read_to_string(&mut text).await.expect("bytes"), 4);
        theirs.write_all(b"pong").await.expect("room");
        drop(theirs);
        assert_eq!(ours.read_to_string(&mut text).await.expect("bytes"), 4);
        assert_eq!(text, "pingpong");
    });
    drop(dir);
    ledger.close();
}

#[test]
fn nobody_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    block_on(async {
        let error = UnixStream::connect(&path).await.expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("socket"), "{error}");
        drop(UnixListener::bind(&path).expect("a new name"));
        turn().await;
        let error = UnixStream::connect(&path).await.expect_err("a file that is left");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = UnixStream::connect("a\0b").await.expect_err("no path");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = UnixListener::bind("x".repeat(200)).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn abstract_names() {
    block_on(async {
        let name = abstract_name("stream");
        let listener = UnixListener::bind(&name).expect("a new name");
        let address = listener.local_addr().expect("bound");
        assert_eq!(address.as_abstract_name(), Some(&name.as_bytes()[1..]));
        let ours = UnixStream::connect(&name).await.expect("a listener");
        let peer = ours.peer_addr().expect("connected");
        assert_eq!(peer.as_abstract_name(), address.as_abstract_name());
        listener.accept().await.expect("the connection");
        let same = SocketAddr::from_abstract_name(&name[1..]).expect("short");
        let again = UnixStream::connect_addr(&same).await.expect("a listener");
        let (theirs, _) = listener.accept().await.expect("the connection");
        drop((again, theirs, listener));
        turn().await;
        UnixListener::bind_addr(&same).expect("it has gone with the listener");
    });
}

#[test]
fn a_socket_set_up_by_hand() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    block_on(async {
        let socket = UnixSocket::new_stream().expect("a socket");
        socket.bind(&one).expect("a new name");
        let listener = socket.listen(8).expect("a stream socket");
        let socket = UnixSocket::new_stream().expect("a socket");
        socket.bind(&other).expect("a new name");
        let _ours = socket.connect(&one).await.expect("a listener");
        let (_theirs, from) = listener.accept().await.expect("a connection");
        assert_eq!(from.as_pathname(), Some(&*other));
        let wrong = UnixSocket::new_datagram().expect("a socket").listen(8);
        assert_eq!(wrong.expect_err("datagrams").kind(), io::ErrorKind::InvalidInput);
        let wrong = UnixSocket::new_stream().expect("a socket").datagram();
        assert_eq!(wrong.expect_err("a stream").kind(), io::ErrorKind::InvalidInput);
        UnixSocket::new_datagram().expect("a socket").datagram().expect("datagrams");
    });
}

#[test]
fn who_is_there() {
    block_on(async {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let peer = ours.peer_cred().expect("a Unix socket");
        assert_eq!(peer.pid(), i32::try_from(std::process::id()).ok());
        let file = std::fs::metadata("/proc/self").expect("procfs");
        assert_eq!(peer.uid(), std::os::unix::fs::MetadataExt::uid(&file));
        assert_eq!(peer.gid(), std::os::unix::fs::MetadataExt::gid(&file));
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    block_on(async {
        let listener = UnixListener::bind(&path).expect("a new name");
        poll_and_drop(listener.accept());
        turn().await;
        let mut peer = std::os::unix::net::UnixStream::connect(&path).expect("a listener");
        turn().await;
        let (mut ours, _) = listener.accept().await.expect("the connection");
        peer.write_all(b"x").expect("room");
        assert_eq!(ours.read(&mut [0; 8]).await.expect("a byte"), 1);
    });
}

#[test]
fn to_std_and_back() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut ours, mut theirs) = with_std();
        poll_and_drop(ours.read(&mut [0; 8]));
        turn().await;
        let std = ours.into_std().expect("nothing is held");
        let error = (&std).read(&mut [0; 8]).expect_err("non-blocking");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        ours = UnixStream::try_from(std).expect("a stream");
        poll_and_drop(ours.recv(Vec::with_capacity(8)));
        turn().await;
        theirs.write_all(b"held").expect("room");
        turn().await;
        match ours.into_std() {
            // The receive had not taken them yet (chaos).
            Ok(mut std) => assert_eq!(std.read(&mut [0; 8]).expect("bytes"), 4),
            Err(error) => {
                let ours = error.into_stream().expect("whole");
                let (_std, bytes) = ours.into_parts().expect("descriptors");
                assert_eq!(bytes, b"held");
            }
        }
        let name = abstract_name("to-std");
        let listener = UnixListener::bind(&name).expect("a new name");
        poll_and_drop(listener.accept());
        let listener = listener.into_std().expect("a socket");
        let error = listener.accept().expect_err("non-blocking");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        UnixListener::try_from(listener).expect("a listener");
    });
    ledger.close();
}

#[test]
fn descriptors_travel() {
    let ledger = Ledger::open();
    block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let (one, two) = (pipe_with("one"), pipe_with("two"));
        let sent = ours.send_with_fds(b"two pipes", &[one.as_fd(), two.as_fd()]).await;
        assert_eq!(sent.expect("room"), 9);
        drop((one, two));
        let mut buf = [0; 64];
        let (count, fds) = theirs.recv_with_fds(&mut buf).await.expect("a message");
        assert_eq!((&buf[..count], fds.len()), (&b"two pipes"[..], 2));
        let texts: Vec<String> = fds.into_iter().map(through).collect();
        assert_eq!(texts, ["one", "two"]);
        // Without any, and the end.
        ours.send_with_fds(b"plain", &[]).await.expect("room");
        let (count, fds) = theirs.recv_with_fds(&mut buf).await.expect("bytes");
        assert_eq!((count, fds.len()), (5, 0));
        drop(ours);
        for _ in 0..2 {
            let (count, fds) = theirs.recv_with_fds(&mut buf).await.expect("the end");
            assert_eq!((count, fds.len()), (0, 0));
        }
    });
    ledger.close();
}

#[test]
fn descriptors_are_closed_on_exec() {
    block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.send_with_fds(b"x", &[pipe_with("").as_fd()]).await.expect("room");
        let (_, fds) = theirs.recv_with_fds(&mut [0; 8]).await.expect("a message");
        let number = std::os::fd::AsRawFd::as_raw_fd(&fds[0]);
        let info = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{number}"));
        let info = info.expect("procfs");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        let flags = i32::from_str_radix(flags.trim(), 8).expect("a number");
        assert_ne!(flags & libc::O_CLOEXEC, 0);
    });
}

#[test]
fn descriptors_after_dropped_receives() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let mut buf = [0; 64];
        for round in 0..20 {
            poll_and_drop(ours.recv_with_fds(&mut buf));
            if round % 2 == 0 {
                turn().await;
            }
            let text = format!("{round}");
            let fd = pipe_with(&text);
            theirs.send_with_fds(b"x", &[fd.as_fd()]).await.expect("room");
            if round % 3 == 0 {
                turn().await;
            }
            let (count, mut fds) = ours.recv_with_fds(&mut buf).await.expect("a message");
            assert_eq!((count, fds.len()), (1, 1), "round {round}");
            assert_eq!(through(fds.remove(0)), text);
        }
        // A read that was dropped is ended by it, and its bytes come first.
        poll_and_drop(ours.read(&mut buf));
        turn().await;
        poll_and_drop(ours.recv_with_fds(&mut buf));
        theirs.send_with_fds(b"y", &[pipe_with("kept").as_fd()]).await.expect("room");
        let (count, mut fds) = ours.recv_with_fds(&mut buf).await.expect("a message");
        assert_eq!((count, fds.len()), (1, 1));
        assert_eq!(through(fds.remove(0)), "kept");
        poll_and_drop(ours.recv(Vec::with_capacity(8)));
        turn().await;
        theirs.send_with_fds(b"held", &[]).await.expect("room");
        turn().await;
        theirs.send_with_fds(b"z", &[pipe_with("behind").as_fd()]).await.expect("room");
        // In one call or in two, by whether the receive had taken the first.
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        while bytes.len() < 5 {
            let (count, came) = ours.recv_with_fds(&mut buf).await.expect("bytes");
            bytes.extend_from_slice(&buf[..count]);
            fds.extend(came);
        }
        assert_eq!((&bytes[..], fds.len()), (&b"heldz"[..], 1));
    });
    ledger.close();
}

#[test]
fn descriptors_that_nobody_takes() {
    let ledger = Ledger::open();
    block_on(async {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let before = open_fds();
        let fd = pipe_with("lost");
        theirs.send_with_fds(b"abc", &[fd.as_fd()]).await.expect("room");
        let mut buf = [0; 64];
        // A plain read takes the bytes, and the kernel closes what came with them.
        assert_eq!(ours.read(&mut buf).await.expect("bytes"), 3);
        theirs.send_with_fds(b"abc", &[fd.as_fd()]).await.expect("room");
        drop(ours.recv_with_fds(&mut buf).await.expect("a message"));
        drop(fd);
        assert_eq!(open_fds(), before);
        // In flight when both ends go.
        theirs.send_with_fds(b"abc", &[pipe_with("lost").as_fd()]).await.expect("room");
    });
    ledger.close();
}

#[test]
fn descriptors_that_cannot_be_sent() {
    block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let fd = pipe_with("");
        let error = ours.send_with_fds(b"", &[fd.as_fd()]).await.expect_err("no byte");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let many: Vec<BorrowedFd<'_>> = (0..254).map(|_| fd.as_fd()).collect();
        let error = ours.send_with_fds(b"x", &many).await.expect_err("too many");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        ours.send_with_fds(b"x", &many[..253]).await.expect("as many as can be");
        let (count, fds) = theirs.recv_with_fds(&mut [0; 8]).await.expect("a message");
        assert_eq!((count, fds.len()), (1, 253));
    });
}

/// In a process of its own: the limit is the whole process's.
#[test]
fn no_room_for_descriptors() {
    const CHILD: &str = "RINGSPUN_NO_ROOM_FOR_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let output = std::process::Command::new(std::env::current_exe().expect("this"))
            .args(["--exact", "net::unix::no_room_for_descriptors", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .expect("a child");
        let text = String::from_utf8_lossy(&output.stderr);
        return assert!(output.status.success(), "{text}");
    }
    block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let fd = pipe_with("");
        ours.send_with_fds(b"abc", &[fd.as_fd(); 8]).await.expect("room");
        ours.send_with_fds(b"def", &[fd.as_fd(); 1]).await.expect("room");
        let before = open_fds();
        let highest = std::os::fd::AsRawFd::as_raw_fd(&fd);
        let allowed = limit_files(u64::try_from(highest).expect("a number") + 5);
        let error = theirs.recv_with_fds(&mut [0; 8]).await.expect_err("no room");
        limit_files(allowed);
        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
        assert_eq!(open_fds(), before, "those that came are closed");
        let (count, fds) = theirs.recv_with_fds(&mut [0; 8]).await.expect("the next");
        assert_eq!((count, fds.len()), (3, 1));
    });
}

/// Sets how many files the process may have open, and answers how many it was.
#[allow(unsafe_code)]
fn limit_files(limit: u64) -> u64 {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the structure.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) }, 0);
    let before = std::mem::replace(&mut limits.rlim_cur, limit);
    // SAFETY: the kernel reads the structure.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) }, 0);
    before
}

#[test]
fn ready_for_what() {
    block_on(async {
        let (ours, mut theirs) = with_std();
        let both = Interest::READABLE | Interest::WRITABLE;
        let found = ours.ready(both).await.expect("room");
        assert_eq!(found, Ready::WRITABLE);
        poll_and_drop(ours.ready(Interest::READABLE));
        theirs.write_all(b"x").expect("room");
        assert!(ours.ready(Interest::READABLE).await.expect("a byte").is_readable());
        std::future::poll_fn(|cx| ours.poll_read_ready(cx)).await.expect("a byte");
        std::future::poll_fn(|cx| ours.poll_write_ready(cx)).await.expect("room");
        let mut buf = [0; 8];
        assert_eq!(insist(|| ours.try_read(&mut buf)).await.expect("a byte"), 1);
        drop(theirs);
        let found = ours.ready(both).await.expect("the end");
        assert!(found.is_readable() || found.is_writable(), "{found:?}");
        let found = ours.ready(Interest::READABLE).await.expect("the end");
        assert!(found.is_read_closed(), "{found:?}");
    });
}

#[test]
fn write_ready_when_there_is_room_again() {
    block_on(async {
        let (ours, mut theirs) = with_std();
        let mut written = 0;
        // Full for good, not for a moment.
        let mut refused = 0;
        while refused < 8 {
            match ours.try_write(&[7; 4096]) {
                Ok(count) => (written, refused) = (written + count, 0),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    refused += 1;
                }
            }
        }
        poll_and_drop(std::future::poll_fn(|cx| ours.poll_write_ready(cx)));
        poll_and_drop(ours.ready(Interest::WRITABLE));
        let mut all = vec![0; written];
        theirs.read_exact(&mut all).expect("bytes");
        std::future::poll_fn(|cx| ours.poll_write_ready(cx)).await.expect("room");
        assert_eq!(ours.ready(Interest::WRITABLE).await.expect("room"), Ready::WRITABLE);
        assert!(insist(|| ours.try_write(b"x")).await.expect("room") > 0);
    });
}

#[test]
fn a_call_of_ones_own() {
    block_on(async {
        let (mut ours, mut theirs) = with_std();
        let duplicate = ours.as_fd().try_clone_to_owned().expect("a descriptor");
        let own = std::os::unix::net::UnixStream::from(duplicate);
        own.set_nonblocking(true).expect("a socket");
        poll_and_drop(ours.read(&mut [0; 8]));
        turn().await;
        let mut buf = [0; 8];
        let tried = ours.try_io(Interest::READABLE, || (&own).read(&mut buf));
        assert_eq!(tried.expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
        theirs.write_all(b"abc").expect("room");
        let read = ours.async_io(Interest::READABLE, || (&own).read(&mut buf)).await;
        assert_eq!(read.expect("bytes"), 3, "the dropped read was ended first");
        // Bytes that were received already would be overtaken.
        poll_and_drop(ours.recv(Vec::with_capacity(8)));
        turn().await;
        theirs.write_all(b"held").expect("room");
        turn().await;
        match ours.try_io(Interest::READABLE, || (&own).read(&mut buf)) {
            // The receive had not taken them yet (chaos).
            Ok(count) => assert_eq!(count, 4),
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::WouldBlock);
                ours.read_exact(&mut buf[..4]).await.expect("bytes");
            }
        }
        assert_eq!(&buf[..4], b"held");
        let wrote = ours.try_io(Interest::WRITABLE, || (&own).write(b"x"));
        assert_eq!(wrote.expect("room"), 1);
    });
}

#[test]
fn kept_beyond_its_runtime() {
    let ledger = Ledger::open();
    let first = runtime();
    let (listener, ours) = first.block_on(async {
        let listener = UnixListener::bind(abstract_name("kept")).expect("a new name");
        poll_and_drop(listener.accept());
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        poll_and_drop(ours.recv_with_fds(&mut [0; 8]));
        turn().await;
        (listener, ours)
    });
    drop(first);
    drop((listener, ours));
    ledger.close();
}

#[test]
fn dropped_while_somebody_had_waited() {
    let ledger = Ledger::open();
    block_on(async {
        let before = open_fds();
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let listener = UnixListener::bind(abstract_name("dropped")).expect("a new name");
        poll_and_drop(listener.accept());
        poll_and_drop(ours.read(&mut [0; 8]));
        poll_and_drop(theirs.recv_with_fds(&mut [0; 8]));
        turn().await;
        drop((ours, theirs, listener));
        until("all are closed", || open_fds() == before).await;
    });
    ledger.close();
}

#[test]
fn halves_have_names_too() {
    block_on(async {
        let name = abstract_name("halves");
        let listener = UnixListener::bind(&name).expect("a new name");
        let ours = UnixStream::connect(Path::new(&name)).await.expect("a listener");
        let (read, write) = ours.into_split();
        let expected = Some(&name.as_bytes()[1..]);
        assert_eq!(read.peer_addr().expect("connected").as_abstract_name(), expected);
        assert_eq!(write.peer_addr().expect("connected").as_abstract_name(), expected);
        assert!(write.ready(Interest::WRITABLE).await.expect("room").is_writable());
        let (mut theirs, _) = listener.accept().await.expect("a connection");
        write.send_with_fds(b"x", &[pipe_with("").as_fd()]).await.expect("room");
        drop(write);
        assert_eq!(theirs.recv_with_fds(&mut [0; 8]).await.expect("a message").1.len(), 1);
        assert_eq!(theirs.read(&mut [0; 8]).await.expect("the end"), 0);
        theirs.write_all(b"x").await.expect("room");
        assert!(read.ready(Interest::READABLE).await.expect("a byte").is_readable());
        assert_eq!(read.recv_with_fds(&mut [0; 8]).await.expect("a byte").0, 1);
    });
}
