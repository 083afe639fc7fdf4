//! Building, turning and ending a runtime.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use futures::future::join_all;
use ringspun::op::{Nop, PollAdd, Read, Recv, SharedFd, link, submit};
use ringspun::runtime::{Builder, Park, Pretend, Runtime};
use ringspun::time::sleep;

use crate::support::{
    Ledger, PATIENCE, Pipe, builder, full_pipe, panic_text, poll_once, receive, runtime, send_all,
    socket_pair, submit_only, thread_names, turn,
};

#[test]
fn block_on_twice() {
    let runtime = runtime();
    let kept = runtime.block_on(async {
        ringspun::spawn(async {
            sleep(Duration::from_millis(1)).await;
            7
        })
    });
    // Tasks that were not done go on in the next one.
    assert_eq!(runtime.block_on(kept).expect("the task is alive"), 7);
}

#[test]
fn the_future_may_borrow() {
    let mut text = String::from("neither 'static nor Send");
    let rc = Rc::new(Cell::new(0));
    runtime().block_on(async {
        text.push('!');
        rc.set(1);
    });
    assert!(text.ends_with('!') && rc.get() == 1);
}

#[test]
fn a_hundred_in_sequence() {
    let ledger = Ledger::open();
    for n in 0..100 {
        let runtime = runtime();
        let answer = runtime.block_on(async {
            submit(Nop::new()).await.expect("a nop");
            ringspun::spawn(async move { n }).await.expect("no panic")
        });
        assert_eq!(answer, n);
    }
    ledger.close();
}

#[test]
fn two_entered_in_turn() {
    let (one, other) = (runtime(), runtime());
    for _ in 0..3 {
        one.block_on(async { submit(Nop::new()).await }).expect("a nop");
        other.block_on(async { submit(Nop::new()).await }).expect("a nop");
    }
    // The first goes while the second stays.
    drop(one);
    other.block_on(async { submit(Nop::new()).await }).expect("a nop");
}

#[test]
fn entered_by_hand() {
    let runtime = runtime();
    let entered = runtime.enter();
    let mut op = tokio_test::task::spawn(submit(Nop::new()));
    tokio_test::assert_pending!(op.poll());
    // A turn may come back early.
    let mut happened = 0;
    while !op.is_woken() {
        happened += runtime.turn(Some(PATIENCE)).expect("the ring works");
    }
    assert!(happened > 0);
    tokio_test::assert_ready!(op.poll()).expect("a nop");
    drop(entered);
}

#[test]
fn turn_waits_for_a_completion_or_its_limit() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut pipe = Pipe::new();
    let mut op = tokio_test::task::spawn(submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR)));
    tokio_test::assert_pending!(op.poll());
    let started = Instant::now();
    let limit = Duration::from_millis(20);
    while !op.is_woken() && started.elapsed() < limit {
        runtime.turn(Some(limit - started.elapsed().min(limit))).expect("the ring works");
    }
    assert!(!op.is_woken() && started.elapsed() >= limit);
    pipe.write(b"x");
    while !op.is_woken() {
        assert!(started.elapsed() < PATIENCE);
        runtime.turn(None).expect("the ring works");
    }
    assert_eq!(tokio_test::assert_ready!(op.poll()).0.expect("a byte"), 1);
}

#[test]
fn turn_does_not_wait_when_idle() {
    let runtime = runtime();
    // The first arms the notifier (and again, if its poll should end); then nothing happens.
    let quiet = (0..100).any(|_| runtime.turn(None).expect("the ring works") == 0);
    assert!(quiet);
}

#[test]
fn run_until_idle_leaves_what_waits_for_others() {
    let runtime = runtime();
    let done = Rc::new(Cell::new(0));
    let entered = runtime.enter();
    let counted = Rc::clone(&done);
    ringspun::spawn(async move {
        sleep(Duration::from_millis(5)).await;
        counted.set(counted.get() + 1);
        submit(Nop::new()).await.expect("a nop");
        counted.set(counted.get() + 1);
    })
    .detach();
    ringspun::spawn(pending::<()>()).detach();
    drop(entered);
    runtime.run_until_idle().expect("the ring works");
    assert_eq!(done.get(), 2);
}

#[test]
fn pending_ops_do_not_hang_shutdown() {
    let ledger = Ledger::open();
    let runtime = builder().shutdown_timeout(PATIENCE).build().expect("a ring");
    let started = Instant::now();
    let empty = Pipe::new();
    let (_reader, full) = full_pipe();
    let (ours, _peer) = socket_pair();
    let listener = SharedFd::new(std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
    let buffers = ledger.buffers.clone();
    runtime.block_on(async {
        for _ in 0..10 {
            let read = submit(Read::new(&empty.reader, buffers.empty(8), Read::CURSOR));
            ringspun::spawn(read).detach();
            ringspun::spawn(submit(Recv::new(&ours, buffers.empty(8), 0))).detach();
            let write = ringspun::op::Write::new(&full, buffers.of("more"), Read::CURSOR);
            ringspun::spawn(submit(write)).detach();
            ringspun::spawn(submit(ringspun::op::Accept::new(&listener, 0))).detach();
            ringspun::spawn(submit(PollAdd::new(&empty.reader, libc::POLLIN as u32))).detach();
        }
        turn().await;
    });
    drop(runtime);
    assert!(started.elapsed() < PATIENCE, "the shutdown waited for its deadline");
    drop((empty, _reader, full, ours, _peer, listener));
    ledger.close();
}

#[test]
fn forgotten_ops_do_not_hang_shutdown() {
    let runtime = builder().shutdown_timeout(PATIENCE).build().expect("a ring");
    let started = Instant::now();
    let mut pipe = Pipe::new();
    let buffers = crate::support::Buffers::default();
    runtime.block_on(async {
        let mut op = submit(Read::new(&pipe.reader, buffers.empty(8), Read::CURSOR));
        assert!(submit_only(&mut op).await.is_pending());
        let _forgotten = std::mem::ManuallyDrop::new(op);
    });
    pipe.write(b"into memory that is still there");
    drop(runtime);
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(buffers.live(), 1, "what is forgotten is leaked, never freed");
}

#[test]
fn spawn_in_a_drop_during_shutdown() {
    struct SpawnsWhenDropped(Rc<RefCell<Option<ringspun::task::JoinHandle<()>>>>);

    impl Drop for SpawnsWhenDropped {
        fn drop(&mut self) {
            let mut op = submit(Nop::new());
            let _ = op.id();
            *self.0.borrow_mut() = Some(ringspun::spawn(async {}));
        }
    }

    let spawned = Rc::new(RefCell::new(None));
    let runtime = runtime();
    runtime.block_on(async {
        let guard = SpawnsWhenDropped(Rc::clone(&spawned));
        ringspun::spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        })
        .detach();
        turn().await;
    });
    drop(runtime);
    let handle = spawned.borrow_mut().take().expect("the destructor ran");
    let mut handle = tokio_test::task::spawn(handle);
    let result = tokio_test::assert_ready!(handle.poll());
    assert!(result.expect_err("too late").is_cancelled());
}

#[test]
fn tasks_are_dropped_with_the_runtime() {
    let token = Rc::new(());
    let runtime = runtime();
    runtime.block_on(async {
        for _ in 0..10 {
            let token = Rc::clone(&token);
            ringspun::spawn(async move {
                sleep(Duration::from_secs(3600)).await;
                drop(token);
            })
            .detach();
        }
        turn().await;
    });
    assert_eq!(Rc::strong_count(&token), 11);
    drop(runtime);
    assert_eq!(Rc::strong_count(&token), 1);
}

#[test]
fn op_kept_beyond_the_runtime() {
    let pipe = Pipe::new();
    let (mut named, mut submitted) = {
        let runtime = runtime();
        runtime.block_on(async {
            let mut named = submit(Nop::new());
            let _ = named.id();
            let mut op = submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR));
            assert!(submit_only(&mut op).await.is_pending());
            (named, op)
        })
    };
    let text = panic_text(|| drop(tokio_test::task::spawn(&mut named).poll()));
    assert!(text.contains("polled outside its runtime: nobody would complete it"), "{text}");
    let text = panic_text(|| drop(runtime().block_on(&mut named)));
    assert!(text.contains("an op stays with the ring that it was first used on"), "{text}");
    drop(named);
    // This one has its answer: the end of the runtime cancelled it.
    let (result, buf) = tokio_test::assert_ready!(tokio_test::task::spawn(&mut submitted).poll());
    assert_eq!(result.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buf.len(), 8);
}

#[test]
fn wakers_kept_beyond_the_runtime() {
    let kept: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let runtime = runtime();
    runtime.block_on(async {
        for _ in 0..2 {
            let kept = Rc::clone(&kept);
            ringspun::spawn(poll_fn(move |cx| {
                kept.borrow_mut().push(cx.waker().clone());
                Poll::<()>::Pending
            }))
            .detach();
        }
        let from_main = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        kept.borrow_mut().push(from_main);
        turn().await;
    });
    drop(runtime);
    let mut wakers = kept.take();
    assert_eq!(wakers.len(), 3);
    for waker in &wakers {
        waker.wake_by_ref();
    }
    let thread = {
        let wakers = wakers.split_off(1);
        std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake))
    };
    thread.join().expect("a late wake is harmless");
    wakers.pop().expect("the one left").wake();
}

#[test]
fn info_says_what_the_kernel_gave() {
    let runtime = Builder::new().entries(100).cq_entries(1000).build().expect("a ring");
    let info = runtime.info();
    assert_eq!((info.sq_entries(), info.cq_entries()), (128, 1024));
    assert!(info.supports(0), "NOP");
    let text = info.to_string();
    assert!(text.starts_with("io_uring SQ 128 CQ 1024 "), "{text}");
    assert!(text.contains(" opcodes"), "{text}");
    assert_eq!(text.contains("; this kernel lacks"), !info.is_no_iowait(), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn settings_are_taken() {
    let ledger = Ledger::open();
    let build = |builder: Builder| builder.build().expect("a ring");
    for runtime in [
        build(builder().batch(1)),
        build(builder().batch(0)),
        build(builder().timer_slack(Duration::ZERO)),
        build(builder().park(Park::Adaptive)),
        build(builder().park(Park::Busy)),
        build(builder().io_workers((1, 1))),
        build(builder().blocking_threads(0)),
        build(builder().shutdown_timeout(Duration::ZERO)),
        build(builder().shutdown_timeout(Duration::from_secs(1))),
    ] {
        runtime.block_on(async {
            let tasks = (0..10).map(|n| {
                ringspun::spawn(async move {
                    sleep(Duration::from_micros(n * 100)).await;
                    submit(Nop::new()).await.expect("a nop");
                })
            });
            join_all(tasks.collect::<Vec<_>>()).await;
            let blocking = ringspun::spawn_blocking(|| 5);
            assert_eq!(blocking.await.expect("a thread"), 5);
        });
    }
    ledger.close();
}

#[test]
fn name_is_that_of_the_blocking_threads() {
    let runtime = Builder::new().name("named").build().expect("a ring");
    let own_name = || std::thread::current().name().map(str::to_owned);
    let name = runtime.block_on(async { ringspun::spawn_blocking(own_name).await });
    assert_eq!(name.expect("a thread").as_deref(), Some("named-1"));
    assert!(thread_names().iter().any(|name| name == "named-1"));
}

#[test]
fn longest_shutdown_timeout() {
    let runtime = builder().shutdown_timeout(Duration::MAX).build().expect("a ring");
    runtime.block_on(async { submit(Nop::new()).await }).expect("a nop");
}

#[test]
fn a_ring_of_one_entry() {
    let runtime = builder().entries(1).build().expect("a ring of one");
    assert_eq!(runtime.info().sq_entries(), 1);
    runtime.block_on(async {
        let ops = (0..1000).map(|_| submit(Nop::new())).collect::<Vec<_>>();
        for result in join_all(ops).await {
            result.expect("a nop");
        }
    });
}

#[test]
fn ten_thousand_ops_on_four_entries() {
    let runtime = builder().entries(4).build().expect("a small ring");
    runtime.block_on(async {
        let tasks = (0..10_000).map(|_| ringspun::spawn(submit(Nop::new()))).collect::<Vec<_>>();
        for result in join_all(tasks).await {
            result.expect("no panic").expect("a nop");
        }
    });
}

#[test]
fn cancelled_and_dropped_in_the_backlog() {
    let ledger = Ledger::open();
    let runtime = builder().entries(2).build().expect("a small ring");
    runtime.block_on(async {
        let pipe = Pipe::new();
        let buffers = ledger.buffers.clone();
        let read = || submit(Read::new(&pipe.reader, buffers.empty(8), Read::CURSOR));
        let mut ops = (0..100).map(|_| read()).collect::<Vec<_>>();
        for op in &mut ops {
            assert!(poll_once(op).await.is_pending());
        }
        // Two are in the queue, 98 in the backlog: these are freed at once.
        drop(ops.split_off(50));
        assert_eq!(buffers.live(), 50);
        for op in &mut ops[25..] {
            op.request_cancel();
        }
        for op in ops.split_off(25) {
            let (result, _) = op.await;
            assert_eq!(result.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
        }
        drop(pipe.writer);
        for op in ops {
            assert_eq!(op.await.0.expect("the end"), 0);
        }
    });
    drop(runtime);
    ledger.close();
}

#[test]
fn more_completions_than_the_queue_holds() {
    let runtime = builder().entries(4).cq_entries(4).build().expect("a small ring");
    runtime.block_on(async {
        let pipe = Pipe::new();
        let poll = || ringspun::spawn(submit(PollAdd::new(&pipe.reader, libc::POLLIN as u32)));
        let polls = (0..500).map(|_| poll()).collect::<Vec<_>>();
        sleep(Duration::from_millis(5)).await;
        // All at once.
        drop(pipe.writer);
        for result in join_all(polls).await {
            let events = result.expect("no panic").expect("an event");
            assert_ne!(events & libc::POLLHUP as u32, 0);
        }
    });
}

#[test]
fn chains_longer_than_the_queue_is_free() {
    let runtime = builder().entries(4).build().expect("a small ring");
    runtime.block_on(async {
        let chains = (0..250)
            .map(|_| ringspun::spawn(link((Nop::new(), Nop::new(), Nop::new(), Nop::new()))));
        for result in join_all(chains.collect::<Vec<_>>()).await {
            let (a, b, c, d) = result.expect("no panic").expect("four fit");
            assert!(a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok());
        }
    });
}

/// Echoes through a socket pair, sleeps, cancels: what every rung has to be able to do.
fn works(runtime: &Runtime) {
    runtime.block_on(async {
        let (ours, peer) = socket_pair();
        let peer = SharedFd::new(peer);
        let echo = ringspun::spawn(async move {
            loop {
                let text = receive(&peer, None).await;
                if text.is_empty() {
                    return;
                }
                send_all(&peer, &text).await;
            }
        });
        for n in 0..100_u32 {
            let text = format!("message {n}");
            send_all(&ours, text.as_bytes()).await;
            assert_eq!(receive(&ours, Some(text.len())).await, text.as_bytes());
        }
        let mut late = submit(Recv::new(&ours, vec![0; 8], 0));
        assert!(submit_only(&mut late).await.is_pending());
        let (result, _) = late.cancel().await;
        assert_eq!(result.expect_err("cancelled").raw_os_error(), Some(libc::ECANCELED));
        let timed = submit(Recv::new(&ours, vec![0; 8], 0)).timeout(Duration::from_millis(2));
        let (result, _) = timed.await;
        assert_eq!(result.expect_err("late").kind(), std::io::ErrorKind::TimedOut);
        // A wake from another thread ends the sleep.
        let (sender, receiver) = futures::channel::oneshot::channel();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            sender.send(5)
        });
        assert_eq!(receiver.await, Ok(5));
        assert_eq!(thread.join().expect("no panic"), Ok(()));
        submit(ringspun::op::Shutdown::new(&ours, std::net::Shutdown::Write)).await.expect("once");
        echo.await.expect("no panic");
    });
}

#[test]
fn this_kernel() {
    works(&runtime());
}

/// Steps down to what a kernel of this version knows, and works.
fn old_kernel(version: (u32, u32), has: &[&str], lacks: &[&str]) {
    let ledger = Ledger::open();
    let pretend = Pretend { version: Some(version), ..Pretend::default() };
    let runtime = builder().pretend(pretend).build().expect("a rung for this version");
    let text = runtime.info().to_string();
    let (given, missing) = text.split_once("; this kernel lacks").expect("it is old");
    for name in has {
        assert!(given.contains(name), "{name} should be given: {text}");
    }
    for name in lacks {
        assert!(missing.contains(name), "{name} should be missing: {text}");
        assert!(!given.contains(name), "{name} should not be given: {text}");
    }
    works(&runtime);
    drop(runtime);
    ledger.close();
}

#[test]
fn linux_5_13() {
    let lacks = ["SINGLE_ISSUER", "DEFER_TASKRUN", "COOP_TASKRUN", "SUBMIT_ALL", "CQE_SKIP"];
    old_kernel((5, 13), &[], &lacks);
}

#[test]
fn linux_5_18() {
    let lacks = ["SINGLE_ISSUER", "DEFER_TASKRUN", "COOP_TASKRUN (Linux 5.19)", "TASKRUN_FLAG"];
    old_kernel((5, 18), &["SUBMIT_ALL", "CQE_SKIP"], &lacks);
}

#[test]
fn linux_5_19() {
    let lacks = ["SINGLE_ISSUER", "DEFER_TASKRUN", "NO_SQARRAY"];
    old_kernel((5, 19), &["COOP_TASKRUN", "TASKRUN_FLAG", "SUBMIT_ALL"], &lacks);
}

#[test]
fn linux_6_0() {
    let lacks = ["DEFER_TASKRUN", "NO_SQARRAY"];
    old_kernel((6, 0), &["SINGLE_ISSUER", "COOP_TASKRUN"], &lacks);
}

#[test]
fn linux_6_1() {
    let lacks = ["NO_SQARRAY (Linux 6.6)", "NO_IOWAIT (Linux 6.15)"];
    old_kernel((6, 1), &["SINGLE_ISSUER", "DEFER_TASKRUN"], &lacks);
}

/// Why a ring cannot be made on a kernel like this.
fn refused(pretend: Pretend) -> std::io::Error {
    Builder::new().pretend(pretend).build().expect_err("there is no ring")
}

fn refused_with(errno: i32) -> String {
    let error = refused(Pretend { setup_errno: Some(errno), ..Pretend::default() });
    assert_eq!(error.kind(), std::io::Error::from_raw_os_error(errno).kind());
    error.to_string()
}

#[test]
fn switched_off() {
    let text = refused_with(libc::EPERM);
    assert!(text.starts_with("cannot create an io_uring: io_uring is switched off"), "{text}");
    assert!(text.contains("sysctl kernel.io_uring_disabled"), "{text}");
    assert!(text.contains("seccomp"), "{text}");
}

#[test]
fn too_old() {
    for text in [
        refused_with(libc::ENOSYS),
        refused_with(libc::EINVAL),
        refused(Pretend { version: Some((5, 12)), ..Pretend::default() }).to_string(),
    ] {
        assert!(text.contains("this kernel is too old: Linux 5.13 or newer is needed"), "{text}");
    }
}

#[test]
fn forbidden_or_out_of_files() {
    assert!(refused_with(libc::EACCES).contains("a security module (SELinux, AppArmor)"));
    assert!(refused_with(libc::EMFILE).contains("raise RLIMIT_NOFILE"));
    assert!(refused_with(libc::ENFILE).contains("fs.file-max"));
}

#[test]
fn halved_for_want_of_memory() {
    let pretend = Pretend { entries_max: Some(32), ..Pretend::default() };
    let runtime = Builder::new().entries(512).pretend(pretend).build().expect("a smaller ring");
    // Faults make rings smaller still.
    assert!(runtime.info().sq_entries() <= 32);
    assert!(runtime.info().sq_entries() == 32 || cfg!(feature = "chaos"));
    works(&runtime);
    let text = refused_with(libc::ENOMEM);
    assert!(text.contains("even for a ring of 8 entries: raise RLIMIT_MEMLOCK"), "{text}");
}

#[test]
fn no_memory_for_a_ring_that_is_small_already() {
    let pretend = Pretend { setup_errno: Some(libc::ENOMEM), ..Pretend::default() };
    let error = Builder::new().entries(1).pretend(pretend).build().expect_err("no ring");
    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
}

#[test]
fn missing_opcodes() {
    let ledger = Ledger::open();
    let pretend = Pretend { missing_opcodes: vec![22, 27], ..Pretend::default() };
    let runtime = Builder::new().pretend(pretend).build().expect("a ring");
    assert!(!runtime.info().supports(22));
    runtime.block_on(async {
        let pipe = Pipe::new();
        let read = submit(Read::new(&pipe.reader, ledger.buffers.empty(8), Read::CURSOR));
        let (result, buf) = read.await;
        let error = result.expect_err("READ is missing");
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("lacks IORING_OP_READ: it needs Linux 5.6 or newer"), "{text}");
        drop(buf);
        let chain = link((
            Nop::new(),
            Read::new(&pipe.reader, ledger.buffers.empty(8), Read::CURSOR),
            Nop::new(),
        ));
        let (first, second, third) = chain.await.expect("it fits");
        assert_eq!(second.0.expect_err("missing").kind(), std::io::ErrorKind::Unsupported);
        for other in [first, third] {
            assert_eq!(other.expect_err("not run").raw_os_error(), Some(libc::ECANCELED));
        }
    });
    drop(runtime);
    ledger.close();
}
