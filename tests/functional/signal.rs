//! Signals. Each test has one of its own: handlers are the process's, and tests are its threads.
//!
//! # Safety
//!
//! `raise(3)` of signals that a handler takes.
//!
//! # File tables
//!
//! A signal to the process may be taken by any thread, and the handler writes to an eventfd that
//! all of them have: but not here, where other tests have file tables of their own. So each signal
//! is sent to the thread that sends it.

#![allow(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use ringspun::signal::unix::{Signal, SignalKind, signal};

use crate::support::{Ledger, PATIENCE, block_on, panic_text, runtime};

/// To this thread; the handler has run when this returns.
fn send(kind: SignalKind) {
    // SAFETY: no memory is involved; the caller has a handler for it.
    let sent = unsafe { libc::raise(kind.as_raw_value()) };
    assert_eq!(sent, 0);
}

fn real_time(offset: i32) -> SignalKind {
    SignalKind::from_raw(libc::SIGRTMIN() + offset)
}

async fn comes(listener: &mut Signal) {
    let came = ringspun::time::timeout(PATIENCE, listener.recv()).await;
    came.expect("it comes").expect("the kernel can wait for it");
}

/// Long enough that what is to come has come, were it to.
async fn does_not_come(listener: &mut Signal) {
    let came = ringspun::time::timeout(Duration::from_millis(20), listener.recv()).await;
    assert!(came.is_err(), "nobody has sent it");
}

#[test]
fn ctrl_c() {
    block_on(async {
        let task = ringspun::spawn(ringspun::signal::ctrl_c());
        // A first listener of our own: then it does not end the process.
        let mut other = signal(SignalKind::interrupt()).expect("a handler");
        ringspun::time::sleep(Duration::from_millis(5)).await;
        send(SignalKind::interrupt());
        comes(&mut other).await;
        task.await.expect("no panic").expect("a handler");
    });
}

#[test]
fn one_after_the_other() {
    let ledger = Ledger::open();
    block_on(async {
        let mut listener = signal(SignalKind::user_defined1()).expect("a handler");
        does_not_come(&mut listener).await;
        for _ in 0..50 {
            send(SignalKind::user_defined1());
            comes(&mut listener).await;
        }
        does_not_come(&mut listener).await;
    });
    ledger.close();
}

#[test]
fn before_anybody_waits() {
    block_on(async {
        let mut listener = signal(real_time(1)).expect("a handler");
        for _ in 0..5 {
            send(real_time(1));
        }
        comes(&mut listener).await;
        // Several were one, at the least.
        let mut later = signal(real_time(1)).expect("a handler");
        does_not_come(&mut later).await;
    });
}

#[test]
fn two_listeners_on_one_core() {
    block_on(async {
        let mut first = signal(real_time(2)).expect("a handler");
        let mut second = signal(real_time(2)).expect("a handler");
        let mut stranger = signal(real_time(3)).expect("a handler");
        let waits = ringspun::spawn(async move {
            for _ in 0..20 {
                comes(&mut second).await;
            }
        });
        let strange = ringspun::spawn(async move { comes(&mut stranger).await });
        while !waits.is_finished() {
            send(real_time(2));
            comes(&mut first).await;
            ringspun::task::yield_now().await;
        }
        waits.await.expect("no panic");
        assert!(!strange.is_finished());
        send(real_time(3));
        strange.await.expect("no panic");
    });
}

#[test]
fn the_one_that_was_woken_goes() {
    block_on(async {
        let mut first = signal(real_time(4)).expect("a handler");
        let mut second = signal(real_time(4)).expect("a handler");
        for _ in 0..20 {
            let (second, first) = (&mut second, &mut first);
            let mut waits = pin!(second.recv());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waits.as_mut().poll(&mut cx).is_pending());
            {
                // This one asked last, and would be told; it is dropped before.
                let leads = pin!(first.recv());
                assert!(leads.poll(&mut cx).is_pending());
                send(real_time(4));
            }
            let came = ringspun::time::timeout(PATIENCE, waits).await;
            came.expect("it comes").expect("the kernel can wait for it");
            comes(first).await;
        }
    });
}

#[test]
fn a_dropped_wait_loses_nothing() {
    block_on(async {
        let mut listener = signal(real_time(5)).expect("a handler");
        for _ in 0..20 {
            {
                let waits = pin!(listener.recv());
                assert!(waits.poll(&mut Context::from_waker(Waker::noop())).is_pending());
                send(real_time(5));
            }
            comes(&mut listener).await;
        }
        does_not_come(&mut listener).await;
    });
}

#[test]
fn two_cores() {
    let (ready, others) = std::sync::mpsc::channel();
    let cores: Vec<_> = (0..2)
        .map(|_| {
            let ready = ready.clone();
            std::thread::spawn(move || {
                block_on(async {
                    let mut listener = signal(real_time(6)).expect("a handler");
                    ready.send(()).expect("they wait");
                    comes(&mut listener).await;
                });
            })
        })
        .collect();
    for _ in &cores {
        others.recv_timeout(PATIENCE).expect("it listens");
    }
    // One for both; they sleep by then, or nearly.
    std::thread::sleep(Duration::from_millis(20));
    send(real_time(6));
    for core in cores {
        core.join().expect("each has seen it");
    }
}

#[test]
fn the_core_sleeps() {
    block_on(async {
        let mut listener = signal(SignalKind::user_defined2()).expect("a handler");
        let sender = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            send(SignalKind::user_defined2());
        });
        assert!(listener.recv().await.is_some());
        sender.join().expect("no panic");
    });
}

#[test]
fn nobody_awaits() {
    let runtime = runtime();
    let mut kept = Vec::new();
    runtime.block_on(async {
        let mut listener = signal(real_time(7)).expect("a handler");
        does_not_come(&mut listener).await;
        kept.push(listener);
        kept.push(signal(real_time(7)).expect("a handler"));
    });
    // It would not return.
    runtime.run_until_idle().expect("a ring");
    runtime.block_on(async {
        send(real_time(7));
        for listener in &mut kept {
            comes(listener).await;
        }
    });
}

#[test]
fn poll_functions() {
    block_on(async {
        let mut listener = signal(real_time(8)).expect("a handler");
        let mut other = signal(real_time(8)).expect("a handler");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(listener.poll_recv(&mut cx).is_pending());
        send(real_time(8));
        comes(&mut other).await;
        assert!(listener.poll_recv(&mut cx).is_ready());
        assert!(listener.poll_recv(&mut cx).is_pending());
        drop(listener);
        send(real_time(8));
        comes(&mut other).await;
    });
}

#[test]
fn what_no_handler_may_take() {
    block_on(async {
        for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
            let error = signal(SignalKind::from_raw(number)).expect_err("forbidden");
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
        for number in [-1, 0, 1000] {
            assert!(signal(SignalKind::from_raw(number)).is_err(), "{number} is no signal");
        }
    });
}

#[test]
fn numbers() {
    assert_eq!(SignalKind::interrupt().as_raw_value(), libc::SIGINT);
    assert_eq!(SignalKind::terminate(), SignalKind::from_raw(libc::SIGTERM));
    assert_eq!(i32::from(SignalKind::window_change()), libc::SIGWINCH);
    assert_eq!(SignalKind::from(libc::SIGQUIT), SignalKind::quit());
}

#[test]
fn outside_a_runtime() {
    let text = panic_text(|| drop(signal(SignalKind::alarm())));
    assert!(text.contains("outside a runtime"), "{text}");
}

#[test]
fn the_next_runtime_on_the_thread() {
    let ledger = Ledger::open();
    for _ in 0..3 {
        let mut held = None;
        block_on(async {
            let mut listener = signal(real_time(9)).expect("a handler");
            assert!(listener.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
            held = Some(listener);
            send(real_time(9));
        });
        block_on(async {
            let mut listener = signal(real_time(9)).expect("a handler");
            send(real_time(9));
            comes(&mut listener).await;
        });
        drop(held);
    }
    ledger.close();
}
