//! `RECVMSG`.

use std::io::{self, IoSlice, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ringspun::buf::BufResult;
use ringspun::op::{Control, ReceivedMessage, RecvMsg, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;
use socket2::{MsgHdr, SockRef};

use super::sockets::{is_closed_on_exec, tcp_pair};
use super::suite::{self, Case};
use crate::support::{
    Buffers, CountedBuf, Ledger, Pipe, block_on, open_fds, runtime, socket_pair, submit_only, turn,
    until,
};

type Bufs = (CountedBuf, CountedBuf);

/// Sends `text` and descriptors, not by us.
fn send(peer: &UnixStream, text: &[u8], fds: impl IntoIterator<Item = OwnedFd>) {
    let control = Control::new().rights(fds);
    let bufs = [IoSlice::new(text)];
    let message = MsgHdr::new().with_buffers(&bufs).with_control(control.as_bytes());
    let sent = SockRef::from(peer).sendmsg(&message, 0).expect("room");
    assert_eq!(sent, text.len());
}

fn reader() -> OwnedFd {
    io::pipe().expect("a pipe").0.into()
}

/// Room for two descriptors.
const ROOM: usize = Control::space(8);

/// A receive from a peer that is silent, and then sends a descriptor too.
struct RecvPair {
    ours: SharedFd,
    peer: UnixStream,
    buffers: Buffers,
}

impl RecvPair {
    fn message(&self, fd: &SharedFd) -> RecvMsg<Bufs> {
        RecvMsg::new(fd, (self.buffers.empty(3), self.buffers.empty(13)), 0).control(ROOM)
    }
}

impl Case for RecvPair {
    type Op = RecvMsg<Bufs>;

    const WAITS: bool = true;
    const ERRNO: i32 = libc::ENOTSOCK;

    fn new(buffers: &Buffers) -> RecvPair {
        let (ours, peer) = socket_pair();
        RecvPair { ours, peer, buffers: buffers.clone() }
    }

    fn op(&mut self) -> Submission<RecvMsg<Bufs>> {
        submit(self.message(&self.ours))
    }

    fn release(&mut self) {
        send(&self.peer, b"hello", [reader()]);
    }

    fn check(&mut self, (result, (first, second)): BufResult<ReceivedMessage, Bufs>) {
        let mut message = result.expect("bytes are there");
        assert_eq!((message.count, message.flags), (5, 0));
        assert_eq!((&*first.bytes, &*second.bytes), (&b"hel"[..], &b"lo"[..]));
        assert!(message.address.is_none_or(|address| address.is_unnamed()));
        assert_eq!(message.control.rights().len(), 1);
        assert!(is_closed_on_exec(&message.control.take_rights()[0]));
        assert!(message.control.rights().is_empty());
    }

    fn bad_op(&mut self) -> Submission<RecvMsg<Bufs>> {
        submit(self.message(&Pipe::new().reader))
    }
}

#[test]
fn ok() {
    suite::ok::<RecvPair>();
}

#[test]
fn error() {
    suite::error::<RecvPair>();
}

#[test]
fn timeout() {
    suite::timeout::<RecvPair>();
}

#[test]
fn cancelled() {
    suite::cancelled::<RecvPair>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<RecvPair>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<RecvPair>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<RecvPair>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<RecvPair>();
}

/// A test that counts descriptors.
fn counted(test: impl AsyncFnOnce(SharedFd, UnixStream)) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(async {
        let (ours, peer) = socket_pair();
        test(ours, peer).await;
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn from_an_address() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let (Ok(ours), Ok(peer)) = (UdpSocket::bind(at), UdpSocket::bind(at)) else {
            eprintln!("{at} is not there: skipped");
            continue;
        };
        block_on(async {
            peer.send_to(b"abcd", ours.local_addr().expect("bound")).expect("room");
            let ring = AsyncIoUring::current();
            let bufs = vec![vec![0; 3], Vec::with_capacity(8)];
            let (message, bufs) = ring.recvmsg(SharedFd::new(ours), bufs, 0, 0).await;
            let message = message.expect("it came");
            assert_eq!(message.address.and_then(|from| from.as_socket()), peer.local_addr().ok());
            assert_eq!((message.count, bufs), (4, vec![b"abc".to_vec(), b"d".to_vec()]));
            assert!(message.control.is_empty());
        });
    }
}

#[test]
fn from_a_connected_stream_and_its_end() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (ours, mut peer) = tcp_pair();
        peer.write_all(b"bye").expect("connected");
        drop(peer);
        let (message, bufs) = ring.recvmsg(&ours, [vec![0; 8]], 0, 0).await;
        let message = message.expect("it came");
        assert!(message.address.is_none());
        assert_eq!(&bufs[0][..message.count], b"bye");
        let (end, _) = ring.recvmsg(&ours, [vec![0; 8]], 0, 0).await;
        assert_eq!(end.expect("the end is no error").count, 0);
    });
}

/// The count is that of the datagram, and no more than was written can be seen.
#[test]
fn cut_datagram() {
    block_on(async {
        let ours = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = ours.local_addr().expect("bound");
        let ours = SharedFd::new(ours);
        for (flags, told) in [(0, 10), (libc::MSG_TRUNC as u32, 100)] {
            peer.send_to(&[1; 100], address).expect("room");
            let bufs = [Vec::with_capacity(4), Vec::with_capacity(6)];
            let (message, bufs) = submit(RecvMsg::new(&ours, bufs, flags)).await;
            let message = message.expect("it came");
            assert_eq!(message.count, told);
            assert_ne!(message.flags & libc::MSG_TRUNC as u32, 0);
            assert!(bufs.iter().flatten().all(|byte| *byte == 1));
            assert!(bufs.iter().map(Vec::len).sum::<usize>() >= 10);
        }
    });
}

/// A stream throws the bytes away: what nobody wrote must not be seen.
#[test]
fn bytes_that_a_stream_threw_away() {
    block_on(async {
        let (ours, mut peer) = tcp_pair();
        let flags = libc::MSG_TRUNC as u32;
        peer.write_all(b"gone").expect("connected");
        let (message, bufs) =
            submit(RecvMsg::new(&ours, [Vec::<u8>::with_capacity(8)], flags)).await;
        assert_eq!(message.expect("it came").count, 4);
        assert_eq!(bufs[0], [0; 4]);
        peer.write_all(b"gone").expect("connected");
        let recv = ringspun::op::Recv::new(&ours, Vec::<u8>::with_capacity(8), flags);
        let (count, buf) = submit(recv).await;
        assert_eq!(count.expect("it came"), 4);
        assert_eq!(buf, [0; 4]);
    });
}

#[test]
fn descriptors_that_are_not_taken_are_closed() {
    counted(async |ours, peer| {
        let before = open_fds();
        send(&peer, b"x", [reader(), reader()]);
        let (message, _) = submit(RecvMsg::new(&ours, [vec![0; 4]], 0).control(ROOM)).await;
        let message = message.expect("it came");
        assert_eq!(message.control.rights().len(), 2);
        assert_eq!(open_fds(), before + 2);
        drop(message);
        assert_eq!(open_fds(), before);
    });
}

/// They came, and the future is dropped before it looks.
#[test]
fn descriptors_of_a_dropped_receive_are_closed() {
    counted(async |ours, peer| {
        for _ in 0..20 {
            let before = open_fds();
            let (mut end, writer) = io::pipe().expect("a pipe");
            let mut op = submit(RecvMsg::new(&ours, [vec![0; 4]], 0).control(ROOM));
            assert!(submit_only(&mut op).await.is_pending());
            send(&peer, b"x", [writer.into()]);
            turn().await;
            drop(op);
            until("it has ended", || ours.owners() == 1).await;
            // Not taken: the message is still there, and so is its descriptor.
            let next = submit(RecvMsg::new(&ours, [vec![0; 4]], libc::MSG_DONTWAIT as u32));
            drop(next.await);
            assert_eq!(end.read(&mut [0]).expect("the end is no error"), 0);
            drop(end);
            until("all are closed", || open_fds() == before).await;
        }
    });
}

/// More come than there is room for: the kernel says so and closes the others.
#[test]
fn too_little_room() {
    counted(async |ours, peer| {
        for room in [0, 1, 15, 16, 19, 20, 24, 27] {
            let before = open_fds();
            send(&peer, b"x", [reader(), reader(), reader()]);
            let (message, _) = submit(RecvMsg::new(&ours, [vec![0; 4]], 0).control(room)).await;
            let message = message.expect("it came");
            assert_ne!(message.flags & libc::MSG_CTRUNC as u32, 0);
            assert_eq!(open_fds(), before + message.control.rights().len(), "room {room}");
            assert_eq!(message.control.rights().len(), room.saturating_sub(16) / 4);
            drop(message);
            assert_eq!(open_fds(), before);
        }
    });
}

/// The kernel receives in steps then, and tells the length of the last step's messages only.
#[test]
fn descriptors_in_several_steps() {
    counted(async |ours, peer| {
        let before = open_fds();
        let flags = libc::MSG_WAITALL as u32;
        let op = RecvMsg::new(&ours, [Vec::with_capacity(9)], flags).control(3 * ROOM);
        let mut op = submit(op);
        assert!(submit_only(&mut op).await.is_pending());
        send(&peer, b"abc", [reader()]);
        turn().await;
        send(&peer, b"def", [reader()]);
        turn().await;
        send(&peer, b"ghi", []);
        let (message, bufs) = op.await;
        let message = message.expect("it came");
        assert_eq!(bufs[0], b"abcdefghi"[..message.count]);
        assert_eq!(message.control.rights().len(), message.count.div_ceil(3).min(2));
        assert_eq!(open_fds(), before + message.control.rights().len(), "each is owned");
        drop(message);
        until("all are closed", || open_fds() == before).await;
    });
}

/// Each look at a message gives descriptors of its own.
#[test]
fn peeked() {
    counted(async |ours, peer| {
        let before = open_fds();
        send(&peer, b"x", [reader()]);
        for flags in [libc::MSG_PEEK as u32, 0] {
            let op = RecvMsg::new(&ours, [vec![0; 4]], flags).control(ROOM);
            let (message, _) = submit(op).await;
            assert_eq!(message.expect("it came").control.take_rights().len(), 1);
        }
        assert_eq!(open_fds(), before);
    });
}

#[test]
fn control_messages_are_listed() {
    block_on(async {
        let (ours, peer) = socket_pair();
        send(&peer, b"x", [reader(), reader()]);
        let (message, _) = submit(RecvMsg::new(&ours, [vec![0; 4]], 0).control(256)).await;
        let message = message.expect("it came");
        let all: Vec<_> = message.control.messages().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].level, all[0].kind), (libc::SOL_SOCKET, libc::SCM_RIGHTS));
        assert_eq!(all[0].data.len(), 8);
        assert_eq!(message.control.as_bytes().len(), Control::space(8));
        assert!(ours.as_fd().try_clone_to_owned().is_ok());
    });
}
