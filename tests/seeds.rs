//! The rows of the seeds that need only the core: each test is named by its row.
//!
//! Rows about wall time have lower bounds, which are exact, and an upper bound that only tells
//! "together" from "one after the other".
//!
//! # Safety
//!
//! `gettid`, and an op of the test's own.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, PipeWriter, Write as _};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use ringspun::buf::BufResult;
use ringspun::op::{
    CWD, Class, Completion, Fsync, Nop, OPCODES, Op, OpenAt, PollAdd, PollAddMulti, Read, Recv,
    Send, SharedFd, Sqe, Write, link, stdin, submit,
};
use ringspun::runtime::{Builder, Runtime};
use ringspun::scope::{All, AllOk, Scope, TaskScope, scope};
use ringspun::task::ScopedValue;
use ringspun::time::sleep;
use ringspun::uring::{AsyncIoUring, AsyncWriter};

const TOGETHER: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Runtime::new().expect("a ring")
}

fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

fn pipe() -> (SharedFd, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (SharedFd::new(reader), writer)
}

fn sockets() -> (SharedFd, SharedFd) {
    let (one, other) = std::os::unix::net::UnixStream::pair().expect("a pair");
    (SharedFd::new(one), SharedFd::new(other))
}

fn read(fd: &SharedFd, len: usize) -> ringspun::op::Submission<Read<Vec<u8>>> {
    submit(Read::new(fd, Vec::with_capacity(len), Read::CURSOR))
}

/// Polls once and lets the kernel have it.
async fn start<F: Future + Unpin>(op: &mut F) {
    let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut *op).poll(cx))).await;
    assert!(polled.is_pending());
    ringspun::task::yield_now().await;
    ringspun::task::yield_now().await;
}

/// The kernel's workers of this thread.
fn own_io_workers() -> usize {
    // SAFETY: no argument.
    let own = format!("iou-wrk-{}", unsafe { libc::gettid() });
    let tasks = std::fs::read_dir("/proc/self/task").expect("procfs").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == own).count()
}

/// Runs one of these tests alone, in a process of its own: with `MARK` set.
const MARK: &str = "RINGSPUN_SEED_CHILD";

fn child_of(test: &str, input: Stdio) -> std::process::Child {
    Command::new(std::env::current_exe().expect("the test knows itself"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test runs itself")
}

fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// One submission for each receive: nothing is tried first and repeated when it is not ready.
#[test]
fn m1_no_receive_is_tried_twice() {
    const MESSAGES: u64 = 1000;
    let runtime = runtime();
    let (ours, peer) = runtime.block_on(async { sockets() });
    let before = runtime.metrics();
    runtime.block_on(async {
        let receiver = ringspun::spawn(async move {
            for _ in 0..MESSAGES {
                let (count, _) = submit(Recv::new(&ours, Vec::with_capacity(8), 0)).await;
                assert_eq!(count.expect("received"), 1);
            }
        });
        for _ in 0..MESSAGES {
            // The receive waits in the kernel by now.
            sleep(Duration::from_micros(10)).await;
            submit(Send::new(&peer, "x", 0)).await.0.expect("sent");
        }
        receiver.await.expect("no panic");
    });
    let after = runtime.metrics();
    // The notifier's poll may be among them.
    let submitted = after.submitted - before.submitted;
    assert!((2 * MESSAGES..=2 * MESSAGES + 1).contains(&submitted), "{submitted} entries");
    assert_eq!(after.stale, 0);
}

#[test]
fn m2_result_reaches_its_waiter() {
    let (reader, mut writer) = pipe();
    block_on(async {
        // Each read asks for another size, all are in flight at once, in order.
        let tasks = (1..=200_usize).map(|len| ringspun::spawn(read(&reader, len)));
        let tasks = tasks.collect::<Vec<_>>();
        ringspun::task::yield_now().await;
        for len in 1..=200_u8 {
            writer.write_all(&vec![len; usize::from(len)]).expect("room");
            // Who waits longest reads first; what was written is all there is for it.
            sleep(Duration::from_micros(100)).await;
        }
        drop(writer);
        let mut total = 0;
        for (task, len) in tasks.into_iter().zip(1..) {
            let (count, buf) = task.await.expect("no panic");
            assert_eq!(count.expect("bytes"), buf.len());
            assert!(buf.len() <= len);
            total += buf.len();
        }
        assert!(total > 0);
    });
    block_on(async {
        let ops = (0..1000_u64).map(|n| async move {
            let (result, buf) = submit(Read::new(zero(), vec![1; n as usize], 0)).await;
            (result.expect("zeroes"), buf)
        });
        for (n, (count, buf)) in join_all(ops).await.into_iter().enumerate() {
            assert_eq!((count, buf), (n, vec![0; n]));
        }
    });
}

fn zero() -> SharedFd {
    SharedFd::new(std::fs::File::open("/dev/zero").expect("it is there"))
}

#[test]
fn m3_stale_completion_wakes_no_new_owner() {
    let (reader, _writer) = pipe();
    block_on(async {
        for _ in 0..1000 {
            let mut old = read(&reader, 8);
            start(&mut old).await;
            drop(old);
            // Takes slots while the cancelled ones end.
            submit(Nop::new()).await.expect("its own result");
        }
    });
}

#[test]
fn m4_two_readers_one_descriptor() {
    let (ours, peer) = sockets();
    block_on(async {
        let recv = || ringspun::spawn(submit(Recv::new(&ours, Vec::with_capacity(1), 0)));
        let (one, other) = (recv(), recv());
        ringspun::task::yield_now().await;
        submit(Send::new(&peer, "ab", 0)).await.0.expect("room");
        let mut both = [one.await, other.await].map(|joined| joined.expect("no panic").1);
        both.sort();
        assert_eq!(both, [b"a", b"b"]);
    });
}

#[test]
fn m5_foreign_waker_is_woken_by_turn() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (reader, mut writer) = pipe();
    let woken = Arc::new(AtomicUsize::new(0));
    let waker = Arc::new(CountWakes(Arc::clone(&woken))).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut op = read(&reader, 8);
    assert!(Pin::new(&mut op).poll(&mut cx).is_pending());
    runtime.turn(Some(Duration::ZERO)).expect("the ring works");
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    writer.write_all(b"now").expect("room");
    while woken.load(Ordering::SeqCst) == 0 {
        runtime.turn(None).expect("the ring works");
    }
    let Poll::Ready((count, _)) = Pin::new(&mut op).poll(&mut cx) else { panic!("it was woken") };
    assert_eq!(count.expect("bytes"), 3);
}

struct CountWakes(Arc<AtomicUsize>);

impl std::task::Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn m6_poll_once_and_often() {
    let (reader, mut writer) = pipe();
    block_on(async {
        let mut once = submit(PollAdd::new(&reader, libc::POLLIN as u32));
        start(&mut once).await;
        let ring = AsyncIoUring::current();
        let mut often = ring.poll_add_multi(&reader, libc::POLLIN as u32);
        for round in 0..5 {
            writer.write_all(b"x").expect("room");
            let events = often.next().await.expect("it goes on").expect("an event");
            assert_ne!(events & libc::POLLIN as u32, 0, "round {round}");
            assert_eq!(read(&reader, 8).await.0.expect("a byte"), 1);
        }
        assert_ne!(once.await.expect("an event") & libc::POLLIN as u32, 0);
    });
    let _ = PollAddMulti::new(&reader, 0);
}

#[test]
fn m7_sockets_need_no_kernel_workers() {
    block_on(async {
        let pairs = (0..500).map(|_| sockets()).collect::<Vec<_>>();
        let echoes = pairs.into_iter().map(|(ours, peer)| {
            ringspun::spawn(async move {
                let receive = submit(Recv::new(&ours, Vec::with_capacity(8), 0));
                let send = async {
                    sleep(Duration::from_millis(5)).await;
                    submit(Send::new(&peer, "ping", 0)).await.0.expect("room")
                };
                let ((count, _), sent) = futures::join!(receive, send);
                assert_eq!((count.expect("bytes"), sent), (4, 4));
            })
        });
        let echoes = echoes.collect::<Vec<_>>();
        ringspun::task::yield_now().await;
        assert_eq!(own_io_workers(), 0);
        for echo in echoes {
            echo.await.expect("no panic");
        }
        assert_eq!(own_io_workers(), 0);
    });
}

#[test]
fn m8_buffer_outlives_its_dropped_future() {
    let (ours, peer) = sockets();
    block_on(async {
        for round in 0..200 {
            let mut recv = submit(Recv::new(&ours, vec![7_u8; 4096], 0));
            start(&mut recv).await;
            drop(recv);
            // The cancel is not sent yet: the kernel may fill the buffer now. Under the address
            // sanitizer a buffer that was freed shows here.
            let canary = vec![9_u8; 4096];
            submit(Send::new(&peer, vec![round as u8; 4096], 0)).await.0.expect("room");
            assert!(canary.iter().all(|byte| *byte == 9), "the kernel wrote into freed memory");
            let drain = submit(Recv::new(&ours, vec![0; 8192], libc::MSG_DONTWAIT as u32)).await;
            drop(drain);
        }
    });
}

#[test]
fn m9_files_through_the_ring() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let text = vec![b'x'; 100_000];
        let (count, text) = submit(Write::new(&file, text, 0)).await;
        assert_eq!(count.expect("room"), text.len());
        submit(Fsync::new(&file, 0)).await.expect("a disk");
        let (count, buf) = submit(Read::new(&file, Vec::with_capacity(100_000), 0)).await;
        assert_eq!(count.expect("bytes"), 100_000);
        assert_eq!(buf, text);
    });
}

#[test]
fn m10_cancel_of_a_running_file_read() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&vec![5; 16 << 20]).expect("room");
    let file = SharedFd::new(file);
    block_on(async {
        for _ in 0..20 {
            let mut op = submit(Read::new(&file, Vec::with_capacity(16 << 20), 0));
            let id = op.id();
            let task = ringspun::spawn(op);
            ringspun::task::yield_now().await;
            // Whatever this says, the op answers once, with bytes or with ECANCELED.
            let _answer = AsyncIoUring::current().cancel(id).await;
            match task.await.expect("no panic") {
                (Ok(count), buf) => assert!(count > 0 && buf[..count].iter().all(|b| *b == 5)),
                (Err(error), _) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
            }
        }
    });
}

#[test]
fn b2_one_thread_for_a_core() {
    if !is_child() {
        let child = child_of("b2_one_thread_for_a_core", Stdio::null());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").expect("procfs").count();
    let before = threads();
    block_on(async {
        let (ours, _peer) = sockets();
        let tasks = (0..1000_u64).map(|n| {
            let recv = submit(Recv::new(&ours, vec![0; 8], 0));
            ringspun::spawn(async move {
                sleep(Duration::from_micros(n)).await;
                let (result, _) = recv.timeout(Duration::from_millis(5)).await;
                result.expect_err("nothing comes");
            })
        });
        let tasks = tasks.collect::<Vec<_>>();
        sleep(Duration::from_millis(2)).await;
        assert_eq!(threads(), before);
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(threads(), before);
    });
}

fn sleeps_of_4s(count: usize) {
    let duration = Duration::from_secs(4);
    let started = Instant::now();
    block_on(async {
        let task = || ringspun::spawn(sleep(duration));
        for task in (0..count).map(|_| task()).collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
    });
    assert!(started.elapsed() >= duration);
    assert!(started.elapsed() < TOGETHER, "{:?}", started.elapsed());
}

#[test]
fn b3_thousand_sleeps_of_4s_take_4s() {
    sleeps_of_4s(1000);
}

#[test]
fn b3_hundred_thousand() {
    sleeps_of_4s(100_000);
}

/// What pins: the core stands still while a task blocks its thread.
#[test]
fn b4_thread_sleep_blocks_the_core() {
    let started = Instant::now();
    block_on(async {
        let nap = || ringspun::spawn(async { std::thread::sleep(Duration::from_millis(10)) });
        for task in (0..20).map(|_| nap()).collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
    });
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn b5_a_lock_each_held_across_the_sleep_takes_4s() {
    let started = Instant::now();
    block_on(async {
        let tasks = (0..1000).map(|_| {
            ringspun::spawn(async {
                let lock = tokio::sync::Mutex::new(());
                let _held = lock.lock().await;
                sleep(Duration::from_secs(4)).await;
            })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
    });
    assert!(started.elapsed() >= Duration::from_secs(4));
    assert!(started.elapsed() < TOGETHER);
}

#[test]
fn b6_a_contended_lock_keeps_the_core_alive() {
    let started = Instant::now();
    block_on(async {
        let lock = Rc::new(tokio::sync::Mutex::new(0));
        let tasks = (0..300).map(|_| {
            let lock = Rc::clone(&lock);
            ringspun::spawn(async move {
                let mut count = lock.lock().await;
                sleep(Duration::from_millis(1)).await;
                *count += 1;
            })
        });
        let tasks = ringspun::spawn(join_all(tasks.collect::<Vec<_>>()));
        let mut beats = 0;
        while !tasks.is_finished() {
            sleep(Duration::from_millis(1)).await;
            beats += 1;
        }
        assert_eq!(*lock.lock().await, 300);
        assert!(beats >= 50, "{beats} beats in {:?}", started.elapsed());
    });
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn b7_primitives_park_the_task() {
    block_on(async {
        let semaphore = Rc::new(tokio::sync::Semaphore::new(3));
        let barrier = Rc::new(tokio::sync::Barrier::new(10));
        let (inside, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let tasks = (0..10).map(|_| {
            let (semaphore, barrier) = (Rc::clone(&semaphore), Rc::clone(&barrier));
            let (inside, most) = (Rc::clone(&inside), Rc::clone(&most));
            ringspun::spawn(async move {
                barrier.wait().await;
                let _permit = semaphore.acquire().await.expect("open");
                inside.set(inside.get() + 1);
                most.set(most.get().max(inside.get()));
                sleep(Duration::from_millis(1)).await;
                inside.set(inside.get() - 1);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
        assert_eq!(most.get(), 3);
    });
}

#[test]
fn b8_sleep_blocks_only_its_task() {
    block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&order);
        let sleeper = ringspun::spawn(async move {
            sleep(Duration::from_millis(20)).await;
            seen.borrow_mut().push("slept");
        });
        submit(Nop::new()).await.expect("a nop");
        order.borrow_mut().push("worked");
        sleeper.await.expect("no panic");
        assert_eq!(*order.borrow(), ["worked", "slept"]);
    });
}

/// What the server of B9 and B10 saw: requests that wait for their answers, and when the first was
/// answered.
#[derive(Default)]
struct Slow {
    waiting: Cell<usize>,
    at_first_answer: Cell<Option<usize>>,
}

const ANSWER_AFTER: Duration = Duration::from_secs(3);
const REQUESTS: usize = 50;

impl Slow {
    async fn wait(&self) {
        self.waiting.set(self.waiting.get() + 1);
        sleep(ANSWER_AFTER).await;
        if self.at_first_answer.get().is_none() {
            self.at_first_answer.set(Some(self.waiting.get()));
        }
    }

    /// All requests had come before one was answered, so they were in flight together.
    fn check(&self, started: Instant) {
        assert_eq!(self.at_first_answer.get(), Some(REQUESTS));
        assert!(started.elapsed() >= ANSWER_AFTER);
        assert!(started.elapsed() < 2 * ANSWER_AFTER, "{:?}", started.elapsed());
        assert_eq!(own_io_workers(), 0);
    }
}

#[test]
fn b9_50_requests_by_tcp_to_a_server_that_takes_3s() {
    use ringspun::net::{TcpListener, TcpStream};
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let slow = Rc::new(Slow::default());
        let seen = Rc::clone(&slow);
        ringspun::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let seen = Rc::clone(&seen);
                ringspun::spawn(async move {
                    let mut request = [0; 4];
                    stream.read_exact(&mut request).await.expect("a request");
                    seen.wait().await;
                    stream.write_all(&request).await.expect("the client waits");
                })
                .detach();
            }
        })
        .detach();
        let started = Instant::now();
        let requests = (0..REQUESTS as u32).map(|number| async move {
            let mut stream = TcpStream::connect(address).await.expect("the server listens");
            stream.write_all(&number.to_be_bytes()).await.expect("the server reads");
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(answer, number.to_be_bytes());
        });
        join_all(requests.map(ringspun::spawn).collect::<Vec<_>>())
            .await
            .into_iter()
            .for_each(|joined| joined.expect("no panic"));
        slow.check(started);
    });
}

#[test]
fn b10_50_requests_by_udp_to_a_server_that_takes_3s() {
    use ringspun::net::UdpSocket;
    block_on(async {
        let server = Rc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a port"));
        let address = server.local_addr().expect("bound");
        let slow = Rc::new(Slow::default());
        let seen = Rc::clone(&slow);
        ringspun::spawn(async move {
            loop {
                let mut request = [0; 4];
                let (_, peer) = server.recv_from(&mut request).await.expect("a request");
                let (server, seen) = (Rc::clone(&server), Rc::clone(&seen));
                ringspun::spawn(async move {
                    seen.wait().await;
                    server.send_to(&request, peer).await.expect("the client waits");
                })
                .detach();
            }
        })
        .detach();
        let started = Instant::now();
        let requests = (0..REQUESTS as u32).map(|number| async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            socket.connect(address).await.expect("an address");
            socket.send(&number.to_be_bytes()).await.expect("room");
            let mut answer = [0; 8];
            assert_eq!(socket.recv(&mut answer).await.expect("an answer"), 4);
            assert_eq!(answer[..4], number.to_be_bytes());
        });
        join_all(requests.map(ringspun::spawn).collect::<Vec<_>>())
            .await
            .into_iter()
            .for_each(|joined| joined.expect("no panic"));
        slow.check(started);
    });
}

#[test]
fn b12_a_large_listing_does_not_hold_the_core() {
    const ENTRIES: usize = 100_000;
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..ENTRIES {
        let name = folder.path().join(n.to_string());
        std::os::unix::fs::symlink("nowhere", name).expect("room");
    }
    block_on(async {
        let ticks = Rc::new(Cell::new(0));
        let longest = Rc::new(Cell::new(Duration::ZERO));
        let (counter, maximum) = (Rc::clone(&ticks), Rc::clone(&longest));
        let heartbeat = ringspun::spawn(async move {
            loop {
                let before = Instant::now();
                sleep(Duration::from_micros(500)).await;
                maximum.set(maximum.get().max(before.elapsed()));
                counter.set(counter.get() + 1);
            }
        });
        let begin = Instant::now();
        let mut listing = ringspun::fs::read_dir(folder.path()).await.expect("there");
        let mut count = 0;
        while listing.next_entry().await.expect("readable").is_some() {
            count += 1;
        }
        assert_eq!(count, ENTRIES);
        println!("{:?}: {} ticks, longest {:?}", begin.elapsed(), ticks.get(), longest.get());
        // A core that was held would have had one or two.
        assert!(ticks.get() >= 10, "{} ticks", ticks.get());
        heartbeat.abort();
    });
}

#[test]
fn b23_ops_of_files_and_of_sockets_are_told_apart() {
    let class = |name: &str| {
        let row = OPCODES.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("{name} has no row")).class
    };
    for name in ["OPENAT", "READ", "WRITE", "READV", "WRITEV", "FSYNC", "FALLOCATE", "STATX"] {
        assert!(matches!(class(name), Class::MayUseWorker | Class::AlwaysWorker), "{name}");
    }
    for name in ["ACCEPT", "CONNECT", "RECV", "SEND"] {
        assert_eq!(class(name), Class::PollDriven, "{name}");
    }
}

/// A line that has not come suspends its task alone, with and without a buffer of its own.
#[cfg(feature = "tokio")]
#[test]
fn b11_buffered_readers_suspend() {
    use ringspun::io::{AsyncBufReadExt, BufReader};
    use ringspun::net::{TcpListener, TcpStream};

    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = ringspun::spawn(async move {
            for _ in 0..20 {
                let (stream, _) = listener.accept().await.expect("a connection");
                ringspun::spawn(async move {
                    let (mut reader, mut writer) = stream.into_split();
                    let mut line = String::new();
                    while reader.read_line(&mut line).await.expect("text") > 0 {
                        // In pieces: a line is whole only when its last byte has come.
                        for piece in line.to_uppercase().as_bytes().chunks(5) {
                            writer.write_all(piece).await.expect("room");
                            sleep(Duration::from_micros(50)).await;
                        }
                        line.clear();
                    }
                });
            }
        });
        let beats = Rc::new(Cell::new(0));
        let counting = Rc::clone(&beats);
        let heart = ringspun::spawn(async move {
            loop {
                sleep(Duration::from_millis(1)).await;
                counting.set(counting.get() + 1);
            }
        });
        let clients = (0..20).map(|client| {
            ringspun::spawn(async move {
                let stream = TcpStream::connect(address).await.expect("a server");
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                for round in 0..10 {
                    let line = format!("client {client} says {round}\n");
                    writer.write_all(line.as_bytes()).await.expect("room");
                    let answer = lines.next_line().await.expect("text").expect("a line");
                    assert_eq!(answer, line.trim_end().to_uppercase());
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("no panic");
        }
        server.await.expect("no panic");
        heart.abort();
        assert!(beats.get() > 0, "somebody held the core up");
    });
}

/// A scope is not left before its children have ended, however its body ends.
#[test]
fn l5_scope_waits_for_children() {
    const NAP: Duration = Duration::from_millis(200);
    fn nap(scope: &Scope<io::Result<()>>, ended: &Rc<Cell<u32>>) {
        for _ in 0..3 {
            let ended = Rc::clone(ended);
            let child = scope.spawn(async move {
                sleep(NAP).await;
                ended.set(ended.get() + 1);
                Ok(())
            });
            let _forgotten = std::mem::ManuallyDrop::new(child);
        }
    }
    let ended = Rc::new(Cell::new(0));
    // It forgets every handle, and returns early.
    let started = Instant::now();
    block_on(scope(AllOk::new(), async |scope| nap(scope, &ended))).expect("none fails");
    assert_eq!(ended.get(), 3);
    assert!(started.elapsed() >= NAP);
    // It fails, it panics, its time is over: children are cancelled, and gone when it is left.
    ended.set(0);
    let fails = async |scope: &Scope<io::Result<()>>| {
        nap(scope, &ended);
        Err(io::Error::other("early"))
    };
    block_on(scope(AllOk::new(), fails)).expect_err("it does");
    assert_eq!(Rc::strong_count(&ended), 1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        block_on(async {
            let panics = async |scope: &Scope<io::Result<()>>| {
                nap(scope, &ended);
                assert!(ended.get() > 9, "on purpose");
            };
            drop(scope(AllOk::new(), panics).await);
        });
    }));
    panicked.expect_err("it does");
    assert_eq!(Rc::strong_count(&ended), 1);
    let started = Instant::now();
    let late = TaskScope::new(AllOk::new()).timeout(NAP / 10);
    let late = block_on(late.run(async |scope| nap(scope, &ended)));
    assert!(late.expect_err("it is").is_deadline());
    assert!(started.elapsed() >= NAP / 10);
    // It is interrupted from outside.
    block_on(async {
        let body = async |scope: &Scope<io::Result<()>>| nap(scope, &ended);
        let scope = ringspun::time::timeout(NAP / 10, scope(AllOk::new(), body));
        scope.await.expect_err("it waits for its children");
        assert_eq!(Rc::strong_count(&ended), 1);
    });
    assert_eq!(ended.get(), 0);
}

/// Each task sees the values bound where it was spawned; a `thread_local!` is the core's.
#[test]
fn l8_a_child_inherits_bound_values() {
    static USER: ScopedValue<&'static str> = ScopedValue::new();
    thread_local! {
        static LAST: Cell<&'static str> = const { Cell::new("nobody") };
    }
    async fn serve() -> (&'static str, &'static str) {
        let user = USER.with(|user| *user);
        LAST.set(user);
        sleep(Duration::from_millis(5)).await;
        (USER.with(|user| *user), LAST.get())
    }
    let seen = block_on(scope(All::new(), async |scope| {
        for user in ["ann", "bob"] {
            // The child of the child has it too.
            USER.bind(user, || {
                scope.spawn(async { ringspun::spawn(serve()).await.expect("no panic") })
            });
        }
    }));
    let seen = seen.into_iter().map(|seen| seen.expect("no panic")).collect::<Vec<_>>();
    assert_eq!(seen, [("ann", "bob"), ("bob", "bob")], "the second is shared by the core");
}

/// What waits without blocking needs no care: channels of others, descriptors in a poll, sockets,
/// timers and threads, all in one program.
#[test]
fn n3_asynchronous_and_non_blocking_channels_side_by_side() {
    use futures::SinkExt;
    use ringspun::net::{TcpListener, TcpStream};

    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (mut numbers, to_send) = futures::channel::mpsc::channel::<u8>(1);
        let (received, mut checked) = tokio::sync::mpsc::channel::<u8>(1);

        // A thread feeds the first channel, on an executor of its own.
        let thread = std::thread::spawn(move || {
            futures::executor::block_on(async {
                for number in 0..200 {
                    numbers.send(number).await.expect("the core listens");
                }
            });
        });
        // A task carries the numbers into a socket, another one out of it.
        ringspun::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a listener");
            let mut to_send = to_send;
            while let Some(number) = to_send.next().await {
                stream.write_all(&[number]).await.expect("room");
            }
        });
        ringspun::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut number = [0];
            while stream.read(&mut number).await.expect("a byte") > 0 {
                received.send(number[0]).await.expect("they are counted");
            }
        });
        // std's non-blocking socket beside them: readiness is an op like others.
        let (plain, peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
        plain.set_nonblocking(true).expect("a socket");
        let plain = ringspun::spawn(async move {
            let fd = SharedFd::new(plain.try_clone().expect("a descriptor"));
            let mut total = 0;
            loop {
                match std::io::Read::read(&mut &plain, &mut [0; 64]) {
                    Ok(0) => break total,
                    Ok(count) => total += count,
                    Err(error) => {
                        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                        let ready = submit(PollAdd::new(&fd, libc::POLLIN as u32)).await;
                        ready.expect("readable");
                    }
                }
            }
        });
        let mut expected = 0;
        while let Some(number) = checked.recv().await {
            assert_eq!(number, expected);
            expected += 1;
            (&peer).write_all(&[number]).expect("room");
        }
        drop(peer);
        assert_eq!((expected, plain.await.expect("no panic")), (200, 200));
        thread.join().expect("no panic");
    });
}

#[test]
fn b15_blocking_calls_on_a_capped_pool() {
    for (cap, jobs, rounds) in [(16, 160, 10), (100, 100, 1)] {
        let started = Instant::now();
        let runtime = Builder::new().blocking_threads(cap).build().expect("a ring");
        let most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        runtime.block_on(async {
            let job = || {
                let most = Arc::clone(&most);
                ringspun::spawn_blocking(move || {
                    let inside = most.0.fetch_add(1, Ordering::SeqCst) + 1;
                    most.1.fetch_max(inside, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    most.0.fetch_sub(1, Ordering::SeqCst);
                })
            };
            for result in join_all((0..jobs).map(|_| job()).collect::<Vec<_>>()).await {
                result.expect("a thread");
            }
        });
        assert!(most.1.load(Ordering::SeqCst) <= cap);
        assert!(started.elapsed() >= Duration::from_millis(20 * rounds));
        assert!(started.elapsed() < TOGETHER);
    }
}

#[test]
fn b18_every_limit_is_a_setting() {
    let builder = Builder::new().entries(64).cq_entries(512).io_workers((3, 5));
    let runtime = builder.blocking_threads(2).build().expect("a ring");
    assert_eq!((runtime.info().sq_entries(), runtime.info().cq_entries()), (64, 512));
    runtime.block_on(async {
        let before = AsyncIoUring::current().register_io_workers((0, 0)).expect("Linux 5.15");
        assert_eq!(before, (3, 5));
    });
    let defaults = block_on(async { AsyncIoUring::current().register_io_workers((0, 0)) });
    assert_eq!(defaults.expect("Linux 5.15"), (4, 16));
}

/// Opens of FIFOs without a partner: each holds a worker of the kernel.
fn fifos(count: usize) -> (tempfile::TempDir, Vec<std::path::PathBuf>) {
    let dir = tempfile::tempdir().expect("a directory");
    let paths: Vec<_> = (0..count).map(|n| dir.path().join(n.to_string())).collect();
    let status = Command::new("mkfifo").args(&paths).status().expect("coreutils");
    assert!(status.success());
    (dir, paths)
}

#[test]
fn b21_b22_kernel_workers_are_seen_and_capped() {
    let (_dir, paths) = fifos(200);
    let runtime = Builder::new().io_workers((2, 2)).build().expect("a ring");
    runtime.block_on(async {
        // With O_CREAT the kernel does not try it without a worker.
        let flags = libc::O_RDONLY | libc::O_CREAT;
        let open = |path| ringspun::spawn(submit(OpenAt::new(CWD, path, flags, 0o600)));
        let tasks = paths.iter().map(open).collect::<Vec<_>>();
        let mut most = 0;
        for _ in 0..20 {
            sleep(Duration::from_millis(2)).await;
            most = most.max(own_io_workers());
        }
        assert!((1..=4).contains(&most), "{most} workers");
        // The ones that wait in a worker, and those behind them, can be ended.
        for task in tasks {
            task.abort();
            assert!(task.await.expect_err("aborted").is_cancelled());
        }
    });
}

/// A read that shall not wait: `RWF_NOWAIT`.
struct NoWait(Read<Vec<u8>>);

// SAFETY: O1: the inner op's, with one more flag.
unsafe impl Op for NoWait {
    type Output = BufResult<usize, Vec<u8>>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = self.0.prepare();
        sqe.op_flags |= libc::RWF_NOWAIT as u32;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: O3: the completion of the entry that the inner op prepared.
        unsafe { self.0.complete(completion) }
    }
}

#[test]
fn b26_fail_if_it_would_wait() {
    let (reader, mut writer) = pipe();
    block_on(async {
        let nowait = || submit(NoWait(Read::new(&reader, Vec::with_capacity(8), Read::CURSOR)));
        let (result, _) = nowait().await;
        assert_eq!(result.expect_err("empty").kind(), std::io::ErrorKind::WouldBlock);
        writer.write_all(b"there").expect("room");
        assert_eq!(nowait().await.0.expect("bytes"), 5);
    });
}

#[test]
fn z1_client_and_server_on_one_core() {
    block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let listener = SharedFd::new(listener);
        let server = ringspun::spawn(async move {
            let ring = AsyncIoUring::current();
            let peer = SharedFd::new(ring.accept(&listener, 0).await.expect("a client"));
            loop {
                let (count, buf) = ring.recv(&peer, Vec::with_capacity(512), 0).await;
                if count.expect("a message") == 0 {
                    return ring.close(peer).await.expect("closed");
                }
                ring.send(&peer, buf, 0).await.0.expect("the client listens");
            }
        });
        z16_connect_send_receive_close(address).await;
        server.await.expect("no panic");
    });
}

async fn z16_connect_send_receive_close(address: std::net::SocketAddr) {
    let ring = AsyncIoUring::current();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = SharedFd::new(socket.expect("a socket"));
    ring.connect(&socket, address).await.expect("the server listens");
    for n in 0..100 {
        let text = format!("message {n}");
        ring.send(&socket, text.clone(), 0).await.0.expect("the server listens");
        let (_, buf) = ring.recv(&socket, Vec::with_capacity(512), 0).await;
        assert_eq!(buf, text.as_bytes());
    }
    ring.close(socket).await.expect("closed");
}

#[test]
fn z2_the_table_has_all_operations_of_the_zig_library() {
    const ZIG: [&str; 28] = [
        "READ",
        "WRITE",
        "READV",
        "WRITEV",
        "READ_FIXED",
        "WRITE_FIXED",
        "FSYNC",
        "ACCEPT",
        "CONNECT",
        "EPOLL_CTL",
        "RECV",
        "SEND",
        "OPENAT",
        "CLOSE",
        "FALLOCATE",
        "STATX",
        "SHUTDOWN",
        "RENAMEAT",
        "UNLINKAT",
        "MKDIRAT",
        "SYMLINKAT",
        "LINKAT",
        "NOP",
        "POLL_ADD",
        "POLL_REMOVE",
        "TIMEOUT",
        "TIMEOUT_REMOVE",
        "ASYNC_CANCEL",
    ];
    for name in ZIG {
        assert!(OPCODES.iter().any(|row| row.name == name), "{name}");
    }
    // What Zig left out.
    assert!(OPCODES.iter().any(|row| row.file == "poll_update"));
    // What nobody wrote yet is reachable by an op of one's own: `NoWait` above.
}

#[test]
fn z3_read_times_out_after_10us() {
    let (reader, _writer) = pipe();
    block_on(async {
        let started = Instant::now();
        let (result, buf) = read(&reader, 8).timeout(Duration::from_micros(10)).await;
        assert!(started.elapsed() >= Duration::from_micros(10));
        assert_eq!(result.expect_err("nothing comes").kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(buf.capacity(), 8);
        // Told apart from a cancel.
        let (result, _) = read(&reader, 8).cancel().await;
        let error = result.expect_err("cancelled");
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        assert_ne!(error.kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn z4_stdin_timeout() {
    if !is_child() {
        let mut child = child_of("z4_stdin_timeout", Stdio::piped());
        let input = child.stdin.take();
        let output = child.wait_with_output().expect("it ends by itself");
        drop(input);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    block_on(async {
        let op = submit(Read::new(stdin(), vec![0; 256], Read::CURSOR));
        let (result, _) = op.timeout(Duration::from_millis(200)).await;
        assert_eq!(result.expect_err("nothing comes").kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn z5_cancel_by_id() {
    let (reader, _writer) = pipe();
    block_on(async {
        let mut op = read(&reader, 8);
        let id = op.id();
        let task = ringspun::spawn(op);
        ringspun::task::yield_now().await;
        assert_eq!(AsyncIoUring::current().cancel(id).await, Ok(()));
        let (result, _) = task.await.expect("no panic");
        assert_eq!(result.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
    });
}

#[test]
fn z6_late_cancel_is_harmless() {
    let (reader, mut writer) = pipe();
    block_on(async {
        let ring = AsyncIoUring::current();
        let mut first = submit(Nop::new());
        let old = first.id();
        first.await.expect("a nop");
        // The next op takes the place of the first.
        let mut second = read(&reader, 8);
        start(&mut second).await;
        for _ in 0..10 {
            assert_eq!(ring.cancel(old).await, Err(ringspun::op::CancelError::NotFound));
        }
        writer.write_all(b"unharmed").expect("room");
        assert_eq!(second.await.0.expect("bytes"), 8);
    });
}

#[test]
fn z7_own_operations_and_chains() {
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    block_on(async {
        let chain = link((Write::new(&file, "saved", 0), Fsync::new(&file, 0)));
        let ((written, text), synced) =
            chain.timeout(Duration::from_secs(30)).await.expect("two entries fit");
        assert_eq!((written.expect("room"), text), (5, "saved"));
        synced.expect("a disk");
        let own = submit(NoWait(Read::new(&file, Vec::with_capacity(8), 0)));
        assert_eq!(own.await.1, b"saved");
    });
}

#[test]
fn z8_short_and_long_form() {
    block_on(async {
        let ring = AsyncIoUring::current();
        ring.nop().await.expect("a nop");
        let mut long = ring.submit(Nop::new());
        let _name = long.id();
        long.timeout(Duration::from_secs(1)).await.expect("a nop");
    });
}

#[test]
fn z10_the_kernel_keeps_the_deadline_of_a_chain() {
    let (reader, _writer) = pipe();
    block_on(async {
        let deadline = ringspun::op::LinkTimeout::new(Duration::from_millis(2), 0);
        let chain = link((Read::new(&reader, vec![0; 8], Read::CURSOR), deadline));
        let ((result, _), _) = chain.await.expect("two entries fit");
        result.expect_err("the kernel ended it");
    });
}

#[test]
fn z11_what_can_be_registered() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let zero = std::fs::File::open("/dev/zero").expect("it is there");
        let files = ring.register_files(vec![zero.into()]).expect("room");
        assert_eq!(ring.read(files[0], vec![1; 4], 0).await.1, [0; 4]);
        let mut bufs = ring.register_buffers(vec![vec![1; 16]]).expect("memory");
        let buf = bufs.pop().expect("one");
        let (count, buf) = ring.read_fixed(files[0], buf, 0).await;
        assert_eq!(count.expect("zeroes"), 16);
        drop(buf);
        ring.unregister_files().expect("they were registered");
    });
}

#[test]
fn z13_printing_to_a_full_pipe_parks_the_task() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let writer = SharedFd::new(writer);
    block_on(async {
        let task = ringspun::spawn(async move {
            let mut writer = AsyncWriter::new(&writer);
            writer.print(format_args!("{}", "x".repeat(200_000))).await
        });
        for _ in 0..10 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!task.is_finished(), "a pipe holds less");
        let thread = std::thread::spawn(move || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut reader, &mut text).map(|_| text.len())
        });
        task.await.expect("no panic").expect("all of it");
        assert_eq!(thread.join().expect("no panic").expect("text"), 200_000);
    });
}

#[test]
fn z15_close_through_the_ring_and_by_drop() {
    block_on(async {
        let (ours, peer) = sockets();
        let ring = AsyncIoUring::current();
        ring.close(ours).await.expect("nobody else has it");
        let (count, _) = ring.recv(&peer, Vec::with_capacity(8), 0).await;
        assert_eq!(count.expect("the end"), 0);
        // Another owner keeps it open, and the close says so.
        let other = peer.clone();
        let error = ring.close(peer).await.expect_err("still in use");
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy, "{error}");
        drop(other);
    });
}

#[test]
fn z22_maturity_is_stated() {
    let readme = include_str!("../README.md");
    assert!(readme.contains("we know of nobody who runs it in production"));
}

#[test]
fn z17_the_loop_ends_when_idle() {
    let runtime = runtime();
    let started = Instant::now();
    runtime.run_until_idle().expect("nothing to do");
    let done = Rc::new(Cell::new(0));
    let counted = Rc::clone(&done);
    let entered = runtime.enter();
    for _ in 0..10 {
        let counted = Rc::clone(&counted);
        ringspun::spawn(async move {
            submit(Nop::new()).await.expect("a nop");
            counted.set(counted.get() + 1);
        })
        .detach();
    }
    drop(entered);
    runtime.run_until_idle().expect("the ring works");
    assert_eq!(done.get(), 10);
    assert_eq!(runtime.turn(None).expect("idle: it does not wait"), 0);
    assert!(started.elapsed() < TOGETHER);
}

#[test]
fn z18_ring_of_4_thousand_linked_ops() {
    // Writes at the cursor: their order in the file shows that no chain was split or reordered.
    let file = SharedFd::new(tempfile::tempfile().expect("a file"));
    let runtime = Builder::new().entries(4).build().expect("a small ring");
    runtime.block_on(async {
        let chains = (0..500_u64).map(|n| {
            let at = n * 4;
            link((Write::new(&file, "ab", at), Read::new(&file, Vec::with_capacity(2), at)))
        });
        for chain in chains.map(ringspun::spawn).collect::<Vec<_>>() {
            let (written, (count, seen)) = chain.await.expect("no panic").expect("two fit");
            assert_eq!(written.0.expect("room"), 2);
            assert_eq!(count.expect("it was written before"), 2);
            assert_eq!(seen, b"ab");
        }
    });
}

#[test]
fn z20_a_signal_is_not_seen() {
    // A handler without SA_RESTART: system calls of this thread end with EINTR.
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: zeroes are an action without flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the pointer is valid during the call; the handler does nothing.
    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    // SAFETY: no argument.
    let target = unsafe { libc::pthread_self() };
    let (reader, mut writer) = pipe();
    block_on(async {
        let thread = std::thread::spawn(move || {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(1));
                // SAFETY: the target waits for this thread.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
            }
            writer.write_all(b"after").map(|()| writer)
        });
        let (result, _) = read(&reader, 8).await;
        assert_eq!(result.expect("no signal is seen"), 5);
        thread.join().expect("no panic").expect("it was read");
    });
}
