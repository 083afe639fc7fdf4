//! Every op of the crate through all the situations, with a descriptor of its own.
//!
//! The model looks whether the descriptors of an entry are open when it works on it, and counts
//! those that are left; that none is closed twice is what std's own check in `OwnedFd` is for.

use std::fs::File;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringspun::buf::{IoBuf, IoBufMut, IoVectoredBuf};
use ringspun::op::{
    Accept, Bind, CWD, Close, Connect, Control, Credentials, EpollCtl, EpollEvent, FGetXattr,
    FSetXattr, Fadvise, Fallocate, Fixed, Fsync, Ftruncate, GetXattr, LinkAt, LinkTimeout, Listen,
    MkdirAt, OPCODES, OpenAt, OpenAt2, Pipe, PollAdd, PollRemove, PollUpdate, Read, ReadFixed,
    ReadV, Recv, RecvMsg, RenameAt, Send, SendMsg, SendMsgZc, SendZc, SetXattr, SharedFd, Shutdown,
    Socket, Splice, Statx, SymlinkAt, SyncFileRange, Tee, Timeout, TimeoutRemove, UnlinkAt, WaitId,
    Write, WriteFixed, WriteV,
};
use ringspun::uring::{AsyncIoUring, FixedBuf};

use super::ops::owned;
use super::situations::{drive, drive_alike};

fn boxed() -> Box<[u8]> {
    vec![0; 8].into_boxed_slice()
}

/// A buffer that is registered with the current ring.
fn fixed(content: &[u8]) -> FixedBuf {
    let buffers = AsyncIoUring::current().register_buffers(vec![Vec::with_capacity(8)]);
    let mut buffer = buffers.expect("the model takes all").remove(0);
    buffer.fill_from(content);
    buffer
}

/// So that none is forgotten here.
#[test]
#[cfg_attr(miri, ignore = "it looks at text only")]
fn the_table_is_covered() {
    const OTHERS: [&str; 5] = ["nop", "cancel", "cancel_fd", "accept_multi", "poll_add_multi"];
    // The model chooses no buffers.
    const SELECT: [&str; 5] =
        ["recv_select", "read_select", "recv_multi", "recv_msg_multi", "recv_incremental_multi"];
    let here = include_str!("every_op.rs");
    for row in OPCODES {
        let driven = here.contains(&format!("fn {}", row.file));
        let elsewhere = OTHERS.contains(&row.file) || SELECT.contains(&row.file);
        assert!(driven || elsewhere, "{} is not driven", row.file);
    }
}

#[test]
fn read_cursor() {
    drive_alike(|| Read::new(SharedFd::new(owned()), boxed(), Read::CURSOR));
}

#[test]
fn read_registered_file() {
    drive_alike(|| Read::new(Fixed(0), Vec::with_capacity(3), 0));
}

#[test]
fn read_from_rc_and_arc() {
    drive_alike(|| Read::new(Rc::new(File::from(owned())), boxed(), 0));
    drive_alike(|| Read::new(Arc::new(File::from(owned())), boxed(), 0));
}

#[test]
fn write() {
    drive_alike(|| Write::new(owned(), boxed(), 0));
    drive_alike(|| Write::new(owned(), "text", Write::CURSOR));
    drive_alike(|| Write::new(owned(), vec![1; 8].slice(2..), 0));
    drive_alike(|| Write::new(owned(), Rc::<[u8]>::from([1, 2, 3]), 0));
}

#[test]
fn recv() {
    drive_alike(|| Recv::new(owned(), boxed(), 0));
    drive_alike(|| Recv::new(owned(), vec![7; 4].slice_mut(1..), 0));
}

#[test]
fn send() {
    drive_alike(|| Send::new(owned(), boxed(), 0));
}

#[test]
fn send_zc() {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 7));
    drive(|| SendZc::new(owned(), boxed(), 0).to(to));
    drive_alike(|| SendZc::fixed(owned(), fixed(b"text"), 0));
}

fn control() -> Control {
    let who = Credentials { pid: 1, uid: 2, gid: 3 };
    Control::new().rights([owned(), owned()]).credentials(who).udp_segment(7)
}

#[test]
fn sendmsg() {
    let to = SocketAddr::from((Ipv6Addr::LOCALHOST, 7));
    drive(|| SendMsg::new(owned(), [boxed(), boxed()], 0).to(to).control(control()));
    drive_alike(|| SendMsg::new(owned(), ("text", boxed()).skip_bytes(5), 0));
}

#[test]
fn sendmsg_zc() {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 7));
    drive(|| SendMsgZc::new(owned(), [boxed(), boxed()], 0).to(to).control(control()));
}

/// The model gives a descriptor with each message that has room for one.
#[test]
fn recvmsg() {
    let room = Control::space(4);
    drive(|| RecvMsg::new(owned(), [boxed(), boxed()], 0).control(room));
    drive_alike(|| {
        RecvMsg::new(owned(), vec![Vec::with_capacity(3), vec![1]], 0).control(room + 9)
    });
    let flags = libc::MSG_TRUNC as u32;
    drive_alike(|| RecvMsg::new(owned(), (boxed(), Vec::with_capacity(3)), flags));
}

#[test]
fn socket() {
    drive_alike(|| Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0));
}

#[test]
fn bind() {
    drive_alike(|| Bind::new(owned(), SocketAddr::from((Ipv4Addr::LOCALHOST, 7))));
}

#[test]
fn listen() {
    drive_alike(|| Listen::new(owned(), 7));
}

#[test]
fn readv() {
    drive(|| ReadV::new(owned(), [boxed(), boxed()], 0));
    drive_alike(|| ReadV::new(owned(), (boxed(), Vec::with_capacity(3)), 0));
    drive_alike(|| ReadV::new(owned(), (boxed(), vec![1], vec![7; 4].slice_mut(1..)), 0));
    drive_alike(|| ReadV::new(owned(), vec![vec![0; 2], Vec::new(), vec![1]], 0));
    drive_alike(|| ReadV::new(owned(), vec![boxed()].into_boxed_slice(), 0));
}

#[test]
fn writev() {
    drive_alike(|| WriteV::new(owned(), [boxed(), boxed()], 0));
    drive_alike(|| WriteV::new(owned(), ("text", boxed(), vec![1; 3]), 0));
    drive_alike(|| WriteV::new(owned(), vec![boxed(), boxed()].skip_bytes(9), 0));
}

#[test]
fn read_fixed() {
    drive_alike(|| ReadFixed::new(owned(), fixed(b""), 0));
}

#[test]
fn write_fixed() {
    drive_alike(|| WriteFixed::new(owned(), fixed(b"text"), 0));
}

#[test]
fn accept() {
    drive_alike(|| Accept::new(owned(), 0));
}

#[test]
fn accept_with_address() {
    drive(|| Accept::new(owned(), 0).with_address());
}

#[test]
fn connect() {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 7));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 7));
    drive_alike(|| Connect::new(owned(), v4));
    drive_alike(|| Connect::new(SharedFd::new(owned()), v6));
}

#[test]
fn shutdown() {
    drive_alike(|| Shutdown::new(owned(), net::Shutdown::Both));
}

#[test]
fn close() {
    drive(|| Close::new(owned()));
    drive_alike(|| Close::new(SharedFd::new(owned())));
    drive_alike(|| Close::new(Fixed(3)));
}

/// It has other owners, so the op tells the kernel nothing of it.
#[test]
fn close_refused() {
    let file = Rc::new(std::io::pipe().expect("a pipe").0);
    drive_alike(|| Close::new(Rc::clone(&file)));
    assert_eq!(Rc::strong_count(&file), 1);
}

#[test]
fn open_at() {
    drive_alike(|| OpenAt::new(owned(), "name", libc::O_CREAT, 0o600));
    drive_alike(|| OpenAt::new(CWD, "name", libc::O_CREAT | libc::O_EXCL, 0o600));
}

#[test]
fn statx() {
    drive(|| Statx::new(owned(), "name", 0, libc::STATX_BASIC_STATS));
}

#[test]
fn fsync() {
    drive_alike(|| Fsync::new(owned(), Fsync::DATASYNC));
}

#[test]
fn fallocate() {
    drive_alike(|| Fallocate::new(owned(), 0, 0, 4096));
    drive_alike(|| Fallocate::new(owned(), libc::FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
}

#[test]
fn ftruncate() {
    drive_alike(|| Ftruncate::new(owned(), 7));
}

#[test]
fn sync_file_range() {
    drive_alike(|| SyncFileRange::new(owned(), 4096, 4096, libc::SYNC_FILE_RANGE_WRITE));
}

#[test]
fn fadvise() {
    drive_alike(|| Fadvise::new(owned(), 0, 4096, libc::POSIX_FADV_DONTNEED));
    drive_alike(|| Fadvise::new(owned(), 0, 1 << 40, libc::POSIX_FADV_WILLNEED));
}

#[test]
fn splice() {
    drive_alike(|| Splice::new(owned(), None, owned(), Some(7), 9, 0));
    drive_alike(|| Splice::new(Fixed(0), Some(7), owned(), None, 9, 0));
    drive_alike(|| Splice::new(owned(), None, Fixed(0), None, 9, u32::MAX));
}

#[test]
fn tee() {
    drive_alike(|| Tee::new(owned(), SharedFd::new(owned()), 9, 0));
}

#[test]
fn set_xattr() {
    drive_alike(|| SetXattr::new("path", "user.name", boxed(), 0));
}

#[test]
fn f_set_xattr() {
    drive_alike(|| FSetXattr::new(owned(), "user.name", vec![1; 8].slice(2..), 0));
}

#[test]
fn get_xattr() {
    drive(|| GetXattr::new("path", "user.name", boxed()));
    drive_alike(|| GetXattr::new("path", "user.name", Vec::new()));
}

#[test]
fn f_get_xattr() {
    drive_alike(|| FGetXattr::new(owned(), "user.name", Vec::with_capacity(3)));
}

#[test]
fn open_at2() {
    let flags = libc::O_CREAT | libc::O_EXCL;
    drive(|| OpenAt2::new(owned(), "name", 0, 0, libc::RESOLVE_BENEATH));
    drive_alike(|| OpenAt2::new(CWD, "name", flags, 0o600, 0));
}

#[test]
fn wait_id() {
    drive(|| WaitId::pidfd(owned(), libc::WEXITED));
    drive_alike(|| WaitId::pid(7, libc::WEXITED | libc::WNOHANG));
    drive_alike(|| WaitId::any(libc::WEXITED));
}

#[test]
fn pipe() {
    drive(|| Pipe::new(0));
}

#[test]
fn mkdir_at() {
    drive_alike(|| MkdirAt::new(owned(), String::from("name"), 0o700));
}

#[test]
fn unlink_at() {
    drive_alike(|| UnlinkAt::new(owned(), c"name", 0));
}

#[test]
fn rename_at() {
    drive_alike(|| RenameAt::new(owned(), "old", owned(), "new", 0));
}

#[test]
fn symlink_at() {
    drive_alike(|| SymlinkAt::new("target", owned(), "name"));
}

#[test]
fn link_at() {
    drive_alike(|| LinkAt::new(owned(), "old", owned(), "new", 0));
}

#[test]
fn epoll_ctl() {
    let event = EpollEvent { events: libc::EPOLLIN as u32, data: 7 };
    drive_alike(|| EpollCtl::new(owned(), owned(), libc::EPOLL_CTL_ADD, Some(event)));
    drive_alike(|| EpollCtl::new(owned(), SharedFd::new(owned()), libc::EPOLL_CTL_DEL, None));
}

#[test]
fn poll_add() {
    drive_alike(|| PollAdd::new(owned(), libc::POLLIN as u32));
}

#[test]
fn timeout() {
    drive_alike(|| Timeout::new(Duration::from_millis(1), 0, 0));
    drive_alike(|| Timeout::new(Duration::MAX, 2, Timeout::ETIME_SUCCESS));
}

/// Guarding nothing, it fails. As it is meant it is in `link_timeout.rs`.
#[test]
fn link_timeout() {
    drive_alike(|| LinkTimeout::new(Duration::from_millis(1), 0));
}

/// Ops that do not let the kernel see what they were made of.
#[test]
fn refused() {
    drive_alike(|| OpenAt::new(owned(), "a\0b", 0, 0));
    drive_alike(|| MkdirAt::new(owned(), "a\0b", 0));
    drive_alike(|| UnlinkAt::new(owned(), "a\0b", 0));
    drive_alike(|| Statx::new(owned(), "a\0b", 0, 0));
    drive_alike(|| OpenAt2::new(owned(), "a\0b", 0, 0, 0));
    drive_alike(|| SetXattr::new("path", "a\0b", boxed(), 0));
    drive_alike(|| FSetXattr::new(owned(), "a\0b", boxed(), 0));
    drive_alike(|| GetXattr::new("a\0b", "name", boxed()));
    drive_alike(|| FGetXattr::new(owned(), "a\0b", boxed()));
    drive_alike(|| WaitId::pidfd(Fixed(0), libc::WEXITED));
    drive_alike(|| RenameAt::new(owned(), "old", Fixed(0), "new", 0));
    drive_alike(|| LinkAt::new(owned(), "a\0b", owned(), "new", 0));
    drive_alike(|| SymlinkAt::new("target", owned(), "a\0b"));
    drive_alike(|| EpollCtl::new(owned(), Fixed(0), libc::EPOLL_CTL_DEL, None));
    drive_alike(|| {
        SendMsg::new(owned(), boxed_pair(), 0).control(Control::new().rights([Fixed(0)]))
    });
}

fn boxed_pair() -> [Box<[u8]>; 2] {
    [boxed(), boxed()]
}

/// Made of the name of an op that is gone. The others are in `removals.rs`.
#[test]
fn removals_of_what_is_gone() {
    fn poll_remove(id: ringspun::op::OpId) -> PollRemove {
        PollRemove::new(id)
    }
    fn poll_update(id: ringspun::op::OpId) -> PollUpdate {
        PollUpdate::new(id, libc::POLLIN as u32)
    }
    fn timeout_remove(id: ringspun::op::OpId) -> TimeoutRemove {
        TimeoutRemove::update(id, Duration::from_secs(1), 0)
    }
    let gone = || AsyncIoUring::current().nop().id();
    drive_alike(|| poll_remove(gone()));
    drive_alike(|| poll_update(gone()));
    drive_alike(|| timeout_remove(gone()));
}

#[test]
fn fixed_buffer_of_another_ring() {
    let other = super::support::runtime();
    let foreign = |content: &[u8]| {
        let _entered = other.enter();
        fixed(content)
    };
    drive_alike(|| ReadFixed::new(owned(), foreign(b""), 0));
    drive_alike(|| WriteFixed::new(owned(), foreign(b"text"), 0));
    drive_alike(|| SendZc::fixed(owned(), foreign(b"text"), 0));
}
