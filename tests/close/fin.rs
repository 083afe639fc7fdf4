//! The peer sees the end when a stream is dropped, whatever is armed on it.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use ringspun::net::TcpStream;

use crate::support::{
    block_on, numbered, pair, poll_and_drop, read_all, runtime, sees_the_end, shrink, std_pair,
    tiny, turns, watch,
};

#[test]
fn with_a_read_in_flight_and_a_core_that_parks() {
    block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        let (thread, told) = watch(far);
        drop(ours);
        told.await.expect("told");
        let (bytes, end) = thread.join().expect("the watcher");
        assert_eq!((bytes, end.expect("the end")), (Vec::new(), ()));
    });
}

#[test]
fn with_a_read_in_flight_and_a_core_that_is_busy() {
    block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        let (thread, _) = watch(far);
        drop(ours);
        while !thread.is_finished() {
            ringspun::task::yield_now().await;
        }
        thread.join().expect("the watcher").1.expect("the end");
    });
}

#[test]
fn within_a_turn() {
    block_on(async {
        let (mut ours, mut far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        drop(ours);
        turns().await;
        // The core does nothing from here on: it is blocked in this read.
        sees_the_end(&mut far);
    });
}

#[test]
fn with_an_owned_receive_in_flight() {
    block_on(async {
        let (ours, mut far) = pair();
        poll_and_drop(ours.recv(Vec::with_capacity(64)));
        turns().await;
        drop(ours);
        turns().await;
        sees_the_end(&mut far);
    });
}

#[test]
fn with_readiness_awaited() {
    block_on(async {
        let (ours, mut far) = pair();
        poll_and_drop(ours.readable());
        poll_and_drop(ours.peek(&mut [0; 8]));
        turns().await;
        drop(ours);
        turns().await;
        sees_the_end(&mut far);
    });
}

#[test]
fn with_a_write_that_waits_for_room() {
    block_on(async {
        let (near, mut far) = std_pair();
        shrink(&near, &far);
        let mut ours = TcpStream::from_std(near).expect("a socket");
        let block = [7; 4096];
        let mut sent = 0;
        while let Some(count) = futures::FutureExt::now_or_never(ours.write(&block)) {
            sent += count.expect("room");
        }
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        drop(ours);
        turns().await;
        let (bytes, end) = read_all(&mut far);
        end.expect("the end");
        assert_eq!(bytes.len(), sent, "what write had taken arrives, and no more");
    });
}

#[test]
fn when_block_on_returns_right_after_the_drop() {
    let runtime = runtime();
    let (mut ours, mut far) = pair();
    runtime.block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        drop(ours);
    });
    // The runtime lives, and does not turn.
    sees_the_end(&mut far);
    drop(runtime);
}

#[test]
fn when_block_on_returns_and_the_read_never_turned() {
    let runtime = runtime();
    let (mut ours, mut far) = pair();
    runtime.block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        drop(ours);
    });
    sees_the_end(&mut far);
    drop(runtime);
}

#[test]
fn many_at_once_through_a_tiny_queue() {
    for entries in 1..=4 {
        let runtime = tiny(entries);
        let (ours, mut far): (Vec<_>, Vec<_>) = (0..40).map(|_| pair()).unzip();
        runtime.block_on(async move {
            let mut ours = ours;
            for stream in &mut ours {
                poll_and_drop(stream.read(&mut [0; 8]));
            }
            turns().await;
            drop(ours);
        });
        for far in &mut far {
            sees_the_end(far);
        }
        drop(runtime);
    }
}

#[test]
fn dropped_after_block_on_has_returned_it() {
    let runtime = runtime();
    let (mut ours, mut far) = pair();
    let ours = runtime.block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        ours
    });
    drop(ours);
    sees_the_end(&mut far);
    drop(runtime);
}

#[test]
fn dropped_with_the_main_future() {
    let runtime = runtime();
    let (mut ours, mut far) = pair();
    let mut waited = false;
    runtime.block_on(poll_fn(move |cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        assert!(pin!(ours.read(&mut [0; 8])).poll(cx).is_pending());
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    sees_the_end(&mut far);
    drop(runtime);
}

#[test]
fn dropped_inside_another_runtime() {
    let (first, second) = (runtime(), runtime());
    let (mut ours, mut far) = pair();
    let ours = first.block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        ours
    });
    second.block_on(async move {
        drop(ours);
        turns().await;
    });
    sees_the_end(&mut far);
    drop((first, second));
}

#[test]
fn after_its_runtime() {
    let (mut ours, mut far) = pair();
    let ours = runtime().block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        ours
    });
    drop(ours);
    sees_the_end(&mut far);
}

#[test]
fn with_its_task_when_the_runtime_goes() {
    let runtime = runtime();
    let (mut ours, mut far) = pair();
    runtime.block_on(async move {
        ringspun::task::spawn(async move {
            let mut buf = [0; 8];
            ours.read(&mut buf).await
        });
        turns().await;
    });
    drop(runtime);
    sees_the_end(&mut far);
}

#[test]
fn by_a_task_that_is_aborted() {
    block_on(async {
        let (mut ours, mut far) = pair();
        let task = ringspun::task::spawn(async move {
            let mut buf = [0; 8];
            ours.read(&mut buf).await
        });
        turns().await;
        task.abort();
        turns().await;
        sees_the_end(&mut far);
    });
}

#[test]
fn dropped_by_a_waker() {
    // The one that is woken owns the stream, and drops it while completions are dispatched.
    struct Drops(std::sync::Mutex<Option<std::thread::ThreadId>>);
    thread_local! {
        static KEPT: RefCell<Option<TcpStream>> = const { RefCell::new(None) };
    }
    impl std::task::Wake for Drops {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.lock().expect("whole") = Some(std::thread::current().id());
            drop(KEPT.with(|kept| kept.borrow_mut().take()));
        }
    }
    block_on(async {
        let (mut ours, mut far) = pair();
        let (mut other, mut other_far) = pair();
        let waker = std::task::Waker::from(std::sync::Arc::new(Drops(std::sync::Mutex::default())));
        poll_and_drop(ours.read(&mut [0; 8]));
        {
            let mut buf = [0; 8];
            let mut read = pin!(other.read(&mut buf));
            let mut cx = std::task::Context::from_waker(&waker);
            assert!(read.as_mut().poll(&mut cx).is_pending());
            turns().await;
            KEPT.with(|kept| *kept.borrow_mut() = Some(ours));
            std::io::Write::write_all(&mut other_far, b"wake").expect("room");
            turns().await;
        }
        assert!(KEPT.with(|kept| kept.borrow().is_none()), "it was woken");
        sees_the_end(&mut far);
    });
}

#[test]
fn bytes_held_in_user_space_do_not_reset() {
    block_on(async {
        let (ours, mut far) = pair();
        poll_and_drop(ours.recv(Vec::with_capacity(64)));
        std::io::Write::write_all(&mut far, b"taken").expect("room");
        turns().await;
        turns().await;
        drop(ours);
        turns().await;
        sees_the_end(&mut far);
    });
}

#[test]
fn half_closed_by_us() {
    block_on(async {
        let (mut ours, far) = pair();
        let sent = numbered(100_000);
        let (to_write, expected) = (sent.clone(), sent.clone());
        let thread = std::thread::spawn(move || {
            let mut far = far;
            let (bytes, end) = read_all(&mut far);
            end.expect("the end");
            assert!(bytes == expected, "all before the end");
            std::io::Write::write_all(&mut far, b"the answer").expect("still open");
        });
        ours.write_all(&to_write).await.expect("room");
        ours.shutdown().await.expect("connected");
        let error = ours.write(b"more").await.expect_err("it was shut down");
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await.expect("bytes");
        assert_eq!(answer, b"the answer");
        thread.join().expect("the peer");
    });
}

#[test]
fn half_closed_by_the_peer() {
    block_on(async {
        let (mut ours, mut far) = pair();
        let mut buf = [0; 8];
        poll_and_drop(ours.read(&mut buf));
        std::io::Write::write_all(&mut far, b"last").expect("room");
        far.shutdown(std::net::Shutdown::Write).expect("connected");
        assert_eq!(ours.read(&mut buf).await.expect("bytes"), 4);
        for _ in 0..3 {
            assert_eq!(ours.read(&mut buf).await.expect("the end"), 0);
            assert_eq!(ours.peek(&mut buf).await.expect("the end"), 0);
            assert_eq!(ours.recv(Vec::with_capacity(8)).await.0.expect("the end"), 0);
            assert!(ours.recv_pooled().await.expect("the end").is_empty());
            ours.readable().await.expect("the end is to be read");
            assert_eq!(ours.try_read(&mut buf).expect("the end"), 0);
        }
        ours.write_all(b"still here").await.expect("room");
        ours.close().await.expect("closed");
        let (bytes, end) = read_all(&mut far);
        assert_eq!((&bytes[..], end.expect("the end")), (&b"still here"[..], ()));
    });
}

#[test]
fn a_duplicate_lives_on() {
    block_on(async {
        let (near, mut far) = std_pair();
        let mut duplicate = near.try_clone().expect("a descriptor");
        let mut ours = TcpStream::from_std(near).expect("a socket");
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        drop(ours);
        turns().await;
        // Both ways.
        std::io::Write::write_all(&mut duplicate, b"alive").expect("room");
        let mut buf = [0; 8];
        assert_eq!(std::io::Read::read(&mut far, &mut buf).expect("bytes"), 5);
        std::io::Write::write_all(&mut far, b"too").expect("room");
        assert_eq!(std::io::Read::read(&mut duplicate, &mut buf).expect("bytes"), 3);
        drop(duplicate);
        sees_the_end(&mut far);
    });
}

#[test]
fn close_tells_and_closes() {
    block_on(async {
        let (mut ours, mut far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        ours.close().await.expect("closed");
        sees_the_end(&mut far);
    });
}

#[test]
fn shared_by_two_tasks() {
    block_on(async {
        let (ours, mut far) = pair();
        let ours = Rc::new(ours);
        let tasks = [0, 1, 2].map(|_| {
            let ours = Rc::clone(&ours);
            ringspun::task::spawn(async move { ours.recv(Vec::with_capacity(8)).await.0 })
        });
        turns().await;
        drop(ours);
        for task in &tasks {
            task.abort();
        }
        turns().await;
        sees_the_end(&mut far);
    });
}
