//! Streams: moved while armed, dropped with answers in every place, paused, cancelled, re-armed.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{Stream, StreamExt};
use ringspun::model::{self, MORE};
use ringspun::op::Multishot;
use ringspun::runtime::Runtime;

use super::ops::AcceptMulti;
use super::support::{pump, runtime, runtime_of, settle};

type Incoming = Multishot<AcceptMulti>;

fn next(stream: &mut Incoming) -> Poll<Option<<Incoming as Stream>::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

fn armed(runtime: &Runtime) -> Incoming {
    let mut stream = Multishot::new(AcceptMulti::new());
    assert!(next(&mut stream).is_pending());
    pump(runtime);
    stream
}

fn accepted(more: bool) {
    model::complete(0, model::descriptor(), if more { MORE } else { 0 });
}

#[test]
fn moved_while_armed() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut streams = vec![armed(&runtime)];
    accepted(true);
    pump(&runtime);
    streams.push(armed(&runtime));
    let mut first = Box::new(streams.swap_remove(0));
    assert!(matches!(next(&mut first), Poll::Ready(Some(Ok(_)))));
    accepted(true);
    pump(&runtime);
    let mut first = *first;
    assert!(matches!(next(&mut first), Poll::Ready(Some(Ok(_)))));
    accepted(false);
    pump(&runtime);
    assert!(matches!(next(&mut first), Poll::Ready(Some(Ok(_)))));
    assert!(next(&mut first).is_pending(), "armed again");
    drop(first);
    drop(streams);
    pump(&runtime);
    pump(&runtime);
    assert_eq!(model::descriptors_open(), 0);
}

/// Answers in the kernel's queue, in the slot, and those that still come: all are closed.
#[test]
fn dropped_with_answers_everywhere() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for ended in [false, true] {
        let stream = armed(&runtime);
        accepted(true);
        accepted(true);
        pump(&runtime);
        accepted(!ended);
        drop(Box::new(stream));
        if !ended {
            model::deaf(true);
            pump(&runtime);
            accepted(true);
            pump(&runtime);
            accepted(false);
            model::deaf(false);
        }
        pump(&runtime);
        assert_eq!(model::descriptors_open(), 0);
        assert!(model::pending().is_empty());
    }
}

#[test]
fn dropped_when_ended() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let stream = armed(&runtime);
    accepted(true);
    accepted(false);
    pump(&runtime);
    drop(stream);
    assert_eq!(model::descriptors_open(), 0);
}

#[test]
fn dropped_queued() {
    let runtime = runtime_of(1);
    let _entered = runtime.enter();
    let mut streams: Vec<_> = (0..3).map(|_| Multishot::new(AcceptMulti::new())).collect();
    for stream in &mut streams {
        assert!(next(stream).is_pending());
    }
    let mut cancelled = streams.remove(1);
    cancelled.cancel();
    assert!(matches!(next(&mut cancelled), Poll::Ready(None)));
    drop(streams.remove(1));
    drop(streams);
    for _ in 0..4 {
        pump(&runtime);
    }
    assert!(model::pending().is_empty());
}

#[test]
fn cancelled() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut stream = armed(&runtime);
    accepted(true);
    stream.cancel();
    let mut stream = Box::new(stream);
    pump(&runtime);
    pump(&runtime);
    assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(next(&mut stream), Poll::Ready(None)));
    assert!(matches!(next(&mut stream), Poll::Ready(None)));
}

#[test]
fn window_full() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut stream = Multishot::new(AcceptMulti::new()).window(1);
    assert!(next(&mut stream).is_pending());
    pump(&runtime);
    for _ in 0..3 {
        accepted(true);
    }
    pump(&runtime);
    assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
    pump(&runtime);
    pump(&runtime);
    let mut stream = Box::new(stream);
    for _ in 0..2 {
        assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
    }
    assert!(next(&mut stream).is_pending(), "armed again");
    pump(&runtime);
    assert_eq!(model::pending().len(), 1);
}

#[test]
fn shut_down_and_outlived() {
    let runtime = runtime();
    let entered = runtime.enter();
    let mut stream = armed(&runtime);
    accepted(true);
    drop(entered);
    drop(runtime);
    assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
    drop(stream);
    assert_eq!(model::descriptors_open(), 0);
}

#[test]
fn at_random() {
    for seed in 0..4 {
        let runtime = runtime();
        settle(&runtime, seed, async {
            let mut stream = Multishot::new(AcceptMulti::new()).window(2);
            for _ in 0..6 {
                drop(stream.next().await);
            }
        });
        drop(runtime);
        assert_eq!(model::descriptors_open(), 0);
    }
}
