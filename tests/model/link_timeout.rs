//! A link timeout behind the op that it guards: who is first, and who is left.

use std::future::Future;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringspun::model;
use ringspun::op::{Link, LinkTimeout, Read, TimeoutEnd, Write, link};
use ringspun::runtime::Runtime;

use super::ops::owned;
use super::support::{Counts, Watched, poll, pump, runtime, runtime_of, settle, start};

type Reading = Watched<Read<Box<[u8]>>>;
type Timer = Watched<LinkTimeout>;
type Writing = Watched<Write<Box<[u8]>>>;

const SEEDS: u64 = if cfg!(miri) { 2 } else { 40 };

fn reading(counts: &Rc<Counts>) -> Reading {
    Watched::new(Read::new(owned(), vec![0; 4].into_boxed_slice(), 0), counts)
}

fn timer(counts: &Rc<Counts>) -> Timer {
    Watched::new(LinkTimeout::new(Duration::from_millis(1), 0), counts)
}

fn writing(counts: &Rc<Counts>) -> Writing {
    Watched::new(Write::new(owned(), vec![1; 4].into_boxed_slice(), 0), counts)
}

fn guarded(counts: &Rc<Counts>, runtime: &Runtime) -> Link<(Reading, Timer)> {
    let mut chain = link((reading(counts), timer(counts)));
    start(&mut chain);
    pump(runtime);
    chain
}

fn finished<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

/// Runs `test` with a runtime, and counts afterwards.
fn with_runtime(test: impl FnOnce(&Runtime, &Rc<Counts>)) {
    let counts = Rc::new(Counts::default());
    let runtime = runtime();
    let entered = runtime.enter();
    test(&runtime, &counts);
    drop(entered);
    drop(runtime);
    counts.all_ended();
    assert_eq!(model::descriptors_open(), 0);
    assert!(model::pending().is_empty());
}

#[test]
fn op_was_first() {
    with_runtime(|runtime, counts| {
        for result in [4, 2, -libc::EIO] {
            let mut chain = Box::new(guarded(counts, runtime));
            model::complete(0, result, 0);
            pump(runtime);
            let (read, timer) = finished(&mut *chain).expect("it fits");
            assert_eq!(read.0.is_ok(), result > 0);
            assert_eq!(timer.expect("disarmed"), TimeoutEnd::Completed);
        }
    });
}

#[test]
fn timer_was_first() {
    with_runtime(|runtime, counts| {
        let mut chain = Box::new(guarded(counts, runtime));
        model::complete(1, -libc::ETIME, 0);
        pump(runtime);
        let (read, timer) = finished(&mut *chain).expect("it fits");
        let error = read.0.expect_err("ended by the timer");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(timer.expect("fired"), TimeoutEnd::Elapsed);
    });
}

/// The timer is answered and its memory free, while the op goes on with its own.
#[test]
fn op_could_not_be_stopped() {
    with_runtime(|runtime, counts| {
        for dropped in [false, true] {
            let mut chain = guarded(counts, runtime);
            model::complete(1, -libc::EALREADY, 0);
            pump(runtime);
            start(&mut chain);
            if dropped {
                drop(Box::new(chain));
                model::deaf(true);
                pump(runtime);
                model::complete(0, 4, 0);
                model::deaf(false);
                pump(runtime);
                continue;
            }
            let mut chain = Box::new(chain);
            model::complete(0, 4, 0);
            pump(runtime);
            let (read, timer) = finished(&mut *chain).expect("it fits");
            assert_eq!(read.0.expect("done"), 4);
            assert_eq!(timer.expect("fired"), TimeoutEnd::Elapsed);
        }
    });
}

#[test]
fn dropped() {
    with_runtime(|runtime, counts| {
        drop(link((reading(counts), timer(counts))));
        let mut pushed = link((reading(counts), timer(counts)));
        start(&mut pushed);
        drop(pushed);
        drop(guarded(counts, runtime));
        let done = guarded(counts, runtime);
        model::complete(1, -libc::ETIME, 0);
        drop(done);
        let taken = guarded(counts, runtime);
        pump(runtime);
        model::deaf(true);
        drop(taken);
        pump(runtime);
        assert!(!model::pending().is_empty(), "they do not listen");
        while !model::pending().is_empty() {
            model::complete(model::pending().len() - 1, -libc::ETIME, 0);
        }
        model::deaf(false);
        pump(runtime);
    });
}

#[test]
fn queued() {
    let counts = Rc::new(Counts::default());
    let runtime = runtime_of(2);
    let entered = runtime.enter();
    let mut chains: Vec<_> = (0..4).map(|_| link((reading(&counts), timer(&counts)))).collect();
    chains.iter_mut().for_each(start);
    drop(chains.remove(2));
    chains[1].request_cancel();
    chains[2].request_cancel();
    settle(&runtime, 1, async move {
        for chain in chains {
            assert!(chain.await.is_ok());
        }
    });
    drop(entered);
    drop(runtime);
    counts.all_ended();
    assert_eq!(model::descriptors_open(), 0);
}

#[test]
fn cancelled() {
    with_runtime(|runtime, counts| {
        for deaf in [false, true] {
            let mut chain = guarded(counts, runtime);
            model::deaf(deaf);
            chain.request_cancel();
            pump(runtime);
            let mut chain = Box::new(chain);
            model::deaf(false);
            if deaf {
                start(&mut *chain);
                model::complete(0, 4, 0);
            }
            pump(runtime);
            assert!(finished(&mut *chain).is_ok());
        }
    });
}

/// It leaves the chain when it is answered; what is behind it follows the op.
#[test]
fn in_the_middle() {
    with_runtime(|runtime, counts| {
        for (fires, hard, dropped) in
            [(false, false, false), (true, false, false), (true, true, false), (true, true, true)]
        {
            let chain = link((reading(counts), timer(counts), writing(counts), timer(counts)));
            let mut chain = if hard { chain.hard() } else { chain };
            start(&mut chain);
            pump(runtime);
            let (nth, result) = if fires { (1, -libc::ETIME) } else { (0, 4) };
            model::complete(nth, result, 0);
            pump(runtime);
            let mut chain = Box::new(chain);
            if dropped {
                continue;
            }
            if hard || !fires {
                start(&mut *chain);
                model::complete(0, 4, 0);
                pump(runtime);
            }
            let (_read, _first, write, second) = finished(&mut *chain).expect("it fits");
            assert_eq!(write.0.is_ok(), hard || !fires);
            assert!(second.is_ok() || !hard);
        }
    });
}

#[test]
fn shut_down_and_outlived() {
    let counts = Rc::new(Counts::default());
    let runtime = runtime();
    let entered = runtime.enter();
    let kept = guarded(&counts, &runtime);
    let answered = guarded(&counts, &runtime);
    model::complete(3, -libc::ETIME, 0);
    let orphan = guarded(&counts, &runtime);
    drop(orphan);
    let task = guarded(&counts, &runtime);
    ringspun::spawn(async move { drop(task.await) }).detach();
    drop(entered);
    drop(runtime);
    drop(Box::new(kept));
    drop(answered);
    counts.all_ended();
    assert_eq!(model::descriptors_open(), 0);
    assert!(model::pending().is_empty());
}

#[test]
fn at_random() {
    for seed in 1..=SEEDS {
        with_runtime(|runtime, counts| {
            settle(runtime, seed, async {
                let two = link((reading(counts), timer(counts)));
                let four = link((reading(counts), timer(counts), writing(counts), timer(counts)));
                let aborted = link((writing(counts), timer(counts))).hard();
                let task = ringspun::spawn(async move { drop(aborted.await) });
                assert!(two.await.is_ok());
                task.abort();
                drop(four.timeout(Duration::from_micros(100)).await);
            });
        });
    }
}
