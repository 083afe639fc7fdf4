//! The one stream of the crate that is an op of its own: a poll that goes on.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{Stream, StreamExt};
use ringspun::model::{self, MORE};
use ringspun::op::{Multishot, OpId, PollAddMulti};
use ringspun::runtime::Runtime;
use ringspun::uring::AsyncIoUring;

use super::ops::owned;
use super::support::{poll, pump, runtime, settle, start};

const EVENTS: u32 = libc::POLLIN as u32;

type Events = Multishot<PollAddMulti>;

fn next(stream: &mut Events) -> Poll<Option<<Events as Stream>::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

fn armed(runtime: &Runtime) -> (Events, OpId) {
    let mut stream = AsyncIoUring::current().poll_add_multi(owned(), EVENTS);
    assert!(next(&mut stream).is_pending());
    pump(runtime);
    let id = stream.id().expect("armed");
    (stream, id)
}

fn ready(runtime: &Runtime) {
    model::complete(0, EVENTS as i32, MORE);
    pump(runtime);
}

#[test]
fn moved_and_dropped() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for waiting in [0, 2] {
        let (mut stream, _id) = armed(&runtime);
        ready(&runtime);
        stream = *Box::new(stream);
        assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(EVENTS)))));
        for _ in 0..waiting {
            ready(&runtime);
        }
        drop(Box::new(stream));
        assert_eq!(model::descriptors_open(), 1, "the kernel still looks at it");
        pump(&runtime);
        pump(&runtime);
        assert_eq!(model::descriptors_open(), 0);
    }
}

#[test]
fn dropped_unpolled() {
    drop(Multishot::new(PollAddMulti::new(owned(), EVENTS)));
    assert_eq!(model::descriptors_open(), 0);
}

#[test]
fn removed_updated_cancelled() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let ring = AsyncIoUring::current();
    for way in 0..3 {
        let (mut stream, id) = armed(&runtime);
        ready(&runtime);
        let mut update = ring.poll_update(id, libc::POLLOUT as u32);
        start(&mut update);
        pump(&runtime);
        assert!(matches!(poll(&mut update), Poll::Ready(Ok(()))));
        stream = *Box::new(stream);
        match way {
            0 => settle(&runtime, 1, ring.poll_remove(id)).expect("found"),
            1 => drop(settle(&runtime, 1, ring.cancel(id))),
            _ => stream.cancel(),
        }
        pump(&runtime);
        pump(&runtime);
        settle(&runtime, 1, async {
            let mut stream = Box::new(stream);
            assert!(matches!(stream.next().await, Some(Ok(_))));
            while way > 0 && stream.next().await.is_some() {}
        });
        pump(&runtime);
        pump(&runtime);
        assert_eq!(model::descriptors_open(), 0);
        let gone = settle(&runtime, 1, ring.poll_remove(id));
        assert!(gone.is_err(), "each arming has a name of its own");
    }
}

#[test]
fn shut_down_and_outlived() {
    let runtime = runtime();
    let entered = runtime.enter();
    let (mut stream, _id) = armed(&runtime);
    let (in_task, _id) = armed(&runtime);
    ready(&runtime);
    ringspun::spawn(in_task.for_each(|event| async move { drop(event) })).detach();
    pump(&runtime);
    drop(entered);
    drop(runtime);
    assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
    drop(stream);
    assert_eq!(model::descriptors_open(), 0);
    assert!(model::pending().is_empty());
}

#[test]
fn at_random() {
    for seed in 0..if cfg!(miri) { 1 } else { 20 } {
        let runtime = runtime();
        settle(&runtime, seed, async {
            let mut stream = AsyncIoUring::current().poll_add_multi(owned(), EVENTS).window(2);
            for _ in 0..6 {
                drop(stream.next().await);
            }
        });
        drop(runtime);
        assert_eq!(model::descriptors_open(), 0);
    }
}
