//! Single situations, each of which lost something once or could.

use std::cell::RefCell;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use ringspun::io::ReadEnd;

use crate::support::{
    Core, Kind, PATIENCE, Pipe, Place, Tcp, Unix, block_on, passing, poll_and_drop, turns,
};

fn incoming() -> (ReadEnd<ringspun::io::Tcp>, Box<dyn Write + Send>) {
    Tcp::incoming()
}

#[test]
fn a_receive_into_no_room_is_not_the_end() {
    block_on(async {
        let (mut read, mut far) = incoming();
        let nothing = futures::FutureExt::now_or_never(read.recv(Vec::new()));
        assert!(nothing.is_none_or(|(result, _)| result.is_ok()));
        turns().await;
        far.write_all(b"there").expect("room");
        let mut buf = [0; 8];
        assert_eq!(read.read(&mut buf).await.expect("bytes"), 5);
    });
}

#[test]
fn try_read_beside_an_owned_receive() {
    block_on(async {
        let (read, mut far) = incoming();
        {
            let mut recv = pin!(read.recv(Vec::with_capacity(4)));
            assert!(futures::poll!(recv.as_mut()).is_pending());
            turns().await;
            far.write_all(b"12345678").expect("room");
            turns().await;
            // The first four are the receive's, though nobody has looked.
            let mut buf = [0; 8];
            let error = read.try_read(&mut buf).expect_err("they would come out of order");
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let (result, buf) = recv.await;
            assert_eq!((result.expect("bytes"), &buf[..]), (4, &b"1234"[..]));
        }
        let mut buf = [0; 8];
        assert_eq!(read.try_read(&mut buf).expect("bytes"), 4);
        assert_eq!(&buf[..4], b"5678");
    });
}

/// A `read` that was dropped has left a receive armed, or a wait for bytes. What that takes is
/// older than what is still in the kernel, whoever looks first.
fn try_read_beside_a_dropped_read<K: Kind>(core: Core) {
    const COUNT: usize = 40_000;
    core.block_on(async {
        for case in 0..24 {
            let (mut read, mut far) = K::incoming();
            let mut place = Place::default();
            let bytes = Place::default().give(COUNT);
            poll_and_drop(read.read(&mut [0; 4]));
            if case % 2 == 0 {
                turns().await;
            }
            // In two, so that the receive has what the first brings.
            let first = [1, 100, 5000, COUNT][case / 2 % 4];
            far.write_all(&bytes[..first]).expect("room");
            match case / 8 {
                0 => {}
                1 => ringspun::task::yield_now().await,
                _ => turns().await,
            }
            far.write_all(&bytes[first..]).expect("room");
            let mut buf = [0; 3000];
            while place.0 < COUNT as u64 {
                match passing(read.try_read(&mut buf)) {
                    Some(count) => place.take(&buf[..count]),
                    None => drop(passing(read.readable().await)),
                }
            }
        }
    });
}

#[test]
fn try_read_beside_a_dropped_read_of_each_kind() {
    let cores = [Core::Usual, Core::TinyPool, Core::NoPool, Core::TinyQueue, Core::OldKernel];
    for core in cores {
        try_read_beside_a_dropped_read::<Tcp>(core);
        try_read_beside_a_dropped_read::<Unix>(core);
        try_read_beside_a_dropped_read::<Pipe>(core);
    }
}

/// Polls what it is for as soon as it is woken, inside `wake`: as some executors do.
struct Eager;

type Held = Rc<RefCell<Option<Pin<Box<dyn Future<Output = Vec<u8>>>>>>>;

type Output = Rc<RefCell<Option<Vec<u8>>>>;

thread_local! {
    static EAGER: RefCell<Option<(Held, Output)>> = const { RefCell::new(None) };
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        let Some((held, output)) = EAGER.with(|eager| eager.borrow().clone()) else { return };
        let Some(mut future) = held.borrow_mut().take() else { return };
        let waker = Waker::from(self);
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(bytes) => *output.borrow_mut() = Some(bytes),
            Poll::Pending => *held.borrow_mut() = Some(future),
        }
    }
}

#[test]
fn the_next_reader_is_polled_by_its_waker_at_once() {
    block_on(async {
        let (read, mut far) = incoming();
        let read = Rc::new(read);
        let mut first = Box::pin({
            let read = Rc::clone(&read);
            async move { read.recv_pooled().await.expect("bytes").to_vec() }
        });
        assert!(futures::poll!(first.as_mut()).is_pending());
        let second: Pin<Box<dyn Future<Output = Vec<u8>>>> = Box::pin({
            let read = Rc::clone(&read);
            async move { read.recv_pooled().await.expect("bytes").to_vec() }
        });
        let (held, output) = (Rc::new(RefCell::new(Some(second))), Rc::default());
        EAGER.with(|eager| *eager.borrow_mut() = Some((Rc::clone(&held), Rc::clone(&output))));
        Waker::from(Arc::new(Eager)).wake();
        assert!(held.borrow().is_some(), "it stands in the line");
        far.write_all(b"first").expect("room");
        assert_eq!(first.await, b"first", "no end, and nobody else's");
        far.write_all(b"second").expect("room");
        let begun = std::time::Instant::now();
        while output.borrow().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it is never told");
            turns().await;
        }
        assert_eq!(output.borrow_mut().take().expect("just seen"), b"second");
        EAGER.with(|eager| eager.borrow_mut().take());
    });
}

#[test]
fn the_poller_is_told_when_the_one_with_a_ticket_goes() {
    block_on(async {
        let (read, mut far) = incoming();
        let read = Rc::new(read);
        let peeking = ringspun::task::spawn({
            let read = Rc::clone(&read);
            async move {
                let mut buf = [0; 8];
                std::future::poll_fn(|cx| read.poll_peek(cx, &mut buf)).await
            }
        });
        turns().await;
        {
            let mut recv = pin!(read.recv(Vec::with_capacity(8)));
            assert!(futures::poll!(recv.as_mut()).is_pending());
            turns().await;
        }
        far.write_all(b"peek").expect("room");
        assert_eq!(peeking.await.expect("no panic").expect("bytes"), 4);
        let mut buf = [0; 8];
        assert_eq!(read.try_read(&mut buf).expect("bytes"), 4);
    });
}

#[test]
fn those_behind_one_that_is_dropped_after_it_was_woken() {
    block_on(async {
        let (read, mut far) = incoming();
        let read = Rc::new(read);
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let read = Rc::clone(&read);
                ringspun::task::spawn(async move { read.recv_pooled().await.map(|buf| buf.len()) })
            })
            .collect();
        turns().await;
        far.write_all(b"one").expect("room");
        // Woken by the ring in this turn, or soon; gone before it has run, or after.
        waiting[0].abort();
        let mut waiting = waiting.into_iter();
        drop(waiting.next().expect("four").await);

        let last = waiting.next().expect("three");
        let count = ringspun::time::timeout(PATIENCE, last).await.expect("it is told");
        assert!(matches!(count.expect("not aborted"), Ok(3)));
    });
}

#[test]
fn a_panicking_waker_in_the_line() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    block_on(async {
        let (read, mut far) = incoming();
        let waker = Waker::from(Arc::new(Panics));
        let mut first = Box::pin(read.recv_pooled());
        assert!(futures::poll!(first.as_mut()).is_pending());
        let mut second = Box::pin(read.recv_pooled());
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let mut third = Box::pin(read.recv_pooled());
        assert!(futures::poll!(third.as_mut()).is_pending());
        // Its drop wakes the next, which panics; that must not come out of the drop.
        drop(first);
        drop(second);
        far.write_all(b"x").expect("room");
        assert_eq!(third.await.expect("bytes").len(), 1);
    });
}

#[test]
fn a_dropped_owned_receive_with_its_bytes_in_the_queue() {
    block_on(async {
        let (mut read, mut far) = incoming();
        for round in 0..100_u8 {
            let before = round % 2 == 0;
            if before {
                far.write_all(&[round]).expect("room");
            }
            poll_and_drop(read.recv(Vec::with_capacity(4096)));
            if !before {
                far.write_all(&[round]).expect("room");
            }
            if round % 3 == 0 {
                turns().await;
            }
            let mut buf = [0; 1];
            read.read_exact(&mut buf).await.expect("a byte");
            assert_eq!(buf[0], round);
        }
    });
}
