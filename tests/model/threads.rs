//! Wakers, handles and outputs around ops, from other threads.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

use ringspun::model;
use ringspun::op::{Nop, Read, submit};

use super::ops::fd;
use super::support::{poll, pump, runtime, start};

#[test]
fn woken_from_a_thread_while_asleep() {
    let runtime = runtime();
    model::automatic(1);
    model::expect_wakes(true);
    let (sender, receiver) = mpsc::channel::<Waker>();
    let thread = thread::spawn(move || {
        for waker in receiver {
            waker.wake_by_ref();
            drop(waker.clone());
            waker.wake();
        }
    });
    runtime.block_on(async move {
        for _ in 0..5 {
            let mut sent = false;
            poll_fn(|cx| {
                if sent {
                    return Poll::Ready(());
                }
                sent = true;
                sender.send(cx.waker().clone()).expect("it listens");
                Poll::Pending
            })
            .await;
            drop(submit(Nop::new()).await);
        }
    });
    thread.join().expect("no panic");
}

/// A waker of one task polls an op in another: the slot holds a reference to the foreign task.
#[test]
fn waker_of_another_task() {
    let runtime = runtime();
    model::automatic(2);
    runtime.block_on(async {
        let stolen: Rc<RefCell<Option<Waker>>> = Rc::default();
        let thief = Rc::clone(&stolen);
        ringspun::spawn(poll_fn(move |cx| {
            *thief.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }))
        .await
        .expect("no panic");
        // That task is gone but for this waker, which now goes too, with the slot holding on.
        let waker = stolen.borrow_mut().take().expect("stolen");
        let mut future = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(Future::poll(std::pin::Pin::new(&mut future), &mut cx).is_pending());
        drop(waker);
        ringspun::time::sleep(std::time::Duration::from_micros(1)).await;
        let mut ended = Box::new(future);
        drop((&mut *ended).await);
    });
}

#[test]
fn remote_tasks_and_cancels() {
    let runtime = runtime();
    model::expect_wakes(true);
    let handle = runtime.handle();
    let (sender, receiver) = mpsc::channel();
    let other = handle.clone();
    let thread = thread::spawn(move || {
        let id = receiver.recv().expect("an id");
        other.cancel(id);
        other.spawn(|| async { Box::new(5) })
    });
    runtime.block_on(async move {
        let mut future = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
        sender.send(future.id()).expect("it listens");
        let (result, _buf) = future.await;
        assert_eq!(result.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
        let remote = thread.join().expect("no panic");
        assert_eq!(*remote.await.expect("not cancelled"), 5);
    });
    drop(runtime);
    assert!(handle.spawn(|| async {}).is_finished(), "refused");
}

/// The last waker, and a join handle's output, go after the runtime and elsewhere.
#[test]
fn waker_outlives_everything() {
    let runtime = runtime();
    let entered = runtime.enter();
    let (sender, receiver) = mpsc::channel();
    let handle = ringspun::spawn(poll_fn(move |cx| {
        sender.send(cx.waker().clone()).expect("it listens");
        let mut op = submit(Read::new(fd(), vec![0; 4].into_boxed_slice(), 0));
        start(&mut op);
        // Dropped in flight, in a poll.
        drop(op);
        Poll::Ready(Rc::new(7))
    }));
    pump(&runtime);
    let waker = receiver.recv().expect("sent");
    drop(entered);
    drop(runtime);
    let mut handle = Box::new(handle);
    assert!(matches!(poll(&mut *handle), Poll::Ready(Ok(output)) if *output == 7));
    drop(handle);
    thread::spawn(move || {
        waker.wake_by_ref();
        drop(waker);
    })
    .join()
    .expect("no panic");
}

/// Foreign wakers go to the op's slot and back out of it on the op's own thread only.
#[test]
fn op_polled_with_wakers_of_two_runtimes() {
    let first = runtime();
    let stolen = first.block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
    let second = runtime();
    let entered = second.enter();
    let mut future = submit(Nop::new());
    let mut cx = std::task::Context::from_waker(&stolen);
    assert!(Future::poll(std::pin::Pin::new(&mut future), &mut cx).is_pending());
    drop(first);
    pump(&second);
    model::complete(0, 0, 0);
    pump(&second);
    assert!(poll(&mut future).is_ready());
    drop(entered);
    drop(second);
    drop(stolen);
}
