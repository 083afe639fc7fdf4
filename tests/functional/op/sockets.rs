//! Sockets and other descriptors that the ops' tests work on.
//!
//! # Safety
//!
//! System calls that take numbers and give a descriptor, or a state.

#![allow(unsafe_code)]

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringspun::op::SharedFd;
use socket2::{Domain, Socket, Type};

/// A listener on the loopback interface, as ops take it, and where it is.
pub(crate) fn listener() -> (SharedFd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (SharedFd::new(listener), address)
}

/// A TCP socket that is not connected.
pub(crate) fn stream_socket() -> SharedFd {
    SharedFd::new(Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket"))
}

/// An address of this machine at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    listener().1
}

/// Two ends of a TCP connection.
pub(crate) fn tcp_pair() -> (SharedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let ours = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (peer, _) = listener.accept().expect("it is there");
    (SharedFd::new(ours), peer)
}

/// A listener whose queue is full: the kernel does not answer who knocks, so a connect waits.
pub(crate) struct FullBacklog {
    listener: Socket,
    pub(crate) address: SocketAddr,
    inside: Vec<TcpStream>,
}

impl FullBacklog {
    pub(crate) fn new() -> FullBacklog {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).expect("a free port");
        // A backlog of 0 has room for one.
        listener.listen(0).expect("bound");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        let filler = TcpStream::connect(address).expect("room for one");
        FullBacklog { listener, address, inside: vec![filler] }
    }

    /// Takes all that wait: there is room again. Who knocked before is heard when his kernel
    /// knocks again, after about a second.
    pub(crate) fn make_room(&mut self) {
        self.listener.set_nonblocking(true).expect("a flag");
        while let Ok((stream, _)) = self.listener.accept() {
            self.inside.push(stream.into());
        }
        self.listener.set_nonblocking(false).expect("a flag");
    }
}

/// Two connected stream sockets, of which ours takes no more: a send waits until the peer reads.
pub(crate) fn full_pair() -> (SharedFd, UnixStream) {
    let (mut ours, peer) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a flag");
    while ours.write(&[0; 4096]).is_ok() {}
    ours.set_nonblocking(false).expect("a flag");
    (SharedFd::new(ours), peer)
}

/// Two ends of a TCP connection, of which ours takes no more.
pub(crate) fn full_tcp_pair() -> (SharedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let ours = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Small, so that what is in it fits into the peer's window as soon as that has been read.
    ours.set_send_buffer_size(4096).expect("an option");
    ours.connect(&listener.local_addr().expect("bound").into()).expect("it listens");
    let (peer, _) = listener.accept().expect("it is there");
    ours.set_nonblocking(true).expect("a flag");
    let mut stream = TcpStream::from(ours);
    let mut refusals = 0;
    // What is on its way makes room once more.
    while refusals < 5 {
        match stream.write(&[0; 4096]) {
            Ok(count) => {
                assert_ne!(count, 0);
                refusals = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                refusals += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    stream.set_nonblocking(false).expect("a flag");
    (SharedFd::new(stream), peer)
}

/// Reads all that is there, and what still comes until it ends with `end`.
pub(crate) fn read_up_to(peer: &mut TcpStream, end: &[u8]) {
    peer.set_nonblocking(true).expect("a flag");
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    let mut last = Vec::new();
    let mut quiet = 0;
    while quiet < 5 || !last.ends_with(end) {
        assert!(std::time::Instant::now() < deadline, "it never came");
        let mut buf = [0; 1 << 16];
        match peer.read(&mut buf) {
            Ok(0) => panic!("the end of the stream"),
            Ok(count) => {
                quiet = 0;
                last.extend_from_slice(&buf[..count]);
                last.drain(..last.len().saturating_sub(end.len()));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                quiet += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    peer.set_nonblocking(false).expect("a flag");
}

/// Whether the descriptor is closed when a program is started.
pub(crate) fn is_closed_on_exec(fd: &impl AsRawFd) -> bool {
    // SAFETY: no pointers are passed.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
    assert!(flags >= 0, "F_GETFD: {}", std::io::Error::last_os_error());
    flags & libc::FD_CLOEXEC != 0
}

/// Sets an option of a socket that is a number.
pub(crate) fn set_option(fd: &impl AsRawFd, level: i32, name: i32, value: i32) {
    let len = size_of::<i32>() as libc::socklen_t;
    let at = (&raw const value).cast();
    // SAFETY: `value` is read meanwhile, and is as long as that.
    let answer = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, at, len) };
    assert_eq!(answer, 0, "setsockopt: {}", std::io::Error::last_os_error());
}

/// Reads all that is there and does not wait for more.
pub(crate) fn drain(peer: &mut UnixStream) -> Vec<u8> {
    peer.set_nonblocking(true).expect("a flag");
    let mut all = Vec::new();
    let end = peer.read_to_end(&mut all);
    peer.set_nonblocking(false).expect("a flag");
    if let Err(error) = end {
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    }
    all
}

/// True if the peer has closed: its end or a reset, but no bytes, and not silence.
pub(crate) fn is_closed_by_peer(client: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("an option");
    match client.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// A new epoll.
pub(crate) fn epoll() -> SharedFd {
    // SAFETY: makes a descriptor and touches no memory.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(fd >= 0, "epoll_create1: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is new and nobody else's.
    SharedFd::new(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Registers `fd` for nothing yet.
pub(crate) fn epoll_add(epoll: &SharedFd, fd: &SharedFd) {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let (epoll, fd) = (epoll.as_raw_fd(), fd.as_raw_fd());
    // SAFETY: `event` is only read, and only meanwhile.
    let answer = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    assert_eq!(answer, 0, "epoll_ctl: {}", std::io::Error::last_os_error());
}

/// What the epoll has to report now: events and data.
pub(crate) fn epoll_events(epoll: &SharedFd) -> Vec<(u32, u64)> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
    let (at, max) = (events.as_mut_ptr(), events.len() as i32);
    // SAFETY: `events` has room for as many.
    let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), at, max, 0) };
    let count = usize::try_from(count).expect("an epoll");
    events[..count].iter().map(|event| (event.events, event.u64)).collect()
}

/// How SIGPIPE is treated: true if it does not kill.
pub(crate) fn sigpipe_is_ignored() -> bool {
    // SAFETY: a signal set and numbers: all zero is a value of it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with no new action it only writes the old one to `action`.
    let answer = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) };
    assert_eq!(answer, 0);
    action.sa_sigaction == libc::SIG_IGN
}

/// A FIFO in `dir`: opening it waits, in a kernel worker, for somebody at the other end.
pub(crate) fn fifo(dir: &std::path::Path) -> std::path::PathBuf {
    let path = dir.join("fifo");
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL");
    // SAFETY: `name` ends with NUL.
    let answer = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    assert_eq!(answer, 0, "mkfifo: {}", std::io::Error::last_os_error());
    path
}

/// Polls once, from where nobody can await; nobody is woken.
pub(crate) fn poll_now<F: Future + Unpin>(op: &mut F) -> Poll<F::Output> {
    Pin::new(op).poll(&mut Context::from_waker(Waker::noop()))
}
