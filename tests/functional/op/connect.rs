//! `CONNECT`.

use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use ringspun::op::{Connect, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;
use socket2::{Domain, SockAddr, Socket, Type};

use super::sockets::{FullBacklog, fifo, listener, nobody, stream_socket};
use super::suite::{self, Case};
use crate::support::{Buffers, block_on};

/// A connect to a listener whose queue is full: it waits.
struct ConnectTcp {
    backlog: FullBacklog,
}

impl Case for ConnectTcp {
    type Op = Connect;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ECONNREFUSED;

    fn new(_: &Buffers) -> ConnectTcp {
        ConnectTcp { backlog: FullBacklog::new() }
    }

    fn op(&mut self) -> Submission<Connect> {
        submit(Connect::new(stream_socket(), self.backlog.address))
    }

    fn release(&mut self) {
        self.backlog.make_room();
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("there is room");
    }

    fn bad_op(&mut self) -> Submission<Connect> {
        submit(Connect::new(stream_socket(), nobody()))
    }
}

#[test]
fn ok() {
    suite::ok::<ConnectTcp>();
}

#[test]
fn error() {
    suite::error::<ConnectTcp>();
}

#[test]
fn timeout() {
    suite::timeout::<ConnectTcp>();
}

#[test]
fn cancelled() {
    suite::cancelled::<ConnectTcp>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<ConnectTcp>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<ConnectTcp>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<ConnectTcp>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<ConnectTcp>();
}

#[test]
fn refused() {
    block_on(async {
        let error = submit(Connect::new(stream_socket(), nobody())).await.expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// The peer does not answer at all; without the deadline it would be minutes.
#[test]
fn timed_out_at_a_full_backlog() {
    block_on(async {
        let backlog = FullBacklog::new();
        let socket = stream_socket();
        let connect = AsyncIoUring::current().connect(&socket, backlog.address);
        let error = connect.timeout(Duration::from_millis(20)).await.expect_err("no answer");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Ours, not the kernel's ETIMEDOUT.
        assert_eq!(error.raw_os_error(), None);
        assert_eq!(socket.owners(), 1, "the op has let go of the socket");
    });
}

#[test]
fn a_blocking_and_a_nonblocking_socket() {
    block_on(async {
        for nonblocking in [false, true] {
            let (_listener, address) = listener();
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(nonblocking).expect("a flag");
            let connect = submit(Connect::new(SharedFd::new(socket), address));
            connect.await.expect("it listens, and EINPROGRESS is never seen");
        }
    });
}

#[test]
fn twice() {
    block_on(async {
        let (_listener, address) = listener();
        let socket = stream_socket();
        submit(Connect::new(&socket, address)).await.expect("it listens");
        let error = submit(Connect::new(&socket, address)).await.expect_err("it is connected");
        assert_eq!(error.raw_os_error(), Some(libc::EISCONN));
    });
}

#[test]
fn to_a_unix_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("listener");
    let _listener = UnixListener::bind(&at).expect("a free name");
    let connect = |address: SockAddr| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        submit(Connect::new(SharedFd::new(socket), address))
    };
    block_on(async {
        connect(SockAddr::unix(&at).expect("short")).await.expect("it listens");
        let missing = SockAddr::unix(dir.path().join("missing")).expect("short");
        let error = connect(missing).await.expect_err("nothing is there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let no_socket = SockAddr::unix(fifo(dir.path())).expect("short");
        let error = connect(no_socket).await.expect_err("that is no socket");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}
