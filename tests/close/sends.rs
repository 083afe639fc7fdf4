//! Owned sends go on without their stream.

use std::net::TcpStream as StdStream;
use std::time::{Duration, Instant};

use ringspun::net::TcpStream;
use ringspun::runtime::Builder;

use crate::support::{
    PATIENCE, block_on, numbered, pair, poll_and_drop, read_all, runtime, shrink, std_pair, tiny,
    turns,
};

/// More than the kernel's buffers take.
const BIG: usize = 16 << 20;

fn reader(far: StdStream, after: Duration) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut far = far;
        std::thread::sleep(after);
        let (bytes, end) = read_all(&mut far);
        end.expect("the end");
        bytes
    })
}

#[track_caller]
fn arrives(thread: std::thread::JoinHandle<Vec<u8>>) {
    let bytes = thread.join().expect("the reader");
    assert_eq!(bytes.len(), BIG);
    assert!(bytes == numbered(BIG), "in order");
}

#[test]
fn of_a_dropped_stream_arrive() {
    block_on(async {
        let (ours, far) = pair();
        poll_and_drop(ours.send(numbered(BIG)));
        drop(ours);
        let thread = reader(far, Duration::from_millis(20));
        while !thread.is_finished() {
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        arrives(thread);
    });
}

#[test]
fn arrive_also_when_the_runtime_goes_at_once() {
    let runtime = runtime();
    let (ours, far) = pair();
    runtime.block_on(async move {
        poll_and_drop(ours.send(numbered(BIG)));
        drop(ours);
    });
    let thread = reader(far, Duration::from_millis(20));
    drop(runtime);
    arrives(thread);
}

#[test]
fn of_a_task_that_goes_with_the_runtime() {
    let runtime = runtime();
    let (ours, far) = pair();
    runtime.block_on(async move {
        ringspun::task::spawn(async move { ours.send(numbered(BIG)).await.0 });
        turns().await;
    });
    let thread = reader(far, Duration::from_millis(20));
    drop(runtime);
    arrives(thread);
}

#[test]
fn with_a_receive_in_flight() {
    let runtime = runtime();
    let (mut ours, far) = pair();
    runtime.block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        poll_and_drop(ours.send(numbered(BIG)));
        turns().await;
        drop(ours);
    });
    let thread = reader(far, Duration::from_millis(20));
    drop(runtime);
    arrives(thread);
}

#[test]
fn through_a_tiny_queue_that_is_full() {
    for entries in 1..=4 {
        let runtime = tiny(entries);
        let (ours, far) = pair();
        let idle: Vec<_> = (0..20).map(|_| pair()).collect();
        runtime.block_on(async move {
            // More than fit, all in front of the send, and nothing has turned.
            let mut idle = idle;
            for (stream, _far) in &mut idle {
                poll_and_drop(stream.read(&mut [0; 8]));
            }
            poll_and_drop(ours.send(numbered(BIG)));
            drop(ours);
            drop(idle);
        });
        let thread = reader(far, Duration::from_millis(5));
        drop(runtime);
        arrives(thread);
    }
}

#[test]
fn dropped_outside_the_runtime() {
    let runtime = runtime();
    let (ours, far) = pair();
    let ours = runtime.block_on(async move {
        poll_and_drop(ours.send(numbered(BIG)));
        turns().await;
        ours
    });
    drop(ours);
    let thread = reader(far, Duration::from_millis(20));
    drop(runtime);
    arrives(thread);
}

#[test]
fn dropped_inside_another_runtime() {
    let (first, second) = (runtime(), runtime());
    let (ours, far) = pair();
    let ours = first.block_on(async move {
        poll_and_drop(ours.send(numbered(BIG)));
        turns().await;
        ours
    });
    second.block_on(async move { drop(ours) });
    let thread = reader(far, Duration::from_millis(20));
    drop((first, second));
    arrives(thread);
}

#[test]
fn later_writes_come_behind() {
    block_on(async {
        let (mut ours, far) = pair();
        let all = numbered(BIG);
        poll_and_drop(ours.send(all[..BIG - 1000].to_vec()));
        turns().await;
        let early = ours.try_write(b"x").expect_err("it would overtake");
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
        let thread = reader(far, Duration::from_millis(5));
        ours.write_all(&all[BIG - 1000..]).await.expect("room");
        drop(ours);
        turns().await;
        arrives(thread);
    });
}

#[test]
fn shutdown_comes_behind() {
    block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.send(numbered(BIG)));
        let thread = reader(far, Duration::from_millis(5));
        ours.shutdown().await.expect("connected");
        turns().await;
        while !thread.is_finished() {
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        arrives(thread);
        drop(ours);
    });
}

#[test]
fn close_comes_behind() {
    block_on(async {
        let (ours, far) = pair();
        poll_and_drop(ours.send(numbered(BIG)));
        let thread = reader(far, Duration::from_millis(5));
        ours.close().await.expect("closed");
        arrives(thread);
    });
}

#[test]
fn of_a_write_half_end_by_the_end() {
    block_on(async {
        let (ours, far) = pair();
        let (read, write) = ours.into_split();
        poll_and_drop(write.send(numbered(BIG)));
        drop(write);
        let thread = reader(far, Duration::from_millis(5));
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < PATIENCE * 2 {
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        // The reading half lives: only a shutdown could have told the peer.
        arrives(thread);
        drop(read);
    });
}

#[test]
fn that_have_arrived_before_the_write_half_goes() {
    block_on(async {
        for len in [1, 1 << 16] {
            let (ours, mut far) = pair();
            let (read, write) = ours.into_split();
            // Nobody looks at its answer any more.
            poll_and_drop(write.send(numbered(len)));
            turns().await;
            turns().await;
            drop(write);
            turns().await;
            let (bytes, end) = read_all(&mut far);
            end.expect("the end");
            assert!(bytes == numbered(len));
            drop(read);
        }
    });
}

#[test]
fn of_a_write_half_that_outlives_the_runtime() {
    let (ours, mut far) = pair();
    let (read, write) = runtime().block_on(async move {
        let (read, write) = ours.into_split();
        poll_and_drop(write.send(numbered(100)));
        turns().await;
        (read, write)
    });
    drop(write);
    let (bytes, end) = read_all(&mut far);
    end.expect("the end");
    assert!(bytes == numbered(100));
    drop(read);
}

#[test]
fn a_peer_that_never_reads_is_given_up() {
    // At once, so that the patience is spent once: a stream, a write half, the shutdown's patience.
    let runtime = Builder::new().shutdown_timeout(Duration::from_secs(20)).build().expect("a ring");
    let (near, mut far) = std_pair();
    shrink(&near, &far);
    let (second, mut second_far) = std_pair();
    shrink(&second, &second_far);
    let begun = Instant::now();
    runtime.block_on(async {
        let ours = TcpStream::from_std(near).expect("a socket");
        poll_and_drop(ours.send(numbered(BIG)));
        turns().await;
        drop(ours);
        let ours = TcpStream::from_std(second).expect("a socket");
        let (read, write) = ours.into_split();
        poll_and_drop(write.send(numbered(BIG)));
        turns().await;
        drop((read, write));
        while runtime.metrics().abandoned < 2 {
            assert!(begun.elapsed() < PATIENCE * 2, "it is never given up");
            ringspun::time::sleep(Duration::from_millis(20)).await;
        }
        turns().await;
    });
    assert!(begun.elapsed() >= Duration::from_secs(5), "before its time");
    assert_eq!(runtime.metrics().abandoned, 2);
    assert_eq!(runtime.metrics().ops_orphaned, 0);
    for far in [&mut far, &mut second_far] {
        // The beginning is there, and an end of whatever kind.
        let (bytes, _) = read_all(far);
        assert!(bytes.len() < BIG && bytes[..] == numbered(BIG)[..bytes.len()]);
    }
}

#[test]
fn what_shutdown_cuts_off_is_counted_too() {
    // Nobody can ask a runtime that is gone; that it does not wait longer than it may is seen here.
    let runtime =
        Builder::new().shutdown_timeout(Duration::from_millis(50)).build().expect("a ring");
    let (near, far) = std_pair();
    shrink(&near, &far);
    runtime.block_on(async {
        let ours = TcpStream::from_std(near).expect("a socket");
        poll_and_drop(ours.send(numbered(BIG)));
        turns().await;
    });
    let begun = Instant::now();
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(4), "shutdown_timeout goes before");
    drop(far);
}

#[test]
fn that_were_never_polled_send_nothing() {
    block_on(async {
        let (ours, mut far) = pair();
        drop(ours.send(numbered(100)));
        drop(ours);
        turns().await;
        let (bytes, end) = read_all(&mut far);
        assert_eq!((bytes.len(), end.expect("the end")), (0, ()));
    });
}
