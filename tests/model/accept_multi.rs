//! The stream of accepted connections: whoever does not get one closes it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{Stream, StreamExt};
use ringspun::model::{self, MORE};
use ringspun::op::{AcceptMulti, Multishot};
use ringspun::runtime::Runtime;
use ringspun::uring::AsyncIoUring;

use super::ops::owned;
use super::support::{pump, runtime, runtime_of, settle};

type Incoming = Multishot<AcceptMulti>;

fn next(stream: &mut Incoming) -> Poll<Option<<Incoming as Stream>::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

fn armed(runtime: &Runtime) -> Incoming {
    let mut stream = AsyncIoUring::current().accept_multi(owned(), 0);
    assert!(next(&mut stream).is_pending());
    pump(runtime);
    stream
}

fn accepted(runtime: &Runtime, flags: u32) {
    model::complete(0, model::descriptor(), flags);
    pump(runtime);
}

#[test]
fn moved_and_dropped() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for waiting in [0, 2] {
        let mut stream = armed(&runtime);
        accepted(&runtime, MORE);
        stream = *Box::new(stream);
        assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
        for _ in 0..waiting {
            accepted(&runtime, MORE);
        }
        model::deaf(true);
        drop(Box::new(stream));
        pump(&runtime);
        assert_eq!(model::descriptors_open(), 1, "the kernel still looks at the listener");
        accepted(&runtime, MORE);
        accepted(&runtime, 0);
        model::deaf(false);
        pump(&runtime);
        assert_eq!(model::descriptors_open(), 0);
    }
}

/// An end that is no cancel is an item, and the stream goes on.
#[test]
fn errors_are_items() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut stream = armed(&runtime);
    for errno in [libc::EMFILE, libc::ECONNABORTED, libc::EINVAL] {
        model::complete(0, -errno, 0);
        pump(&runtime);
        let Poll::Ready(Some(Err(error))) = next(&mut stream) else { panic!("an error") };
        assert_eq!(error.raw_os_error(), Some(errno));
        assert!(next(&mut stream).is_pending(), "armed again");
        pump(&runtime);
    }
    // Nobody here asked for that.
    model::complete(0, -libc::ECANCELED, 0);
    pump(&runtime);
    assert!(matches!(next(&mut stream), Poll::Ready(None)));
    drop(stream);
    assert_eq!(model::descriptors_open(), 0);
}

#[test]
fn outlives_its_runtime() {
    for polled in [false, true] {
        let runtime = runtime();
        let entered = runtime.enter();
        let mut stream = armed(&runtime);
        accepted(&runtime, MORE);
        accepted(&runtime, MORE);
        drop(entered);
        drop(runtime);
        if polled {
            assert!(matches!(next(&mut stream), Poll::Ready(Some(Ok(_)))));
        }
        drop(stream);
        assert_eq!(model::descriptors_open(), 0);
    }
}

#[test]
fn at_random() {
    for seed in 1..=if cfg!(miri) { 2 } else { 20 } {
        let runtime = runtime_of(4);
        settle(&runtime, seed, async {
            let ring = AsyncIoUring::current();
            let mut stream = ring.accept_multi(owned(), 0).window(2);
            let mut kept = Vec::new();
            for _ in 0..20 {
                kept.push(stream.next().await);
            }
            drop((stream, kept));
        });
        drop(runtime);
        assert_eq!(model::descriptors_open(), 0);
    }
}
