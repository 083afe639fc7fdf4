//! What a wake costs without a runtime: the ways that Linux offers, bare.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, mpsc};
use std::thread;

use io_uring::{IoUring, opcode, types};

use crate::pin_to;
use crate::wake::{Line, Threads, answer};

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn signal(fd: RawFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: the pointer is valid for 8 bytes during the call.
    let written = unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    assert_eq!(written, 8);
}

fn raw_ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_no_sqarray()
        .setup_cqsize(1024)
        .build(256)
}

/// A ring that polls an eventfd, multishot, as the notifier's does. Waits at each call.
fn polling_ring(eventfd: OwnedFd) -> io::Result<impl FnMut()> {
    let mut ring = raw_ring()?;
    let mut armed = false;
    Ok(move || {
        if !armed {
            let poll = opcode::PollAdd::new(types::Fd(eventfd.as_raw_fd()), libc::POLLIN as u32);
            // SAFETY: the descriptor lives as long as the ring.
            unsafe { ring.submission().push(&poll.multi(true).build()) }.expect("room");
            armed = true;
        }
        ring.submit_and_wait(1).expect("enter");
        for completion in ring.completion() {
            assert!(completion.result() >= 0);
            armed = io_uring::cqueue::more(completion.flags());
        }
    })
}

/// Two threads, each asleep in `io_uring_enter`, woken by a write to an eventfd.
pub(crate) fn eventfd_in_ring() -> io::Result<Threads> {
    let line = Line::new();
    let (here, there) = (eventfd()?, eventfd()?);
    let (wake_here, wake_there) = (here.as_raw_fd(), there.as_raw_fd());
    let other = Arc::clone(&line);
    thread::spawn(move || {
        pin_to(1);
        let sleep = polling_ring(there).expect("a ring");
        answer(&other, sleep, || signal(wake_here));
    });
    let sleep = Box::new(polling_ring(here)?);
    Ok(Threads { line, wake: Box::new(move || signal(wake_there)), sleep })
}

/// `IORING_REGISTER_SEND_MSG_RING`: a message to another ring, by a call of its own.
fn message(ring: RawFd) -> io::Result<()> {
    const REGISTER_SEND_MSG_RING: u32 = 31;
    const OP_MSG_RING: u8 = 40;
    let mut sqe = [0_u64; 8];
    let first = [OP_MSG_RING, 0, 0, 0];
    sqe[0] = u64::from(u32::from_ne_bytes(first)) | (ring as u64) << 32;
    // SAFETY: the entry is valid for its 64 bytes during the call, and names no memory.
    let failed = unsafe {
        libc::syscall(libc::SYS_io_uring_register, -1, REGISTER_SEND_MSG_RING, sqe.as_ptr(), 1)
    };
    if failed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn waiting_ring(mut ring: IoUring) -> impl FnMut() {
    move || {
        ring.submit_and_wait(1).expect("enter");
        for completion in ring.completion() {
            assert!(completion.result() >= 0);
        }
    }
}

/// Two threads, each asleep in `io_uring_enter`, woken by a message to its ring.
pub(crate) fn message_to_ring() -> io::Result<Threads> {
    let line = Line::new();
    let ring = raw_ring()?;
    let here = ring.as_raw_fd();
    message(here)?;
    let (said, heard) = mpsc::channel();
    let other = Arc::clone(&line);
    thread::spawn(move || {
        pin_to(1);
        let ring = raw_ring().expect("a ring");
        said.send(ring.as_raw_fd()).expect("heard");
        answer(&other, waiting_ring(ring), || message(here).expect("Linux 6.13"));
    });
    let there = heard.recv().map_err(io::Error::other)?;
    let wake = Box::new(move || message(there).expect("Linux 6.13"));
    Ok(Threads { line, wake, sleep: Box::new(waiting_ring(ring)) })
}

fn polling_epoll(eventfd: OwnedFd) -> io::Result<impl FnMut()> {
    // SAFETY: no pointers are passed.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
    let fd = eventfd.as_raw_fd();
    // SAFETY: the pointer is valid during the call.
    let failed = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    assert_eq!(failed, 0);
    Ok(move || {
        let _open = &eventfd;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: the pointer is valid for 8 events during the call.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 8, -1) };
        assert!(count >= 0);
    })
}

/// Two threads, each asleep in `epoll_wait`, woken by a write to an eventfd.
pub(crate) fn eventfd_in_epoll() -> io::Result<Threads> {
    let line = Line::new();
    let (here, there) = (eventfd()?, eventfd()?);
    let (wake_here, wake_there) = (here.as_raw_fd(), there.as_raw_fd());
    let other = Arc::clone(&line);
    thread::spawn(move || {
        pin_to(1);
        let sleep = polling_epoll(there).expect("an epoll");
        answer(&other, sleep, || signal(wake_here));
    });
    let sleep = Box::new(polling_epoll(here)?);
    Ok(Threads { line, wake: Box::new(move || signal(wake_there)), sleep })
}

/// Two threads that park.
pub(crate) fn unpark() -> io::Result<Threads> {
    let line = Line::new();
    let (other, here) = (Arc::clone(&line), thread::current());
    let there = thread::Builder::new().spawn(move || {
        pin_to(1);
        answer(&other, thread::park, || here.unpark());
    })?;
    let wake = Box::new(move || there.thread().unpark());
    Ok(Threads { line, wake, sleep: Box::new(thread::park) })
}

/// Two threads that watch a number: what the memory between two CPUs takes.
pub(crate) fn spin() -> io::Result<Threads> {
    let line = Line::new();
    let other = Arc::clone(&line);
    thread::Builder::new().spawn(move || {
        pin_to(1);
        answer(&other, std::hint::spin_loop, || {});
    })?;
    Ok(Threads { line, wake: Box::new(|| {}), sleep: Box::new(std::hint::spin_loop) })
}
