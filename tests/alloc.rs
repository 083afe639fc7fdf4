//! No allocation on the hot path after warm-up, one for a spawn, few bytes for a task.
//!
//! The counter is `allocation-counter`'s: per thread, so tests beside each other do not disturb.
//! Each workload runs once before it is counted: tables and queues grow to their size then.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use futures::StreamExt;
use ringspun::op::{
    BufClass, Multishot, Nop, Read, Recv, RecvMulti, RecvSelect, Send, SharedFd, buf_group, submit,
};
use ringspun::runtime::{Builder, Runtime};
use ringspun::time::sleep;

const MILLION: usize = 1_000_000;

/// Runs `work` twice, counting in the second run, inside one `block_on`.
fn counted(mut work: impl AsyncFnMut()) -> AllocationInfo {
    let runtime = Runtime::new().expect("a ring");
    runtime.block_on(work());
    measure(|| runtime.block_on(work()))
}

#[track_caller]
fn assert_none(info: &AllocationInfo) {
    assert_eq!(info.count_total, 0, "{info:?}");
}

/// Polls two hundred ops, then awaits them, so that one system call serves many.
async fn in_batches<F: Future + Unpin>(
    total: usize,
    slots: &mut Vec<Option<F>>,
    mut make: impl FnMut() -> F,
    mut check: impl FnMut(F::Output),
) {
    for _ in 0..total / slots.capacity() {
        slots.clear();
        slots.extend((0..slots.capacity()).map(|_| Some(make())));
        let mut left = slots.len();
        std::future::poll_fn(|cx| {
            for slot in slots.iter_mut() {
                let Some(op) = slot else { continue };
                if let Poll::Ready(output) = Pin::new(op).poll(cx) {
                    *slot = None;
                    left -= 1;
                    check(output);
                }
            }
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[test]
fn z9_a_million_nops() {
    let mut slots = Vec::with_capacity(200);
    let info = counted(async || {
        let check = |result: std::io::Result<()>| assert!(result.is_ok());
        in_batches(MILLION, &mut slots, || submit(Nop::new()), check).await;
    });
    assert_none(&info);
}

#[test]
fn z9_a_million_cached_reads() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[7; 4096]).expect("room");
    let file = SharedFd::new(file);
    let mut slots = Vec::with_capacity(200);
    let mut spare: Vec<Box<[u8; 16]>> = (0..200).map(|_| Box::new([0; 16])).collect();
    let mut returned = Vec::with_capacity(200);
    let info = counted(async || {
        for _ in 0..MILLION / 200 {
            let mut make = || submit(Read::new(&file, spare.pop().expect("one for each"), 0));
            let check = |(result, buf): (std::io::Result<usize>, Box<[u8; 16]>)| {
                assert_eq!(result.expect("cached"), 16);
                returned.push(buf);
            };
            in_batches(200, &mut slots, &mut make, check).await;
            spare.append(&mut returned);
        }
    });
    assert_none(&info);
}

#[test]
fn z9_sends_and_receives() {
    let (ours, peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let (ours, peer) = (SharedFd::new(ours), SharedFd::new(peer));
    let mut bufs = Some((Box::new([1_u8; 64]), Box::new([0_u8; 64])));
    let info = counted(async || {
        for _ in 0..500_000 {
            let (message, room) = bufs.take().expect("put back");
            let (sent, message) = submit(Send::new(&ours, message, 0)).await;
            let (received, room) = submit(Recv::new(&peer, room, 0)).await;
            assert_eq!((sent.expect("sent"), received.expect("received")), (64, 64));
            bufs = Some((message, room));
        }
    });
    assert_none(&info);
}

#[test]
fn receives_into_pooled_buffers() {
    let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let ours = SharedFd::new(ours);
    let info = counted(async || {
        let group = buf_group(BufClass::Small).expect("this kernel has buffer rings");
        for _ in 0..100_000 {
            peer.write_all(&[1; 64]).expect("sent");
            let buf = submit(RecvSelect::new(&ours, group.clone(), 0)).await.expect("received");
            assert_eq!(buf.len(), 64);
        }
    });
    assert_none(&info);
}

#[test]
fn a_stream_of_pooled_buffers() {
    let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let ours = SharedFd::new(ours);
    let info = counted(async || {
        let group = buf_group(BufClass::Small).expect("this kernel has buffer rings");
        let mut stream = Multishot::new(RecvMulti::new(&ours, group, 0));
        for _ in 0..100_000 {
            peer.write_all(&[1; 64]).expect("sent");
            let buf = stream.next().await.expect("no end").expect("received");
            assert_eq!(buf.len(), 64);
        }
    });
    // What one stream needs for its queue of answers, however many they are.
    assert!(info.count_total < 16, "{info:?}");
}

#[test]
fn z9_receives_that_wait() {
    // The receive is in flight before the send: it is woken, not ready at once.
    let (ours, mut peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let ours = SharedFd::new(ours);
    let mut room = Some(Box::new([0_u8; 64]));
    let info = counted(async || {
        for _ in 0..20_000 {
            let mut recv = submit(Recv::new(&ours, room.take().expect("put back"), 0));
            let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut recv).poll(cx))).await;
            assert!(polled.is_pending());
            ringspun::task::yield_now().await;
            peer.write_all(&[3; 64]).expect("room");
            let (received, buf) = recv.await;
            assert_eq!(received.expect("received"), 64);
            room = Some(buf);
        }
    });
    assert_none(&info);
    let mut rest = [0; 1];
    peer.set_nonblocking(true).expect("a flag");
    assert!(peer.read(&mut rest).is_err());
}

#[test]
fn z9_sleeps_and_timeouts() {
    let mut slots = Vec::with_capacity(1000);
    let info = counted(async || {
        let make = || sleep(Duration::from_micros(50));
        in_batches(MILLION, &mut slots, make, |()| {}).await;
        for _ in 0..10_000 {
            submit(Nop::new()).timeout(Duration::from_secs(1)).await.expect("a nop");
        }
    });
    assert_none(&info);
}

#[test]
fn z9_yields_and_cancels() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let reader = SharedFd::new(reader);
    let mut room = Some(Box::new([0_u8; 64]));
    let info = counted(async || {
        for _ in 0..20_000 {
            ringspun::task::yield_now().await;
            let mut read = submit(Read::new(&reader, room.take().expect("put back"), Read::CURSOR));
            let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut read).poll(cx))).await;
            assert!(polled.is_pending());
            let (result, buf) = read.cancel().await;
            assert!(result.is_err());
            room = Some(buf);
        }
    });
    assert_none(&info);
}

/// Waits for one turn and carries some weight.
struct Weight<const N: usize> {
    bytes: [u8; N],
    yielded: bool,
}

impl<const N: usize> Future for Weight<N> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.bytes[0] = self.bytes[0].wrapping_add(1);
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn spawned<const N: usize>() -> AllocationInfo {
    const TASKS: usize = 1000;
    let mut handles = Vec::with_capacity(TASKS);
    let info = counted(async || {
        for _ in 0..TASKS {
            handles.push(ringspun::spawn(Weight { bytes: [1; N], yielded: false }));
        }
        // Until all have ended: a handle that has to wait keeps a waker.
        for _ in 0..3 {
            ringspun::task::yield_now().await;
        }
        for handle in handles.drain(..) {
            assert!(handle.is_finished());
            handle.await.expect("no panic");
        }
    });
    // None at all if the core keeps freed ones for the next.
    assert!(info.count_total <= TASKS as u64, "one allocation for a spawn: {info:?}");
    assert_eq!(info.count_current, 0, "all are freed: {info:?}");
    // A header is aligned to 8 bytes, and so is what follows it.
    let over = (info.bytes_total as usize / TASKS)
        .saturating_sub(size_of::<Weight<N>>().next_multiple_of(8));
    assert!(over <= 64, "a task is {over} bytes over its future");
    info
}

#[test]
fn one_allocation_for_a_spawn_and_64_bytes() {
    spawned::<1>();
    spawned::<63>();
    spawned::<500>();
}

/// A handle that is awaited before the task has ended costs at most one more.
#[test]
fn two_allocations_for_a_spawn_that_is_waited_for() {
    let info = counted(async || {
        for _ in 0..1000 {
            ringspun::spawn(async {}).await.expect("no panic");
        }
    });
    assert!(info.count_total <= 2000, "{info:?}");
    assert_eq!(info.count_current, 0, "{info:?}");
}

#[test]
fn wakes_from_another_thread() {
    let (to_core, from_thread) = async_channel::bounded::<u32>(4);
    let (to_thread, from_core) = async_channel::bounded::<u32>(4);
    let thread = std::thread::spawn(move || {
        while let Ok(n) = from_core.recv_blocking() {
            if to_core.send_blocking(n).is_err() {
                return;
            }
        }
    });
    let info = counted(async || {
        for n in 0..2000 {
            to_thread.send(n).await.expect("the thread listens");
            // The channel's listener allocates; what is ours is the wake.
            while from_thread.is_empty() {
                ringspun::task::yield_now().await;
            }
            assert_eq!(from_thread.try_recv(), Ok(n));
        }
    });
    drop(to_thread);
    thread.join().expect("no panic");
    assert_none(&info);
}

#[test]
fn borrowed_reads_and_writes_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, [7; 16 * 1024]).expect("room");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("there");
    let mut cached = ringspun::fs::File::from_std(file);
    // procfs knows no RWF_NOWAIT: each read is an op and a copy.
    let mut through_the_ring =
        ringspun::fs::File::from_std(std::fs::File::open("/proc/self/comm").expect("procfs"));
    let info = counted(async || {
        let mut buf = [0; 512];
        for _ in 0..200 {
            cached.rewind().await.expect("a file");
            cached.read_exact(&mut buf).await.expect("cached");
            cached.write_all(&buf).await.expect("room");
            through_the_ring.rewind().await.expect("a file");
            assert!(through_the_ring.read(&mut buf).await.expect("procfs") > 0);
        }
    });
    assert_none(&info);
}

/// What an echo server does for a message: a read that waits, and a write.
#[test]
fn an_echo_over_a_tcp_stream() {
    let runtime = Runtime::new().expect("a ring");
    let (mut ours, mut peer) = runtime.block_on(async {
        let listener = ringspun::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let peer = std::net::TcpStream::connect(address).expect("a listener");
        (listener.accept().await.expect("a connection").0, peer)
    });
    let mut echo = |messages: usize| {
        runtime.block_on(async {
            let mut buf = [0; 64];
            for _ in 0..messages {
                let count = {
                    // Armed before the message comes, as it is in a server.
                    let mut read = std::pin::pin!(ours.read(&mut buf));
                    let mut sent = false;
                    std::future::poll_fn(|cx| {
                        let polled = read.as_mut().poll(cx);
                        if polled.is_pending() && !std::mem::replace(&mut sent, true) {
                            peer.write_all(&[7; 64]).expect("room");
                        }
                        polled
                    })
                    .await
                    .expect("bytes")
                };
                ours.write_all(&buf[..count]).await.expect("room");
                peer.read_exact(&mut [0; 64]).expect("the echo");
            }
        });
    };
    echo(1000);
    assert_none(&measure(|| echo(20_000)));
}

/// Most of them wait for others to end.
#[test]
fn b24_reads_beyond_the_limit() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&[7; 4096]).expect("room");
    let runtime = Builder::new().file_ops(2).build().expect("a ring");
    let file = runtime.block_on(ringspun::fs::File::open(file.path())).expect("there");
    let read = |rounds: usize| {
        let mut bufs = Some([const { [0_u8; 16] }; 4].map(Box::new));
        runtime.block_on(async {
            for _ in 0..rounds {
                let [one, two, three, four] = bufs.take().expect("put back");
                let (one, two, three, four) = futures::join!(
                    file.read_at(one, 0),
                    file.read_at(two, 16),
                    file.read_at(three, 32),
                    file.read_at(four, 48),
                );
                bufs = Some([one, two, three, four].map(|(count, buf)| {
                    assert_eq!(count.expect("cached"), 16);
                    buf
                }));
            }
        });
        bufs
    };
    let _warm = read(100);
    let four = measure(|| drop(read(1)));
    let info = measure(|| drop(read(50_000)));
    assert_eq!((info.count_total, runtime.metrics().file_ops_max), (four.count_total, 2));
}
