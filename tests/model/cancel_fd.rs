//! The cancel by descriptor: what a signal ends after it is not tried again.

use std::task::Poll;
use std::time::Duration;

use ringspun::model;
use ringspun::op::{CancelFd, Fixed, PollAdd, Read, SharedFd, Submission, link, submit};
use ringspun::runtime::Runtime;
use ringspun::uring::AsyncIoUring;

use super::ops::owned;
use super::support::{poll, pump, runtime, runtime_of, settle, start};

/// An op that may be tried again.
fn read(fd: &SharedFd) -> Submission<Read<Box<[u8]>>> {
    submit(Read::new(fd, vec![0; 8].into_boxed_slice(), 0))
}

fn started(runtime: &Runtime, fd: &SharedFd) -> Submission<Read<Box<[u8]>>> {
    let mut op = read(fd);
    start(&mut op);
    pump(runtime);
    op
}

#[track_caller]
fn assert_cancelled(op: &mut Submission<Read<Box<[u8]>>>) {
    let Poll::Ready((Err(error), _)) = poll(op) else { panic!("it should have ended") };
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
}

#[test]
fn all_are_found() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (fd, other) = (SharedFd::new(owned()), SharedFd::new(owned()));
    let mut ops = [started(&runtime, &fd), started(&runtime, &fd)];
    let mut stranger = started(&runtime, &other);
    drop(started(&runtime, &fd));
    let mut cancel = AsyncIoUring::current().cancel_fd(&fd);
    start(&mut cancel);
    pump(&runtime);
    // The one that was dropped is the ring's to end, and may have been before.
    assert!(matches!(poll(&mut cancel), Poll::Ready(Ok(2 | 3))));
    for op in &mut ops {
        assert_cancelled(op);
    }
    start(&mut stranger);
    model::complete(0, 8, 0);
    pump(&runtime);
    assert!(matches!(poll(&mut stranger), Poll::Ready((Ok(8), _))));
}

/// A kernel worker ends it by a signal, sooner or later.
#[test]
fn interrupted_is_not_tried_again() {
    for errno in [libc::EINTR, 512] {
        for early in [false, true] {
            let runtime = runtime();
            let _entered = runtime.enter();
            let fd = SharedFd::new(owned());
            let mut op = started(&runtime, &fd);
            model::deaf(true);
            if early {
                // It has ended and nobody has looked.
                model::complete(0, -errno, 0);
                pump(&runtime);
            }
            let mut cancel = submit(CancelFd::new(&fd));
            start(&mut cancel);
            if !early {
                pump(&runtime);
                model::complete(0, -errno, 0);
            }
            pump(&runtime);
            model::deaf(false);
            assert_cancelled(&mut op);
            assert!(matches!(poll(&mut cancel), Poll::Ready(Ok(0))));
            assert!(model::pending().is_empty(), "it was not submitted once more");
        }
    }
}

/// The op on another file, and the one on the registered file of that number, were not meant.
#[test]
fn strangers_are_tried_again() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (fd, other) = (SharedFd::new(owned()), SharedFd::new(owned()));
    let number = std::os::fd::AsRawFd::as_raw_fd(&fd) as u32;
    let mut strangers = [
        started(&runtime, &other),
        submit(Read::new(Fixed(number), vec![0; 8].into_boxed_slice(), 0)),
    ];
    start(&mut strangers[1]);
    pump(&runtime);
    let mut cancel = submit(CancelFd::new(&fd));
    start(&mut cancel);
    pump(&runtime);
    assert!(matches!(poll(&mut cancel), Poll::Ready(Ok(0))));
    for op in &mut strangers {
        model::complete(0, -libc::EINTR, 0);
        pump(&runtime);
        start(op);
        pump(&runtime);
    }
    assert_eq!(model::pending().len(), 2, "both again");
    for op in &mut strangers {
        model::complete(0, 8, 0);
        pump(&runtime);
        assert!(matches!(poll(op), Poll::Ready((Ok(8), _))));
    }
}

/// It is found also if it was behind others when the cancel was made.
#[test]
fn in_the_backlog() {
    let runtime = runtime_of(1);
    let _entered = runtime.enter();
    let fd = SharedFd::new(owned());
    let mut filler = AsyncIoUring::current().nop();
    start(&mut filler);
    let mut op = read(&fd);
    start(&mut op);
    let mut cancel = submit(CancelFd::new(&fd));
    start(&mut cancel);
    for _ in 0..4 {
        pump(&runtime);
    }
    assert!(matches!(poll(&mut cancel), Poll::Ready(Ok(1))));
    assert_cancelled(&mut op);
    model::complete(0, 0, 0);
    pump(&runtime);
    assert!(poll(&mut filler).is_ready());
}

/// Each op ends once, whatever else wants its end.
#[test]
fn beside_other_ends() {
    for seed in 1..=if cfg!(miri) { 1 } else { 20 } {
        let runtime = runtime_of(4);
        settle(&runtime, seed, async {
            let fd = SharedFd::new(owned());
            let ring = AsyncIoUring::current();
            let mut named = read(&fd);
            let id = named.id();
            start(&mut named);
            let mut timed = read(&fd).timeout(Duration::from_nanos(1));
            start(&mut timed);
            let mut dropped = read(&fd);
            start(&mut dropped);
            let mut polled = submit(PollAdd::new(&fd, libc::POLLIN as u32));
            start(&mut polled);
            let mut cancel = ring.cancel_fd(&fd);
            start(&mut cancel);
            drop(dropped);
            let _either = ring.cancel(id).await;
            let _count = cancel.await;
            let _outcomes = (named.await, timed.await, polled.await);
            let _chain = link((CancelFd::new(&fd), CancelFd::new(&fd))).await;
            drop(fd);
        });
        drop(runtime);
        assert_eq!(model::descriptors_open(), 0);
    }
}

#[test]
fn dropped() {
    let runtime = runtime();
    let _entered = runtime.enter();
    drop(submit(CancelFd::new(owned())));
    let mut pushed = submit(CancelFd::new(owned()));
    start(&mut pushed);
    drop(pushed);
    pump(&runtime);
    pump(&runtime);
    assert_eq!(model::descriptors_open(), 0);
}
