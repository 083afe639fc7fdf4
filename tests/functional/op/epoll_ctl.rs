//! `EPOLL_CTL`.

use std::io;

use ringspun::op::{EpollCtl, EpollEvent, Fixed, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;

use super::held::{self, Bare};
use super::sockets::{epoll, epoll_add, epoll_events};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

const IN: EpollEvent = EpollEvent { events: libc::EPOLLIN as u32, data: 42 };

/// A change of an interest that is there.
struct Change {
    epoll: SharedFd,
    pipe: Pipe,
}

impl Case for Change {
    type Op = EpollCtl;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Change {
        let (epoll, pipe) = (epoll(), Pipe::new());
        epoll_add(&epoll, &pipe.reader);
        Change { epoll, pipe }
    }

    fn op(&mut self) -> Submission<EpollCtl> {
        submit(self.bare())
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("it is registered");
        self.pipe.write(b"x");
        assert_eq!(epoll_events(&self.epoll), [(libc::EPOLLIN as u32, 42)]);
    }

    /// A descriptor that is not registered.
    fn bad_op(&mut self) -> Submission<EpollCtl> {
        let other = Pipe::new();
        submit(EpollCtl::new(&self.epoll, other.reader, libc::EPOLL_CTL_DEL, None))
    }
}

impl Bare for Change {
    fn bare(&mut self) -> EpollCtl {
        EpollCtl::new(&self.epoll, &self.pipe.reader, libc::EPOLL_CTL_MOD, Some(IN))
    }
}

#[test]
fn ok() {
    suite::ok::<Change>();
    held::ok::<Change>();
}

#[test]
fn error() {
    suite::error::<Change>();
}

#[test]
fn timeout() {
    suite::timeout::<Change>();
    held::timeout::<Change>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Change>();
    held::cancelled::<Change>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Change>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Change>();
    held::dropped_in_flight::<Change>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Change>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Change>();
    held::runtime_shut_down::<Change>();
}

#[test]
fn add_change_delete() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (epoll, mut pipe) = (epoll(), Pipe::new());
        let ctl = |op, event| ring.epoll_ctl(&epoll, &pipe.reader, op, event);
        ctl(libc::EPOLL_CTL_ADD, Some(IN)).await.expect("new");
        let error = ctl(libc::EPOLL_CTL_ADD, Some(IN)).await.expect_err("it is there");
        assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
        assert_eq!(epoll_events(&epoll), []);
        let changed = EpollEvent { events: libc::EPOLLIN as u32, data: u64::MAX };
        ctl(libc::EPOLL_CTL_MOD, Some(changed)).await.expect("it is there");
        pipe.write(b"x");
        assert_eq!(epoll_events(&epoll), [(libc::EPOLLIN as u32, u64::MAX)]);
        let ctl = |op, event| ring.epoll_ctl(&epoll, &pipe.reader, op, event);
        ctl(libc::EPOLL_CTL_DEL, None).await.expect("it is there");
        assert_eq!(epoll_events(&epoll), []);
    });
}

#[test]
fn what_cannot_be_watched() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let epoll = epoll();
        let file = SharedFd::new(tempfile::tempfile().expect("a file"));
        let add = libc::EPOLL_CTL_ADD;
        let error = ring.epoll_ctl(&epoll, &file, add, Some(IN)).await.expect_err("a file");
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        // The kernel would take the index for the number of a stranger.
        let error = ring.epoll_ctl(&epoll, Fixed(0), add, Some(IN)).await.expect_err("an index");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

/// An epoll in a ring, a ring's op on an epoll: the poll of it is ready when it has something.
#[test]
fn polled_by_the_ring() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let (epoll, mut pipe) = (epoll(), Pipe::new());
        ring.epoll_ctl(&epoll, &pipe.reader, libc::EPOLL_CTL_ADD, Some(IN)).await.expect("new");
        let mut poll = ring.poll_add(&epoll, libc::POLLIN as u32);
        assert!(crate::support::submit_only(&mut poll).await.is_pending());
        pipe.write(b"x");
        assert_eq!(poll.await.expect("ready"), libc::POLLIN as u32);
    });
}
