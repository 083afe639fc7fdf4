//! `ACCEPT`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use ringspun::op::{Accept, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::sockets::{is_closed_by_peer, listener, stream_socket};
use super::suite::{self, Case};
use crate::support::{Buffers, Ledger, block_on, open_fds, runtime, submit_only, turn, until};

/// An accept at which nobody knocks.
struct AcceptTcp {
    listener: SharedFd,
    address: SocketAddr,
    clients: Vec<TcpStream>,
}

impl Case for AcceptTcp {
    type Op = Accept;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> AcceptTcp {
        let (listener, address) = listener();
        AcceptTcp { listener, address, clients: Vec::new() }
    }

    fn op(&mut self) -> Submission<Accept> {
        submit(Accept::new(&self.listener, 0))
    }

    fn release(&mut self) {
        self.clients.push(TcpStream::connect(self.address).expect("it listens"));
    }

    fn check(&mut self, output: io::Result<OwnedFd>) {
        let mut accepted = TcpStream::from(output.expect("a client is there"));
        accepted.write_all(b"hello").expect("connected");
        let mut bytes = [0; 5];
        self.clients[0].read_exact(&mut bytes).expect("connected");
        assert_eq!(&bytes, b"hello");
    }

    /// A socket that does not listen.
    fn bad_op(&mut self) -> Submission<Accept> {
        submit(Accept::new(stream_socket(), 0))
    }
}

#[test]
fn ok() {
    suite::ok::<AcceptTcp>();
}

#[test]
fn error() {
    suite::error::<AcceptTcp>();
}

#[test]
fn timeout() {
    suite::timeout::<AcceptTcp>();
}

#[test]
fn cancelled() {
    suite::cancelled::<AcceptTcp>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<AcceptTcp>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<AcceptTcp>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<AcceptTcp>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<AcceptTcp>();
}

/// The connection that nobody takes is closed, however late the kernel makes it.
#[test]
fn dropped_in_flight_closes_the_connection() {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (listener, address) = listener();
        let before = open_fds();
        let mut op = submit(Accept::new(&listener, 0));
        assert!(submit_only(&mut op).await.is_pending());
        // The kernel takes the connection; that it is cancelled comes too late, or not.
        let mut client = TcpStream::connect(address).expect("it listens");
        drop(op);
        turn().await;
        // Not taken: it still waits in the queue of the listener.
        let next = submit(Accept::new(&listener, 0)).timeout(std::time::Duration::from_millis(50));
        let waited = next.await.is_ok();
        assert!(waited || is_closed_by_peer(&mut client), "nobody has the connection");
        drop(client);
        until("no descriptor is left", || open_fds() == before).await;
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn completed_then_dropped_closes_the_connection() {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (listener, address) = listener();
        let before = open_fds();
        let mut op = submit(Accept::new(&listener, 0));
        assert!(submit_only(&mut op).await.is_pending());
        let mut client = TcpStream::connect(address).expect("it listens");
        until("the connection is taken", || open_fds() == before + 2).await;
        turn().await;
        drop(op);
        until("it is closed", || open_fds() == before + 1).await;
        assert!(is_closed_by_peer(&mut client));
    });
    drop(runtime);
    ledger.close();
}

/// What comes while the runtime ends belongs to nobody: it is closed with it.
#[test]
fn runtime_shut_down_closes_the_connection() {
    let ledger = Ledger::open();
    let runtime = runtime();
    let (_listener, mut client) = runtime.block_on(async {
        let (listener, address) = listener();
        let mut op = submit(Accept::new(&listener, 0));
        assert!(submit_only(&mut op).await.is_pending());
        ringspun::spawn(op).detach();
        let client = TcpStream::connect(address).expect("it listens");
        (listener, client)
    });
    drop(runtime);
    drop(_listener);
    assert!(is_closed_by_peer(&mut client));
    drop(client);
    ledger.close();
}

#[test]
fn the_descriptor_is_closed_on_exec() {
    block_on(async {
        let (listener, address) = listener();
        let _client = TcpStream::connect(address).expect("it listens");
        let accepted = submit(Accept::new(&listener, 0)).await.expect("a client is there");
        let flags = std::fs::read_to_string(format!(
            "/proc/thread-self/fdinfo/{}",
            std::os::fd::AsRawFd::as_raw_fd(&accepted)
        ));
        let flags = flags.expect("procfs");
        let octal = flags.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        let bits = i32::from_str_radix(octal.trim(), 8).expect("a number");
        assert_ne!(bits & libc::O_CLOEXEC, 0, "{octal}");
    });
}

#[test]
fn with_the_address_of_ip() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(at) else {
            eprintln!("{at} is not there: skipped");
            continue;
        };
        let address = listener.local_addr().expect("bound");
        block_on(async {
            let client = TcpStream::connect(address).expect("it listens");
            let ring = AsyncIoUring::current();
            let (accepted, peer) =
                ring.accept_with_address(SharedFd::new(listener), 0).await.expect("a client");
            assert_eq!(peer.as_socket(), client.local_addr().ok());
            let accepted = TcpStream::from(accepted);
            assert_eq!(accepted.peer_addr().ok(), client.local_addr().ok());
        });
    }
}

#[test]
fn with_the_address_of_unix() {
    let dir = tempfile::tempdir().expect("a directory");
    let (at, from) = (dir.path().join("listener"), dir.path().join("client"));
    let listener = UnixListener::bind(&at).expect("a free name");
    block_on(async {
        let ring = AsyncIoUring::current();
        let listener = SharedFd::new(listener);
        // One with a name, one without.
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)
            .expect("a socket");
        socket.bind(&socket2::SockAddr::unix(&from).expect("short")).expect("a free name");
        socket.connect(&socket2::SockAddr::unix(&at).expect("short")).expect("it listens");
        let (_accepted, peer) = ring.accept_with_address(&listener, 0).await.expect("a client");
        assert_eq!(peer.as_pathname(), Some(from.as_path()));
        let _client = UnixStream::connect(&at).expect("it listens");
        let (_accepted, peer) = ring.accept_with_address(&listener, 0).await.expect("a client");
        assert!(peer.is_unnamed(), "{peer:?}");
    });
}

/// The kernel writes the address to memory that is still there.
#[test]
fn with_the_address_dropped_in_flight() {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (listener, address) = listener();
        let before = open_fds();
        let mut clients = Vec::new();
        for _ in 0..100 {
            let mut op = submit(Accept::new(&listener, 0).with_address());
            assert!(submit_only(&mut op).await.is_pending());
            clients.push(TcpStream::connect(address).expect("it listens"));
            drop(op);
            turn().await;
        }
        // Those that were not taken are taken now; each of the others was closed.
        let rest = AsyncIoUring::current();
        while rest.accept(&listener, 0).timeout(std::time::Duration::from_millis(50)).await.is_ok()
        {
        }
        for client in &mut clients {
            assert!(is_closed_by_peer(client));
        }
        drop(clients);
        until("no descriptor is left", || open_fds() == before).await;
    });
    drop(runtime);
    ledger.close();
}
