//! `AsyncWriter`: one text, as many writes and polls as it takes.

use std::task::{Context, Poll, Waker};

use ringspun::model;
use ringspun::op::SharedFd;
use ringspun::runtime::Runtime;
use ringspun::uring::{AsyncIoUring, AsyncWriter, WriteError};

use super::ops::owned;
use super::support::{pump, runtime, settle};

const SEEDS: u64 = if cfg!(miri) { 3 } else { 100 };

/// Prints a text of six bytes, and has the kernel answer like this.
fn print(writer: &mut AsyncWriter, runtime: &Runtime, answers: &[i32]) -> Option<Option<usize>> {
    let mut future = Box::pin(writer.print(format_args!("{}{}", 123, "456")));
    let mut cx = Context::from_waker(Waker::noop());
    for answer in answers {
        assert!(future.as_mut().poll(&mut cx).is_pending());
        pump(runtime);
        model::complete(0, *answer, 0);
        pump(runtime);
    }
    match future.as_mut().poll(&mut cx) {
        Poll::Pending => None,
        Poll::Ready(Ok(())) => Some(None),
        Poll::Ready(Err(error)) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<WriteError>());
            let inner = inner.expect("it says how far it came");
            assert_eq!(inner.total(), 6);
            Some(Some(inner.written()))
        }
    }
}

#[test]
fn whole_short_and_failed() {
    let runtime = runtime();
    let entered = runtime.enter();
    let ring = AsyncIoUring::current();
    let mut writer = AsyncWriter::on(&ring, SharedFd::new(owned()));
    assert_eq!(print(&mut writer, &runtime, &[6]), Some(None));
    assert_eq!(print(&mut writer, &runtime, &[1, 2, 3]), Some(None));
    let mut writer = Box::new(writer);
    let again = -libc::EAGAIN;
    assert_eq!(print(&mut writer, &runtime, &[2, again, 4, 4]), Some(None));
    assert_eq!(print(&mut writer, &runtime, &[5, 0]), Some(Some(5)));
    assert_eq!(print(&mut writer, &runtime, &[2, again, -libc::EIO]), Some(Some(2)));
    assert_eq!(print(&mut writer, &runtime, &[-libc::EPIPE]), Some(Some(0)));
    drop(writer);
    assert_eq!(model::descriptors_open(), 0);
    drop(entered);
}

/// The text and the descriptor stay with the write, or with the poll, that the kernel has.
#[test]
fn dropped_in_flight() {
    for answers in [&[][..], &[2], &[2, -libc::EAGAIN]] {
        for writer_too in [false, true] {
            let runtime = runtime();
            let entered = runtime.enter();
            let mut writer = AsyncWriter::new(owned());
            assert_eq!(print(&mut writer, &runtime, answers), None, "dropped in there");
            if writer_too {
                drop(writer);
                assert_eq!(model::descriptors_open(), 1);
            } else {
                let mut writer = Box::new(writer);
                pump(&runtime);
                pump(&runtime);
                assert_eq!(print(&mut writer, &runtime, &[6]), Some(None));
            }
            drop(entered);
            drop(runtime);
            assert_eq!(model::descriptors_open(), 0);
            assert!(model::pending().is_empty());
        }
    }
}

/// Whatever the answers are, and wherever the tasks are when they end.
#[test]
fn in_tasks_that_are_aborted_and_shut_down() {
    for seed in 1..=SEEDS {
        let runtime = runtime();
        settle(&runtime, seed, async {
            let spawn = || {
                let mut writer = AsyncWriter::new(owned());
                ringspun::spawn(async move {
                    for line in 0..3 {
                        drop(writer.print(format_args!("line {line}\n")).await);
                    }
                })
            };
            let (joined, aborted) = (spawn(), spawn());
            spawn().detach();
            ringspun::task::yield_now().await;
            aborted.abort();
            joined.await.expect("no panic");
        });
        drop(runtime);
        assert_eq!(model::descriptors_open(), 0);
        assert!(model::pending().is_empty());
    }
}

#[test]
fn macros_at_random() {
    for seed in 1..=SEEDS {
        let runtime = runtime();
        settle(&runtime, seed, async {
            drop(ringspun::uring::print_stdout(format_args!("{seed} ")).await);
            drop(ringspun::uring::print_stderr(format_args!("{seed}\n")).await);
        });
    }
}
