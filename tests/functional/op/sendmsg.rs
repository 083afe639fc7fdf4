//! `SENDMSG`.

use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use ringspun::buf::BufResult;
use ringspun::op::{Control, Credentials, Fixed, SendMsg, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::sockets::{drain, full_pair, set_option};
use super::suite::{self, Case};
use crate::support::{
    Buffers, CountedBuf, Ledger, Pipe, block_on, open_fds, runtime, socket_pair, until,
};

type Bufs = (CountedBuf, CountedBuf);

/// A message with a descriptor for a peer that does not read.
struct SendFull {
    ours: SharedFd,
    peer: UnixStream,
    buffers: Buffers,
}

impl SendFull {
    fn message(&self, fd: &SharedFd) -> SendMsg<Bufs> {
        SendMsg::new(fd, (self.buffers.of(*b"hel"), self.buffers.of(*b"lo")), 0)
    }
}

impl Case for SendFull {
    type Op = SendMsg<Bufs>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(buffers: &Buffers) -> SendFull {
        let (ours, peer) = full_pair();
        SendFull { ours, peer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<SendMsg<Bufs>> {
        let (reader, _) = io::pipe().expect("a pipe");
        let control = Control::new().rights([OwnedFd::from(reader)]);
        submit(self.message(&self.ours).control(control))
    }

    fn release(&mut self) {
        drain(&mut self.peer);
    }

    fn check(&mut self, (result, (first, second)): BufResult<usize, Bufs>) {
        assert_eq!(result.expect("there is room"), 5);
        assert_eq!((&*first.bytes, &*second.bytes), (&b"hel"[..], &b"lo"[..]));
        assert!(drain(&mut self.peer).ends_with(b"hello"));
    }

    fn bad_op(&mut self) -> Submission<SendMsg<Bufs>> {
        submit(self.message(&Pipe::new().reader))
    }
}

#[test]
fn ok() {
    suite::ok::<SendFull>();
}

#[test]
fn error() {
    suite::error::<SendFull>();
}

#[test]
fn timeout() {
    suite::timeout::<SendFull>();
}

#[test]
fn cancelled() {
    suite::cancelled::<SendFull>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<SendFull>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<SendFull>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<SendFull>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<SendFull>();
}

#[test]
fn to_an_address() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = peer.local_addr().expect("bound");
        let ours = SharedFd::new(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        let none = Control::new();
        let (sent, bufs) = ring.sendmsg(&ours, ["ab", "cd"], Some(address.into()), none, 0).await;
        assert_eq!((sent.expect("room"), bufs), (4, ["ab", "cd"]));
        let mut buf = [0; 8];
        assert_eq!(peer.recv(&mut buf).expect("it came"), 4);
        assert_eq!(&buf[..4], b"abcd");
        let (nobody, _) = ring.sendmsg(&ours, ["ab"], None, Control::new(), 0).await;
        let error = nobody.expect_err("not connected");
        assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
    });
}

/// They are closed here with the op, unless they have other owners; the peer has its own.
#[test]
fn descriptors_are_closed_after_it() {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let ring = AsyncIoUring::current();
        let (ours, theirs) = socket_pair();
        let before = open_fds();
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let (kept, _other) = io::pipe().expect("a pipe");
        let kept = SharedFd::new(kept);
        let control = Control::new().rights([OwnedFd::from(reader)]).rights([&kept]);
        ring.sendmsg(&ours, ["x"], None, control, 0).await.0.expect("room");
        assert_eq!(open_fds(), before + 3, "the reader is closed here");
        assert_eq!(kept.owners(), 1);
        let theirs = SharedFd::new(theirs);
        let room = Control::space(4) * 2;
        let (message, _) = ring.recvmsg(theirs, [vec![0; 8]], room, 0).await;
        let mut rights = message.expect("it came").control.take_rights();
        assert_eq!(rights.len(), 2);
        io::Write::write_all(&mut writer, b"y").expect("the peer has the reader");
        let mut reader = std::fs::File::from(rights.remove(0));
        let mut byte = [0];
        io::Read::read_exact(&mut reader, &mut byte).expect("there is one");
        assert_eq!(&byte, b"y");
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn registered_files_are_refused() {
    block_on(async {
        let (ours, _peer) = socket_pair();
        let control = Control::new().rights([Fixed(0)]);
        let (result, bufs) = submit(SendMsg::new(&ours, ["x"], 0).control(control)).await;
        assert_eq!(result.expect_err("no number").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(bufs, ["x"]);
    });
}

#[test]
fn credentials() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (ours, theirs) = socket_pair();
        set_option(&theirs, libc::SOL_SOCKET, libc::SO_PASSCRED, 1);
        let pid = std::process::id() as i32;
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect(""));
        let gid = std::os::unix::fs::MetadataExt::gid(&std::fs::metadata("/proc/self").expect(""));
        let me = Credentials { pid, uid, gid };
        let control = Control::new().credentials(me);
        ring.sendmsg(&ours, ["x"], None, control, 0).await.0.expect("it is true");
        let room = Control::space(12);
        let (message, _) = ring.recvmsg(SharedFd::new(theirs), [vec![0; 8]], room, 0).await;
        assert_eq!(message.expect("it came").control.credentials(), Some(me));
    });
}

/// One send, several datagrams; and with the option on the other side, one receive.
#[test]
fn segments() {
    for gro in [false, true] {
        block_on(async {
            let ring = AsyncIoUring::current();
            let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            let address = peer.local_addr().expect("bound");
            let ours = SharedFd::new(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
            if gro {
                set_option(&peer, libc::SOL_UDP, libc::UDP_GRO, 1);
            }
            let control = Control::new().udp_segment(1000);
            let bufs = [vec![1; 1500], vec![2; 1000]];
            let (sent, _) = ring.sendmsg(&ours, bufs, Some(address.into()), control, 0).await;
            assert_eq!(sent.expect("room"), 2500);
            let peer = SharedFd::new(peer);
            let mut left = 2500;
            while left > 0 {
                let room = Control::space(4);
                let (message, _) = ring.recvmsg(&peer, [vec![0; 4096]], room, 0).await;
                let message = message.expect("it came");
                let size = message.control.udp_gro().unwrap_or(message.count);
                assert!(size == 1000 || message.count == 500, "{message:?}");
                assert!(gro || message.count <= 1000);
                left -= message.count;
            }
        });
    }
}

/// What is dropped in flight is not sent later, and the descriptor in it is closed.
#[test]
fn dropped_in_flight_closes_the_descriptor() {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (ours, peer) = full_pair();
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let control = Control::new().rights([OwnedFd::from(writer)]);
        let mut op = submit(SendMsg::new(&ours, ["x"], 0).control(control));
        assert!(crate::support::submit_only(&mut op).await.is_pending());
        let before = open_fds();
        drop(op);
        until("it is closed", || open_fds() == before - 1).await;
        assert_eq!(io::Read::read(&mut reader, &mut [0]).expect("the end is no error"), 0);
        drop(peer);
    });
    drop(runtime);
    ledger.close();
}
