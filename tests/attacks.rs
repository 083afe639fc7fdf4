//! Attacks that an earlier state of the crate did not survive; each was a finding of a review whose
//! only aim was to break it.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::{Duration, Instant};

use futures::StreamExt;
use ringspun::op::{Completion, MultiOp, Multishot, Nop, Op, Read, SharedFd, Sqe, link, submit};
use ringspun::runtime::{Builder, Runtime};

/// One at a time: some look for their ring among the descriptors of the process.
fn serial() -> std::sync::MutexGuard<'static, ()> {
    static SERIAL: std::sync::Mutex<()> = std::sync::Mutex::new(());
    SERIAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) }
}

/// A no-op that answers with a number of its own.
struct Echo(i32);
unsafe impl Op for Echo {
    type Output = i32;
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(0);
        sqe.op_flags = 1;
        sqe.len = self.0 as u32;
        sqe
    }
    unsafe fn complete(self, completion: Completion) -> i32 {
        completion.raw_result()
    }
}

fn noop_cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn guards_out_of_order_spawn() {
    let _serial = serial();
    let rt1 = Runtime::new().unwrap();
    let rt2 = Runtime::new().unwrap();
    let guard2 = rt1.block_on(async { rt2.enter() });
    drop(rt1); // its `Tasks` are freed
    drop(guard2); // puts the freed ones back
    let filler: Vec<Vec<u8>> = (0..64).map(|n| vec![0xA5; 64 + 8 * n]).collect();
    let spawned = std::panic::catch_unwind(|| {
        drop(ringspun::spawn(async {}));
    });
    drop(filler);
    // Either there is no runtime (a panic that says so) or a live one that refuses.
    println!("spawned: {}", spawned.is_ok());
}

#[test]
fn guards_out_of_order_then_another() {
    let _serial = serial();
    let rt1 = Runtime::new().unwrap();
    let rt2 = Runtime::new().unwrap();
    let g1 = rt1.enter();
    let g2 = rt2.enter();
    drop(g1);
    drop(rt1);
    drop(g2);
    assert_eq!(rt2.block_on(async { ringspun::spawn(async { 5 }).await.unwrap() }), 5);
    drop(rt2);
    let rt3 = Runtime::new().unwrap();
    assert_eq!(rt3.block_on(async { ringspun::spawn(async { 5 }).await.unwrap() }), 5);
}

thread_local! {
    static ON_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    static CLONES: Cell<u32> = const { Cell::new(0) };
}
static EVIL: RawWakerVTable = RawWakerVTable::new(
    |data| {
        CLONES.set(CLONES.get() + 1);
        let hook = ON_CLONE.with(|hook| hook.borrow_mut().take());
        if let Some(hook) = hook {
            hook();
        }
        RawWaker::new(data, &EVIL)
    },
    |_| {},
    |_| {},
    |_| {},
);
fn evil_waker() -> Waker {
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &EVIL)) }
}

struct Canary(Rc<Cell<bool>>, Read<Vec<u8>>);
unsafe impl Op for Canary {
    type Output = ();
    fn prepare(&mut self) -> Sqe {
        self.1.prepare()
    }
    unsafe fn complete(self, completion: Completion) {
        println!("complete: {completion:?}");
        let _ = unsafe { self.1.complete(completion) };
        self.0.set(true);
    }
}

/// A waker whose clone cancels the op by its id, between `prepare` and the push.
#[test]
fn cancelled_by_waker_clone() {
    let _serial = serial();
    let rt: &'static Runtime = Box::leak(Box::new(Runtime::new().unwrap()));
    let (reader, writer) = pipe();
    let freed = Rc::new(Cell::new(false));
    let _guard = rt.enter();
    let op = Canary(Rc::clone(&freed), Read::new(reader, Vec::with_capacity(16), u64::MAX));
    let mut sub = submit(op);
    let id = sub.id();
    let handle = rt.handle();
    // `Handle::cancel` is deferred; what cancels at once is another owner of the id: emulate it
    // through a turn that runs the closure.
    handle.cancel(id);
    ON_CLONE.with(|hook| {
        *hook.borrow_mut() = Some(Box::new(move || {
            rt.turn(Some(Duration::ZERO)).unwrap();
        }));
    });
    let waker = evil_waker();
    let mut cx = Context::from_waker(&waker);
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Pin::new(&mut sub).poll(&mut cx).is_ready()
    }));
    println!("polled: {:?}", polled.as_ref().ok());
    drop(sub);
    // The op must not be gone while its entry is in the queue.
    let gone = Rc::strong_count(&freed) == 1;
    if polled.is_err() {
        assert!(!gone, "memory was freed while its entry sits in the submission queue");
    }
    let _ = (writer, gone);
    assert!(polled.is_ok(), "poll panicked");
    assert!(polled.unwrap(), "the cancel was lost");
}

struct PanickyWaker;
impl Wake for PanickyWaker {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

/// More than fit into the queue: the last ones are in the backlog when the runtime is dropped.
#[test]
fn waker_panics_in_shutdown() {
    let _serial = serial();
    let rt = Builder::new().entries(2).build().unwrap();
    let (reader, _writer) = pipe();
    let reader = SharedFd::new(reader);
    let waker = Waker::from(Arc::new(PanickyWaker));
    let mut subs: Vec<_> =
        (0..8).map(|_| submit(Read::new(&reader, Vec::with_capacity(8), u64::MAX))).collect();
    {
        let _guard = rt.enter();
        let mut cx = Context::from_waker(&waker);
        for sub in &mut subs {
            assert!(Pin::new(sub).poll(&mut cx).is_pending());
        }
    }
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(rt)));
    assert!(dropped.is_ok(), "a waker's panic came out of Runtime::drop");
}

/// The first of a queued chain has a waker that panics: the others must end all the same.
#[test]
fn waker_panics_in_cancel_of_chain() {
    let _serial = serial();
    let rt = Builder::new().entries(4).build().unwrap();
    let (reader, _writer) = pipe();
    let reader = SharedFd::new(reader);
    let waker = Waker::from(Arc::new(PanickyWaker));
    let _guard = rt.enter();
    let mut fill: Vec<_> =
        (0..4).map(|_| submit(Read::new(&reader, Vec::with_capacity(8), u64::MAX))).collect();
    for sub in &mut fill {
        assert!(Pin::new(sub).poll(&mut noop_cx()).is_pending());
    }
    let mut chain = link((Echo(1), Echo(2)));
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut chain).poll(&mut cx).is_pending());
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| chain.request_cancel()));
    println!("asked without a panic: {}", asked.is_ok());
    let _ = rt.turn(Some(Duration::ZERO));
    let _ = rt.turn(Some(Duration::ZERO));
    match Pin::new(&mut chain).poll(&mut noop_cx()) {
        Poll::Ready(Ok((a, b))) => assert_eq!((a, b), (-libc::ECANCELED, -libc::ECANCELED)),
        other => panic!("{:?}", other.is_pending()),
    }
}

struct PanicsInDrop;
impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("the payload's drop");
    }
}
struct DropPanics;
unsafe impl Op for DropPanics {
    type Output = DropPanics2;
    fn prepare(&mut self) -> Sqe {
        Sqe::new(0)
    }
    unsafe fn complete(self, _: Completion) -> DropPanics2 {
        DropPanics2
    }
}
struct DropPanics2;
impl Drop for DropPanics2 {
    fn drop(&mut self) {
        std::panic::panic_any(PanicsInDrop);
    }
}
struct PayloadWaker;
impl Wake for PayloadWaker {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(PanicsInDrop);
    }
}

#[test]
fn orphan_panics_with_payload_that_panics() {
    let _serial = serial();
    let rt = Runtime::new().unwrap();
    {
        let _guard = rt.enter();
        let mut sub = submit(DropPanics);
        assert!(Pin::new(&mut sub).poll(&mut noop_cx()).is_pending());
        drop(sub);
    }
    rt.block_on(async {
        for _ in 0..3 {
            submit(Nop::new()).await.unwrap();
        }
    });
    let started = Instant::now();
    drop(rt);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn waker_panics_with_payload_that_panics() {
    let _serial = serial();
    let rt = Runtime::new().unwrap();
    let mut sub = submit(Nop::new());
    {
        let _guard = rt.enter();
        let waker = Waker::from(Arc::new(PayloadWaker));
        assert!(Pin::new(&mut sub).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    rt.block_on(async {
        for _ in 0..3 {
            submit(Nop::new()).await.unwrap();
        }
    });
}

#[test]
fn cancel_between_eintr_and_poll() {
    let _serial = serial();
    let rt = Runtime::new().unwrap();
    let _guard = rt.enter();
    let mut sub = submit(Echo(-libc::EINTR));
    assert!(Pin::new(&mut sub).poll(&mut noop_cx()).is_pending());
    rt.turn(Some(Duration::from_secs(1))).unwrap();
    sub.request_cancel();
    match Pin::new(&mut sub).poll(&mut noop_cx()) {
        Poll::Ready(result) => assert_eq!(result, -libc::EINTR),
        Poll::Pending => panic!("retried although its cancel was asked for"),
    }
}

#[test]
fn id_after_unsupported_names_nobody() {
    let _serial = serial();
    struct Unknown;
    unsafe impl Op for Unknown {
        type Output = i32;
        fn prepare(&mut self) -> Sqe {
            Sqe::new(250)
        }
        unsafe fn complete(self, completion: Completion) -> i32 {
            completion.raw_result()
        }
    }
    let rt = Runtime::new().unwrap();
    let (reader, _writer) = pipe();
    rt.block_on(async {
        let mut first = submit(Read::new(reader, Vec::with_capacity(8), u64::MAX));
        assert!(futures::poll!(&mut first).is_pending());
        let first_id = first.id();
        let mut unknown = submit(Unknown);
        assert!(futures::poll!(&mut unknown).is_ready());
        assert_ne!(unknown.id(), first_id, "the id of a stranger");
    });
}

struct Accept(OwnedFd);
unsafe impl MultiOp for Accept {
    type Item = std::io::Result<OwnedFd>;
    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(13);
        sqe.ioprio = 1; // IORING_ACCEPT_MULTISHOT
        sqe.fd = self.0.as_raw_fd();
        sqe.op_flags = libc::SOCK_CLOEXEC as u32;
        sqe
    }
    unsafe fn item(&mut self, completion: Completion) -> Option<Self::Item> {
        let result = completion.into_result();
        Some(result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }
}

fn fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Nobody polls the stream: about a window of connections is accepted, not all.
#[test]
fn window_without_polls() {
    let _serial = serial();
    let rt = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rt.block_on(async move {
        let mut stream = Multishot::new(Accept(listener.into())).window(4);
        assert!(futures::poll!(stream.next()).is_pending());
        let mut clients = Vec::new();
        for _ in 0..60 {
            clients.push(std::net::TcpStream::connect(address).unwrap());
            submit(Nop::new()).await.unwrap();
        }
        for _ in 0..5 {
            ringspun::time::sleep(Duration::from_millis(2)).await;
        }
        let before = clients.len();
        let accepted = fds();
        drop(clients);
        let held = accepted - before;
        println!("descriptors besides the clients: {held}");
        // All come, in the end.
        let mut taken = 0;
        while taken < 60 {
            stream.next().await.unwrap().unwrap();
            taken += 1;
        }
        assert!(held < 40, "{held} descriptors: the window did not hold");
    });
}

/// A stream that paused itself is cancelled by its name: that must not be lost.
#[test]
fn paused_stream_cancelled_by_id() {
    let _serial = serial();
    let rt = Runtime::new().unwrap();
    let handle = rt.handle();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rt.block_on(async move {
        let mut stream = Multishot::new(Accept(listener.into())).window(2);
        assert!(futures::poll!(stream.next()).is_pending());
        let clients: Vec<_> =
            (0..6).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        submit(Nop::new()).await.unwrap();
        // Takes one, finds the window full, pauses.
        assert!(futures::poll!(stream.next()).is_ready());
        let id = stream.id().unwrap();
        handle.cancel(id);
        for _ in 0..3 {
            submit(Nop::new()).await.unwrap();
        }
        let mut taken = 1;
        let ended = ringspun::time::timeout(Duration::from_secs(1), async {
            while let Some(item) = stream.next().await {
                item.unwrap();
                taken += 1;
            }
        })
        .await;
        println!("taken {taken}");
        assert!(ended.is_ok(), "the cancel was lost");
        drop(clients);
    });
}

/// `item` says `None`: nothing may come after it.
#[test]
fn item_after_none() {
    let _serial = serial();
    struct Once(Accept, u32);
    unsafe impl MultiOp for Once {
        type Item = std::io::Result<OwnedFd>;
        fn prepare(&mut self) -> Sqe {
            self.0.prepare()
        }
        unsafe fn item(&mut self, completion: Completion) -> Option<Self::Item> {
            self.1 += 1;
            let item = unsafe { self.0.item(completion) };
            if self.1 == 2 { None } else { item }
        }
    }
    let rt = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rt.block_on(async move {
        let mut stream = Multishot::new(Once(Accept(listener.into()), 0));
        assert!(futures::poll!(stream.next()).is_pending());
        let clients: Vec<_> =
            (0..6).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        submit(Nop::new()).await.unwrap();
        let mut taken = 0;
        while let Some(item) = stream.next().await {
            item.unwrap();
            taken += 1;
        }
        assert_eq!(taken, 1, "items came after the op had ended the stream");
        drop(clients);
    });
}

#[test]
fn shutdown_timeout_huge() {
    let _serial = serial();
    let rt = Builder::new().shutdown_timeout(Duration::MAX).build().unwrap();
    rt.block_on(async {});
    drop(rt);
}

static COMPLETED: AtomicUsize = AtomicUsize::new(0);
struct Counted(Read<Vec<u8>>);
unsafe impl Op for Counted {
    type Output = ();
    fn prepare(&mut self) -> Sqe {
        self.0.prepare()
    }
    unsafe fn complete(self, completion: Completion) {
        let _ = unsafe { self.0.complete(completion) };
        COMPLETED.fetch_add(1, Ordering::Relaxed);
    }
}

/// A blocking closure eats the deadline: ops that end at once must still be ended.
#[test]
fn ops_not_lost_for_the_pools_sake() {
    let _serial = serial();
    let rt = Builder::new().entries(8).shutdown_timeout(Duration::from_millis(50)).build().unwrap();
    let (reader, _writer) = pipe();
    let reader = SharedFd::new(reader);
    rt.block_on(async {
        for _ in 0..1000 {
            let op = Counted(Read::new(&reader, Vec::with_capacity(8), u64::MAX));
            ringspun::spawn(submit(op)).detach();
        }
        ringspun::task::yield_now().await;
        submit(Nop::new()).await.unwrap();
        drop(ringspun::spawn_blocking(|| std::thread::sleep(Duration::from_secs(1))));
        submit(Nop::new()).await.unwrap();
    });
    let started = Instant::now();
    drop(rt);
    println!("took {:?}", started.elapsed());
    let completed = COMPLETED.load(Ordering::Relaxed);
    assert_eq!(completed, 1000, "the others were lost and leaked");
}

#[test]
fn runtime_in_thread_local() {
    let _serial = serial();
    thread_local! {
        static RT: Runtime = Runtime::new().unwrap();
    }
    std::thread::spawn(|| RT.with(|rt| rt.block_on(async { submit(Nop::new()).await.unwrap() })))
        .join()
        .unwrap();
}

/// The kernel takes the ring away: tasks still end inside their runtime.
#[test]
fn ring_failed_then_dropped() {
    let _serial = serial();
    struct OnDrop(Rc<Cell<u32>>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            // In a runtime that shuts down, spawns are refused, quietly, and ops can be dropped.
            let spawned = std::panic::catch_unwind(|| {
                drop(ringspun::spawn_blocking(|| ()));
                drop(ringspun::spawn(async {}));
            });
            self.0.set(if spawned.is_ok() { 1 } else { 2 });
        }
    }
    let before: Vec<_> = ring_fds();
    let rt = Runtime::new().unwrap();
    let ring = *ring_fds().iter().find(|fd| !before.contains(fd)).unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let seen = Rc::new(Cell::new(0));
    let on_drop = OnDrop(Rc::clone(&seen));
    let error = rt
        .try_block_on(async {
            ringspun::spawn(async move {
                let _on_drop = on_drop;
                std::future::pending::<()>().await;
            })
            .detach();
            ringspun::task::yield_now().await;
            unsafe { libc::dup2(null.as_raw_fd(), ring) };
            submit(Nop::new()).await
        })
        .unwrap_err();
    println!("{error}");
    drop(rt);
    assert_eq!(seen.get(), 1, "0: leaked; 2: dropped outside of its runtime");
}
fn ring_fds() -> Vec<i32> {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            (target.to_str()? == "anon_inode:[io_uring]")
                .then(|| entry.file_name().to_str().unwrap().parse().unwrap())
        })
        .collect()
}

/// The same while it looks before it sleeps.
#[test]
fn ring_failed_while_busy() {
    let _serial = serial();
    let before: Vec<_> = ring_fds();
    let rt = Builder::new().park(ringspun::runtime::Park::Busy).build().unwrap();
    let ring = *ring_fds().iter().find(|fd| !before.contains(fd)).unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let mut op = pin!(submit(Nop::new()));
    let error = rt
        .try_block_on(async {
            unsafe { libc::dup2(null.as_raw_fd(), ring) };
            op.as_mut().await
        })
        .unwrap_err();
    println!("{error}");
    let _guard = rt.enter();
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        op.as_mut().poll(&mut noop_cx()).is_pending()
    }));
    assert!(polled.is_err(), "an op of a failed ring hangs instead of saying that it is lost");
}

/// The first member's outcome panics when it is dropped: the others are abandoned all the same.
#[test]
fn chain_dropped_and_a_member_panics() {
    let _serial = serial();
    let rt = Runtime::new().unwrap();
    let (reader, _writer) = pipe();
    let reader = SharedFd::new(reader);
    {
        let _guard = rt.enter();
        let mut chain = link((DropPanics, Read::new(&reader, Vec::with_capacity(8), u64::MAX)));
        assert!(Pin::new(&mut chain).poll(&mut noop_cx()).is_pending());
        rt.turn(Some(Duration::from_secs(1))).unwrap();
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(chain)));
        if let Err(payload) = dropped {
            Box::leak(payload);
        }
    }
    drop(rt);
    assert_eq!(reader.owners(), 1, "the second member was leaked");
}
