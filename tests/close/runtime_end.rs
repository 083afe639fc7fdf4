//! Streams that outlive their runtime, or are never dropped.

use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use ringspun::net::{TcpListener, TcpStream};
use ringspun::runtime::Runtime;

use crate::support::{PATIENCE, pair, poll_and_drop, runtime, sees_the_end, turns};

/// The text of a panic.
fn panic_text(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a text")
}

fn armed_in(runtime: &Runtime) -> (TcpStream, std::net::TcpStream) {
    runtime.block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        (ours, far)
    })
}

#[test]
fn used_in_another_runtime_while_its_own_lives() {
    let (first, second) = (runtime(), runtime());
    let (mut ours, mut far) = armed_in(&first);
    let text = panic_text(|| {
        let _ = second.block_on(async { ours.read(&mut [0; 8]).await });
    });
    assert!(text.contains("runtime"), "{text}");
    // It is as it was.
    far.write_all(b"here").expect("room");
    let mut buf = [0; 4];
    first.block_on(async { ours.read_exact(&mut buf).await }).expect("bytes");
    assert_eq!(&buf, b"here");
}

#[test]
fn used_in_another_runtime_after_its_own() {
    let (mut ours, mut far) = armed_in(&runtime());
    far.write_all(b"here").expect("room");
    let second = runtime();
    let mut buf = [0; 4];
    let read = catch_unwind(AssertUnwindSafe(|| {
        second.block_on(async { ours.read_exact(&mut buf).await })
    }));
    // A clear panic, or it works; no error that nobody can know ("operation canceled").
    if let Ok(result) = read {
        result.expect("bytes");
        assert_eq!(&buf, b"here");
    }
}

#[test]
fn a_listener_in_another_runtime_after_its_own() {
    let listener = runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        poll_and_drop(listener.accept());
        turns().await;
        listener
    });
    let far = std::net::TcpStream::connect(listener.local_addr().expect("bound"));
    let second = runtime();
    let accepted = catch_unwind(AssertUnwindSafe(|| second.block_on(listener.accept()).map(drop)));
    if let Ok(result) = accepted {
        result.expect("a connection");
    }
    drop(far);
}

#[test]
fn outside_any_runtime() {
    let (mut ours, mut far) = pair();
    let text = panic_text(|| {
        let waker = std::task::Waker::noop();
        let read =
            std::pin::pin!(ours.read(&mut [0; 8])).poll(&mut std::task::Context::from_waker(waker));
        drop(read);
    });
    assert!(text.contains("runtime"), "{text}");
    // What does not wait works.
    far.write_all(b"now").expect("room");
    let begun = Instant::now();
    let mut buf = [0; 8];
    while ours.try_read(&mut buf).is_err() {
        assert!(begun.elapsed() < PATIENCE, "it never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(&buf[..3], b"now");
    // And it is not spoilt.
    far.write_all(b"then").expect("room");
    let count = runtime().block_on(async { ours.read(&mut buf).await }).expect("bytes");
    assert_eq!(&buf[..count], b"then");
    drop(ours);
    sees_the_end(&mut far);
}

#[test]
fn leaked_with_everything_in_flight() {
    let begun = Instant::now();
    let runtime = runtime();
    runtime.block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        poll_and_drop(ours.recv(Vec::with_capacity(8)));
        turns().await;
        Box::leak(Box::new((ours, far)));
        let (ours, far) = pair();
        // The future too.
        let ours = Box::leak(Box::new(ours));
        Box::leak(Box::new(far));
        let mut recv = Box::pin(ours.recv(Vec::with_capacity(8)));
        assert!(futures::poll!(recv.as_mut()).is_pending());
        Box::leak(Box::new(recv));
        let mut send = Box::pin(ours.send(vec![1; 16 << 20]));
        assert!(futures::poll!(send.as_mut()).is_pending());
        Box::leak(Box::new(send));
        turns().await;
    });
    drop(runtime);
    assert!(begun.elapsed() < PATIENCE, "nobody waits for what was leaked");
}

#[test]
fn a_leaked_future_does_not_bar_the_way() {
    runtime().block_on(async {
        let (mut ours, mut far) = pair();
        {
            let mut buf = [0; 8];
            let read = ours.read(&mut buf);
            let mut read = Box::pin(read);
            assert!(futures::poll!(read.as_mut()).is_pending());
            let _ = std::mem::ManuallyDrop::new(read);
        }
        far.write_all(b"on").expect("room");
        let mut buf = [0; 8];
        let next = ringspun::time::timeout(PATIENCE, ours.read(&mut buf)).await;
        assert_eq!(next.expect("nobody else can be there").expect("bytes"), 2);
    });
}

#[test]
fn kept_in_a_thread_local() {
    std::thread::spawn(|| {
        thread_local! {
            static KEPT: std::cell::RefCell<Option<TcpStream>> =
                const { std::cell::RefCell::new(None) };
        }
        let (ours, far) = armed_in(&runtime());
        KEPT.with(|kept| *kept.borrow_mut() = Some(ours));
        far
    })
    .join()
    .map(|mut far| sees_the_end(&mut far))
    .expect("its destructor runs after everything else");
}
