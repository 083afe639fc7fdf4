//! `POLL_ADD` again and again: `Multishot`.

use std::io;
use std::time::Duration;

use futures::StreamExt;
use ringspun::op::{CancelError, Fixed, Multishot, PollAddMulti};
use ringspun::uring::AsyncIoUring;

use super::sockets::poll_now;
use crate::support::{Ledger, Pipe, poll_once, runtime, turn, until};

const IN: u32 = libc::POLLIN as u32;
const HANGUP: u32 = libc::POLLHUP as u32;

fn stream(pipe: &Pipe) -> Multishot<PollAddMulti> {
    Multishot::new(PollAddMulti::new(&pipe.reader, IN))
}

/// Runs `test` in a runtime and counts afterwards.
fn counted(test: impl AsyncFnOnce()) {
    let ledger = Ledger::open();
    let runtime = runtime();
    runtime.block_on(test());
    drop(runtime);
    ledger.close();
}

/// Arms the stream, which has nothing to say yet.
async fn arm(stream: &mut Multishot<PollAddMulti>) {
    assert!(poll_once(&mut stream.next()).await.is_pending());
    turn().await;
}

fn is_ready(item: Option<io::Result<u32>>) {
    let mask = item.expect("no end").expect("ready");
    assert_ne!(mask & IN, 0, "{mask:x}");
}

#[test]
fn ok() {
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe);
        assert!(stream.id().is_none(), "not armed yet");
        arm(&mut stream).await;
        assert!(stream.id().is_some());
        for _ in 0..10 {
            pipe.write(b"x");
            is_ready(stream.next().await);
        }
    });
}

#[test]
fn error() {
    counted(async || {
        let mut stream = Multishot::new(PollAddMulti::new(Fixed(7), IN));
        for _ in 0..2 {
            // An end that is no cancel is an item, and the next poll tries again.
            let error = stream.next().await.expect("an item").expect_err("no such file");
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    });
}

/// A deadline on one item leaves the stream as it was.
#[test]
fn timeout() {
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe);
        let late = ringspun::time::timeout(Duration::from_millis(5), stream.next()).await;
        assert!(late.is_err());
        pipe.write(b"x");
        is_ready(stream.next().await);
    });
}

#[test]
fn cancelled() {
    // Before it was armed.
    counted(async || {
        let pipe = Pipe::new();
        let mut stream = stream(&pipe);
        stream.cancel();
        assert!(stream.next().await.is_none());
        assert!(stream.next().await.is_none(), "it stays ended");
    });
    // In the queue, in the kernel.
    for turned in [false, true] {
        counted(async || {
            let pipe = Pipe::new();
            let mut stream = stream(&pipe);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            stream.cancel();
            stream.cancel();
            assert!(stream.next().await.is_none());
            assert!(stream.id().is_none());
            assert!(stream.next().await.is_none(), "it stays ended");
        });
    }
    // With something to say: that still comes.
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        pipe.write(b"x");
        let mut next = stream.next();
        ringspun::time::sleep(Duration::from_millis(2)).await;
        is_ready(match poll_once(&mut next).await {
            std::task::Poll::Ready(item) => item,
            std::task::Poll::Pending => next.await,
        });
        stream.cancel();
        assert!(stream.next().await.is_none());
    });
}

#[test]
fn cancelled_by_its_id() {
    counted(async || {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        let id = stream.id().expect("armed");
        assert_eq!(ring.cancel(id).await, Ok(()));
        assert!(stream.next().await.is_none());
        assert_eq!(ring.cancel(id).await, Err(CancelError::NotFound));
    });
}

/// In the backlog: it ends there.
#[test]
fn cancelled_in_the_backlog() {
    let ledger = Ledger::open();
    let runtime = crate::support::builder().entries(1).build().expect("a ring");
    runtime.block_on(async {
        let pipe = Pipe::new();
        let mut filler = AsyncIoUring::current().nop();
        assert!(poll_once(&mut filler).await.is_pending());
        for dropped in [false, true] {
            let mut stream = stream(&pipe);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if dropped {
                drop(stream);
            } else {
                let id = stream.id().expect("armed");
                assert_eq!(AsyncIoUring::current().cancel(id).await, Ok(()));
                assert!(stream.next().await.is_none());
                drop(stream);
            }
            assert_eq!(pipe.reader.owners(), 1, "nothing is left of it");
        }
        filler.await.expect("nothing can fail");
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn removed_by_its_id() {
    counted(async || {
        let pipe = Pipe::new();
        let ring = AsyncIoUring::current();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        let id = stream.id().expect("armed");
        ring.poll_remove(id).await.expect("it is there");
        assert!(stream.next().await.is_none());
        let error = ring.poll_remove(id).await.expect_err("it has ended");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn dropped_before_poll() {
    counted(async || {
        let pipe = Pipe::new();
        drop(stream(&pipe));
        assert_eq!(pipe.reader.owners(), 1);
    });
}

#[test]
fn dropped_in_flight() {
    for turned in [false, true] {
        counted(async || {
            let pipe = Pipe::new();
            let mut stream = stream(&pipe);
            assert!(poll_once(&mut stream.next()).await.is_pending());
            if turned {
                turn().await;
            }
            drop(stream);
            assert_eq!(pipe.reader.owners(), 2, "the kernel may still use it");
            let reader = pipe.reader.clone();
            until("the dropped stream is freed", move || reader.owners() == 2).await;
        });
    }
}

/// Items that nobody takes, and more that come while it is being cancelled.
#[test]
fn completed_then_dropped() {
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        for _ in 0..5 {
            pipe.write(b"x");
            turn().await;
        }
        drop(stream);
        pipe.write(b"x");
        let reader = pipe.reader.clone();
        until("the dropped stream is freed", move || reader.owners() == 2).await;
    });
    // The last answer is there too.
    counted(async || {
        let pipe = Pipe::new();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        stream.cancel();
        ringspun::time::sleep(Duration::from_millis(5)).await;
        turn().await;
        drop(stream);
        let reader = pipe.reader.clone();
        until("the dropped stream is freed", move || reader.owners() == 2).await;
    });
}

#[test]
fn runtime_shut_down() {
    counted(async || {
        let pipe = Pipe::new();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        ringspun::spawn(async move { while stream.next().await.is_some() {} }).detach();
        turn().await;
    });
    // Kept beyond its runtime: dropped, polled.
    for polled in [false, true] {
        let ledger = Ledger::open();
        let runtime = runtime();
        let (mut pipe, mut stream) = runtime.block_on(async {
            let pipe = Pipe::new();
            let mut stream = stream(&pipe);
            arm(&mut stream).await;
            (pipe, stream)
        });
        pipe.write(b"x");
        drop(runtime);
        if polled {
            // What had come before the end comes; then the end.
            while let std::task::Poll::Ready(Some(item)) = poll_now(&mut stream.next()) {
                is_ready(Some(item));
            }
        }
        drop((pipe, stream));
        ledger.close();
    }
}

/// More answers than the window: the kernel is told to pause, all that came is kept, and when it
/// has been taken the op is armed again, silently, under a new name.
#[test]
fn window_pause_and_rearm() {
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe).window(2);
        arm(&mut stream).await;
        let first = stream.id().expect("armed");
        for _ in 0..6 {
            pipe.write(b"x");
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        // Those that came, and one more for the pipe is readable when it is armed again.
        let mut items = 0;
        while let Ok(item) = ringspun::time::timeout(Duration::from_millis(20), stream.next()).await
        {
            is_ready(item);
            items += 1;
        }
        // Under chaos answers may come together, and then the window is never full.
        if std::env::var_os("RINGSPUN_CHAOS_SEED").is_none() {
            assert!(items > 2, "{items} of 6");
            assert!(
                stream.id().is_some_and(|again| again != first),
                "each arming has its own name"
            );
        }
        assert!(items > 0);
        let mut reader = std::fs::File::from(
            std::os::fd::AsFd::as_fd(&pipe.reader).try_clone_to_owned().expect("a number"),
        );
        io::Read::read_exact(&mut reader, &mut [0; 6]).expect("six were written");
        pipe.write(b"x");
        is_ready(stream.next().await);
    });
}

/// Cancelled by us for the window and by the user at once: the user wins.
#[test]
fn cancelled_while_paused() {
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe).window(1);
        arm(&mut stream).await;
        for _ in 0..3 {
            pipe.write(b"x");
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        is_ready(stream.next().await);
        stream.cancel();
        let mut items = 0;
        while let Some(item) = stream.next().await {
            is_ready(Some(item));
            items += 1;
            assert!(items < 10, "what has arrived still comes, then the end");
        }
    });
}

#[test]
fn dropped_while_paused() {
    counted(async || {
        let mut pipe = Pipe::new();
        let mut stream = stream(&pipe).window(1);
        arm(&mut stream).await;
        for _ in 0..3 {
            pipe.write(b"x");
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        is_ready(stream.next().await);
        drop(stream);
        let reader = pipe.reader.clone();
        until("the dropped stream is freed", move || reader.owners() == 2).await;
    });
}

/// Nobody takes what is there, and it is not told again: edges.
#[test]
fn the_end_of_the_pipe_is_told() {
    counted(async || {
        let pipe = Pipe::new();
        let mut stream = stream(&pipe);
        arm(&mut stream).await;
        drop(pipe.writer);
        let mask = stream.next().await.expect("an item").expect("ready");
        assert_ne!(mask & HANGUP, 0, "{mask:x}");
    });
}

/// A queue of two completions for ten streams: what does not fit is not lost.
#[test]
fn more_answers_than_the_queue_holds() {
    let ledger = Ledger::open();
    let runtime = crate::support::builder().entries(2).cq_entries(2).build().expect("a ring");
    runtime.block_on(async {
        let mut pipes: Vec<Pipe> = (0..10).map(|_| Pipe::new()).collect();
        let mut streams: Vec<_> = pipes.iter().map(stream).collect();
        for stream in &mut streams {
            arm(stream).await;
        }
        for round in 0..20 {
            for pipe in &mut pipes {
                pipe.write(&[round]);
            }
            for stream in &mut streams {
                is_ready(stream.next().await);
            }
        }
    });
    drop(runtime);
    ledger.close();
}
